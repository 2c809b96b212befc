"""Business Unit: local cloud | Status: current.

The demonstration: ten trading days through both lanes, with planted differences, and found held against planted.
"""
