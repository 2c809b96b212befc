"""Business Unit: execution | Status: current.

The Lambda that mails what a finished run did.
"""
