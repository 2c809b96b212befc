"""Business Unit: settlement | Status: current."""
