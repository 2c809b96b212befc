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
    except (KeyboardInterrupt, Exception) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, KeyboardInterrupt):
            cause = cause.__cause__ or cause.__context__  # a package that is interrupted while it is imported says ImportError
        if cause is None:
            raise
        sys.stderr.write("interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
