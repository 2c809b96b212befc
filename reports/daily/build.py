"""Business Unit: reports | Status: current.

Builds the daily report: loads the days it needs, asks for every part, and names the day's verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import pandas as pd

from reports.daily import sections
from reports.daily.sections import of_day
from reports.daily.values import Change, Counts, DailyReport, DayVerdict, ImpactSum
from reports.data.columns import FRAMES
from reports.data.extract import decode
from reports.data.frames import Frames, load_frames
from reports.data.trading_calendar import (
    NoTradingDay,
    close_of,
    is_half_day,
    is_trading_day,
    last_closed_day,
    trading_days_before,
)
from reports.headline import Headline, headline_of
from reports.noise import ToleranceRow, tolerance_use
from reports.readiness.criteria import assess
from reports.readiness.day_evidence import evidence_of
from reports.readiness.readiness import KnownEntry, ReadinessPolicy, Statement
from reports.versions import fault_of, told_apart
from shadow.contracts.comparison import Comparison, Verdict
from shadow.contracts.model import Frozen
from shadow.contracts.vocabulary import Origin
from shadow.contracts.words import count, usd
from shadow.settlement.stored import Ledger, Source


class ReportSettings(Frozen):
    """What a report is made with. `days` is how far back evidence is read, `trend_days` how much of it is pictured.

    `examples` is how many differences of each kind are given in full; None: all. `unread` says what readiness needs and could
    not be read.

    Evidence is read back for a year of trading days: what earlier looks used of readiness's error counts as long.
    """

    stage: str = "dev"
    days: int = 252
    trend_days: int = 30
    policy: ReadinessPolicy = ReadinessPolicy()
    known: tuple[KnownEntry, ...] = ()
    evidence_prefix: str = ""
    tolerances: tuple[ToleranceRow, ...] = ()
    noise_floor: str = ""
    unread: str = ""
    examples: int | None = sections.EXAMPLES

    @property
    def budgets(self) -> dict[str, int]:
        """What each known divergence may cover a day."""
        return {entry.id: entry.budget_a_day for entry in self.known if entry.budget_a_day is not None}

    @property
    def register(self) -> frozenset[str]:
        """The ids of the register of known divergences."""
        return frozenset(entry.id for entry in self.known)


def build_report(
    source: Source,
    day: date,
    *,
    ledger: Ledger | None = None,
    settings: ReportSettings | None = None,
    now: datetime | None = None,
) -> DailyReport:
    """Build the report of trading day `day` from stored comparisons and, where given, the pair ledger.

    Raises `NoTradingDay`, and what `load_frames` raises.
    """
    settings = settings or ReportSettings()
    source, ledger = told_apart(source, ledger)
    if not is_trading_day(day):
        raise NoTradingDay(day)
    frames, days = _load(source, day, ledger, settings)
    settings = _with_unread(settings, ledger)
    statement = _statement(frames, days, settings)
    trend = days[-settings.trend_days :]
    live, shown = _only(frames, live=True), _since(frames, trend[0])
    counts = sections.counts_of(frames.ledger, day)
    differences, pairs = of_day(live.differences, day), of_day(live.pairs, day)
    impact = sections.impact_of(pairs, differences)
    verdict, sentence = verdict_of(counts, pairs), _sentence(counts, impact, pairs, differences)
    return DailyReport(
        day=day,
        stage=settings.stage,
        generated_at=now or datetime.now(UTC),
        closed_at=close_of(day),
        half_day=is_half_day(day),
        verdict=verdict,
        headline=_headline(source, day, counts, differences, sentence),
        sentence=sentence,
        counts=counts,
        impact=impact,
        money=sections.money_of(pairs),
        readiness=statement,
        changes=_changes(live, frames, days, settings),
        kinds=sections.kinds_of(differences, settings.examples),
        causes=sections.causes_of(differences),
        known=sections.known_of(differences, _since(live, trend[0]).differences, settings.known, day),
        durations=sections.durations_of(of_day(live.durations, day)),
        slippage=sections.slippage_of(of_day(live.trades, day)),
        cost=sections.cost_of(of_day(frames.pairs, day), shown.pairs, settings.policy),
        pairs=sections.pairs_of(of_day(frames.pairs, day)),
        trend=sections.trend_of(live.pairs, live.trades, shown.ledger),
        tolerances=settings.tolerances,
        tolerance_use=tolerance_use(_since(live, trend[0]).margins),
        noise_floor=settings.noise_floor,
        evidence_prefix=settings.evidence_prefix,
    )


def build_statement(
    source: Source, day: date | None = None, *, ledger: Ledger | None = None, settings: ReportSettings | None = None
) -> Statement:
    """Say whether the candidate may take over, on the evidence up to `day`, by default the last trading day that has closed.

    Raises what `load_frames` raises.
    """
    settings = settings or ReportSettings()
    source, ledger = told_apart(source, ledger)
    frames, days = _load(source, day or last_closed_day(datetime.now(UTC)), ledger, settings)
    return _statement(frames, days, _with_unread(settings, ledger))


def _load(source: Source, day: date, ledger: Ledger | None, settings: ReportSettings) -> tuple[Frames, tuple[date, ...]]:
    """Load the days up to `day`, and count every one of them from the first that was published on."""
    days = trading_days_before(day, settings.days)
    frames = load_frames(source, days[0], day, ledger=ledger, budgets=settings.budgets, register=settings.register, days=days)
    counted = frames.ledger
    begun = counted.index[(counted["published"] > 0) | (counted["drills"] > 0)]
    first = min(int(begun[0]), len(days) - 1) if len(begun) else len(days) - 1
    return replace(frames, ledger=counted.iloc[first:].reset_index(drop=True)), days[first:]


def _with_unread(settings: ReportSettings, ledger: Ledger | None) -> ReportSettings:
    fault = fault_of(ledger)
    return settings if fault is None else settings.model_copy(update={"unread": f"the control's plans cannot be read: {fault}"})


def _statement(frames: Frames, days: Sequence[date], settings: ReportSettings) -> Statement:
    evidence, known = evidence_of(frames, days), settings.known
    return assess(evidence, as_of=days[-1], policy=settings.policy, register=known, unread=settings.unread)


def _only(frames: Frames, *, live: bool) -> Frames:
    def keep(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[(frame["origin"] == Origin.LIVE.value) == live] if "origin" in frame else frame

    return Frames(**{name: keep(getattr(frames, name)) for name in FRAMES})


def _since(frames: Frames, first: date) -> Frames:
    def keep(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["trading_day"] >= pd.Timestamp(first)]

    return Frames(**{name: keep(getattr(frames, name)) for name in FRAMES})


def verdict_of(counts: Counts, pairs: pd.DataFrame) -> DayVerdict:
    """Name the worst thing that is true of a day, from its conservation line and its live pairs."""
    facts = (
        (DayVerdict.UNACCOUNTED, not counts.conserved),
        (DayVerdict.NOTHING_PUBLISHED, counts.published == 0),
        (DayVerdict.CRITICAL, bool(pairs["critical"].sum())),
        (DayVerdict.DIVERGED, counts.diverged > 0 or bool((pairs["verdict"] == Verdict.DIVERGED.value).any())),
        (DayVerdict.MISSING, counts.missing > 0),
        (DayVerdict.INCOMPLETE, counts.incomplete > 0),
        (DayVerdict.PENDING, counts.pending > 0),
    )
    return next((verdict for verdict, holds in facts if holds), DayVerdict.MATCHED)


def _headline(source: Source, day: date, counts: Counts, differences: pd.DataFrame, sentence: str) -> Headline:
    """Say the first things of the day: from its comparisons, or that something was lost or never published."""
    if counts.conserved and counts.published:
        return headline_of(_as_counted(source, day, differences), counts.published)
    lost = not counts.conserved
    return Headline(
        verdict="UNACCOUNTED" if lost else "NOTHING PUBLISHED",
        sentence=sentence,
        who="",
        worth="not known",
        complete=f"Not complete: {counts.line}.",
        todo="Find the pairs that are lost." if lost else "Find out why nothing was published.",
        command=f"shadow status --date {day}",
        runbook="conservation-broken" if lost else "uncompared-trading-day",
    )


def _as_counted(source: Source, day: date, differences: pd.DataFrame) -> list[Comparison]:
    """Read the day's comparisons, with what the register or its budget no longer covers uncovered."""
    rows = differences[differences["unexplained"]]
    bare = set(zip(rows["run_id"], rows["key"], strict=True))
    found = {}
    for name, content in source.documents(day, day):
        document = decode(name, content)
        if document.trading_day == day:
            entries = tuple(
                entry.model_copy(update={"covered_by": None}) if (document.run_id, entry.key) in bare else entry
                for entry in document.differences
            )
            found[document.run_id] = document.model_copy(update={"differences": entries})
    return list(found.values())


