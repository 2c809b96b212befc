"""Business Unit: reports | Status: current.

What one trading day adds to the evidence about cut-over, as plain counts: readiness needs nothing else, so a simulated
migration is as good a reader of its rules as a real one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum

import numpy as np
import pandas as pd

from reports.data.columns import Path, Size
from reports.data.frames import Frames
from shadow.contracts.comparison import Attribution, Verdict
from shadow.contracts.vocabulary import Lane, Origin, Reason, Side, TradeStatus


class Stratum(StrEnum):
    """A part of the trades whose share of diverging ones is bounded on its own."""

    ALL = "all trades"
    BUYS = "buys"
    SELLS = "sells"
    FULL_EXITS = "full exits"
    LARGE = "large trades"
    SMALL = "small trades"


class Feature(StrEnum):
    """Something that a migration must have been through before it can be trusted with it."""

    BOTH_PHASES = Path.BOTH_PHASES.value
    SELLS_ONLY = Path.SELLS_ONLY.value
    BUYS_ONLY = Path.BUYS_ONLY.value
    GUARD_BLOCKED = Path.GUARD_BLOCKED.value
    EQUITY_BLOCKED = Path.EQUITY_BLOCKED.value
    MARKET_CLOSED = Path.MARKET_CLOSED.value
    FAILED_RUN = Path.FAILED.value
    FULL_EXIT = "full exit"
    PARTIAL_FILL = "partial fill"
    BROKER_REJECTED = "broker rejection"
    ROUNDS_TO_ZERO = "rounds to zero"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of how many diverged without explanation."""

    diverged: int = 0
    total: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Add two tallies."""
        return Tally(self.diverged + other.diverged, self.total + other.total)


NOTHING = Tally()
"""What a day has of a stratum or path that it did not see."""


@dataclass(frozen=True, slots=True)
class DayEvidence:
    """One trading day. Only live pairs count, except in `drilled`: what replayed and planted runs went through in agreement.

    `planned` counts the plans with trades that were published, with a pair or without; None where it is not known. `held` counts
    the plans that only hold. `version` names what was compared: the code that executes and judges, the policy, and the lanes'
    published versions. `swapped` pairs were published with the workflow in production already: a day that has one says nothing
    about cutting over. On a `closed` day the exchange did not open: what agreed counts for nothing, what diverged is held against
    the covered day that follows. `runs` is (runs with an unexplained difference, runs), `replayed` the strata of replayed pairs.
    """

    day: date
    planned: int | None = None
    held: int = 0
    published: int = 0
    judged: int = 0
    pending: int = 0
    conserved: bool = True
    swapped: int = 0
    closed: bool = False
    critical: int = 0
    major: int = 0
    safety: int = 0
    transitions: int = 0
    strata: Mapping[Stratum, Tally] = field(default_factory=dict)
    replayed: Mapping[Stratum, Tally] = field(default_factory=dict)
    paths: Mapping[Path, Tally] = field(default_factory=dict)
    runs: Tally = Tally()
    version: str = ""
    log_ratios: tuple[float, ...] = ()
    exercised: frozenset[Feature] = frozenset()
    drilled: frozenset[Feature] = frozenset()
    drills: int = 0
    over_budget: frozenset[str] = frozenset()

    @property
    def is_covered(self) -> bool:
        """Whether all that was planned was published and compared as a candidate's: nothing missing, incomplete or open."""
        whole = self.judged == self.published > 0 and (self.planned is None or self.planned <= self.published)
        return whole and self.conserved and not self.swapped and not self.closed

    @property
    def unpublished(self) -> int:
        """How many plans were never compared because they did not reach both lanes (a ramp, a failure)."""
        return max((self.planned or 0) - self.published, 0)

    @property
    def is_quiet(self) -> bool:
        """Whether every plan of the day only held: there was nothing to compare, and nothing was left out."""
        return self.held > 0 and self.published == 0 and self.unpublished == 0

    @property
    def is_open(self) -> bool:
        """Whether nothing stands against the day but pairs that are still waiting for their verdict."""
        waits = self.pending > 0 and self.judged + self.pending == self.published
        return waits and self.conserved and not self.swapped and not self.closed


SAFETY_KINDS = frozenset(
    {
        "DOUBLE_ORDER",
        "DUPLICATE_RUN",
        "EFFECT_EMITTED",
        "EQUITY_NOT_COUNTED",
        "EQUITY_OVERSHOOT",
        "GUARD_IGNORED",
        "ORDER_LIVE_WHILE_FAILED",
        "ORDER_SIDE",
        "OVERSELL",
        "PHASE_ORDER",
    }
)
_OURS = (Attribution.CANDIDATE.value,)
_VERSIONS = ["code_version", "policy_hash", "control_version", "candidate_version"]
_OF_PAIRS = [
    *("trading_day", "run_id", "origin", "production_lane", "verdict", "path", *_VERSIONS),
    *("critical", "major", "violations", "unexplained"),
    *("state_transitions", "candidate_seconds", "control_seconds"),
]
_OF_TRADES = [
    *("trading_day", "run_id", "origin", "path", "side", "size", "full_exit", "unexplained"),
    *("candidate_status", "candidate_reason"),
]
_OF_DIFFERENCES = ["trading_day", "origin", "attribution", "kind", "over_budget"]
"""What is read of each frame: a day is cut out of every column of it, needed or not."""
_AGREED = (Verdict.MATCHED.value, Verdict.IGNORED.value)
_JUDGED = ("matched", "diverged", "ignored")
_REASONS = {
    Reason.PARTIAL_FILL.value: Feature.PARTIAL_FILL,
    Reason.BROKER_REJECTED.value: Feature.BROKER_REJECTED,
    Reason.ROUNDS_TO_ZERO.value: Feature.ROUNDS_TO_ZERO,
}


