"""Business Unit: execution | Status: current.

The Lambda between the phases: may buying start?
"""
