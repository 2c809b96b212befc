"""Business Unit: evidence | Status: current.

The judge, as settlement calls it: the pure comparison of `shadow.compare` under one policy, and its document's bytes.
"""

from __future__ import annotations

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


def policy_at(path: str) -> Policy:
    """Read the policy at `path`; the default policy when it is empty. Raises `InvalidPolicy`, `ConfigurationError`."""
    if not path:
        return default_policy()
    return Policy.read(text_of("POLICY_PATH", path), path)


def policy_for(policy: Policy, production_lane: Lane) -> Policy:
    """Give `policy` for pairs that were published with `production_lane` in production.

    The lane in production emits for real, so it is taken out of those that must not. The legacy lane is not put in: as the
    shadow it emits on a bus of its own, where its effects stay whole evidence and nobody downstream hears them. Everything else
    in a policy is about what a lane is, not about its role, and stays.
    """
    shadowing = tuple(lane for lane in policy.applies.effect_emitted if lane is not production_lane.role)
    if shadowing == policy.applies.effect_emitted:
        return policy
    return policy.model_copy(update={"applies": policy.applies.model_copy(update={"effect_emitted": shadowing})})


def judge_by(policy: Policy) -> Judge:
    """Give the judge of a policy, which holds for either lane in production (`policy_for`)."""
    code = code_version()
    policies = {lane: policy_for(policy, lane) for lane in Lane}

    def by_policy(case: Case) -> Judgement:
        comparison = judge(pair_case(case, code), policies[case.pair.production_lane])
        return Judgement(comparison, canonical_bytes(comparison))

    return by_policy


def pair_case(case: Case, code: str) -> PairCase:
    """Give the comparison what it needs of a case."""
    return PairCase(
        plan=case.plan,
        trading_day=case.pair.trading_day,
        published_at=case.pair.published_at,
        control=_as_sized(case.control),
        candidate=_as_emitted(case.candidate, case.pair.production_lane),
        code_version=code,
        origin=case.pair.origin.value,
        production_lane=case.pair.production_lane,
        evidence=case.evidence,
    )


def _as_sized(control: RunOutcome | None) -> RunOutcome | None:
    """Say of a legacy lane's dry run what its table cannot: its account holds the plan's values, so exits are sized by them."""
    if control is None or not any((trade.order_id or "").startswith(RECORDED) for trade in control.trades):
        return control
    trades = tuple(
        trade.model_copy(update={"intent": trade.intent.model_copy(update={"sizing_basis": SizingBasis.HELD_VALUE})})
        if trade.is_complete_exit and trade.intent is not None and (trade.order_id or "").startswith(RECORDED)
        else trade
        for trade in control.trades
    )
    return control.model_copy(update={"trades": trades})


def _as_emitted(candidate: RunOutcome | None, production_lane: Lane) -> RunOutcome | None:
    """Leave out of a workflow in production the effects that it recorded and, as far as is known, never emitted.

    As a candidate it only intends them. In production an effect that did not go out is one that is missing.
    """
    if candidate is None or candidate.effects is None or production_lane is Lane.LEGACY:
        return candidate
    return candidate.model_copy(update={"effects": tuple(effect for effect in candidate.effects if effect.emitted)})


def code_version() -> str:
    """Give the version of the code that judges."""
    return __version__
