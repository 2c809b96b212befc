"""Business Unit: lanes | Status: current.

What the brokers say of both accounts: orders, fills and positions that neither lane wrote.
"""
