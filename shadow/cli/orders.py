"""Business Unit: command line | Status: current.

`shadow orders`: which orders of a run may still be working, and, asked to, cancel them. The function that trades does it, with
the account and behind the interlocks that it trades with: no key of a broker comes to this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from shadow.aws import clients
from shadow.aws.candidate_state import DynamoCandidateState
from shadow.cli.output import BadInput, ExitCode, escape, print_json, progress, say
from shadow.cli.target import Target, invoke_named
from shadow.cli.verdicts import StackStore
from shadow.contracts.candidate_state import IntentRecord
from shadow.contracts.words import count, moment_text, number
from shadow.contracts.workflow import ClosedRun

_FUNCTION = "execute-trade-sfn"


def show_orders(target: Target, named: str, *, cancel: bool, as_json: bool) -> ExitCode:
    """Show the orders of a run that may be working, after cancelling them if asked to; DIVERGED while there are any.

    Raises `BadInput` where nothing has that name: a misspelt id must not read as if no order were working.
    """
    store = StackStore(target)
    pair = store.ledger.get(named)
    run_id = named if pair is None else pair.run_id
    state = DynamoCandidateState(clients.dynamodb(), target.name("CandidateStateTableName"))
    if pair is None and not state.of_run(run_id):
        raise BadInput(f"No published plan {named}, and no run of that id has orders. `shadow status` lists the plans")
    closed: tuple[str, ...] = ()
    if cancel:
        with progress("cancelling what is open", quiet=as_json):
            closed = ClosedRun.parse(invoke_named(target.of_stage(_FUNCTION), {"closeRun": True, "runId": run_id})).closed
    recorded = state.of_run(run_id)
    working = [intent for intent in recorded if intent.may_work]
    if as_json:
        print_json({"run_id": run_id, "closed": list(closed), "working": [_wire(intent) for intent in working]})
    else:
        _print(run_id, closed, recorded, working)
    return ExitCode.DIVERGED if working else ExitCode.FINE


def _wire(intent: IntentRecord) -> dict[str, object]:
    names = ("client_order_id", "order_id", "symbol", "side", "quantity", "filled_quantity", "status", "detail", "intended_at")
    wire = intent.to_wire()
    return {name: wire.get(name) for name in names}


def _print(run_id: str, closed: Sequence[str], recorded: Sequence[IntentRecord], working: Sequence[IntentRecord]) -> None:
    for line in closed:
        say(f"[green]closed[/green]   {escape(line)}")
    for intent in working:
        say(
            f"[bold red]working?[/] {intent.side} {escape(intent.symbol)} {number(intent.quantity)} shares, "
            f"{number(intent.filled_quantity)} filled, {intent.status}, intended {moment_text(intent.intended_at)} New York"
        )
        say(f"         order {escape(intent.client_order_id)}{f': {escape(intent.detail)}' if intent.detail else ''}")
    say(f"run {escape(run_id)}: {count(len(recorded), 'order')} recorded, {len(working)} may be working")
    if working:
        say(f"next: [bold]shadow orders {escape(quote(run_id))} --cancel[/bold]")
