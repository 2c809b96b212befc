"""Business Unit: reports | Status: current.

The templates of page and mail. They decide how the report looks; every figure in them is the report's own.
"""
