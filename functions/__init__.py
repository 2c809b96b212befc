"""Business Unit: functions | Status: current.

One folder a Lambda. A handler parses, calls one use case of `shadow` or `reports`, and maps the answer. Nothing else.
"""
