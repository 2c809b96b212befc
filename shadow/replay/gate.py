"""Business Unit: replay | Status: current.

The gate: may a version go to production, by what it does with the recorded plans? Each plan is REFUSED where the version departs
from the plan or the lanes differ for a reason that is not production's, INCONCLUSIVE where the recording could not answer what
was asked, and PASSED else. The gate passes when every plan has; a gate that judged nothing does not. Pure.

What is kept of one plan's past, as far as a run of another version may ask for it: the plan, what production did, and what the
market and the broker answered. It is read from the pair's stored comparison alone, which holds no secret. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from xml.sax.saxutils import escape, quoteattr

from shadow.contracts.comparison import Attribution, Comparison, Difference, Verdict
from shadow.contracts.identity import broker_symbol, joined_symbol
from shadow.contracts.outcome import RunOutcome, TradeOutcome
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Origin, Reason, RunStatus, TradeStatus
from shadow.replay.ports import Archived, Replayed, archived_under, is_beside_production, published_plan

_AT_THE_BROKER = frozenset(
    {
        Reason.BROKER_REJECTED,
        Reason.BROKER_UNAVAILABLE,
        Reason.PARTIAL_FILL,
        Reason.NOT_FILLED,
        Reason.TIMED_OUT,
        Reason.RUN_FAILED,
        Reason.OTHER,
    }
)
"""Ends of a trade that came from the broker or from outside: a dry run, which sends no order, cannot come to them."""
_ENDED = frozenset({RunStatus.COMPLETED, RunStatus.BLOCKED_BY_GUARD, RunStatus.BLOCKED_BY_EQUITY_LIMIT})


@dataclass(frozen=True, slots=True)
class RecordedQuote:
    """What the market quoted for one symbol, USD a share. Without a width where only the price of the decision is recorded."""

    bid: Decimal
    ask: Decimal


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Something that a recording does not hold. `symbol` None: it concerns the whole run."""

    symbol: str | None
    what: str

    def __str__(self) -> str:
        """Name the symbol first."""
        return f"{self.symbol}: {self.what}" if self.symbol else self.what


@dataclass(frozen=True, slots=True)
class Recording:
    """One plan of the past. `production` is what the lane in production, the control, did.

    Symbols are those that the broker is asked for. `no_quote` are those for which the market was known to have none. `at` is the
    market's time when production decided, `whole_shares` the symbols that were known not to trade in fractions. `unanswered` is
    what is known to be missing.
    """

    plan: RebalancePlan
    trading_day: date
    production: RunOutcome
    quotes: Mapping[str, RecordedQuote]
    no_quote: frozenset[str] = frozenset()
    at: datetime | None = None
    is_open: bool = True
    whole_shares: frozenset[str] = frozenset()
    held: Mapping[str, Decimal] = field(default_factory=dict)
    unanswered: tuple[Unanswered, ...] = ()

    def archived(self) -> Archived:
        """Give what the replay compares with."""
        return Archived(self.production, held=self.held)

    def knows(self, symbol: str) -> bool:
        """Whether the market's answer about `symbol` is recorded."""
        return symbol in self.quotes or symbol in self.no_quote


def recording_of(comparison: Comparison, held: Mapping[str, Decimal] | None = None) -> Recording | None:
    """Read the recording of a pair; None for a drill, and for a plan without a trade or without production's outcome.

    What a published version was held against is production's own run: with nothing else beside production it is the recording.
    Any other replay is none. `held` is what production's account held at publication, in shares, where it is known.
    """
    production, shadow = comparison.control, comparison.candidate
    is_live = comparison.origin == Origin.LIVE.value
    if production is None or not (is_live or is_beside_production(comparison.plan_id)) or not comparison.plan.tradable_items:
        return None
    plan = published_plan(comparison.plan)
    production = archived_under(production, plan)
    trades = [*production.trades, *(shadow.trades if shadow is not None else ())]
    reasons = {trade.reason for trade in production.trades}
    return Recording(
        plan=plan,
        trading_day=comparison.trading_day,
        production=production,
        quotes=_quotes(production.trades, trades),
        no_quote=frozenset(_asked(trade) for trade in production.trades if trade.reason is Reason.NO_QUOTE),
        at=_market_time(trades),
        is_open=Reason.MARKET_CLOSED not in reasons,
        whole_shares=frozenset(_asked(t) for t in trades if t.intent is not None and t.intent.fractionable is False),
        held=held or {},
        unanswered=tuple(_unanswered(production)),
    )


