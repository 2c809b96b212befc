"""Business Unit: tests | Status: current.

One property under Atheris. The project's modules are instrumented as they are imported; libraries are not.
"""

from __future__ import annotations

import logging
import sys
from contextlib import nullcontext
from importlib import import_module

import atheris

INSTRUMENTED = ["shadow", "functions", "reports"]


def main(module: str, function: str, seconds: str, corpus: str) -> None:
    """Fuzz one property; libFuzzer ends the process."""
    import_module("tests.conftest").pytest_configure()
    logging.disable(logging.CRITICAL)
    with atheris.instrument_imports(include=INSTRUMENTED):
        loaded = import_module(f"tests.fuzz.{module}")
    property_test = getattr(loaded, function)
    with getattr(loaded, "stage", nullcontext)():
        prefix = f"{corpus}/../{function}-"
        options = [f"-max_total_time={seconds}", "-print_final_stats=1", f"-artifact_prefix={prefix}", "-rss_limit_mb=0", corpus]
        atheris.Setup([sys.argv[0], *options], property_test.hypothesis.fuzz_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
