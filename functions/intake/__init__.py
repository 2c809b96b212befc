"""Business Unit: intake | Status: current.

The intake function.
"""
