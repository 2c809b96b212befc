"""Business Unit: command line | Status: current.

`shadow publish`: check a plan file here, and hand it to the publishing function only when every field is right.

`shadow compare`: have the comparator settle one pair now, and say what came of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from time import monotonic, sleep

from shadow.aws.pair_ledger import DynamoDbPairLedger
from shadow.cli.output import BadInput, ExitCode, FunctionFailed, MissingOutput, escape, print_json, progress, refuse, say
from shadow.cli.target import Target, invoke
from shadow.cli.verdicts import (
    Links,
    StackStore,
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
from shadow.contracts.comparison import Verdict
from shadow.contracts.errors import FieldFault, InvalidPlan
from shadow.contracts.pair import Pair, trading_day_of
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.words import count
from shadow.settlement.stored import Found

NOTHING = "Nothing was published."
LEDGER_SECONDS = 10.0
"""How long the command waits for the pair, which the function that starts the candidate writes within a second or two."""
WAIT_SECONDS = 600.0
"""How long `--wait` waits for the verdict."""
_POLL_SECONDS = 0.5
_FRIDAY = 4
_BAD_PLAN = frozenset({"InvalidPlan", "InvalidPayload"})


def read_plan(path: Path, *, as_json: bool) -> RebalancePlan:
    """Read a plan that has something to execute, or end the command with exit code 2 and every faulty field."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {(error.strerror or type(error).__name__).lower()}") from None
    try:
        plan = RebalancePlan.read_json(text)
        if not plan.tradable_items:
            found = f"{len(plan.items)} HOLD: nothing to execute"
            raise InvalidPlan("plan", [FieldFault("items", "at least one BUY or SELL", found)])  # noqa: TRY301 - one way out
    except InvalidPlan as invalid:
        refuse(invalid, as_json=as_json, note=NOTHING)
    return plan


def publish_plan(target: Target, plan: RebalancePlan, *, wait: bool, as_json: bool) -> ExitCode:
    """Publish a plan and say what came of it; with `wait`, the exit code is the verdict's."""
    with progress(f"publishing {plan.plan_id} to both lanes", quiet=as_json):
        ledger = StackStore(target).ledger if "PairLedgerTableName" in target.outputs else None
        again = ledger is not None and ledger.get(plan.plan_id) is not None
        answer = _published(target, plan)
        pair = None if ledger is None else _pair(ledger, plan.plan_id, WAIT_SECONDS if wait else LEDGER_SECONDS, compared=wait)
    trades, run = len(plan.tradable_items), answer.get("runId")
    code = code_of_verdict(pair.verdict if pair else Verdict.PENDING) if wait else ExitCode.FINE
    closed = trading_day_of(plan.timestamp).weekday() > _FRIDAY
    if as_json:
        answered = {"plan_id": plan.plan_id, "run_id": run, "trade_count": trades}
        verdict = pair.verdict.value if pair else None
        print_json(answered | {"published_before": again, "on_a_weekend": closed, "verdict": verdict})
        return code
    named = count(trades, "trade") + (f", run {escape(str(run))}" if run else "")
    say(f"[green]published{' again' if again else ''}[/green] {escape(plan.plan_id)}: {named}")
    if again:
        say("It was published before: the control may have traded it twice; the pair of the first time stays.")
    if closed:
        say(f"[yellow]{plan.timestamp:%Y-%m-%d} is on a weekend: the exchange is closed, and a lane that asks does not trade.[/]")
    name = escape(quote(plan.plan_id))
    if pair is not None and wait:
        say(
            f"{styled_verdict(pair.verdict)} after {WAIT_SECONDS} s"
            if code is ExitCode.INCOMPLETE
            else styled_verdict(pair.verdict)
        )
    say(f"next: [bold]shadow {'explain' if wait else 'status'} {name}[/bold]")
    return code


def _pair(ledger: DynamoDbPairLedger, plan_id: str, seconds: float, *, compared: bool) -> Pair | None:
    """Wait until the ledger has the pair, or until it is compared; give what it has of it in the end."""
    ends = monotonic() + seconds
    while True:
        pair = ledger.get(plan_id)
        if (pair is not None and (not compared or pair.verdict is not Verdict.PENDING)) or monotonic() > ends:
            return pair
        sleep(_POLL_SECONDS)


def _published(target: Target, plan: RebalancePlan) -> dict[str, object]:
    """Hand the plan over; raises `BadInput` where the function finds fault with it."""
    if "PublishPlanFunctionName" not in target.outputs:
        raise MissingOutput(
            f"stack shadow-{target.stage} publishes through the portfolio function: it has no publishing of its own"
        )
    try:
        return invoke(target, "PublishPlanFunctionName", plan.to_wire())
    except FunctionFailed as failed:
        if failed.kind in _BAD_PLAN:
            raise BadInput(str(failed)) from failed
        raise


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
        print_json(_settled_wire(pair, found, waiting, links))
    else:
        _print_settled(pair, found, waiting, links)
    return code_of_verdict(pair.verdict)


def _texts(value: object) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list | tuple) else []


def _settled_wire(pair: Pair, found: Found | None, waiting: Sequence[str], links: Links | None) -> dict[str, object]:
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


def _print_settled(pair: Pair, found: Found | None, waiting: Sequence[str], links: Links | None) -> None:
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
