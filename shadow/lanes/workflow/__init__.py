"""Business Unit: lanes | Status: current.

The Step Functions workflow as a lane: its execution's history and its state table.
"""
