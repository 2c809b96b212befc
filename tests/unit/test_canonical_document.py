"""A comparison's document is canonical JSON, though it is written piece by piece."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shadow.compare.document import canonical_bytes
from shadow.compare.judge import judge
from shadow.compare.policy import default_policy
from shadow.contracts.outcome import Effect
from shadow.contracts.vocabulary import EffectKind
from tests.strategies.outcomes import random_case


@pytest.mark.parametrize("absent", [(), ("control",), ("candidate",), ("control", "candidate")])
@pytest.mark.parametrize("seed", range(8))
def test_the_document_is_the_canonical_json_of_the_whole_comparison(seed: int, absent: tuple[str, ...]) -> None:
    case = random_case(seed)
    for lane in absent:
        case = replace(case, control=None) if lane == "control" else replace(case, candidate=None)
    comparison = judge(case, default_policy())
    whole = json.dumps(comparison.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical_bytes(comparison) == whole.encode()


def test_effects_stand_in_one_order_in_whichever_they_were_read() -> None:
    about = [(kind, trade, symbol) for kind in EffectKind for trade in ("a", "b", None) for symbol in ("X", "Y", None)]
    effects = [Effect(kind=kind, emitted=True, trade_id=trade, symbol=symbol) for kind, trade, symbol in about]
    case = random_case(1)
    assert case.control is not None
    control = case.control
    written = [
        canonical_bytes(judge(replace(case, control=control.model_copy(update={"effects": tuple(order)})), default_policy()))
        for order in (effects, reversed(effects), [*effects[1:], effects[0]])
    ]
    assert written[0] == written[1] == written[2]
    kept = json.loads(written[0])["control"]["effects"]
    assert [(each["kind"], each["trade_id"] or "", each["symbol"] or "") for each in kept] == sorted(
        (kind.value, trade or "", symbol or "") for kind, trade, symbol in about
    )
