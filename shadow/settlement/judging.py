"""Business Unit: evidence | Status: current.

The judge, as settlement calls it: the pure comparison of `shadow.compare` under one policy, and its document's bytes.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path

from shadow import __version__
from shadow.aws.environment import text_of
from shadow.broker.recording import RECORDED
from shadow.compare.case import PairCase
from shadow.compare.document import canonical_bytes
from shadow.compare.judge import judge
from shadow.compare.policy import Policy, default_policy
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import Lane, SizingBasis
from shadow.settlement.ports import Case, Judge, Judgement

_ROOMS = ("aws", "broker", "compare", "contracts", "execution", "lanes", "settlement")


def policy_at(path: str) -> Policy:
    """Read the policy at `path`; the default policy when it is empty. Raises `InvalidPolicy`, `ConfigurationError`."""
    if not path:
        return default_policy()
    return Policy.read(text_of("POLICY_PATH", path), path)


def judge_by(policy: Policy) -> Judge:
    """Give the judge of a policy, which holds whichever lane is in production."""
    code = code_version()

    def by_policy(case: Case) -> Judgement:
        comparison = judge(pair_case(case, code), policy)
        return Judgement(comparison, canonical_bytes(comparison))

    return by_policy


def pair_case(case: Case, code: str) -> PairCase:
    """Give the comparison what it needs of a case."""
    return PairCase(
        plan=case.plan,
        trading_day=case.pair.trading_day,
        published_at=case.pair.published_at,
        control=_as_emitted(_as_sized(case.control)),
        candidate=_as_sized(case.candidate),
        code_version=code,
        origin=case.pair.origin.value,
        production_lane=case.pair.production_lane,
        evidence=case.evidence,
    )


def _as_sized(run: RunOutcome | None) -> RunOutcome | None:
    """Say of a legacy lane's dry run what its table cannot: its account holds the plan's values, so exits are sized by them."""
    if run is None or run.lane is not Lane.LEGACY or not any((trade.order_id or "").startswith(RECORDED) for trade in run.trades):
        return run
    trades = tuple(
        trade.model_copy(update={"intent": trade.intent.model_copy(update={"sizing_basis": SizingBasis.HELD_VALUE})})
        if trade.is_complete_exit and trade.intent is not None and (trade.order_id or "").startswith(RECORDED)
        else trade
        for trade in run.trades
    )
    return run.model_copy(update={"trades": trades})


def _as_emitted(control: RunOutcome | None) -> RunOutcome | None:
    """Leave out of a workflow in production the effects that it recorded and, as far as is known, never emitted.

    As a candidate it only intends them. In production an effect that did not go out is one that is missing.
    """
    if control is None or control.effects is None or control.lane is not Lane.WORKFLOW:
        return control
    return control.model_copy(update={"effects": tuple(effect for effect in control.effects if effect.emitted)})


@cache
def code_version() -> str:
    """Name the code that executes and judges: the version, and a digest of its sources, which every change of them changes.

    Candidate, comparator and `shadow rejudge` have these sources from one build, so evidence of another build is of another
    version, though nobody counted the version up.
    """
    root = Path(__file__).parents[1]
    files = sorted(path for room in _ROOMS for suffix in ("*.py", "*.toml") for path in (root / room).rglob(suffix))
    digest = sha256()
    for path in files:
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return f"{__version__}+{digest.hexdigest()[:12]}"
