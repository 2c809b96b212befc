"""Business Unit: compare | Status: current.

The checks, one module a subject. Each holds both lanes against the plan, themselves, each other and the witnesses.
"""
