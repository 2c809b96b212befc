"""Business Unit: reports | Status: current.

The parts of the daily report, each a function from frames to values. Money is summed in Decimal, statistics in floats.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pandas as pd

from reports.daily.values import (
    CauseGroup,
    Cost,
    Counts,
    Example,
    Group,
    ImpactSum,
    KnownCoverage,
    MoneySum,
    PairRow,
    Spread,
    TrendDay,
)
from reports.data.columns import Unit
from reports.readiness.readiness import KnownEntry, ReadinessPolicy
from shadow.contracts.comparison import Attribution, Level, Severity, Verdict
from shadow.contracts.vocabulary import Role, RunStatus, Side

EXAMPLES = 3
ENOUGH = 20
"""Values of which the 95th percentile is not just the largest."""
_CENT = Decimal("0.01")


def of_day(frame: pd.DataFrame, day: date) -> pd.DataFrame:
    """Keep one trading day's rows."""
    return frame[frame["trading_day"] == pd.Timestamp(day)]


def dollars(values: pd.Series) -> Decimal:
    """Sum exact USD; 0.00 for none."""
    return sum(values, Decimal(0)).quantize(_CENT)


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str) else None


def _number(value: float) -> float | None:
    return None if pd.isna(value) else round(float(value), 3)


def counts_of(ledger: pd.DataFrame, day: date) -> Counts:
    """Read the conservation line of `day`."""
    row = of_day(ledger, day).iloc[0]
    figures = {name: row[name] for name in Counts.model_fields}
    return Counts(
        **{
            name: int(value) for name, value in figures.items() if name not in {"conserved", "settle_seconds", "unpaired", "held"}
        },
        unpaired=None if pd.isna(figures["unpaired"]) else int(figures["unpaired"]),
        held=None if pd.isna(figures["held"]) else int(figures["held"]),
        conserved=bool(figures["conserved"]),
        settle_seconds=_number(figures["settle_seconds"]),
    )


def impact_of(pairs: pd.DataFrame, differences: pd.DataFrame) -> ImpactSum:
    """Sum what the differences are worth."""
    return ImpactSum(
        notional=dollars(pairs["impact_notional"]),
        cash=dollars(pairs["impact_cash"]),
        gross=dollars(pairs["gross_impact"]),
        unexplained=dollars(differences.loc[differences["unexplained"], "gross"]),
    )


def money_of(pairs: pd.DataFrame) -> MoneySum:
    """Sum the money ledgers of pairs; what is unexplained is summed without signs."""
    ledgers, proved = pairs["money_gross"].dropna(), pairs["money_unexplained"].dropna()
    return MoneySum(
        ledgers=len(ledgers),
        proved=len(proved),
        gross=dollars(ledgers),
        net=dollars(pairs["money_net"].dropna()),
        accounts=dollars(pairs["account_difference"].dropna()),
        unexplained=dollars(proved.map(abs)),
        told=int(pairs["told_orders"].sum()),
    )


def kinds_of(differences: pd.DataFrame, examples: int | None = EXAMPLES) -> tuple[Group, ...]:
    """Group by kind: the worst severity first, then the most money; with so many `examples` of each, None for all."""
    groups = [_group(str(kind), rows, examples) for kind, rows in differences.groupby("kind")]
    order = list(Severity)
    return tuple(sorted(groups, key=lambda group: (not group.unexplained, order.index(group.severity), -group.gross, group.kind)))


def _group(kind: str, rows: pd.DataFrame, examples: int | None) -> Group:
    ranked = rows.assign(weight=-rows["gross"]).sort_values(
        ["unexplained", "severity", "weight"], ascending=[False, True, True], kind="stable"
    )
    return Group(
        kind=kind,
        severity=Severity(str(rows["severity"].min())),
        count=len(rows),
        unexplained=int(rows["unexplained"].sum()),
        gross=dollars(rows["gross"]),
        examples=tuple(_example(row) for _, row in ranked.head(len(ranked) if examples is None else examples).iterrows()),
    )


def _example(row: pd.Series) -> Example:
    side = _text(row["side"])
    return Example(
        run_id=str(row["run_id"]),
        trade_id=_text(row["trade_id"]),
        symbol=_text(row["symbol"]),
        action=Side(side) if side else None,
        level=Level(row["level"]),
        severity=Severity(row["severity"]),
        attribution=Attribution(row["attribution"]),
        who=str(row["who"]),
        field=str(row["field"]),
        planned=_text(row["planned"]),
        control=_text(row["control"]),
        candidate=_text(row["candidate"]),
        rule=str(row["rule"]),
        explanation=str(row["explanation"]),
        notional=row["notional"],
        caused_by=_text(row["caused_by"]),
        covered_by=_text(row["covered_by"]),
    )


def causes_of(differences: pd.DataFrame) -> tuple[CauseGroup, ...]:
    """Group by the lane that departs from the plan."""
    return tuple(
        CauseGroup(
            attribution=Attribution(str(cause)),
            count=len(rows),
            unexplained=int(rows["unexplained"].sum()),
            gross=dollars(rows["gross"]),
            kinds=tuple(sorted(rows["kind"].unique())),
        )
        for cause, rows in differences.groupby("attribution", observed=True)
    )


