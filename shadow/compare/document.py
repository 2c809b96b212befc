"""Business Unit: compare | Status: current.

The stored form of a comparison: one canonical JSON document (sorted keys, no spaces, UTF-8, decimals as plain strings), and the
strict way back. A document in which a key stands twice, or a number is a binary float, is refused: somebody else wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO

from pydantic import BaseModel

from shadow.contracts.comparison import Comparison
from shadow.contracts.errors import FieldFault, InvalidPayload
from shadow.contracts.model import load_json
from shadow.contracts.outcome import Effect, RunOutcome, TradeOutcome

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical_bytes(comparison: Comparison) -> bytes:
    """Write `comparison` as its canonical document: the same comparison is the same bytes.

    It is written piece by piece, so that a pair of thousands of trades is not held as plain values and as text as well.
    """
    document = BytesIO()
    for piece in _pieces(comparison):
        document.write(piece)
    return document.getvalue()


def _pieces(model: BaseModel) -> Iterator[bytes]:
    """Write a model whose field names are its keys; models in it and tuples of models are written each by itself."""
    large = {name for name in type(model).model_fields if _is_large(getattr(model, name))}
    small = model.model_dump(mode="json", exclude=large)
    mark = b"{"
    for name in sorted({*small, *large}):
        yield mark + f'"{name}":'.encode()
        mark = b","
        if name in large:
            yield from _large(getattr(model, name))
        else:
            yield _written(small[name])
    yield b"}"


def _written(value: object) -> bytes:
    """Write a plain value; half of a surrogate pair (a text cut in the middle of a character), which UTF-8 lacks, becomes `?`."""
    return _encode(value).encode(errors="replace")


def _large(value: BaseModel | tuple[BaseModel, ...]) -> Iterator[bytes]:
    if isinstance(value, BaseModel):
        yield from _pieces(value)
        return
    mark = b"["
    for each in value:
        yield mark + _written(each.model_dump(mode="json"))
        mark = b","
    yield b"]"


def _is_large(value: object) -> bool:
    return isinstance(value, BaseModel) or (isinstance(value, tuple) and bool(value) and isinstance(value[0], BaseModel))


def digest_of(document: bytes) -> str:
    """Name a document by the sha256 of its bytes, in hexadecimal."""
    return sha256(document).hexdigest()


def read_comparison(document: bytes | str) -> Comparison:
    """Read a stored document back. Raises InvalidPayload for anything that is not one, duplicate keys included."""
    try:
        value = load_json(document, parse_float=_refuse_number)
    except (ValueError, RecursionError) as error:
        raise InvalidPayload("comparison", [FieldFault("(whole)", "a canonical JSON document", str(error))]) from None
    return Comparison.parse(value)


def _refuse_number(text: str) -> object:
    raise ValueError(f"the number {text}, where decimals are strings")


def canonical_run(run: RunOutcome | None) -> RunOutcome | None:
    """Give `run` with its trades, effects, gaps and lists of names sorted. Orders keep their order: it is theirs."""
    if run is None:
        return None
    return run.model_copy(
        update={
            "trades": _sorted_trades(run.trades),
            "effects": None if run.effects is None else _sorted_effects(run.effects),
            "effect_kinds": None if run.effect_kinds is None else tuple(sorted(set(run.effect_kinds))),
            "other_runs": tuple(sorted(set(run.other_runs))),
            "violations": tuple(sorted(set(run.violations))),
            "gaps": tuple(sorted(run.gaps, key=lambda gap: (gap.what, gap.reason))),
        }
    )


def _by_id(trade: TradeOutcome) -> str:
    return trade.trade_id


def _sorted_trades(trades: tuple[TradeOutcome, ...]) -> tuple[TradeOutcome, ...]:
    """Sort by id; only records that share one are told apart by their whole content."""
    if len({trade.trade_id for trade in trades}) < len(trades):
        return tuple(sorted(trades, key=lambda trade: (trade.trade_id, trade.model_dump_json())))
    return tuple(sorted(trades, key=_by_id))


def _effect_key(effect: Effect) -> tuple[str, str, str, str]:
    return (effect.kind.value, effect.trade_id or "", effect.symbol or "", effect.action or "")


def _sorted_effects(effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
    """Sort by what they are about; only effects about the same thing are told apart by their whole content."""
    if len({_effect_key(effect) for effect in effects}) < len(effects):
        return tuple(sorted(effects, key=lambda effect: (*_effect_key(effect), effect.model_dump_json())))
    return tuple(sorted(effects, key=_effect_key))
