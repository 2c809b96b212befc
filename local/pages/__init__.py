"""Business Unit: local cloud | Status: current.

Pages under `docs/` that are generated from what the code does, each with a test that holds it fresh.
"""
