"""Business Unit: local cloud | Status: current.

Everything that lets one machine stand in for the cloud and the broker. Nothing here is deployed.
"""
