"""Policies for tests: the packaged one's text, and one with a single registered divergence."""

from __future__ import annotations

from datetime import date
from importlib.resources import files

from shadow.compare.policy import Policy
from tests.strategies.outcomes import DAY

TEXT = files("shadow.compare").joinpath("default_policy.toml").read_text(encoding="utf-8")
KNOWN = """
[[known]]
id = "KD-1"
owner = "execution"
reason = "the candidate fills from its own quote"
kind = "SLIPP*"
side = "BUY"
lane = "workflow"
expires = {expires}
budget_a_day = {budget}
"""


def policy_with(expires: date = DAY, budget: int = 5, **other: str) -> Policy:
    known = KNOWN.format(expires=expires.isoformat(), budget=budget)
    for name, value in other.items():
        known = "\n".join(f'{name} = "{value}"' if line.startswith(f"{name} =") else line for line in known.splitlines())
    return Policy.read(TEXT + known)
