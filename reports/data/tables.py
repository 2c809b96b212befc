"""Business Unit: reports | Status: current.

From lists of values to a frame with the documented columns and dtypes, also when there is not one row: an empty day has
the same columns as a full one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.data.columns import Column, Kind

_EPOCH = date(1970, 1, 1).toordinal()
Value = StrEnum | str | Decimal | float | bool | date | datetime | None
Values = Sequence[Value]
Array = npt.NDArray[np.generic] | pd.api.extensions.ExtensionArray
_Maker = Callable[[Column, Values], Array]


def frame_of(columns: Sequence[Column], values: Mapping[str, Values]) -> pd.DataFrame:
    """Make a frame of `columns` from one list a column. Raises KeyError for a column without its list."""
    return pd.DataFrame({column.name: _MAKERS[column.kind](column, values[column.name]) for column in columns}, copy=False)


def empty_lists(columns: Sequence[Column]) -> dict[str, list[Value]]:
    """Make one empty list a column, to be filled."""
    return {column.name: [] for column in columns}


def _day(_: Column, values: Values) -> Array:
    ordinals = np.fromiter(map(date.toordinal, values), dtype=np.int64, count=len(values))  # type: ignore[arg-type] # a DAY column holds dates
    return (ordinals - _EPOCH).astype("datetime64[D]").astype("datetime64[s]")


def _time(_: Column, values: Values) -> Array:
    return pd.to_datetime(pd.Series(list(values), dtype="object"), utc=True).astype("datetime64[us, UTC]").array


def _category(column: Column, values: Values) -> Array:
    if column.members is None:
        raise KeyError(f"{column.name}: expected the closed list of its categories, was nothing")
    members = list(column.members)
    # Members are singletons: their identity is a key that hashes far faster than they do themselves.
    positions = {id(member): code for code, member in enumerate(members)} | {id(None): -1}
    codes = np.fromiter(map(positions.__getitem__, map(id, values)), dtype=np.int8, count=len(values))
    return categorical(codes, column.members)


def categorical(codes: np.ndarray, members: type[StrEnum]) -> pd.Categorical[str]:
    """Make an ordered category of `members` from positions in it; -1 is missing."""
    return pd.Categorical.from_codes(codes, categories=pd.Index([member.value for member in members]), ordered=True)


def _numbers(dtype: str) -> _Maker:
    return lambda _, values: np.array(values, dtype=dtype)


def _extension(dtype: str) -> _Maker:
    return lambda _, values: pd.Series(list(values), dtype=dtype).array


_MAKERS: dict[Kind, _Maker] = {
    Kind.DAY: _day,
    Kind.TIME: _time,
    Kind.CATEGORY: _category,
    Kind.TEXT: _extension("str"),
    Kind.DECIMAL: _numbers("object"),
    Kind.FLOAT: _numbers("float64"),
    Kind.COUNT: _numbers("int64"),
    Kind.MAYBE_COUNT: _extension("Int64"),
    Kind.FLAG: _numbers("bool"),
}
