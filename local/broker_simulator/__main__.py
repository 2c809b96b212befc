"""Business Unit: local cloud | Status: current.

`python -m local.broker_simulator`: run the simulator as a process until it is asked to end. Its commands ask for the token in
`SHADOW_LOCAL_TOKEN`; without that variable one is made and printed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from threading import Event

from local.broker_simulator.server import BrokerSimulator
from local.cloud.emulator_side.strangers import TOKEN_VARIABLE


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the port is printed, and written to a file when one is named."""
    parser = argparse.ArgumentParser(prog="python -m local.broker_simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="loopback port; 0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="write the port here once the simulator answers")
    parser.add_argument("--seed", type=int, default=0, help="the same seed and requests give the same answers")
    chosen = parser.parse_args(arguments)
    ended = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    token = os.environ.get(TOKEN_VARIABLE, "")
    with BrokerSimulator(seed=chosen.seed, port=chosen.port, token=token) as simulator:
        if chosen.port_file:
            partial = chosen.port_file.with_suffix(".partial")
            partial.write_text(f"{simulator.port}\n")
            partial.replace(chosen.port_file)
        sys.stdout.write(f"{simulator.url}\n" if token else f"{simulator.url}\n{TOKEN_VARIABLE}={simulator.token}\n")
        sys.stdout.flush()
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
