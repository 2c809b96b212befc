"""Business Unit: compare | Status: current.

The comparison: pure functions over plans, outcomes and a policy. `judge` gives the comparison of one pair, `apply_budgets`
settles a day, `default_policy` and `Policy.read` give the rules, `KINDS` is the closed list of what can differ.
"""
