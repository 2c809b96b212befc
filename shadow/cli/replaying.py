"""Business Unit: command line | Status: current.

`shadow replay`: plans of the past through today's candidate, in dry run, against what the control did at the time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from shadow.cli.output import ERR, ExitCode, escape, finish, print_json, say
from shadow.cli.verdicts import code_of_verdict, styled_verdict
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.words import count
from shadow.replay.ports import Replayed, ReplayEnd
from shadow.replay.replayer import Replayer
from shadow.replay.state_file import StateFile

STATE_FOLDER = Path("build/replay")


def run_replay(
    replayer: Replayer, plans: Sequence[RebalancePlan], label: str, states: StateFile | None, *, as_json: bool
) -> None:
    """Replay what is not done yet under `label`, say what came of it, and end the command.

    Without `states` the ledger alone says what is done: every plan is looked at again.
    """
    done = states.done() if states is not None else {}
    left = [plan for plan in plans if plan.plan_id not in done]
    results = [done[plan.plan_id] for plan in plans if plan.plan_id in done]
    results += _run(replayer.replay(left, label), states, len(left), quiet=as_json)
    report = Report(label, states.path if states is not None else None, plans, results)
    print_json(report.to_wire()) if as_json else _print(report)
    finish(report.code)


@dataclass(frozen=True, slots=True)
class Report:
    """What a replay came to."""

    label: str
    state: Path | None
    plans: Sequence[RebalancePlan]
    results: Sequence[Replayed]

    @property
    def code(self) -> ExitCode:
        """Fine where every plan was judged and found alike."""
        good = all(entry.end is ReplayEnd.JUDGED and code_of_verdict(entry.verdict) is ExitCode.FINE for entry in self.results)
        return ExitCode.FINE if good and self.results else ExitCode.DIVERGED

    @property
    def counted(self) -> dict[str, int]:
        """Count judged plans by verdict, and the others by their end."""
        ends = (entry.verdict.value if entry.end is ReplayEnd.JUDGED else entry.end.value for entry in self.results)
        return dict(sorted(Counter(ends).items()))

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form."""
        return {
            "label": self.label,
            "state": str(self.state) if self.state is not None else None,
            "plans": len(self.plans),
            "verdicts": self.counted,
            "results": [entry.to_wire() for entry in self.results],
        }


def _run(replays: Iterable[Replayed], states: StateFile | None, total: int, *, quiet: bool) -> list[Replayed]:
    """Note each plan as it ends, and show how far the replay is."""
    results = []
    for number, entry in enumerate(replays, start=1):
        if states is not None:
            states.note(entry)
        results.append(entry)
        if not quiet:
            word = entry.verdict.value if entry.end is ReplayEnd.JUDGED else entry.end.value
            ERR.print(f"[dim]{number}/{total}[/dim] {word:<18} {escape(entry.plan_id)}", soft_wrap=True)
    return results


def _print(report: Report) -> None:
    for entry in report.results:
        judged = entry.end is ReplayEnd.JUDGED
        word = styled_verdict(entry.verdict, 19) if judged else f"[yellow]{entry.end.value:<19}[/]"
        say(f"{word}{escape(entry.replay_id if judged else entry.plan_id)}")
        if entry.reason:
            say(f"{'':<19}{escape(entry.reason)}")
    say()
    sums = ", ".join(f"{amount} {word}" for word, amount in report.counted.items())
    say(f"{count(len(report.plans), 'plan')} replayed as [bold]{escape(report.label)}[/bold]: {sums or 'nothing to do'}")
    if report.state is not None:
        say(f"[dim]state: {escape(str(report.state))} (the same --label resumes)[/dim]")
    differing = next((entry for entry in report.results if entry.comparison and code_of_verdict(entry.verdict)), None)
    if differing is not None:
        say(f"next: [bold]shadow explain {escape(quote(differing.replay_id))}[/bold]")
