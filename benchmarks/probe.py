"""Business Unit: benchmarks | Status: current.

The entry of a measurement's own process: `python -m benchmarks.probe MODULE OPTIONS` calls `measure(**OPTIONS)` of
`benchmarks.MODULE` and prints its answer as the last line.
"""

from __future__ import annotations

import importlib
import json
import sys

from benchmarks.rows import Measurement


def main() -> None:
    """Measure and print."""
    module, options = sys.argv[1], json.loads(sys.argv[2])
    answer = importlib.import_module(f"benchmarks.{module}").measure(**options)
    print(json.dumps(answer.to_wire() if isinstance(answer, Measurement) else answer))


if __name__ == "__main__":
    main()
