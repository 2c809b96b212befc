"""Business Unit: reports | Status: current.

What is kept of the stored comparisons of a day, so that they can be judged again without being read: of each pair who it is and
what was stored, of each trade its columns. Written as one file that names its own digest: a damaged one is found out.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from math import prod
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from reports.data.errors import ReportsError
from reports.rejudge.coded import Longs
from reports.rejudge.frame import CODES, NUMBERS, PLAN_CODES, PLAN_NUMBERS
from reports.rejudge.runs import RunFacts
from shadow.contracts.vocabulary import Lane, Role

LANES = (Role.CONTROL, Role.CANDIDATE)
WIDE = (*PLAN_NUMBERS, *(f"{role}.{name}" for role in LANES for name in NUMBERS))
NARROW = (*PLAN_CODES, *(f"{role}.{name}" for role in LANES for name in ("present", *CODES)))
_FORM = "shadow rejudge 1"
_DIGEST = 64
Head = TypeVar("Head")
Number = TypeVar("Number", np.int64, np.int32, np.int8)


class DamagedColumns(ReportsError):
    """Kept columns are not what was written."""


class KeptPair(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One stored pair. `document` is its place in its unit, `start` its first row of `rows`.

    `fixed` is the verdict that its differences do not decide (empty where they do), `facts` what a policy may object to in its
    runs; None where it must be judged by itself.
    """

    document: int
    plan_id: str
    trading_day: str
    origin: str
    production_lane: Lane
    published_at: str
    policy_hash: str
    verdict: str
    fixed: str
    trades: int
    start: int
    rows: int
    facts: RunFacts | None


@dataclass(frozen=True, slots=True)
class Columns:
    """The trades of a unit: exact numbers, codes, and where each stands among its pair's; and the stored differences.

    `words` are those behind the codes of the differences, `order_types` and `symbols` those behind the trades'.
    """

    wide: Longs
    narrow: npt.NDArray[np.int8]
    symbol: npt.NDArray[np.int32]
    rank: npt.NDArray[np.int32]
    stored: Longs
    words: tuple[str, ...]
    order_types: tuple[str, ...]
    symbols: tuple[str, ...]


class _Head(msgspec.Struct, frozen=True):
    """What stands before the arrays, which follow one after the other: their shapes, and all that is no array."""

    form: str
    key: str
    shapes: tuple[tuple[int, ...], ...]
    pairs: tuple[KeptPair, ...]
    words: tuple[str, ...]
    order_types: tuple[str, ...]
    symbols: tuple[str, ...]


class _Label(msgspec.Struct, frozen=True):
    """What is read to tell under which key something was written."""

    key: str


_HEAD, _LABEL = msgspec.json.Decoder(_Head), msgspec.json.Decoder(_Label)


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is kept of one unit."""

    pairs: tuple[KeptPair, ...]
    columns: Columns


def packed(key: str, kept: Kept) -> bytes:
    """Write what is kept under `key`."""
    columns = kept.columns
    arrays = (columns.wide, columns.narrow, columns.symbol, columns.rank, columns.stored)
    shapes = tuple(array.shape for array in arrays)
    head = _Head(_FORM, key, shapes, kept.pairs, columns.words, columns.order_types, columns.symbols)
    body = msgspec.json.encode(head) + b"\n" + b"".join(array.tobytes() for array in arrays)
    return sha256(body).hexdigest().encode() + b"\n" + body


def key_in(content: bytes) -> str:
    """Give the key under which it was written, unchecked. Raises `DamagedColumns`."""
    return _before_arrays(content, _LABEL)[0].key


def unpacked(content: bytes, key: str) -> Kept:
    """Read back what was written under `key`. Raises `DamagedColumns` where it is anything else."""
    if sha256(memoryview(content)[_DIGEST + 1 :]).hexdigest().encode() != content[:_DIGEST]:
        raise DamagedColumns("its digest is not that of its content")
    head, at = _before_arrays(content, _HEAD)
    if (head.form, head.key) != (_FORM, key):
        raise DamagedColumns(f"it was written in the form {head.form} under the key {head.key[:12]}")
    arrays = _Arrays(content, at)
    wide, narrow, symbol, rank, stored = head.shapes
    columns = Columns(
        wide=arrays.next(np.int64, wide),
        narrow=arrays.next(np.int8, narrow),
        symbol=arrays.next(np.int32, symbol),
        rank=arrays.next(np.int32, rank),
        stored=arrays.next(np.int64, stored),
        words=head.words,
        order_types=head.order_types,
        symbols=head.symbols,
    )
    return Kept(head.pairs, columns)


def _before_arrays(content: bytes, decoder: msgspec.json.Decoder[Head]) -> tuple[Head, int]:
    end = content.find(b"\n", _DIGEST + 1)
    try:
        return decoder.decode(content[_DIGEST + 1 : end]), end + 1
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedColumns(f"it does not begin as it should: {error}") from None


class _Arrays:
    """Arrays that stand one after the other, seen where they lie."""

    def __init__(self, content: bytes, at: int) -> None:
        self.content, self.at = content, at

    def next(self, kind: type[Number], shape: tuple[int, ...]) -> npt.NDArray[Number]:
        """Give the next array."""
        count, begin = prod(shape), self.at
        self.at += count * np.dtype(kind).itemsize
        return np.frombuffer(self.content, dtype=kind, count=count, offset=begin).reshape(shape)
