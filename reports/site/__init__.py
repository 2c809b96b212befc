"""Business Unit: reports | Status: current.

Pages to browse: an index, a page a day, a pair, a kind, a symbol and a difference. Static files that ask nobody for anything.
"""