def known_of(today: pd.DataFrame, period: pd.DataFrame, register: Sequence[KnownEntry], day: date) -> tuple[KnownCoverage, ...]:
    """Say how much each known divergence covers, those that no register entry stands for included."""
    entries = {entry.id: entry for entry in register}
    used = [str(name) for name in period["covered_by"].dropna().unique() if name not in entries]
    return tuple(_known(name, entries.get(name), today, period, day) for name in (*entries, *sorted(used)))


def _known(name: str, entry: KnownEntry | None, today: pd.DataFrame, period: pd.DataFrame, day: date) -> KnownCoverage:
    mine = today[today["covered_by"] == name]
    if entry is None:
        state = "not in the register"
    elif entry.expires < day:
        state = "expired"
    else:
        state = "over budget" if (today["over_budget"] == name).any() else "in force"
    return KnownCoverage(
        id=name,
        owner=entry.owner if entry else "",
        reason=entry.reason if entry else "",
        expires=entry.expires if entry else None,
        state=state,
        today=len(mine),
        period=int((period["covered_by"] == name).sum()),
        gross_today=dollars(mine["gross"]),
    )


def durations_of(durations: pd.DataFrame) -> tuple[Spread, ...]:
    """Spread the durations of runs and trades, both lanes."""
    return tuple(
        _spread(f"{unit.value}s", role, rows["seconds"])
        for unit in Unit
        for role in Role
        if len(rows := durations[(durations["unit"] == unit.value) & (durations["role"] == role.value)])
    )


def slippage_of(trades: pd.DataFrame) -> tuple[Spread, ...]:
    """Spread the slippage of buys and sells, both lanes, each against its own decision quote."""
    return tuple(
        _spread(side.value, role, values)
        for side in Side
        for role in Role
        if len(values := trades.loc[trades["side"] == side.value, f"{role.value}_slippage_bps"].dropna())
    )


def _spread(of: str, role: Role, values: pd.Series) -> Spread:
    return Spread(
        of=of,
        role=role,
        count=len(values),
        median=round(float(values.median()), 3),
        p95=round(float(values.quantile(0.95)), 3) if len(values) >= ENOUGH else None,
        largest=round(float(values.max()), 3),
    )


def cost_of(today: pd.DataFrame, period: pd.DataFrame, policy: ReadinessPolicy) -> Cost:
    """Price the state transitions of the day, and of a month at the pace of the period shown."""
    transitions, trades = int(today["state_transitions"].sum()), int(today["trade_count"].sum())
    days = max(period["trading_day"].nunique(), 1)
    month = int(period["state_transitions"].sum()) * policy.trading_days_a_month * policy.usd_per_transition / days
    return Cost(
        transitions=transitions,
        per_trade=round(transitions / trades, 2) if trades else None,
        usd=transitions * policy.usd_per_transition,
        usd_month=month.quantize(_CENT),
        budget_usd=policy.cost_budget_usd,
    )


def pairs_of(pairs: pd.DataFrame) -> tuple[PairRow, ...]:
    """List the day's pairs in the order of their publication."""
    return tuple(_pair(row) for _, row in pairs.sort_values(["published_at", "run_id"]).iterrows())


def _pair(row: pd.Series) -> PairRow:
    control, candidate = _text(row["control_status"]), _text(row["candidate_status"])
    return PairRow(
        run_id=str(row["run_id"]),
        plan_id=str(row["plan_id"]),
        origin=str(row["origin"]),
        published_at=row["published_at"].to_pydatetime(),
        verdict=Verdict(row["verdict"]),
        path=row["path"],
        control_status=RunStatus(control) if control else None,
        candidate_status=RunStatus(candidate) if candidate else None,
        trades=int(row["trade_count"]),
        differences=int(row["differences"]),
        unexplained=int(row["unexplained"]),
        gross=row["gross_impact"],
        control_seconds=_number(row["control_seconds"]),
        candidate_seconds=_number(row["candidate_seconds"]),
        document=re.sub(r"^s3://[^/]+/", "", str(row["document"])),
    )


def trend_of(pairs: pd.DataFrame, trades: pd.DataFrame, ledger: pd.DataFrame) -> tuple[TrendDay, ...]:
    """Sum up each day of the ledger, in order."""
    return tuple(_trend(stamp.date(), of_day(pairs, stamp), of_day(trades, stamp), ledger) for stamp in ledger["trading_day"])


def _trend(day: date, pairs: pd.DataFrame, trades: pd.DataFrame, ledger: pd.DataFrame) -> TrendDay:
    counts = counts_of(ledger, day)
    return TrendDay(
        day=day,
        published=counts.published,
        matched=counts.matched,
        ignored=counts.ignored,
        diverged=counts.diverged,
        incomplete=counts.incomplete,
        missing=counts.missing,
        pending=counts.pending,
        trades=len(trades),
        diverged_trades=int((trades["unexplained"] > 0).sum()),
        gross=sum(pairs["gross_impact"], Decimal(0)),
        control_seconds=_number(pairs["control_seconds"].median()),
        candidate_seconds=_number(pairs["candidate_seconds"].median()),
        control_slippage_bps=_number(trades["control_slippage_bps"].median()),
        candidate_slippage_bps=_number(trades["candidate_slippage_bps"].median()),
        transitions=int(pairs["state_transitions"].sum()),
    )
