"""Business Unit: tests | Status: current.

What must hold of a schedule once its world has healed, recomputed from what the services and the callers saw: the raw rows, the
objects, the messages, the starts. Of the product it asks for two words only, the day's sums and the plans without a publication,
and holds both against its own.
"""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from types import MappingProxyType, SimpleNamespace
from typing import Any

from reports.versions import LedgerBesidePlans
from shadow.aws.pair_ledger import DynamoDbPairLedger
from shadow.contracts.vocabulary import Metric
from shadow.publish import PublishingFailed, Refused
from shadow.settlement.conservation import conservation
from tests.simulation.draws import Result
from tests.simulation.schedules import BOUND_SECONDS, LEDGER, Call, World, composed, schedule

START_SECONDS = 900.0
"""A market order for a plan older than this is for another market."""
FUNCTION_SECONDS = 60.0
ENDED = frozenset({"JUDGED", "MISSING", "RESOLVED_LATE"})
FINE = frozenset({"MATCHED", "IGNORED"})
DONE_CONTROL = frozenset({"ok", "late", "raises after"})
DONE_CANDIDATE = frozenset({"ok", "redriven"})
Row = Mapping[str, Any]


class Facts:
    """A healed world, with what is read off it more than once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: dict[str, list[Call]] = {}
        for call in world.calls:
            self.calls.setdefault(call.fate.plan.plan_id, []).append(call)

    @cached_property
    def rows(self) -> dict[tuple[str, str], Row]:
        """Give the ledger's rows as plain values."""
        return {key: {name: _plain(value) for name, value in row.items()} for key, row in self._raw.items()}

    @property
    def _raw(self) -> Mapping[tuple[str, str], Row]:
        return self.world.tables.rows.get(LEDGER, {})

    @cached_property
    def pairs(self) -> dict[str, Row]:
        """Give the pairs by plan."""
        return {row["plan_id"]: row for key, row in self.rows.items() if key[1] == "PAIR"}

    @cached_property
    def reasons(self) -> dict[str, list[str]]:
        """Give by plan why it has no pair."""
        found: dict[str, list[str]] = {}
        for key, row in self.rows.items():
            if key[1].startswith("UNPAIRED#"):
                found.setdefault(row["plan_id"], []).append(row["reason"])
        return found

    @cached_property
    def starts(self) -> dict[str, list[float]]:
        """Give by plan when an execution began."""
        found: dict[str, list[float]] = {}
        for name in self.world.executions.accepted:
            run = self.world.executions.started[name]
            found.setdefault(json.loads(run.document)["planId"], []).append(run.at)
        return found

    @cached_property
    def sent(self) -> dict[str, list[Row]]:
        """Give by plan the publications that reached the intake queue."""
        found: dict[str, list[Row]] = {}
        for letter in self.world.intake_queue.letters:
            message = json.loads(letter.body)
            if "zlib" not in message and message["kind"] == "plan":
                plan = message.get("plan")
                plan = json.loads(plan) if isinstance(plan, str) else plan
                plan_id = plan["plan_id"] if isinstance(plan, dict) else message.get("plan_id")
                found.setdefault(str(plan_id), []).append(message)
        return found

    @cached_property
    def named(self) -> dict[str, set[str]]:
        """Give by plan the legacy lane's runs that messages of the intake queue named."""
        found: dict[str, set[str]] = {}
        for letter in self.world.intake_queue.letters:
            message = json.loads(letter.body)
            run_id = message.get("control", {}).get("run_id")
            if run_id is not None and isinstance(message.get("plan_id"), str):
                found.setdefault(message["plan_id"], set()).add(run_id)
        return found

    @cached_property
    def documents(self) -> dict[str, Row]:
        """Give by plan the comparison that its pair stands on."""
        bodies = self.world.objects.bodies
        return {plan_id: json.loads(bodies.get(str(pair.get("comparison_key")), b"{}")) for plan_id, pair in self.pairs.items()}

    def has_told(self, plan_id: str) -> bool:
        """Tell whether an event of the legacy lane about this plan reached the comparator's queue."""
        bodies = (json.loads(letter.body) for letter in self.world.comparator_queue.letters)
        return any(body["detail"].get("plan_id") == plan_id for body in bodies)


