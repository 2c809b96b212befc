"""Business Unit: compare | Status: current.

Which difference follows from which. A guard that blocks wrongly makes a dozen BUYs end differently: that is one difference and
its consequences, not a dozen. What may explain what is in the table of kinds; here it is decided whether it does. A cause
explains only what the same lane did: what is said of one lane does not depend on what the other did wrong, and a difference
that is nobody's fault explains nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from shadow.compare.case import Finding, LaneTrade, TradePair
from shadow.compare.checks.duties import is_equity_blocked
from shadow.compare.kinds import KINDS
from shadow.contracts.vocabulary import Reason, Role, RunStatus, Side, TradeStatus

_GUARD = frozenset(
    {
        "GUARD_ZERO_SUM",
        "GUARD_THRESHOLD",
        "GUARD_BOUNDARY",
        "GUARD_AMOUNTS",
        "GUARD_IGNORED",
        "GUARD_BYPASSED",
        "GUARD_DECISION",
        "GUARD_DIFFERS",
    }
)
_BREAKER = frozenset({"EQUITY_NOT_COUNTED", "EQUITY_FOREIGN_COUNT", "EQUITY_MISJUDGED", "EQUITY_OVERSHOOT", "EQUITY_LIMIT"})
_BROKEN = frozenset({"COUNTERS", "RUN_FAILED", "BUYS_NOT_ENQUEUED", "BUYS_NEVER_SENT", "STUCK_AGGREGATING", "RUN_STUCK"})
_NAMES = frozenset({"RUN_ID", "CORRELATION_ID"})
_NEVER_RAN = (TradeStatus.NOT_SENT, TradeStatus.UNFINISHED)
_ENDS = ("RUN_STATUS", "FAILURE_STEP")


def roots_of(findings: Sequence[Finding]) -> list[int]:
    """Give for each finding the place of the finding it follows from in the end; its own place where it stands alone.

    `findings` are in the order of the table of kinds. Chains are followed to their beginning; every step is taken once.
    """
    by_kind: dict[str, list[int]] = defaultdict(list)
    by_trade: dict[tuple[str, int], list[int]] = defaultdict(list)
    for place, finding in enumerate(findings):
        by_kind[finding.kind].append(place)
        by_trade[finding.kind, id(finding.pair)].append(place)

    def about(kind: str, effect: Finding) -> list[int]:
        """Give the findings of a kind that may be about the same: for one of a trade, those of the trade and those of the run."""
        if effect.pair is None:
            return by_kind.get(kind, [])
        return sorted(by_trade.get((kind, id(effect.pair)), []) + by_trade.get((kind, id(None)), []))

    causes = {place: _cause(place, findings, about) for place in range(len(findings))}
    return [_root(place, causes) for place in range(len(findings))]


def _root(place: int, causes: Mapping[int, int | None]) -> int:
    seen = {place}
    while (cause := causes[place]) is not None and cause not in seen:
        seen.add(cause)
        place = cause
    return place


def _cause(place: int, findings: Sequence[Finding], about: Callable[[str, Finding], list[int]]) -> int | None:
    effect = findings[place]
    if effect.role is None:
        return None
    for other in about(effect.kind, effect) if effect.pair is not None else ():
        if other < place and findings[other].pair is effect.pair and findings[other].role is effect.role:
            return other
    for kind in KINDS[effect.kind].follows:
        for other in about(kind, effect):
            if explains(findings[other], effect):
                return other
    return None


def explains(cause: Finding, effect: Finding) -> bool:
    """Tell whether `cause`, whose kind may explain the kind of `effect`, does explain this one."""
    if cause.role is None or cause.role is not effect.role:
        return False
    if effect.kind in _ENDS:
        return _ends_so(cause, effect)
    if cause.kind in _NAMES and not effect.field.endswith(".ids"):
        return False
    if effect.pair is not None:
        return cause.pair is effect.pair if cause.pair is not None else _run_explains_trade(cause, effect.pair)
    return not (cause.pair is not None and effect.kind in _GUARD and not _is_a_sell(cause.pair, cause.role))


def _ends_so(cause: Finding, effect: Finding) -> bool:
    """Tell whether a run ended as it did because of `cause`: a guard explains only that a guard stopped a run, and so on."""
    ends = (effect.planned, effect.control, effect.candidate)
    stopped = RunStatus.BLOCKED_BY_GUARD.value in ends or effect.kind == "FAILURE_STEP"
    blocked = RunStatus.BLOCKED_BY_EQUITY_LIMIT.value in ends or effect.kind == "FAILURE_STEP"
    if cause.kind in _GUARD:
        return stopped
    if cause.kind in _BREAKER or cause.kind == "EQUITY_DECISION":
        return blocked
    return True


def _is_a_sell(pair: TradePair, role: Role) -> bool:
    """Tell whether a trade is a SELL in the plan or in that lane."""
    side = _of(pair, role)
    return pair.side is Side.SELL or (side is not None and side.trade.action is Side.SELL)


def _run_explains_trade(cause: Finding, pair: TradePair) -> bool:
    trades = [side.trade for side in pair.lanes]
    if cause.kind in _GUARD:
        stopped = any(trade.reason is Reason.SELL_GUARD or trade.status is TradeStatus.NOT_SENT for trade in trades)
        return pair.side is Side.BUY and stopped
    if cause.kind == "MARKET_CHECK":
        return any(trade.reason is Reason.MARKET_CLOSED for trade in trades)
    if cause.kind in _BREAKER:
        return pair.side is Side.BUY and any(is_equity_blocked(trade) for trade in trades)
    if cause.kind in _BROKEN:
        return _never_ran(_of(pair, cause.role))
    return True


def _of(pair: TradePair, role: Role | None) -> LaneTrade | None:
    return next((side for side in pair.lanes if side.role is role), None)


def _never_ran(side: LaneTrade | None) -> bool:
    """Tell whether a lane never came to a trade: it has no record of it, or none of an attempt."""
    return side is None or side.trade.status in _NEVER_RAN or side.trade.reason is Reason.RUN_FAILED


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings as they are told: by the table of kinds, then symbol, trade, field and lane."""
    return sorted(findings, key=_place)


def _place(finding: Finding) -> tuple[int, str, str, str, str, str]:
    pair = finding.pair
    symbol, trade_id = (pair.symbol, pair.trade_id) if pair is not None else ("", "")
    return (KINDS[finding.kind].order, symbol, trade_id, finding.field, finding.attribution.value, finding.explanation)