def _sentence(counts: Counts, impact: ImpactSum, pairs: pd.DataFrame, differences: pd.DataFrame) -> str:
    if not counts.conserved:
        return (
            f"{counts.unaccounted} pairs are unaccounted for and {counts.uncompared} have a verdict in the ledger that no stored"
            f" comparison bears out: {counts.line}."
        )
    if counts.published == 0 and counts.unpaired:
        return f"NOTHING WAS PUBLISHED TO BOTH LANES: {_without_pair(counts.unpaired)} No evidence was gathered."
    if counts.published == 0 and counts.held:
        return "Every plan of this trading day only holds: there was nothing to compare, and the row of covered days goes on."
    if counts.published == 0:
        return "NOTHING WAS PUBLISHED on this trading day. No evidence was gathered, and the row of covered days is broken."
    unexplained = int(differences["unexplained"].sum())
    known = int(differences["counts"].sum()) - unexplained
    agreed = int(pairs["verdict"].isin([Verdict.MATCHED.value, Verdict.IGNORED.value]).sum())
    parts = [f"{agreed} of {count(counts.published, 'pair')} {'agrees' if agreed == 1 else 'agree'}."]
    if counts.unpaired:
        parts.append(_without_pair(counts.unpaired))
    if unexplained:
        parts.append(f"{count(unexplained, 'unexplained difference')}, worth {usd(impact.unexplained)} gross.")
    if known:
        parts.append(f"Known divergences cover {count(known, 'difference')}.")
    if counts.missing + counts.incomplete + counts.pending:
        parts.append(f"{counts.missing} missing, {counts.incomplete} incomplete, {counts.pending} pending.")
    return " ".join(parts)


