"""Business Unit: command line | Status: current.

The `shadow` command. `commands.py` lists what it can do; each command is loaded when it is used.
"""
