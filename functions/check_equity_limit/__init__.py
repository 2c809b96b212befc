"""Business Unit: execution | Status: current.

The Lambda before each BUY: is there equity left for it?
"""
