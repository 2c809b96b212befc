"""Business Unit: reports | Status: current.

A week in one page: which plans diverged and why, and which differences are new, still there or gone, held against the three
weeks before. The daily function mails it after the last trading day of a week; `shadow week` gives it at any time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from reports.data.extract import decode
from reports.data.trading_calendar import trading_days, trading_days_before
from reports.headline import runbook_of
from reports.readiness.readiness import Statement
from reports.site import Day, Gathered, Register, Seen, gather, published_by
from shadow.contracts.comparison import Comparison, Severity, departs
from shadow.contracts.model import Exact, Frozen
from shadow.contracts.vocabulary import Origin
from shadow.contracts.words import count, usd
from shadow.settlement.stored import Ledger, Source

WEEKS = 4
"""Weeks that are read: the week itself, and those that say whether a difference is new."""
_FINE = frozenset({"MATCHED", "IGNORED"})


class WeekDay(Frozen):
    """One trading day of the week: its verdict (empty: nothing was compared), pairs published, unexplained USD."""

    day: date
    verdict: str
    published: int
    unexplained: Exact


class WeekPlan(Frozen):
    """A plan whose lanes do not agree, or were not both seen. `gross` in USD."""

    day: date
    plan_id: str
    verdict: str
    why: str
    who: str
    gross: Exact


class WeekDifference(Frozen):
    """One difference, whichever plans have it: `state` is new, still there or gone.

    Times and gross USD are of this week; of one that is gone, of the week before.
    """

    identity: str
    kind: str
    trade: str
    who: str
    severity: Severity
    state: str
    times: int
    gross: Exact
    first: date
    last: date
    runbook: str

    @property
    def departs(self) -> str:
        """Say which lane departs."""
        return departs(self.who)


class Weekly(Frozen):
    """The week of a trading day. `cut_over` is the readiness at its end, in a sentence; empty where nobody asked."""

    stage: str
    first: date
    last: date
    pairs: int
    unexplained: Exact
    unexplained_before: Exact
    days: tuple[WeekDay, ...]
    plans: tuple[WeekPlan, ...]
    differences: tuple[WeekDifference, ...]
    cut_over: str = ""

    @property
    def sentence(self) -> str:
        """Say the week in a sentence."""
        if not self.pairs:
            return "Nothing was compared this week."
        if not self.plans:
            return f"All {count(self.pairs, 'pair')} of the week agree." if self.pairs > 1 else "The one pair of the week agrees."
        verb = "does" if len(self.plans) == 1 else "do"
        return f"{len(self.plans)} of {count(self.pairs, 'pair')} {verb} not agree, {usd(self.unexplained)} unexplained."

    @property
    def moved(self) -> str:
        """Say what is new and what is gone."""
        found = {state: sum(each.state == state for each in self.differences) for state in ("new", "still there", "gone")}
        words = ", ".join(f"{number} {state}" for state, number in found.items())
        return f"Differences: {words}. Unexplained the week before: {usd(self.unexplained_before)}."

    @property
    def subject(self) -> str:
        """Say the most in one line: what a phone shows of a mail."""
        new = sum(each.state == "new" for each in self.differences)
        return f"[{self.stage}] Week of {self.first}: {len(self.plans)} of {self.pairs} pairs diverged, {new} new"


def week_of(day: date) -> tuple[date, date]:
    """Give Monday and Sunday of the week that `day` is in."""
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=6)


def ends_week(day: date) -> bool:
    """Tell whether no trading day of the week follows `day`."""
    return trading_days(day, week_of(day)[1]) in ((), (day,))


def _begin_of(monday: date) -> date:
    """Give the day after the trading week before: what was published while the exchange was closed is told with what follows."""
    before = trading_days_before(monday - timedelta(days=1), 1)
    return before[-1] + timedelta(days=1) if before else monday


def build_week(
    source: Source,
    day: date,
    *,
    stage: str,
    ledger: Ledger | None = None,
    statement: Statement | None = None,
    register: Register | None = None,
) -> Weekly:
    """Build the week of `day`, up to and with it. Raises what the source raises."""
    monday, _ = week_of(day)
    since, before, begin = (_begin_of(monday - timedelta(weeks=number)) for number in (WEEKS - 1, 1, 0))

    def comparisons() -> Iterator[Comparison]:
        found = (decode(name, content) for name, content in source.documents(since, day))
        return (each for each in found if since <= each.trading_day <= day and each.origin == Origin.LIVE)

    gathered = gather(comparisons(), published_by(ledger), register)
    by_day = {each.day: each for each in gathered.days}
    week = [each for each in gathered.days if each.day >= begin]
    return Weekly(
        stage=stage,
        first=monday,
        last=day,
        pairs=sum(len(each.pairs) for each in week),
        unexplained=sum((each.gross for each in week), Decimal(0)),
        unexplained_before=sum((each.gross for each in gathered.days if before <= each.day < begin), Decimal(0)),
        days=tuple(_day(each, by_day.get(each)) for each in trading_days(monday, day)),
        plans=tuple(_plans(week)),
        differences=tuple(_differences(gathered, begin, before)),
        cut_over="" if statement is None else _cut_over(statement),
    )


def _day(day: date, found: Day | None) -> WeekDay:
    if found is None:
        return WeekDay(day=day, verdict="", published=0, unexplained=Decimal(0))
    return WeekDay(day=day, verdict=found.headline.verdict, published=found.published, unexplained=found.gross)


def _plans(week: list[Day]) -> Iterator[WeekPlan]:
    for day in week:
        for pair in day.pairs:
            if pair.verdict not in _FINE:
                yield WeekPlan(
                    day=day.day,
                    plan_id=pair.plan_id,
                    verdict=pair.verdict,
                    why=pair.headline,
                    who=pair.who,
                    gross=pair.gross,
                )


def _differences(gathered: Gathered, begin: date, before: date) -> Iterator[WeekDifference]:
    """Give what was seen this week, the worst first, then what the week before had and this one has not."""
    told = [_difference(each, begin, before) for each in gathered.seen.values() if each.last >= before]
    order = {"new": 0, "still there": 1, "gone": 2}
    yield from sorted(told, key=lambda each: (order[each.state], each.severity.rank, -each.gross, each.identity))


def _difference(seen: Seen, begin: date, before: date) -> WeekDifference:
    state = "gone" if seen.last < begin else "new" if seen.first >= begin else "still there"
    rows = [row for row in seen.rows if row.day >= (before if state == "gone" else begin)]
    return WeekDifference(
        identity=seen.identity,
        kind=seen.kind,
        trade=f"{seen.action} {seen.symbol or 'the run'}".strip(),
        who=seen.who,
        severity=seen.severity,
        state=state,
        times=len(rows),
        gross=sum((row.gross for row in rows), Decimal(0)),
        first=seen.first,
        last=seen.last,
        runbook=runbook_of(seen.kind, seen.severity),
    )


def _cut_over(statement: Statement) -> str:
    return f"{statement.readiness.value.replace('_', ' ')}. {statement.progress}"