def _plain(value: Row) -> Any:
    (kind, inner), *_ = value.items()
    return {"N": Decimal, "M": dict}.get(kind, lambda same: same)(inner)


def control_untouched(facts: Facts) -> Iterator[str]:
    """Production is called once, with the caller's own plan, and its result or exception is the caller's."""
    for call in facts.world.calls if not facts.world.swapped else ():
        if call.ended is None:
            if call.fate.dies is None:
                yield f"{call.fate.plan.plan_id}: the caller never came back"
            continue
        if len(call.reached) != 1 or call.reached[0][0] is not call.given:
            yield f"{call.fate.plan.plan_id}: production was called {len(call.reached)} times, or with another plan"
        elif call.outcome is not call.own[0]:
            yield f"{call.fate.plan.plan_id}: production gave {call.own[0]!r}, its caller got {call.outcome!r}"
        if call.before is not None and call.before != call.given:
            yield f"{call.fate.plan.plan_id}: the caller's plan was changed"


def caller_not_held(facts: Facts) -> Iterator[str]:
    """The caller of production is held up for the bound at most."""
    for call in facts.world.calls if not facts.world.swapped else ():
        if call.ended is None or not call.reached:
            continue
        _, begun, ended = call.reached[0]
        held = (call.ended - call.begun) - (ended - begun)
        if held > BOUND_SECONDS + 1e-6:
            yield f"{call.fate.plan.plan_id}: held up for {held:.3f} s"


def accounted(facts: Facts) -> Iterator[str]:
    """A plan that was published has a pair or a reason; one that was not is counted, and missed beside the plan table."""
    world = facts.world
    missed = _missed(facts)
    for plan_id, calls in facts.calls.items():
        is_noted = plan_id in facts.pairs or plan_id in facts.reasons
        if plan_id in facts.sent:
            if not is_noted and not _is_dead(facts, plan_id):
                yield f"{plan_id}: it reached the queue, and there is neither a pair nor a reason"
            continue
        if is_noted:
            yield f"{plan_id}: it never reached the queue, and there is a pair or a reason"
        is_counted = any(line.get("CandidatePublishFailures", 0) >= 1 for line in world.out.lines)
        is_told = any(isinstance(call.outcome, Exception) for call in calls) if world.swapped else is_counted
        if not is_told and all(call.fate.dies is None for call in calls):
            yield f"{plan_id}: it never reached the queue, and nothing counts that"
        if plan_id in world.planned and plan_id not in missed:
            yield f"{plan_id}: production ran it, and the report does not miss it"


def _missed(facts: Facts) -> set[str]:
    """Ask the report which of the control's plans nobody published."""
    world = facts.world
    ledger = DynamoDbPairLedger(world.tables, LEDGER)  # type: ignore[arg-type] # reads rows, and nothing else
    plans = SimpleNamespace(each=world.planned.items)
    days = sorted({plan.timestamp.date() for plan in world.planned.values()})
    found = [each for day in days for each in LedgerBesidePlans(ledger, plans).unpaired_of(day)]
    return {each.plan_id for each in found if getattr(each, "reason", None) == "NOT_PUBLISHED"}


def _is_dead(facts: Facts, plan_id: str) -> bool:
    """Tell whether production's own message lies in the dead-letter queue: too late to be traded, or no plan at all."""
    return facts.world.swapped and any(plan_id in letter.body for letter in facts.world.intake_queue.dead)


def reasons_true(facts: Facts) -> Iterator[str]:
    """What is recorded as the reason is the reason."""
    world = facts.world
    modes = {text for _, text in world.mode}
    for plan_id, reasons in facts.reasons.items():
        forms = {call.fate.form for call in facts.calls.get(plan_id, ())}
        is_true = {
            "OFF": "off" in modes and not world.swapped,
            "NOT_SAMPLED": "shadow:50" in modes and not _is_in_half(plan_id) and not world.swapped,
            "NOT_SHADOWED": world.swapped and not world.shadowed,
            "HOLD_ONLY": all(call.fate.control == "hold" for call in facts.calls.get(plan_id, ())),
            "INVALID": "broken" in forms,
            "NOT_COPIED": any("refused" in message for message in facts.sent.get(plan_id, ())),
            "OTHER_CONTENT": "other" in forms,
        }
        for reason in reasons:
            if not is_true.get(reason):
                yield f"{plan_id}: it is recorded as {reason}, which it is not"


