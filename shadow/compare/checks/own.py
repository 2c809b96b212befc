"""Business Unit: compare | Status: current.

Fields of a user's own: each that the policy has an entry for is held against the other lane's, of every trade that both lanes
have and of the runs. Nothing says which lane is right, so a difference names neither. What one lane has and the other has not is
a gap that names the field: it was to be compared and could not be.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from shadow.compare.case import PairView, TradePair
from shadow.compare.exact import ZERO
from shadow.compare.finding import Finding
from shadow.compare.policy import OWN, OWN_FIELD, OwnRule, Policy
from shadow.compare.rules import ONE, within
from shadow.contracts.model import parse_decimal
from shadow.contracts.outcome import OwnField, OwnType, RunOutcome, TradeOutcome

_MICROSECOND = Decimal("0.000001")
_NUMBERS = (OwnType.DECIMAL, OwnType.INTEGER)


def trade_own_findings(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    """Find fields of a user's own in which the lanes' records of one trade differ."""
    if policy.own and pair.both is not None:
        control, candidate = pair.both
        yield from _findings(control.trade, candidate.trade, policy, pair)


def run_own_findings(view: PairView, policy: Policy) -> Iterator[Finding]:
    """Find fields of a user's own in which the runs differ."""
    if policy.own and view.both is not None:
        yield from _findings(*view.both, policy, None)


def _findings(
    control: TradeOutcome | RunOutcome, candidate: TradeOutcome | RunOutcome, policy: Policy, pair: TradePair | None
) -> Iterator[Finding]:
    for name, rule in policy.own.items():
        one, other = _own(control, name), _own(candidate, name)
        if one is None or other is None or one.absent or other.absent or are_alike(rule, one, other):
            continue
        texts = [field.text if field.text is not None else "null" for field in (one, other)]
        yield Finding(
            kind=OWN_FIELD,
            field=f"{OWN}{name}",
            rule=str(rule),
            explanation=f"The control has {texts[0]} as {name}, the candidate {texts[1]}.",
            role=None,
            control=texts[0],
            candidate=texts[1],
            pair=pair,
        )


def _own(record: TradeOutcome | RunOutcome, name: str) -> OwnField | None:
    return next((field for field in record.own if field.name == name), None)


def are_alike(rule: OwnRule, one: OwnField, other: OwnField) -> bool:
    """Tell whether two values are equal under `rule`. Null equals null alone.

    A lane that does not say what type a field has records a text where the other has a number or a time: the text is read as
    what the other's is, and is unlike where it is none.
    """
    if one.text is None or other.text is None:
        return one.text is other.text
    kind = other.type if one.type is OwnType.TEXT else one.type
    try:
        left, right = _value(one.text, kind), _value(other.text, kind)
    except ValueError:
        return False
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return within(rule, left, right)
    if isinstance(left, datetime) and isinstance(right, datetime):
        apart = abs(left - right)
        seconds = Decimal(apart.days * 86400 + apart.seconds) + apart.microseconds * _MICROSECOND
        return left == right or rule.permits(seconds, ZERO, ONE)
    return left == right


def _value(text: str, kind: OwnType) -> Decimal | datetime | str:
    """Read a text as a `kind`. Raises ValueError where it is none."""
    if kind in _NUMBERS:
        return parse_decimal(text)
    if kind is OwnType.TIME:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("a time without a zone")
        return moment
    return text


def own_gaps(view: PairView, policy: Policy) -> Iterator[str]:
    """Name every field that the policy compares and that a lane has not: at all, or of a trade that ended alike in both."""
    runs = view.both
    if runs is None:
        return
    for name in policy.own:
        of_runs = {run.role: _has(run, name) for run in runs}
        of_trades = {run.role: any(_has(trade, name) for trade in run.trades) for run in runs}
        nowhere = not (any(of_runs.values()) or any(of_trades.values()))
        for run in runs:
            if any(of_runs.values()) and not of_runs[run.role]:
                yield f"{run.role.value}: {OWN}{name}: the policy compares it, and this lane's run has no such field"
            if run.trades and not of_trades[run.role] and (nowhere or any(of_trades.values())):
                yield f"{run.role.value}: {OWN}{name}: the policy compares it, and no trade of this lane has such a field"
        if all(of_trades.values()):
            yield from _trade_gaps(view, name)


def _has(record: TradeOutcome | RunOutcome, name: str) -> bool:
    field = _own(record, name)
    return field is not None and not field.absent


def _trade_gaps(view: PairView, name: str) -> Iterator[str]:
    for pair in view.trades:
        trades = [side.trade for side in pair.lanes]
        if pair.both is None or trades[0].status is not trades[1].status:
            continue
        absent = [(field := _own(trade, name)) is not None and field.absent for trade in trades]
        if absent[0] is not absent[1]:
            side = pair.both[0 if absent[0] else 1]
            yield f"{side.role.value}: trade {pair.symbol}: {OWN}{name}: absent"
