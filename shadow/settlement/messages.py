"""Business Unit: evidence | Status: current.

What is told at once, in words: a pair with a critical difference (a double order and an order that nobody claims are such), and a
day whose pairs do not add up. An alarm says that something is wrong; this says what, of which plan, in dollars, and what to do.

Telling is a courtesy to people. Whatever goes wrong with it is counted and logged, and never reaches the comparator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote

from shadow.contracts.comparison import Comparison, Difference, Severity
from shadow.contracts.visible import one_line
from shadow.contracts.vocabulary import Metric, Origin, Recorder
from shadow.settlement.conservation import Conservation

TITLE = 99
SHOWN = 5
"""Differences that one message names; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell: a title of one line, sentences, the command to copy, and the address of the evidence (empty: none)."""

    title: str
    lines: tuple[str, ...]
    command: str
    link: str = ""

    def text(self) -> str:
        """Write it as plain text."""
        return "\n".join([self.title, "", *self.lines, "", f"Look: {self.command}", *([self.link] if self.link else [])])


Channel = Callable[[str, str], object]
"""One way to people: takes a title and a text, and raises when they are not known to have been taken."""


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells messages over every channel, by its name. `stage` is named in each message.

    `link` gives the address of a stored comparison by its key. A day that does not add up is told once by one process, and again
    when its sums change.
    """

    channels: Mapping[str, Channel]
    recorder: Recorder
    stage: str
    link: Callable[[str], str]
    told: set[str] = field(default_factory=set)

    def verdict(self, comparison: Comparison, key: str) -> None:
        """Tell of a live pair that has a critical difference which no register entry covers. Never raises."""
        found = critical_of(comparison)
        if found and self.channels:
            self._tell(message_of(comparison, found, self.stage, self.link(key)))

    def sums(self, days: Iterable[Conservation]) -> None:
        """Tell of the days whose pairs do not add up. Never raises."""
        broken = [day for day in days if day.error]
        now = {day.sentence() + str(day.trading_day) for day in broken}
        if self.channels and not now <= self.told:
            self._tell(conservation_message(broken, self.stage))
        self.told.clear()
        self.told.update(now)

    def _tell(self, message: Message) -> None:
        for name, send in self.channels.items():
            try:
                send(message.title, message.text())
            except Exception as error:  # noqa: BLE001 - whatever a channel does, the pair is settled and its metrics are out
                self.recorder.emit({Metric.NOTIFICATION_FAILURES: 1.0})
                fields = {"channel": name, "error": type(error).__name__, "title": message.title}
                self.recorder.log("a message to people could not be sent", fields, problem=True)


def critical_of(comparison: Comparison) -> list[Difference]:
    """Give the critical differences to tell, the dearest first; none of a replay or a planted run."""
    if comparison.origin != Origin.LIVE:
        return []
    found = [each for each in comparison.differences if each.severity is Severity.CRITICAL and each.unexplained]
    return sorted(found, key=lambda each: (-each.gross, each.key))


def message_of(comparison: Comparison, found: Sequence[Difference], stage: str, link: str) -> Message:
    """Say what is wrong with a pair. Texts that a lane wrote stay on their line."""
    worst, dollars = found[0], sum(each.gross for each in found)
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    told = [_sentence(each) for each in found[:SHOWN]]
    if len(found) > SHOWN:
        told.append(f"and {len(found) - SHOWN} more critical differences")
    return Message(
        title=_title(f"[{stage}] CRITICAL {dollars:,.2f} USD: {_trade(worst)} {worst.kind}{more}"),
        lines=(one_line(f"Plan {comparison.plan_id} of {comparison.trading_day}."), *told),
        command=one_line(f"shadow explain {quote(comparison.plan_id)}"),
        link=link,
    )


def conservation_message(broken: Sequence[Conservation], stage: str) -> Message:
    """Say which days do not add up, and by how many pairs."""
    missing = sum(abs(day.error) for day in broken)
    return Message(
        title=_title(f"[{stage}] {missing} pair{'' if missing == 1 else 's'} unaccounted for"),
        lines=tuple(f"{day.trading_day}: {day.sentence()}." for day in broken),
        command=f"shadow status --date {broken[-1].trading_day}",
    )


def _title(text: str) -> str:
    """Write a title that every channel takes: SNS takes 99 characters of ASCII."""
    return one_line(text).encode("ascii", "replace").decode()[:TITLE]


def _trade(difference: Difference) -> str:
    return f"{difference.action or ''} {difference.symbol or 'the run'}".strip()


def _sentence(difference: Difference) -> str:
    return one_line(
        f"{_trade(difference)}, {difference.kind}: {difference.explanation} "
        f"Worth {difference.gross:,.2f} USD; {difference.departs} from the plan."
    )