def _is_in_half(plan_id: str) -> bool:
    return int.from_bytes(sha256(b"shadow-ramp:" + plan_id.encode()).digest()[:8]) % 10_000 < 5_000


def contents_told(facts: Facts) -> Iterator[str]:
    """The pair is of a plan that was published, and another plan of the same id is told as one, unless the switch kept it out."""
    kept_out = {"OFF", "NOT_SAMPLED", "NOT_SHADOWED"}
    for plan_id, pair in facts.pairs.items():
        contents = {_content(message["plan"]) for message in facts.sent.get(plan_id, ()) if _is_whole(message.get("plan"))}
        if "plan_json" in pair and _content(pair["plan_json"]) not in contents:
            yield f"{plan_id}: its pair is of a plan that nobody published"
        if len(contents) > 1 and not {"OTHER_CONTENT", *kept_out} & {*facts.reasons.get(plan_id, ())}:
            yield f"{plan_id}: published with {len(contents)} contents, and only {facts.reasons.get(plan_id, [])} is recorded"


def _content(plan: Any) -> str:
    return json.dumps(json.loads(plan) if isinstance(plan, str) else plan, sort_keys=True)


def _is_whole(plan: Any) -> bool:
    return plan is not None and "correlation_id" in plan


def switch_obeyed(facts: Facts) -> Iterator[str]:
    """No pair and no start where the operators' switch never let the plan through."""
    world = facts.world
    modes = {text for _, text in world.mode}
    for plan_id in sorted({*facts.pairs, *facts.starts}) if not world.swapped else ():
        if "shadow" not in modes and not ("shadow:50" in modes and _is_in_half(plan_id)):
            yield f"{plan_id}: it has a pair or a start, and the switch was {sorted(modes)}"


def ended(facts: Facts) -> Iterator[str]:
    """Every pair has a verdict, and an INCOMPLETE one says what is missing."""
    for plan_id, pair in facts.pairs.items():
        if pair["state"] not in ENDED or pair["verdict"] == "PENDING":
            yield f"{plan_id}: {pair['state']} {pair['verdict']} after every deadline"
        document = facts.documents[plan_id]
        lanes = [document.get(role) for role in ("control", "candidate")]
        if pair["verdict"] == "INCOMPLETE" and any(lanes) and not any(lane and lane["gaps"] for lane in lanes):
            yield f"{plan_id}: INCOMPLETE without a reason"


def verdict_true(facts: Facts) -> Iterator[str]:
    """A lane is called missing where it is, and lanes match where they did the same."""
    for plan_id, pair in facts.pairs.items():
        calls, verdict = facts.calls[plan_id], pair["verdict"]
        runs = {run for call in calls for run in call.runs}
        workflow, legacy = ("CONTROL", "CANDIDATE") if facts.world.swapped else ("CANDIDATE", "CONTROL")
        if verdict == f"MISSING_{workflow}" and plan_id in facts.starts:
            yield f"{plan_id}: {verdict}, and its execution exists"
        is_known = pair.get("control_run_id") in runs or (runs and facts.has_told(plan_id))
        if verdict == f"MISSING_{legacy}" and is_known:
            yield f"{plan_id}: {verdict}, and its run is known"
        if len(calls) > 1 or not runs or not is_known or plan_id not in facts.starts:
            if verdict in FINE and not (runs and plan_id in facts.starts):
                yield f"{plan_id}: {verdict}, and one lane never ran"
            continue
        fate = calls[0].fate
        alike = (fate.control in DONE_CONTROL and fate.candidate in DONE_CANDIDATE) or (fate.control, fate.candidate) == (
            "failed",
            "failed",
        )
        if alike is not (verdict in FINE):
            yield f"{plan_id}: {verdict}, and the lanes did {fate.control} and {fate.candidate}"


