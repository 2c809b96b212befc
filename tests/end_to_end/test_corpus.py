"""Each fault is planted alone in the local cloud and found: right kind, severity and lane, and nothing that nobody planted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.market import ClosingPrices
from local.operator import Operator
from local.scenarios.corpus import INSTANCES, corpus
from local.scenarios.corpus_result import CorpusResult
from local.scenarios.corpus_run import run_corpus
from local.scenarios.planting import bundled_scenario
from local.stack import local_stack

pytestmark = [pytest.mark.local_cloud]
FEW = (
    "event_twice",
    "recorded_price_off",
    "trade_dropped",
    "guard_sums_executed",
    "ordered_twice",
    "equity_not_counted",
    "aggregation_fails",
    "broker.price_late",
)


@pytest.fixture(scope="module")
def plantable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with local_stack(tmp_path_factory.mktemp("corpus-cloud"), plantable=True) as stack:
        yield Operator(stack)


def assert_found(result: CorpusResult) -> None:
    told = [
        f"{line.role} {line.fault}: {[each for each in line.kinds if not each.is_right]} {line.invented}" for line in result.wrong
    ]
    assert told == []


def test_a_few_faults_are_found_as_what_they_are(plantable: Operator) -> None:
    plants = {plant.fault: plant for plant in bundled_scenario("corpus.toml") if plant.fault in FEW}
    result = CorpusResult.of(
        run_corpus(plantable, corpus(ClosingPrices.bundled(), instances=1, plants=plants.values(), first=900))
    )
    assert_found(result)
    assert len(result.planted_kinds) >= len(FEW)


@pytest.mark.long
def test_every_fault_is_found_as_what_it_is_in_every_instance(plantable: Operator) -> None:
    result = CorpusResult.of(run_corpus(plantable, corpus(ClosingPrices.bundled())))
    assert_found(result)
    assert len(result.planted_kinds) >= 40
    for kind in result.planted_kinds:
        assert sum(each.kind == kind for line in result.lines for each in line.kinds) >= INSTANCES
    assert result.planted_kinds == CorpusResult.recorded().planted_kinds
