"""Business Unit: reports | Status: current.

Judging many trades at once: the trade-level rules of `shadow.compare` over columns, for re-judging months of history under
another policy in seconds. Rows that columns cannot hold are judged one by one, so the answer is always the same.
"""
