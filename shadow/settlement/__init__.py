"""Business Unit: evidence | Status: current."""
