"""Business Unit: publish | Status: current."""
