"""Business Unit: local cloud | Status: current.

`python -m local.aws_rules`: check what is deployed by AWS's own rules, and end with 1 when something breaks one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from local.aws_rules.rules import breaches


def main() -> int:
    """Check; give the exit code."""
    wrong = breaches(Path(__file__).parents[2])
    for line in wrong:
        sys.stderr.write(f"aws rules: {line}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
