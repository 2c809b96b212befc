"""Business Unit: command line | Status: current.

`shadow compare`: have the comparator settle one pair now, and say what came of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from shadow.cli.calls import invoke
from shadow.cli.output import ExitCode, escape, print_json, progress, say
from shadow.cli.stored import StackStore
from shadow.cli.target import Target
from shadow.cli.verdicts import (
    Links,
    code_of_verdict,
    is_worth_a_look,
    links_of,
    print_difference,
    print_headline,
    print_links,
    quiet_text,
    styled_verdict,
    worst_first,
)
from shadow.contracts.pair import Pair
from shadow.settlement.stored import Found


def compare_now(target: Target, plan_id: str, *, as_json: bool) -> ExitCode:
    """Have the pair settled, show what came of it, and give the exit code of its verdict."""
    store = StackStore(target)
    store.pair(plan_id)
    with progress("settling the pair", quiet=as_json):
        answer = invoke(target, "CompareOutcomesFunctionName", {"plan_id": plan_id})
        pair = store.pair(plan_id)
        found = store.of_pair(pair)
    waiting = _texts(answer.get("waiting_for"))
    links = links_of(found, target, target.stage) if found else None
    if as_json:
        print_json(_wire(pair, found, waiting, links))
    else:
        _print(pair, found, waiting, links)
    return code_of_verdict(pair.verdict)


def _texts(value: object) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list | tuple) else []


def _wire(pair: Pair, found: Found | None, waiting: Sequence[str], links: Links | None) -> dict[str, object]:
    comparison = found.comparison if found else None
    return {
        "plan_id": pair.plan_id,
        "run_id": pair.run_id,
        "state": pair.state.value,
        "verdict": pair.verdict.value,
        "waiting_for": list(waiting),
        "gaps": list(comparison.gaps) if comparison else [],
        "differences": [entry.to_wire() for entry in comparison.differences] if comparison else [],
        "impact": comparison.impact.to_wire() if comparison else None,
        "links": links.to_wire() if links else None,
    }


def _print(pair: Pair, found: Found | None, waiting: Sequence[str], links: Links | None) -> None:
    if found is None or links is None:
        say(f"{styled_verdict(pair.verdict)} · {pair.state.value}   [bold]{escape(pair.plan_id)}[/bold]")
        for text in waiting:
            say(f"waiting for {escape(text)}")
        return
    print_headline(found.comparison)
    say()
    for difference in filter(is_worth_a_look, worst_first(found.comparison.differences)):
        print_difference(difference, indent=0, with_trade=True)
    quiet = quiet_text(found.comparison.differences)
    if quiet:
        say(f"[dim]for information only: {escape(quiet)}[/dim]")
    if found.comparison.differences:
        say()
    print_links(links)
    say(f"\nnext: [bold]shadow explain {escape(quote(pair.plan_id))}[/bold]")
