"""Business Unit: execution | Status: current.

The workflow's first Lambda: from a plan to two phases of trades.
"""
