"""Business Unit: execution | Status: current.

The Lambda that mails why a run was stopped or broke.
"""
