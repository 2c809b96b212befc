"""Business Unit: reports | Status: current.

Which part of a policy decides what, in one place: what of it the kept columns depend on, what decides about runs as a whole, and
what decides about a trade by itself. A test holds the lists to what the judge reads.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from importlib.resources import files

from shadow.compare.policy import Policy

EVIDENCE = ("evidence.effects", "evidence.control", "evidence.candidate")
"""What must be known. It is settled when columns are made: other demands make other columns."""

RUNS = (
    "rules.guard_amounts",
    "rules.guard_threshold",
    "rules.equity_limit",
    "rules.phase_order",
    "rules.duration_ratio",
    "limits.guard_threshold_usd",
    "limits.run_seconds",
    "applies.effect_emitted",
    "applies.equity_counted",
    "applies.duration_ratio",
)
"""What decides about runs: `reports.rejudge.runs` answers it from what is kept of a pair."""

TRADES = (
    "rules.trades",
    "rules.planned_amount",
    "rules.sizing_basis",
    "rules.asked_quantity",
    "rules.exit_quantity",
    "rules.order_quantity",
    "rules.order_type",
    "rules.filled_quantity",
    "rules.partial_fill",
    "rules.average_price",
    "rules.recorded_price",
    "rules.value",
    "rules.residual_position",
    "rules.effect_quantity",
    "rules.effect_price",
    "limits.sell_attempts",
    "limits.buy_attempts",
    "applies.client_order_id",
    "applies.recorded_price",
)
"""What decides about one trade by itself: judged in columns."""

DIFFERENCES = ("severity", "known")
"""What is made of differences, whatever they are about."""

NOT_JUDGED = ("version", "deadlines.late_seconds", "deadlines.missing_seconds", "deadlines.stuck_seconds", "noise")
"""What no judgement reads."""

_MAKERS = ("shadow.compare", "shadow.contracts", "reports.rejudge")


def evidence_digest(policy: Policy) -> str:
    """Name the part of `policy` that kept columns depend on."""
    return sha256(policy.evidence.model_dump_json().encode()).hexdigest()


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Name the code that makes columns and judges them: the sha256 of its sources and tables."""
    digest = sha256()
    for package in _MAKERS:
        for path in sorted(files(package).iterdir(), key=lambda path: path.name):
            if path.name.endswith((".py", ".toml")):
                digest.update(f"{package}/{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()
