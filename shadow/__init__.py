"""Business Unit: shared library | Status: current.

Publish every rebalance plan to two execution lanes, compare what they did, and say when it is safe to cut over.
`shadow.open("build/demo")` gives what was compared to a program or a notebook.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shadow.opened import open_place as open  # noqa: A004 - as a module's open is always called by the module's name

__version__ = "0.1.0"
__all__ = ["__version__", "open"]


def __getattr__(name: str) -> object:
    """Load what opens comparisons when it is asked for: publishing and the Lambdas do without it."""
    if name == "open":
        from shadow.opened import open_place  # noqa: PLC0415

        return open_place
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what there is to use, `open` included."""
    return sorted({*globals(), *__all__})