def started_once(facts: Facts) -> Iterator[str]:
    """A lane is started once at most, in time, and only for a pair (or as production)."""
    for plan_id, starts in facts.starts.items():
        if len(starts) > 1:
            yield f"{plan_id}: started {len(starts)} times"
        latest = max(call.begun for call in facts.calls[plan_id])
        if starts[0] - latest > START_SECONDS + FUNCTION_SECONDS:
            yield f"{plan_id}: started {starts[0] - latest:.0f} s after it was published"
        if plan_id not in facts.pairs and not facts.world.swapped:
            yield f"{plan_id}: started, and there is no pair"
    for call in facts.world.calls:
        if len(call.reached) > 1:
            yield f"{call.fate.plan.plan_id}: one publication went {len(call.reached)} times to the legacy lane"


def start_known(facts: Facts) -> Iterator[str]:
    """In the end the ledger says of each candidate truly whether it was started."""
    for plan_id, pair in facts.pairs.items() if not facts.world.swapped else ():
        expected = "STARTED" if plan_id in facts.starts else "REFUSED"
        if pair["start_state"] != expected:
            yield f"{plan_id}: {pair['start_state']}, and it was {expected}"
        if expected == "REFUSED" and not pair.get("start_reason"):
            yield f"{plan_id}: REFUSED without a reason"


def production_started(facts: Facts) -> Iterator[str]:
    """What was published to the workflow in production was started, or lies in the dead-letter queue."""
    for plan_id, calls in facts.calls.items() if facts.world.swapped else ():
        published = [call for call in calls if isinstance(call.outcome, str) and call.fate.control != "hold"]
        if published and plan_id not in facts.starts and not _is_dead(facts, plan_id):
            yield f"{plan_id}: published to the workflow, never started, and no dead letter"
        for call in calls:
            told = Refused if call.fate.form == "uncopyable" else PublishingFailed
            if isinstance(call.outcome, Exception) and not isinstance(call.outcome, told):
                yield f"{plan_id}: publishing raised {call.outcome!r}"


def sums_add_up(facts: Facts) -> Iterator[str]:
    """The day's sums are the ledger's pairs, none pending, none unaccounted for."""
    ledger = DynamoDbPairLedger(facts.world.tables, LEDGER)  # type: ignore[arg-type] # reads rows, and nothing else
    for day in sorted({plan.timestamp.date() for call in facts.world.calls for plan in (call.fate.plan,)}):
        sums = conservation(day, ledger.pairs_of(day))
        verdicts = Counter(pair["verdict"] for pair in facts.pairs.values())
        told = (sums.published, sums.matched + sums.ignored, sums.diverged, sums.incomplete, sums.error, sums.pending)
        own = (len(facts.pairs), verdicts["MATCHED"], verdicts["DIVERGED"], verdicts["INCOMPLETE"], 0, 0)
        if told != own or sums.missing != verdicts["MISSING_CONTROL"] + verdicts["MISSING_CANDIDATE"]:
            yield f"{day}: {sums.sentence()}, and the rows say {dict(verdicts)}"


def announced(facts: Facts) -> Iterator[str]:
    """Every verdict was counted, once unless a process died over it, and nothing waits to be."""
    counted, world = facts.world.recorder.counted, facts.world
    waiting = [key for key in facts.rows if key[1].startswith("ANNOUNCE#")]
    if waiting:
        yield f"{len(waiting)} verdicts were never counted"
    compared = sum(pair["state"] in ("JUDGED", "RESOLVED_LATE") for pair in facts.pairs.values())
    again = world.wire.struck["death"] + world.wire.struck["lost answer"] + world.wire.struck["refused"]
    if not compared <= counted[Metric.PAIRS_JUDGED] <= compared + again:
        yield f"{compared} pairs were judged, and {counted[Metric.PAIRS_JUDGED]:.0f} were counted"


def letters_gone(facts: Facts) -> Iterator[str]:
    """Once redriven, no dead letter is left but production's that can never be traded, and those are counted."""
    world = facts.world
    if world.comparator_queue.dead:
        yield f"{len(world.comparator_queue.dead)} hints are dead letters after everything healed"
    for letter in world.intake_queue.dead:
        if not world.swapped:
            yield f"a publication is a dead letter after everything healed: {letter.body[:100]}"
        elif not world.recorder.counted[Metric.INTAKE_FAILURES]:
            yield "a dead letter of the workflow in production, and no failure is counted"


