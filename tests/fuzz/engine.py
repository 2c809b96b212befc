"""Business Unit: tests | Status: current.

One property under Atheris. The project's modules are instrumented as they are imported; libraries are not.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from importlib import import_module

import atheris

INSTRUMENTED = ["shadow", "functions", "reports"]


def telling(inner: Callable[..., None]) -> Callable[..., None]:
    """Print the example that `inner` fails on, as it is to be kept at the property."""

    @wraps(inner)
    def told(*arguments: object, **named: object) -> None:
        try:
            inner(*arguments, **named)
        except Exception:
            shown = ", ".join([*map(repr, arguments), *(f"{name}={value!r}" for name, value in named.items())])
            sys.stderr.write(f"\n@example({shown})\n")
            sys.stderr.flush()
            raise

    return told


def main(module: str, function: str, seconds: str, corpus: str) -> None:
    """Fuzz one property; libFuzzer ends the process."""
    import_module("tests.conftest").pytest_configure()
    logging.disable(logging.CRITICAL)
    with atheris.instrument_imports(include=INSTRUMENTED):
        loaded = import_module(f"tests.fuzz.{module}")
    property_test = getattr(loaded, function)
    property_test.hypothesis.inner_test = telling(property_test.hypothesis.inner_test)
    with getattr(loaded, "stage", nullcontext)():
        prefix = f"{corpus}/../{function}-"
        options = [f"-max_total_time={seconds}", "-print_final_stats=1", f"-artifact_prefix={prefix}", "-rss_limit_mb=0", corpus]
        atheris.Setup([sys.argv[0], *options], property_test.hypothesis.fuzz_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
