"""Business Unit: legacy | Status: current."""
