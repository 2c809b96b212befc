"""Business Unit: command line | Status: current.

The `shadow` command. Commands that need the reports or the local cloud register themselves from there (entry-point group
`shadow.commands`), so that this room knows neither.
"""
