"""Business Unit: reports | Status: current.

The register of known divergences in a policy file: the narrowest entry that makes differences of one kind expected.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from difflib import get_close_matches
from glob import escape as literal
from importlib.resources import files
from pathlib import Path

from shadow.cli.output import BadInput, read_whole, write_whole
from shadow.compare.kinds import KINDS, Kind
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Comparison, Difference


def kind_named(name: str) -> Kind:
    """Give the kind of that name, in any case; raises `BadInput` with the closest ones there are."""
    known = KINDS.get(name.upper())
    if known is None:
        close = get_close_matches(name.upper(), KINDS, n=3, cutoff=0.5)
        hint = f"; did you mean {', '.join(close)}?" if close else "; docs/difference-kinds.md lists them all"
        raise BadInput(f"No kind of difference is called {name}{hint}")
    return known


def register(
    comparison: Comparison, kind: Kind, last: date, policy: Path, *, owner: str, reason: str, budget: int | None
) -> tuple[int, dict[str, str | int]]:
    """Add the entry that covers a comparison's differences of a kind to a policy file, which is written whole or not at all.

    Gives how many differences it covers, and the entry. A file that is new is made from the packaged policy. Raises `BadInput`,
    `InvalidPolicy`.
    """
    covered = _differences(comparison, kind, last)
    packaged = files("shadow.compare").joinpath("default_policy.toml")
    text = read_whole(policy) if policy.exists() else packaged.read_text("utf-8")
    taken = {entry.id for entry in Policy.read(text, str(policy)).known}
    values = entry_for(covered, owner=owner, reason=reason, until=last, budget=budget or len(covered))
    values = {"id": _free_id(f"{kind.name.lower()}-{comparison.trading_day}", taken), **values}
    write_whole(policy, with_entry(text, values, str(policy)))
    return len(covered), values


def _differences(comparison: Comparison, kind: Kind, last: date) -> list[Difference]:
    """Find what is to be covered; raises `BadInput` where nothing is, or no entry may."""
    if not kind.coverable:
        raise BadInput(f"{kind.name} can never be registered as known: it is always {kind.severity.value}")
    if last < comparison.trading_day:
        raise BadInput(f"--until {last} is before the plan's trading day, {comparison.trading_day}: it would cover nothing")
    found = [each for each in comparison.differences if each.kind == kind.name]
    if not found:
        others = ", ".join(sorted({each.kind for each in comparison.differences})) or "none at all"
        raise BadInput(f"{comparison.plan_id} has no difference of kind {kind.name}; its differences: {others}")
    return found


def entry_for(covered: Sequence[Difference], *, owner: str, reason: str, until: date, budget: int) -> dict[str, str | int]:
    """Give the narrowest entry that covers all of `covered`: what they have in common stands in it, the rest is left open."""
    patterns: dict[str, str] = {"kind": covered[0].kind}
    fields, symbols = {each.field for each in covered}, {each.symbol for each in covered}
    sides, lanes = {each.action for each in covered}, {each.lane for each in covered}
    if len(fields) == 1:
        patterns["field"] = literal(fields.pop())
    if len(symbols) == 1 and (symbol := symbols.pop()) is not None:
        patterns["symbol"] = literal(symbol)
    if len(sides) == 1 and (side := sides.pop()) is not None:
        patterns["side"] = side.value
    if len(lanes) == 1:
        lane = lanes.pop()
        patterns["lane"] = "neither" if lane is None else lane.value
    return {"owner": owner, "reason": reason, **patterns, "expires": until.isoformat(), "budget_a_day": budget}


def with_entry(text: str, values: dict[str, str | int], name: str) -> str:
    """Add one entry to the text of a policy. Raises `InvalidPolicy` where the result is none, with what is wrong."""
    lines = [f"{key} = {_toml(key, value)}" for key, value in values.items()]
    added = text.rstrip("\n") + "\n\n[[known]]\n" + "\n".join(lines) + "\n"
    Policy.read(added, name)
    return added


def _toml(key: str, value: str | int) -> str:
    if isinstance(value, int) or key == "expires":
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _free_id(wanted: str, taken: set[str]) -> str:
    number, free = 1, wanted
    while free in taken:
        number += 1
        free = f"{wanted}-{number}"
    return free