def evidence_of(frames: Frames, days: Sequence[date]) -> tuple[DayEvidence, ...]:
    """Count each of `days`, in order; a day without a row is a day without evidence.

    A day between them that has live pairs is one on which the exchange was closed: what diverged on it is not forgotten.
    """
    every = (frames.pairs[_OF_PAIRS], frames.trades[_OF_TRADES], frames.differences[_OF_DIFFERENCES], frames.ledger)
    parts = [(frame.iloc[:0], dict(list(frame.groupby("trading_day")))) for frame in every]
    live = {stamp.date() for stamp in frames.pairs.loc[frames.pairs["origin"] == Origin.LIVE.value, "trading_day"].unique()}
    closed = {day for day in live.difference(days) if days and days[0] < day < days[-1]}
    found = {day: _day(day, *(rows.get(pd.Timestamp(day), none) for none, rows in parts)) for day in sorted(closed.union(days))}
    return tuple(replace(each, published=each.runs.total, closed=True) if day in closed else each for day, each in found.items())


def _day(day: date, pairs: pd.DataFrame, trades: pd.DataFrame, differences: pd.DataFrame, ledger: pd.DataFrame) -> DayEvidence:
    live = pairs[pairs["origin"] == Origin.LIVE.value]
    drills = pairs[(pairs["origin"] != Origin.LIVE.value) & pairs["verdict"].isin(_AGREED)]
    live_trades = trades[trades["origin"] == Origin.LIVE.value]
    versions = sorted(set(_versions(live)))
    replays = pairs[pairs["origin"] == Origin.REPLAY.value]
    again = replays[np.isin(_versions(replays), versions)]
    ours = differences[(differences["origin"] == Origin.LIVE.value) & differences["attribution"].isin(_OURS)]
    published = int(ledger["published"].sum())
    unpaired = ledger["unpaired"].sum(min_count=1)
    return DayEvidence(
        day=day,
        planned=None if pd.isna(unpaired) else published + int(unpaired),
        held=int(ledger["held"].fillna(0).sum()),
        published=published,
        judged=int(ledger[list(_JUDGED)].to_numpy().sum()),
        pending=int(ledger["pending"].sum()),
        conserved=bool(ledger["conserved"].all()),
        swapped=max(int(ledger["swapped"].sum()), int((live["production_lane"] == Lane.WORKFLOW.value).sum())),
        critical=int(live["critical"].sum()),
        major=int(live["major"].sum()),
        safety=int(ours["kind"].isin(SAFETY_KINDS).sum()) + int(live["violations"].sum()),
        transitions=int(pairs["state_transitions"].sum()),
        strata=_strata(live_trades),
        replayed=_strata(trades[trades["run_id"].isin(again["run_id"])]),
        runs=_tally(live),
        version=", ".join(versions),
        paths={Path(str(name)): _tally(part) for name, part in live_trades.groupby("path", observed=True)},
        log_ratios=_log_ratios(live),
        exercised=_features(live, live_trades),
        drilled=_features(drills, trades[trades["run_id"].isin(drills["run_id"])]),
        drills=len(pairs) - len(live),
        over_budget=frozenset(differences["over_budget"].dropna()),
    )


def _tally(rows: pd.DataFrame) -> Tally:
    return Tally(int((rows["unexplained"] > 0).sum()), len(rows))


def _strata(trades: pd.DataFrame) -> dict[Stratum, Tally]:
    unexplained = (trades["unexplained"] > 0).to_numpy()
    among = {
        Stratum.ALL: np.ones(len(trades), dtype=bool),
        Stratum.BUYS: (trades["side"] == Side.BUY.value).to_numpy(),
        Stratum.SELLS: (trades["side"] == Side.SELL.value).to_numpy(),
        Stratum.FULL_EXITS: trades["full_exit"].to_numpy(dtype=bool),
        Stratum.LARGE: (trades["size"] == Size.LARGE.value).to_numpy(),
        Stratum.SMALL: (trades["size"] == Size.SMALL.value).to_numpy(),
    }
    return {stratum: Tally(int(unexplained[rows].sum()), int(rows.sum())) for stratum, rows in among.items()}


def _versions(pairs: pd.DataFrame) -> list[str]:
    """Name what each pair compared: code and policy, and the lanes' own versions where they are known."""
    named = pairs[_VERSIONS].assign(policy_hash=pairs["policy_hash"].str[:12])
    return ["+".join(str(value) for value in row if not pd.isna(value)) for row in named.itertuples(index=False)]


def _log_ratios(pairs: pd.DataFrame) -> tuple[float, ...]:
    """Give ln(candidate / control) of each run whose two durations are known and positive."""
    known = pairs[(pairs["candidate_seconds"] > 0) & (pairs["control_seconds"] > 0)]
    return tuple(np.log(known["candidate_seconds"].to_numpy() / known["control_seconds"].to_numpy()).tolist())


def _features(pairs: pd.DataFrame, trades: pd.DataFrame) -> frozenset[Feature]:
    """List what the candidate went through in these runs."""
    found = {Feature(str(path)) for path in pairs["path"].dropna().unique() if path != Path.EMPTY.value}
    ended = trades[trades["candidate_status"] == TradeStatus.COMPLETED.value]
    if bool(ended["full_exit"].any()):
        found.add(Feature.FULL_EXIT)
    found.update(_REASONS[reason] for reason in trades["candidate_reason"].dropna().unique() if reason in _REASONS)
    return frozenset(found)
