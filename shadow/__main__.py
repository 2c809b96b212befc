"""Business Unit: command line | Status: current.

Where the `shadow` command begins. Nothing is imported before an interruption is provided for.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command; an interruption ends it with 130, as shells expect. Output that was closed before is thrown away."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - as long as it lives
    try:
        from shadow.cli.main import app  # noqa: PLC0415

        app()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
