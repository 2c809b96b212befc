"""Business Unit: compare | Status: current.

Which difference follows from which. A guard that blocks wrongly makes a dozen BUYs end differently: that is one difference and
its consequences, not a dozen. What may explain what is in the table of kinds; here it is decided whether it does, by trade,
by lane and by what the explained trade looks like.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from shadow.compare.case import TradePair
from shadow.compare.finding import Finding
from shadow.compare.kinds import KINDS, Basis
from shadow.contracts.vocabulary import Reason, Side, TradeStatus

_GUARD = frozenset({"GUARD_ZERO_SUM", "GUARD_THRESHOLD", "GUARD_BOUNDARY", "GUARD_AMOUNTS", "GUARD_IGNORED", "GUARD_DECISION"})
_BREAKER = frozenset({"EQUITY_NOT_COUNTED", "EQUITY_MISJUDGED", "EQUITY_OVERSHOOT", "EQUITY_LIMIT"})
_BROKEN = frozenset({"COUNTERS", "RUN_FAILED", "BUYS_NOT_ENQUEUED", "BUYS_NEVER_SENT", "STUCK_AGGREGATING", "RUN_STUCK"})
_NEVER_RAN = (TradeStatus.NOT_SENT, TradeStatus.UNFINISHED)


def roots_of(findings: Sequence[Finding]) -> list[int]:
    """Give for each finding the place of the finding it follows from in the end; its own place where it stands alone.

    `findings` are in the order of the table of kinds. Chains are followed to their beginning; every step is taken once.
    """
    by_kind: dict[str, list[int]] = defaultdict(list)
    for place, finding in enumerate(findings):
        by_kind[finding.kind].append(place)
    causes = {place: _cause(place, findings, by_kind) for place in range(len(findings))}
    return [_root(place, causes) for place in range(len(findings))]


def _root(place: int, causes: Mapping[int, int | None]) -> int:
    seen = {place}
    while (cause := causes[place]) is not None and cause not in seen:
        seen.add(cause)
        place = cause
    return place


def _cause(place: int, findings: Sequence[Finding], by_kind: Mapping[str, list[int]]) -> int | None:
    effect = findings[place]
    same = [other for other in by_kind[effect.kind] if other < place and _same_thing(findings[other], effect)]
    if same:
        return same[0]
    for kind in KINDS[effect.kind].follows:
        for other in by_kind.get(kind, ()):
            if explains(findings[other], effect):
                return other
    return None


def _same_thing(first: Finding, second: Finding) -> bool:
    """Tell whether two findings of one kind are about one thing of one lane, seen in two fields."""
    if first.pair is None or second.pair is None or first.pair is not second.pair:
        return False
    return _share_a_lane(first, second)


def explains(cause: Finding, effect: Finding) -> bool:
    """Tell whether `cause`, whose kind may explain the kind of `effect`, does explain this one."""
    if cause.pair is not None and effect.pair is not None:
        decided = cause.kind == "EQUITY_DECISION"
        return cause.pair is effect.pair and (decided or _share_a_lane(cause, effect))
    if cause.pair is None and effect.pair is not None:
        return _run_explains_trade(cause, effect)
    if cause.pair is not None and effect.kind in _GUARD and not _is_a_sell(cause.pair):
        return False
    return KINDS[effect.kind].basis is Basis.ACROSS or _share_a_lane(cause, effect)


def _is_a_sell(pair: TradePair) -> bool:
    """Tell whether a trade is a SELL in the plan or in a lane."""
    return pair.side is Side.SELL or any(side.trade.action is Side.SELL for side in pair.lanes)


def _share_a_lane(first: Finding, second: Finding) -> bool:
    return not first.departs or not second.departs or bool(first.departs & second.departs)


def _run_explains_trade(cause: Finding, effect: Finding) -> bool:
    pair = effect.pair
    if pair is None:
        return False
    trades = [side.trade for side in pair.lanes]
    if cause.kind in _GUARD:
        stopped = any(trade.reason is Reason.SELL_GUARD or trade.status is TradeStatus.NOT_SENT for trade in trades)
        return pair.side is Side.BUY and stopped
    if cause.kind == "MARKET_CHECK":
        return any(trade.reason is Reason.MARKET_CLOSED for trade in trades)
    if cause.kind in _BREAKER:
        return pair.side is Side.BUY
    if cause.kind in _BROKEN:
        ran = {
            side.role for side in pair.lanes if side.trade.status not in _NEVER_RAN and side.trade.reason is not Reason.RUN_FAILED
        }
        return bool(cause.departs - ran)
    return _share_a_lane(cause, effect)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings as they are told: by the table of kinds, then symbol, trade and field."""
    return sorted(findings, key=_place)


def _place(finding: Finding) -> tuple[int, str, str, str, str]:
    pair = finding.pair
    symbol, trade_id = (pair.symbol, pair.trade_id) if pair is not None else ("", "")
    return (KINDS[finding.kind].order, symbol, trade_id, finding.field, finding.explanation)