def _quotes(own: Iterable[TradeOutcome], both: Iterable[TradeOutcome]) -> dict[str, RecordedQuote]:
    """Give each symbol's quote: production's own, else the shadow's of the same minute, else a bare price."""
    found: dict[str, RecordedQuote] = {}
    for trade in both:
        intent = trade.intent
        if intent is not None and intent.bid is not None and intent.ask is not None:
            found.setdefault(_asked(trade), RecordedQuote(bid=intent.bid, ask=intent.ask))
    for trade in own:
        price = trade.intent.decision_price if trade.intent is not None else None
        if price is not None and trade.reason is not Reason.NO_QUOTE:
            found.setdefault(_asked(trade), RecordedQuote(bid=price, ask=price))
    return {symbol: quote for symbol, quote in found.items() if Decimal(0) < quote.bid <= quote.ask}


def _asked(trade: TradeOutcome) -> str:
    """Name a trade's symbol as the broker is asked for it: plan and lanes may have another notation."""
    return broker_symbol(trade.symbol) or trade.symbol


def _market_time(trades: Iterable[TradeOutcome]) -> datetime | None:
    times = (trade.intent.market_at for trade in trades if trade.intent is not None and trade.intent.market_at is not None)
    return min(times, default=None)


def _unanswered(production: RunOutcome) -> Iterator[Unanswered]:
    """Say what production met that no dry run can meet again."""
    if production.status not in _ENDED:
        yield Unanswered(None, f"production's run ended as {production.status.value}, from outside of its decisions")
    closed = {trade.reason is Reason.MARKET_CLOSED for trade in production.trades if trade.status is not TradeStatus.NOT_SENT}
    if len(closed) > 1:
        yield Unanswered(None, "the market closed while production's run was going on; which trades were before is not repeated")
    for gap in production.gaps:
        yield Unanswered(None, f"production's record has a gap: {gap.what}: {gap.reason}")
    for trade in production.trades:
        if trade.reason in _AT_THE_BROKER:
            yield Unanswered(trade.symbol, f"production's order ended as {trade.reason.value}, which a dry run cannot repeat")
        elif trade.status in (TradeStatus.UNKNOWN, TradeStatus.UNFINISHED):
            yield Unanswered(trade.symbol, f"production's trade is {trade.status.value}: what became of it is not recorded")


_WHOLE = frozenset({Verdict.MATCHED, Verdict.IGNORED, Verdict.DIVERGED})
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class GateWord(StrEnum):
    """What the gate says of one plan, and of all of them."""

    PASSED = "PASSED"
    REFUSED = "REFUSED"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class Played:
    """One recorded plan run through the version: how the replay ended, its comparison, and what it asked in vain."""

    recording: Recording
    replayed: Replayed
    comparison: Comparison | None = None
    unanswered: tuple[Unanswered, ...] = ()


class Engine(Protocol):
    """Runs recorded plans through one version."""

    def play(self, recordings: Sequence[Recording]) -> Iterator[Played]:
        """Run each plan against what is recorded of its day, and compare with what production did."""


