"""Business Unit: publish | Status: current.

The Lambda form of the dual-publish shim, around the contract's own publishing.
"""
