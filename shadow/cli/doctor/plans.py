"""Business Unit: command line | Status: current.

How large recent plans are, and so which way they would travel to the candidate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shadow.aws import clients
from shadow.aws.table import from_item
from shadow.cli.doctor.finding import Account, Finding, bad, ok, warn
from shadow.contracts.errors import InvalidPlan
from shadow.contracts.identity import run_id_of
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.words import count
from shadow.intake.payload import StoredObject, candidate_input

MAX_PLANS = 50
QUEUE_LIMIT_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Size:
    """One plan: how many trades, how many bytes it would send, and whether it needs a claim check."""

    plan_id: str
    trades: int
    size: int
    claimed: bool


def payload_sizes(account: Account) -> Iterator[Finding]:
    """Build the candidate's input of up to `MAX_PLANS` stored plans and measure it."""
    name = account.control_name("RebalancePlanTableName", "rebalance-plans")
    client = clients.dynamodb()
    try:
        items = client.scan(TableName=name, Limit=MAX_PLANS)["Items"]
    except client.exceptions.ResourceNotFoundException:
        if account.existing_control:
            yield warn("plan sizes", f"{name} does not exist", "see the table's own check")
        else:
            yield ok("plan sizes", "no plans yet: the table will be made by the deployment")
        return
    sizes, faults = _measure([from_item(item) for item in items])
    for fault in faults:
        yield bad("plan contract", fault, "the portfolio side emits what the contract does not have: both lanes would refuse it")
    if not sizes:
        yield warn("plan sizes", "no stored plans to measure", "publish one, then ask again")
        return
    largest = max(sizes, key=lambda entry: entry.size)
    claimed = sum(entry.claimed for entry in sizes)
    lead = f"{count(len(sizes), 'plan')}, the largest {largest.size:,} bytes ({count(largest.trades, 'trade')})"
    found = f"{lead}; {claimed} by claim check"
    if largest.size > QUEUE_LIMIT_BYTES:
        yield warn("plan sizes", found, "above 1 MB events and queues refuse a plan: it must be handed over by reference")
    else:
        yield ok("plan sizes", found)


def _measure(items: list[dict[str, object]]) -> tuple[list[Size], list[str]]:
    sizes, faults = [], []
    for item in items:
        text = item.get("plan_data")
        if not isinstance(text, str):
            continue
        try:
            plan = RebalancePlan.read_json(text)
        except InvalidPlan as invalid:
            faults.append(f"{_name(item)}: {'; '.join(str(fault) for fault in invalid.faults[:3])}")
            continue
        store = _Weighed()
        document = candidate_input(plan, run_id_of(plan.plan_id), {}, store)
        sizes.append(Size(plan.plan_id, len(plan.tradable_items), store.size or len(document.encode()), store.size > 0))
    return sizes, faults


class _Weighed:
    """Stands for the store of large plans, and keeps how many bytes one would take."""

    size = 0

    def put(self, key: str, body: bytes) -> StoredObject:
        """Weigh a body."""
        self.size = len(body)
        return StoredObject("", key)

    def get(self, key: str) -> bytes:
        """Give nothing: nothing was stored."""
        raise KeyError(key)


def _name(item: Mapping[str, object]) -> str:
    return str(item.get("PK", "plan")).removeprefix("PLAN#")