def document_stands(facts: Facts) -> Iterator[str]:
    """The verdict stands on a stored document, of that digest, plan and verdict, and so does each piece of evidence."""
    for plan_id, pair in facts.pairs.items():
        body = facts.world.objects.bodies.get(str(pair.get("comparison_key")))
        if body is None or sha256(body).hexdigest() != pair["comparison_sha256"]:
            yield f"{plan_id}: its comparison is not there, or not the one that was judged"
            continue
        document = facts.documents[plan_id]
        if (document["plan_id"], document["verdict"]) != (plan_id, pair["verdict"]):
            yield f"{plan_id}: its comparison says {document['verdict']} of {document['plan_id']}"
        for ref in document["evidence"]:
            if ref["key"] not in facts.world.objects.bodies:
                yield f"{plan_id}: its evidence {ref['name']} is not there"


def copies_judged(facts: Facts) -> Iterator[str]:
    """Where a lane's copy is recorded, the verdict was made from that copy and no other."""
    for plan_id, document in facts.documents.items():
        for ref in document.get("evidence", ()):
            recorded = facts.rows.get((f"PAIR#{plan_id}", f"EVIDENCE#{ref['name']}"))
            if recorded is not None and recorded["sha256"] != ref["sha256"]:
                yield f"{plan_id}: judged by another copy of {ref['name']} than is recorded"


def moves_audited(facts: Facts) -> Iterator[str]:
    """Every move of a pair left its entry."""
    for plan_id, pair in facts.pairs.items():
        entries = sum(key[0] == f"PAIR#{plan_id}" and key[1].startswith("AUDIT#") for key in facts.rows)
        if entries != pair["version"]:
            yield f"{plan_id}: {pair['version']} moves, and {entries} entries"


def control_quoted(facts: Facts) -> Iterator[str]:
    """What the ledger says that production's call gave is what it gave."""
    for plan_id, pair in facts.pairs.items():
        calls = facts.calls[plan_id]
        runs = {run for call in calls for run in call.runs}
        if pair.get("control_run_id") is not None and pair["control_run_id"] not in runs:
            yield f"{plan_id}: run {pair['control_run_id']} is told, and its runs are {sorted(runs)}"
        named = facts.named.get(plan_id, set())
        if named and plan_id not in facts.reasons and pair.get("control_run_id") is None:
            yield f"{plan_id}: messages named the runs {sorted(named)}, and none is told"
        raised = any(isinstance(own, Exception) for call in calls for own in call.own)
        if pair.get("control_error") is not None and not raised:
            yield f"{plan_id}: {pair['control_error']} is told, and production never raised"


CHECKS: Mapping[str, Callable[[Facts], Iterator[str]]] = MappingProxyType(
    {
        check.__name__.replace("_", " "): check
        for check in (
            control_untouched,
            caller_not_held,
            accounted,
            reasons_true,
            contents_told,
            switch_obeyed,
            ended,
            verdict_true,
            started_once,
            start_known,
            production_started,
            sums_add_up,
            announced,
            letters_gone,
            document_stands,
            copies_judged,
            moves_audited,
            control_quoted,
        )
    }
)


def audit_schedule(world: World) -> list[str]:
    """Give everything that is wrong with a healed world, each with the name of its check."""
    facts = Facts(world)
    return [f"{name}: {found}" for name, check in CHECKS.items() for found in check(facts)]


def simulate_schedules(seeds: Iterable[int]) -> Result:
    """Run schedules and audit them. One that raises is a failure like any other: the next ones are run all the same."""
    result = Result()
    gc.collect()  # what is garbage now would be kept for ever by the next line
    gc.freeze()
    gc.set_threshold(50_000)  # each world is many small objects that die together
    with composed():
        for seed in seeds:
            try:
                world = schedule(seed)
                wrong = audit_schedule(world)
            except Exception as error:  # noqa: BLE001 - whatever was raised is told with its seed
                result.add(Result(1, {"crashed": 1}, {}, {seed: [f"crashed: {error!r}"]}))
                continue
            verdicts = Counter(pair["verdict"] for pair in Facts(world).pairs.values())
            result.add(Result(1, dict(verdicts), dict(world.wire.struck), {seed: wrong} if wrong else {}))
    return result
