"""Schedules over services that fail: once healed nothing is amiss, and each check fails on a product that is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from shadow.aws import pair_ledger
from shadow.aws.pair_ledger import DynamoDbPairLedger
from shadow.contracts.pair import Unpaired
from shadow.intake import intake
from shadow.intake.aws import PublishMode, StepFunctionsStarter
from shadow.intake.intake import Intake
from shadow.publish import DualPublisher
from shadow.settlement import cases, conservation, settler
from shadow.settlement.documents import EvidenceStore
from shadow.settlement.hints import Hints
from shadow.settlement.sweeper import Sweeper
from tests.factories.pairs import minted
from tests.simulation.schedule_audit import CHECKS, Facts, audit_schedule
from tests.simulation.schedules import World, composed, schedule

SEEDS = 200
Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module", autouse=True)
def put_together() -> Iterator[None]:
    with composed():
        yield


def test_once_the_world_has_healed_nothing_is_amiss() -> None:
    worlds = [schedule(seed) for seed in range(SEEDS)]
    assert {world.seed: wrong for world in worlds if (wrong := audit_schedule(world))} == {}
    struck = sum((world.wire.struck for world in worlds), Counter())
    verdicts = Counter(pair["verdict"] for world in worlds for pair in Facts(world).pairs.values())
    reasons = {reason for world in worlds for found in Facts(world).reasons.values() for reason in found}
    assert min(struck[name] for name in ("rival", "refused", "lost answer", "death")) > SEEDS / 2
    assert verdicts.keys() == {"MATCHED", "DIVERGED", "INCOMPLETE", "MISSING_CONTROL", "MISSING_CANDIDATE"}
    assert reasons >= {"OFF", "NOT_SAMPLED", "HOLD_ONLY", "INVALID", "NOT_COPIED", "NOT_SHADOWED"}


def test_a_seed_gives_the_same_world_again() -> None:
    for seed in range(5):
        first, again = schedule(seed), schedule(seed)
        assert first.tables.rows == again.tables.rows
        assert first.objects.bodies == again.objects.bodies
        assert (first.out.lines, first.recorder.lines) == (again.out.lines, again.recorder.lines)


def swallows(patch: Patch) -> None:
    publish = DualPublisher.publish

    def quietly(self: Any, *arguments: Any) -> object:
        try:
            return publish(self, *arguments)
        except Exception:  # noqa: BLE001 - the mutant
            return None

    patch.setattr(DualPublisher, "publish", quietly)


def waits_for_the_queue(patch: Patch) -> None:
    def waits(_self: Any, _core: Any, publication: Any, _error: Any, _result: Any) -> None:
        publication.over.set()
        publication.done.wait(600)

    patch.setattr(DualPublisher, "_end", waits)


def says_a_wrong_reason(patch: Patch) -> None:
    why = Intake._why_unpaired
    patch.setattr(Intake, "_why_unpaired", lambda *of: Unpaired.HOLD_ONLY if why(*of) is Unpaired.NOT_SAMPLED else why(*of))


def ignores_the_switch(patch: Patch) -> None:
    patch.setattr(PublishMode, "is_off", False)
    patch.setattr(PublishMode, "covers", lambda *_: True)


def skips_a_pair(patch: Patch) -> None:
    visit = Sweeper._to_visit
    patch.setattr(Sweeper, "_to_visit", lambda *of: visit(*of)[1:])


def names_a_start_anew(patch: Patch) -> None:
    numbers = count()
    patch.setattr(intake, "execution_name_of", lambda run_id: f"execution-{run_id}-{next(numbers)}")


def forgets_to_count(patch: Patch) -> None:
    patch.setattr(settler, "announce", lambda ledger, _recorder, announcement: ledger.announced(announcement))


def chokes_on_the_workflows_events(patch: Patch) -> None:
    def chokes(*_: object) -> None:
        raise ValueError

    patch.setattr(Hints, "_plan_of_status_change", chokes)


def keeps_another_document(patch: Patch) -> None:
    keep = EvidenceStore.keep_comparison
    patch.setattr(EvidenceStore, "keep_comparison", lambda self, day, run, body: (keep(self, day, run, body + b" ")[0], "0" * 64))


def files_the_entry_elsewhere(patch: Patch) -> None:
    write = pair_ledger.audit_to_item
    patch.setattr(pair_ledger, "audit_to_item", lambda entry: write(entry) | {"PK": {"S": f"LOST#{entry.plan_id}"}})


def records_another_copy(patch: Patch) -> None:
    record = DynamoDbPairLedger.record_evidence

    def other(self: Any, plan_id: str, ref: Any) -> Any:
        record(self, plan_id, ref.model_copy(update={"sha256": "0" * 64}))
        return ref

    patch.setattr(DynamoDbPairLedger, "record_evidence", other)


def quotes_another_run(patch: Patch) -> None:
    note = Intake._note_end
    other = {"run_id": minted("another")}
    patch.setattr(Intake, "_note_end", lambda self, plan_id, end: note(self, plan_id, end and end.model_copy(update=other)))


def hides_other_content(patch: Patch) -> None:
    note = Intake._unpaired
    hidden = Unpaired.OTHER_CONTENT
    patch.setattr(Intake, "_unpaired", lambda self, *of, **named: None if hidden in of else note(self, *of, **named))


def _nothing(*_: object, **__: object) -> None:
    return None


MUTANTS: dict[str, Callable[[Patch], object]] = {
    "control untouched": swallows,
    "caller not held": waits_for_the_queue,
    "accounted": lambda patch: patch.setattr(Intake, "_unpaired", _nothing),
    "reasons true": says_a_wrong_reason,
    "contents told": hides_other_content,
    "switch obeyed": ignores_the_switch,
    "ended": skips_a_pair,
    "verdict true": lambda patch: patch.setattr(cases, "run_of_plan", _nothing),
    "started once": names_a_start_anew,
    "start known": lambda patch: patch.setattr(StepFunctionsStarter, "found", _nothing),
    "production started": lambda patch: patch.setattr(Intake, "_start_production", _nothing),
    "sums add up": lambda patch: patch.delitem(conservation._COLUMN, conservation.Verdict.DIVERGED),  # type: ignore[arg-type]
    "announced": forgets_to_count,
    "letters gone": chokes_on_the_workflows_events,
    "document stands": keeps_another_document,
    "copies judged": records_another_copy,
    "moves audited": files_the_entry_elsewhere,
    "control quoted": quotes_another_run,
}
"""A product that is wrong, by the check that must say so."""


def seeds_that_show(check: str) -> Iterator[World]:
    """Give worlds until one shows that the check fails; enough of them that an unlucky one is no matter."""
    for seed in range(2 * SEEDS):
        world = schedule(seed)
        yield world
        if list(CHECKS[check](Facts(world))):
            return


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_fails_on_a_wrong_product(check: str, monkeypatch: Patch) -> None:
    MUTANTS[check](monkeypatch)
    *_, last = seeds_that_show(check)
    assert list(CHECKS[check](Facts(last)))
