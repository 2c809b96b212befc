"""Business Unit: command line | Status: current.

The `shadow` command. `main.py` lists what it can do; each command is loaded when it is used.
"""
