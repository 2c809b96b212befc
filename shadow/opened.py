"""Business Unit: shared library | Status: current.

Stored comparisons for a program or a notebook: `shadow.open(PLACE)`. In the examples `folder` is one that has two of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from shadow.contracts.comparison import Comparison
from shadow.settlement.stored import Source, read_comparison, source_of

if TYPE_CHECKING:
    from reports.data.frames import Frames

_EVER = (date(2000, 1, 1), date(2999, 12, 31))


@dataclass(frozen=True, slots=True)
class Opened:
    """The comparisons of one place. Nothing is read before it is asked for, and nothing is ever written."""

    source: Source

    def comparisons(self, first: date = _EVER[0], last: date = _EVER[1]) -> Iterator[Comparison]:
        """Give the comparisons of the trading days `first` to `last`, both included, one after another.

        >>> [str(each.verdict) for each in shadow.open(folder).comparisons()]
        ['MATCHED', 'DIVERGED']

        Raises `UnreachableSource`, and `UnreadableDocument` naming document and field.
        """
        return (read_comparison(content, name) for name, content in self.source.documents(first, last))

    def frames(self, first: date = _EVER[0], last: date = _EVER[1]) -> Frames:
        """Give pandas frames of pairs, trades, differences, durations, margins and the ledger, money in exact decimals.

        `as_float()` of them gives the same with floats, to plot and describe.

        >>> frames = shadow.open(folder).frames()
        >>> len(frames.pairs), frames.as_float().pairs["gross_impact"].dtype.name
        (2, 'float64')

        Needs the part `reports` of the installation. Raises as `comparisons` does.
        """
        try:
            from reports.data.frames import load_frames  # noqa: PLC0415 - pandas is not part of a plain installation
        except ModuleNotFoundError as error:
            error.msg = f"{error.msg}: frames need it, pip install 'shadow-lanes[reports]'"
            raise

        return load_frames(self.source, first, last, ledger=getattr(self.source, "ledger", None))


def open_place(place: str | Path) -> Opened:
    """Open a folder such as `build/demo`, a file with one comparison a line, or an evidence bucket, `s3://NAME`.

    >>> len(list(shadow.open(folder).comparisons()))
    2

    What is not there is told when it is read.
    """
    return Opened(source_of(str(place)))
