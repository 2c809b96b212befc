"""Business Unit: reports | Status: current.

The daily report: once after the close, archived and mailed.
"""
