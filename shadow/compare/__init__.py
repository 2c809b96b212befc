"""Business Unit: compare | Status: current."""
