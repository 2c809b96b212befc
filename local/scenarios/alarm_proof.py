"""Business Unit: local cloud | Status: current.

What each fault must set off, as data, and the proof that it does: after the fault exactly those alarms have gone off, the
composite one has followed, and after it is mended all of them are OK again.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from local.cloud.progress import Progress, silent
from local.operator import Operator
from local.scenarios.alarm_bench import Alarms, Bench, Tick
from local.scenarios.alarm_faults import Mishaps
from shadow.contracts.model import Frozen


class AlarmFault(Frozen):
    """One fault: the alarms that it must set off, by their short names, and for how many looks it lasts."""

    alarms: tuple[str, ...]
    words: str
    ticks: int = 1
    planted: bool = False
    together: str | None = Field(default=None, alias="and")


@dataclass(frozen=True, slots=True)
class Proof:
    """What one fault was seen to do. `standing` are the alarms that were not OK once it was mended."""

    name: str
    fault: AlarmFault
    fired: frozenset[str]
    composite: bool
    standing: frozenset[str]


def alarm_faults() -> dict[str, AlarmFault]:
    """Read `alarms.toml`."""
    text = Path(__file__).with_name("alarms.toml").read_text(encoding="utf-8")
    return {name: AlarmFault.model_validate(row) for name, row in tomllib.loads(text).items()}


def prove(operator: Operator, *, progress: Progress = silent) -> Iterator[Proof]:
    """Do each fault, look, mend it, and look again. Raises what the stack raises."""
    alarms, bench = Alarms.deployed(operator), Bench(operator)
    mishaps = Mishaps(operator, bench)
    mishaps.begin()
    calm: tuple[Tick, ...] = (bench.tick(),)
    longest = max(rule.evaluation_periods for rule in alarms.rules.values())
    for name, fault in alarm_faults().items():
        mend = mishaps.do(name)
        struck = tuple(bench.tick() for _ in range(fault.ticks))
        mend()
        mended = bench.tick(), bench.tick()
        rest = (mended[-1],) * longest  # what is emitted at rest goes on, until no alarm looks as far back as the fault
        fired = alarms.fired(calm, struck)
        proof = Proof(name, fault, fired, alarms.composite_fires(fired), alarms.standing((*calm, *struck, *mended, *rest)))
        progress(f"{name}: {', '.join(sorted(fired)) or 'nothing'}; standing: {', '.join(sorted(proof.standing)) or 'none'}")
        yield proof
        calm = (mended[-1],)
