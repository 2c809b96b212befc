"""Business Unit: local cloud | Status: current.

Chaos: plans are published while whatever is not the control dies, stalls and lies at random, for a bounded time; then everything
settles, and nothing may be lost, doubled, or different for the control.
"""
