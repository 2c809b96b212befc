"""Business Unit: benchmarks | Status: current.

What the system costs, measured beside what people would use instead and beside the least that the task allows. Ratios are
claimed, not seconds: both sides run in turn on the same machine. `python -m benchmarks` measures everything, `--quick` small.
"""