def _without_pair(plans: int) -> str:
    return f"{count(plans, 'plan')} with trades got no pair, so the day is not covered."


def _changes(live: Frames, frames: Frames, days: Sequence[date], settings: ReportSettings) -> tuple[Change, ...]:
    """Hold the day against the trading day before it; nothing where there is none."""
    if len(days) < 2:  # noqa: PLR2004 - a day and the one before it
        return ()
    before, now = (_figures(live, frames, days[:end], settings) for end in (-1, len(days)))
    return tuple(Change(label=name, before=before[name], now=now[name], changed=before[name] != now[name]) for name in now)


def _figures(live: Frames, frames: Frames, days: Sequence[date], settings: ReportSettings) -> dict[str, str]:
    day = days[-1]
    counts = sections.counts_of(frames.ledger, day)
    pairs, differences = of_day(live.pairs, day), of_day(live.differences, day)
    statement = _statement(frames, days, settings)
    impact = sections.impact_of(pairs, differences)
    kinds = sorted(differences.loc[differences["unexplained"], "kind"].unique())
    return {
        "Verdict of the day": verdict_of(counts, pairs).value,
        "Pairs published": str(counts.published),
        "Unexplained differences": str(int(differences["unexplained"].sum())),
        "Unexplained kinds": ", ".join(kinds) or "none",
        "Unexplained gross impact": usd(impact.unexplained),
        "Covered days in a row": str(statement.in_a_row),
        "Readiness": statement.readiness.value,
    }
