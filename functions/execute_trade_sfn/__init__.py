"""Business Unit: execution | Status: current.

The Lambda that trades, one trade at a time.
"""
