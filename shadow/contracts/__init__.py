"""Business Unit: shared contracts | Status: current.

Everything that crosses a wire: plans, trade messages, table items, workflow payloads, events, outcomes, comparisons.
"""
