"""Business Unit: execution | Status: current.

The Broker port and its errors (`port`), and its adapters (`alpaca`, `recording`). Import the module you need:
nothing is re-exported here, so that no function pays for an adapter it does not use.
"""
