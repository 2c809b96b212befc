"""Business Unit: local cloud | Status: current.

What is planted, where and on which day, and what must be found of it: `demo.toml` says it, `demo` makes the ten days of it,
`variants` builds candidate functions that faults can be planted in, `reckoning` holds what was found against what was planted.
"""
