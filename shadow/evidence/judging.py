"""Business Unit: evidence | Status: current.

The judge, as settlement calls it: the pure comparison of `shadow.compare` under one policy, and its document's bytes.
"""

from __future__ import annotations

from pathlib import Path

from shadow import __version__
from shadow.compare.case import PairCase
from shadow.compare.document import canonical_bytes
from shadow.compare.judge import judge
from shadow.compare.policy import Policy, default_policy
from shadow.contracts.errors import ConfigurationError
from shadow.evidence.ports import Case, Judge, Judgement


def policy_at(path: str) -> Policy:
    """Read the policy at `path`; the default policy when it is empty. Raises `InvalidPolicy`, `ConfigurationError`."""
    if not path:
        return default_policy()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"POLICY_PATH: expected a readable file, was {path} ({type(error).__name__})") from None
    return Policy.read(text, path)


def judge_by(policy: Policy) -> Judge:
    """Give the judge of a policy."""
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
        control=case.control,
        candidate=case.candidate,
        code_version=code,
        origin=case.pair.origin.value,
        evidence=case.evidence,
    )


def code_version() -> str:
    """Give the version of the code that judges."""
    return __version__
