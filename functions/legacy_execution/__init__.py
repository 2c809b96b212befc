"""Business Unit: legacy | Status: current.

The reference control's execution Lambda: one record of the control's queue at a time.
"""
