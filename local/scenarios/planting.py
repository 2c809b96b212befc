"""Business Unit: local cloud | Status: current.

What is planted: read from data, placed at trades of a day's plan, and turned into the two lists of faults that the lanes read. A
plant that finds no place in a plan (there is no full exit that day) is told, never silently dropped.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from local.broker_simulator.values import Fault as BrokerFault
from local.broker_simulator.values import FaultKind
from local.scenarios.candidate_variant import FAULTS
from local.scenarios.legacy_faults import Fault
from shadow.compare.kinds import KINDS
from shadow.contracts.comparison import Attribution
from shadow.contracts.control_records import DetailType
from shadow.contracts.errors import ShadowError, faults_of
from shadow.contracts.model import Exact, Frozen
from shadow.contracts.plan import PlanItem, RebalancePlan
from shadow.contracts.vocabulary import Action, Role

AT_BROKER = "broker."
"""How the name of a broker fault begins; what follows is a `FaultKind`, and the lane is whose account it strikes."""


class Place(StrEnum):
    """Where in a day's plan something is planted."""

    LARGEST_BUY = "largest_buy"
    SMALLEST_BUY = "smallest_buy"
    LARGEST_SELL = "largest_sell"
    SMALLEST_SELL = "smallest_sell"
    FULL_EXIT = "full_exit"
    ANOTHER_SYMBOL = "another_symbol"
    RUN = "run"


class InvalidScenario(ShadowError):
    """A scenario file that does not keep its form."""


class Plant(Frozen):
    """One difference to plant. `amount` and `event` mean what the fault says.

    `expects` are the kinds of difference that must be found, `allows` those that may be found beside them. They name the lane,
    unless `attributed` says whom else. `untradable` is a trade whose symbol does not trade, for either lane. `alone` is one
    that strikes everything that runs beside it.
    """

    day: Annotated[int, Field(ge=1)] = 1
    role: Role
    fault: str
    at: Place
    expects: Annotated[tuple[str, ...], Field(min_length=1)]
    allows: tuple[str, ...] = ()
    attributed: Attribution | None = None
    words: str
    amount: Exact | None = None
    event: DetailType | None = None
    untradable: Place | None = None
    settles: bool = True
    alone: bool = False

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        known = {fault.value for fault in Fault} if self.role is Role.CONTROL else set(FAULTS)
        if self.fault not in known | {f"{AT_BROKER}{kind}" for kind in FaultKind}:
            raise ValueError(f"expected a fault of the {self.role}, was {self.fault}")
        strange = [kind for kind in (*self.expects, *self.allows) if kind not in KINDS]
        if strange:
            raise ValueError(f"expected kinds of difference, was {', '.join(strange)}")
        return self


@dataclass(frozen=True, slots=True)
class Planted:
    """A plant in its place: `symbol` is None where it is about the run."""

    plant: Plant
    plan_id: str
    symbol: str | None

    @property
    def at_broker(self) -> BrokerFault | None:
        """The broker's fault that it is; None where a lane is at fault."""
        if not self.plant.fault.startswith(AT_BROKER):
            return None
        kind = FaultKind(self.plant.fault.removeprefix(AT_BROKER))
        path, method = _STRIKES.get(kind, (None, None))
        field = "fractionable" if kind is FaultKind.MISSING_FIELD else ""
        return BrokerFault(
            kind=kind, account=self.plant.role, symbol=self.symbol, count=None, path=path, method=method, field=field
        )

    def as_fault(self) -> dict[str, str]:
        """Give it as the lane's list of faults has it."""
        fields = {
            "fault": self.plant.fault,
            "plan_id": self.plan_id,
            "symbol": self.symbol,
            "event": None if self.plant.event is None else self.plant.event.value,
            "amount": None if self.plant.amount is None else str(self.plant.amount),
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Planting:
    """Everything that is planted in one plan, and what found no place in it."""

    planted: tuple[Planted, ...] = ()
    unplaced: tuple[Plant, ...] = ()

    def faults(self, role: Role) -> list[dict[str, str]]:
        """Give the list of faults for one lane, JSON-ready."""
        return [each.as_fault() for each in self.planted if each.plant.role is role and each.at_broker is None]

    def broker_faults(self) -> list[BrokerFault]:
        """Give what the broker is to do wrong."""
        return [fault for each in self.planted if (fault := each.at_broker) is not None]

    @property
    def settles(self) -> bool:
        """Whether both lanes' runs come to an end by themselves."""
        return all(each.plant.settles for each in self.planted)


_STRIKES = {FaultKind.REFUSE: (None, "POST"), FaultKind.MISSING_FIELD: ("/v2/assets", None)}
_PLANTS = TypeAdapter(tuple[Plant, ...])


def read_scenario(text: str, source: str) -> tuple[Plant, ...]:
    """Read TOML `text`; raises InvalidScenario that names every faulty field."""
    try:
        return _PLANTS.validate_python(tomllib.loads(text).get("plants", []))
    except tomllib.TOMLDecodeError as error:
        raise InvalidScenario(f"{source}: expected TOML: {error}") from None
    except ValidationError as error:
        raise InvalidScenario(f"{source}: " + "; ".join(str(fault) for fault in faults_of(error))) from None


def demo_plants() -> tuple[Plant, ...]:
    """Read what the ten-day demonstration plants."""
    return bundled_scenario("demo.toml")


def bundled_scenario(name: str) -> tuple[Plant, ...]:
    """Read a scenario that comes with the project."""
    return read_scenario(Path(__file__).with_name(name).read_text(encoding="utf-8"), name)


def plant_in(plan: RebalancePlan, plants: Iterable[Plant], symbols: Iterable[str]) -> Planting:
    """Find each plant its place in `plan`; `symbols` are those that have a price."""
    planted: list[Planted] = []
    unplaced: list[Plant] = []
    names = tuple(symbols)
    for plant in plants:
        symbol = None if plant.at is Place.RUN else symbol_at(plant.at, plan, names)
        if plant.at is not Place.RUN and symbol is None:
            unplaced.append(plant)
        else:
            planted.append(Planted(plant, plan.plan_id, symbol))
    return Planting(tuple(planted), tuple(unplaced))


def symbol_at(place: Place, plan: RebalancePlan, symbols: Iterable[str]) -> str | None:
    """Give the symbol at `place` in `plan` (ties by name); None where there is none."""
    if place is Place.ANOTHER_SYMBOL:
        taken = {item.symbol for item in plan.items}
        return next((symbol for symbol in sorted(symbols) if symbol not in taken), None)
    wanted, largest = _WANTED[place]
    found = [item for item in plan.items if wanted(item)]
    if not found:
        return None
    found.sort(key=lambda item: (-abs(item.trade_amount) if largest else abs(item.trade_amount), item.symbol))
    return found[0].symbol


_WANTED: dict[Place, tuple[Callable[[PlanItem], bool], bool]] = {
    Place.LARGEST_BUY: (lambda item: item.action is Action.BUY, True),
    Place.SMALLEST_BUY: (lambda item: item.action is Action.BUY, False),
    Place.LARGEST_SELL: (lambda item: item.action is Action.SELL, True),
    Place.SMALLEST_SELL: (lambda item: item.action is Action.SELL, False),
    Place.FULL_EXIT: (lambda item: item.is_full_exit, True),
}
