"""Business Unit: evidence | Status: current.

Settle pairs: join what both lanes did, judge it, store the verdict.
"""
