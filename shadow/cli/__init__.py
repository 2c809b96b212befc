"""Business Unit: cli | Status: current."""
