"""Business Unit: local cloud | Status: current.

Least privilege, proven: what each role really calls in an end-to-end run, held against what the template allows it.
"""
