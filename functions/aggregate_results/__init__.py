"""Business Unit: execution | Status: current.

The Lambda that sums a run up.
"""
