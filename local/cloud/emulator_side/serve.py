"""Business Unit: local cloud | Status: current.

The emulator's main program, run by the emulator's own interpreter: apply the repairs, keep web pages out, then serve. It ends
when the process that started it closes its end of the pipe, unless it was started to stay.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from pathlib import Path

STAY = "--stay"


def _end_with_parent() -> None:
    """Wait for the end of standard input, then end this process as if it had been told to."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Apply the repairs and serve until told to end."""
    if STAY not in sys.argv[1:]:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv[1:] = []
    importlib.import_module("repairs").apply_all()
    strangers = importlib.import_module("strangers")
    strangers.guard_emulator(os.environ[strangers.TOKEN_VARIABLE])
    record = importlib.import_module("call_record")
    if record.VARIABLE in os.environ:
        importlib.import_module("iam_gaps").close_all()
        record.record_calls(Path(os.environ[record.VARIABLE]))
    importlib.import_module("ministack.app").main()


if __name__ == "__main__":
    main()
