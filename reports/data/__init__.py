"""Business Unit: reports | Status: current.

Frames of stored comparisons, and where they are read from.
"""
