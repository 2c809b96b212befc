"""Business Unit: AWS adapters | Status: current.

The AWS side of the library's ports: clients with time limits, table items, environment, logs and metrics.
"""