@dataclass(frozen=True, slots=True)
class GatedPlan:
    """What the gate says of one plan: why it does not pass, and the `differences` that production made itself."""

    plan_id: str
    trading_day: date
    word: GateWord
    verdict: Verdict
    refusing: tuple[Difference, ...] = ()
    reasons: tuple[str, ...] = ()
    production_departs: tuple[Difference, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """Say why it does not pass, a line each."""
        return (*(told(difference) for difference in self.refusing), *self.reasons)

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form."""
        return {
            "plan_id": self.plan_id,
            "trading_day": self.trading_day.isoformat(),
            "result": self.word.value,
            "verdict": self.verdict.value,
            "reasons": list(self.lines),
            "differences": [difference.to_wire() for difference in self.refusing],
            "production_departs": [told(difference) for difference in self.production_departs],
        }


@dataclass(frozen=True, slots=True)
class GateReport:
    """What the gate says of a version. `candidate` names the version."""

    candidate: str
    plans: tuple[GatedPlan, ...]

    @property
    def word(self) -> GateWord:
        """Give the whole gate's word: the worst of its plans', INCONCLUSIVE where there is none."""
        words = {plan.word for plan in self.plans}
        if GateWord.REFUSED in words:
            return GateWord.REFUSED
        return GateWord.PASSED if words == {GateWord.PASSED} else GateWord.INCONCLUSIVE

    @property
    def counted(self) -> dict[str, int]:
        """Count the plans by word."""
        return {word.value: amount for word, amount in sorted(Counter(plan.word for plan in self.plans).items())}

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form."""
        plans = [plan.to_wire() for plan in self.plans]
        return {"candidate": self.candidate, "result": self.word.value, "counts": self.counted, "plans": plans}

    def markdown(self) -> str:
        """Write it for a pull request."""
        sums = ", ".join(f"{amount} {word}" for word, amount in self.counted.items()) or "no recorded plan"
        lines = [f"## Replay gate: {self.word.value}", "", f"Version `{cell(self.candidate)}` · {sums}.", ""]
        lines += ["| day | plan | result | why |", "|---|---|---|---|"]
        for plan in self.plans:
            why = "<br>".join(map(cell, plan.lines)) or cell(_aside(plan))
            lines.append(f"| {plan.trading_day} | {cell(plan.plan_id)} | {plan.word.value} | {why} |")
        return "\n".join(lines) + "\n"

    def junit(self) -> str:
        """Write it for a build server: a REFUSED plan is a failure, an INCONCLUSIVE one an error."""
        words = Counter(plan.word for plan in self.plans)
        cases = list(map(_case, self.plans)) or [
            '  <testcase classname="shadow.replay" name="plans"><error message="no recorded plan was judged"/></testcase>'
        ]
        failures, errors = words[GateWord.REFUSED], words[GateWord.INCONCLUSIVE] + (not self.plans)
        head = f'<testsuite name="shadow replay gate" tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="0">'
        return "\n".join(['<?xml version="1.0" encoding="utf-8"?>', head, *cases, "</testsuite>"]) + "\n"


def gated(played: Played) -> GatedPlan:
    """Say what one played plan means for the gate."""
    recording, comparison = played.recording, played.comparison
    missing = (*recording.unanswered, *played.unanswered)
    reasons = tuple(dict.fromkeys(map(str, missing)))
    if comparison is None:
        why = (played.replayed.reason or f"the replay ended as {played.replayed.end.value}",)
        return GatedPlan(
            recording.plan.plan_id, recording.trading_day, GateWord.INCONCLUSIVE, Verdict.PENDING, (), (*reasons, *why)
        )
    open_ones = [difference for difference in comparison.differences if difference.unexplained]
    others = [difference for difference in open_ones if difference.attribution is not Attribution.CONTROL]
    refusing = tuple(difference for difference in others if not _may_follow(difference, missing))
    reasons += tuple(comparison.gaps)
    if len(refusing) < len(others):
        reasons += ("what differs may follow from what the recording does not hold",)
    if not reasons and comparison.verdict not in _WHOLE:
        reasons = (f"the verdict is {comparison.verdict.value}",)
    word = GateWord.REFUSED if refusing else GateWord.INCONCLUSIVE if reasons else GateWord.PASSED
    return GatedPlan(
        recording.plan.plan_id,
        recording.trading_day,
        word,
        comparison.verdict,
        refusing,
        reasons,
        tuple(difference for difference in open_ones if difference.attribution is Attribution.CONTROL),
    )


def gate(candidate: str, played: Iterable[Played]) -> GateReport:
    """Say what played plans mean for a version."""
    return GateReport(candidate, tuple(map(gated, played)))


def told(difference: Difference) -> str:
    """Tell a difference in one line: the kind, the trade, what is the matter, and the USD."""
    trade = " ".join(filter(None, (difference.action.value if difference.action else "", difference.symbol)))
    return f"{difference.kind}{' ' + trade if trade else ''}: {difference.explanation} ({difference.gross:,.2f} USD)"


def _may_follow(difference: Difference, missing: Sequence[Unanswered]) -> bool:
    """Tell whether a difference may come from what the recording could not answer: of the same symbol, or of the run."""
    symbols = {entry.symbol and joined_symbol(entry.symbol) for entry in missing}
    return bool(symbols) and (None in symbols or difference.symbol is None or joined_symbol(difference.symbol) in symbols)


def _aside(plan: GatedPlan) -> str:
    count = len(plan.production_departs)
    return f"production departs from the plan in {count} finding{'' if count == 1 else 's'}" if count else ""


def cell(text: str) -> str:
    """Write foreign text into one cell of a markdown table: it makes no cell, no line and no element of its own."""
    plain = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))
    return escape(plain).replace("|", "\\|").replace("`", "'")


def attribute(text: str) -> str:
    """Write foreign text as a quoted attribute of XML."""
    return quoteattr(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def body(text: str) -> str:
    """Write foreign text as the text of an element of XML."""
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def _case(plan: GatedPlan) -> str:
    head = f"  <testcase classname={attribute(f'shadow.replay.{plan.trading_day}')} name={attribute(plan.plan_id)}"
    if plan.word is GateWord.PASSED:
        return f"{head}/>"
    element = "failure" if plan.word is GateWord.REFUSED else "error"
    text = body("\n".join(plan.lines))
    first = attribute(plan.lines[0] if plan.lines else plan.word.value)
    return f"{head}><{element} type={attribute(plan.word.value)} message={first}>{text}</{element}></testcase>"
