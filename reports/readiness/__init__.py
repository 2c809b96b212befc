"""Business Unit: reports | Status: current.

Whether it is safe to cut over, from the evidence of many days.
"""
