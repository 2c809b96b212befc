"""Business Unit: command line | Status: current.

The checks of `shadow doctor`, one module a subject. Each looks at one thing of the account, read only, and says what it found
and what to do about it.
"""
