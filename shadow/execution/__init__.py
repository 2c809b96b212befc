"""Business Unit: execution | Status: current."""
