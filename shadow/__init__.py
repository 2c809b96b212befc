"""Business Unit: shared library | Status: current.

Publish every rebalance plan to two execution lanes, compare what they did, and say when it is safe to cut over.
"""

__version__ = "0.1.0"
