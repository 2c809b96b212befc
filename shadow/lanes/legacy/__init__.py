"""Business Unit: lanes | Status: current.

The legacy SQS path as a lane: its runs table, its events and its trade ledger.
"""
