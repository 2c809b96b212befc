"""A schedule as a value: what is there, and what goes wrong at which port call. Being data, a failing one shrinks and prints."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import partial
from itertools import accumulate

from hypothesis import strategies as st

from local.broker_simulator.simulator import Simulator
from local.broker_simulator.values import FaultKind, OrderForm
from tests.factories.interleaving import Event, Interleaving, Job, kill
from tests.factories.two_lanes import UNLIMITED, Lanes, Requests, Setting
from tests.fakes.plans import plan_of


class Happening(StrEnum):
    """What can happen at a port call."""

    SWITCH = "another process goes on"
    KILL = "the process dies"
    LOSE = "its answer is lost: it goes on, and is tried again beside it"
    FILL = "open orders fill"
    REPLACE = "a person replaces the open orders"
    BY_HAND = "a person orders by hand in the candidate's account"
    FAULT = "the broker fails"
    HOLD = "the next order is on its way while its sender times out"
    ARRIVE = "what was on its way arrives"
    PUBLISH = "the plan is published again"
    START = "a second execution of the run is started"
    REDRIVE = "an answered trade is executed again"


FINE = ("-600.0000000000000000000001", "600.0000000000000000000001", "90.0000000000000000000007")
"""Amounts of which Python's own context, of 28 digits, would lose some in a sum."""
LIMITS = (Decimal(0), Decimal(0), Decimal(700), Decimal(2000), Decimal("1200.000000000000000000000000000000002"))
KILLED = ("Sandbox.Timedout", "Lambda.Unknown")  # the first of each is retried, the second goes to the reconciliation
LOST = ("Lambda.SdkClientException", "Lambda.Unknown")
_PLAIN = (
    FaultKind.GATEWAY_TIMEOUT,
    FaultKind.DROP_ANSWER,
    FaultKind.THROTTLE,
    FaultKind.SERVER_ERROR,
    FaultKind.REST,
    FaultKind.PARTIAL_FILL,
    FaultKind.REFUSE,
    FaultKind.REJECT,
    FaultKind.FILL_ON_CANCEL,
    FaultKind.MALFORMED,
    FaultKind.PRICE_LATE,
    FaultKind.QUOTE_MISSING,
    FaultKind.EMPTY,
    FaultKind.UNKNOWN_STATUS,
    FaultKind.OTHER_QUANTITY,
    FaultKind.QUOTE_STALE,
    FaultKind.QUOTE_WIDE,
)
REFUSALS = (
    *((FaultKind.REFUSED_IN_CODE, status) for status in (400, 401, 403, 422, 429)),
    *((FaultKind.REFUSED_BY_GATEWAY, status) for status in (404, 422)),
    *((FaultKind.REFUSED_BY_PROXY, status) for status in (400, 403, 404, 431)),
    *((FaultKind.REFUSED_BARELY, status) for status in (403, 409, 422)),
    *((FaultKind.REFUSED_EMPTY, status) for status in (401, 422, 425, 499)),
)
"""With what an accepted order can be answered as if it had been refused."""
FAULTS: tuple[tuple[FaultKind, int | None], ...] = (*((kind, None) for kind in _PLAIN), *REFUSALS)


REQUESTS = (UNLIMITED, UNLIMITED, Requests(22, 30), Requests(60, 20))
"""Without a limit; with a budget within the broker's limit; and beyond it, because somebody else uses the account too."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happens `gap` port calls after the last event; `which` picks among what there is."""

    gap: int
    what: Happening
    which: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """One world and its surprises. `amounts` are planned USD by symbol; a symbol in `exits` is sold whole."""

    amounts: tuple[tuple[str, Decimal], ...]
    steps: tuple[Step, ...]
    exits: bool = False
    one_account: bool = False
    limit: Decimal = Decimal(0)
    rest_limits: int = 0
    whole_shares: bool = False
    requests: Requests = UNLIMITED

    def lanes(self, simulator: Simulator | None = None) -> Lanes:
        """Set the world up, with every event at its port call."""
        places = accumulate(step.gap for step in self.steps)
        box: list[Lanes] = []
        events: dict[int, Event] = {place: partial(_happen, box, step) for place, step in zip(places, self.steps, strict=True)}
        amounts = {symbol: str(amount) for symbol, amount in self.amounts}
        exits = tuple(symbol for symbol, amount in self.amounts if amount < 0)[:1] if self.exits else ()
        setting = Setting(
            plan_of(exits=exits, **amounts),
            self.one_account,
            self.limit,
            self.rest_limits,
            self.whole_shares,
            self.requests,
        )
        box.append(Lanes(setting, Interleaving(events), simulator or Simulator()))
        return box[0]


def _happen(box: list[Lanes], step: Step, play: Interleaving, job: Job) -> None:
    lanes = box[0]
    play.note(f"{step.what} ({step.which})")
    match step.what:
        case Happening.SWITCH:
            play.switch(step.which)
        case Happening.KILL:
            kill(KILLED[step.which % 2])
        case Happening.LOSE:
            job.lose(LOST[step.which % 2])
        case Happening.FAULT:
            lanes.strike(*FAULTS[step.which % len(FAULTS)])
        case Happening.HOLD:
            lanes.holds_back = True
        case _:
            _outside(lanes, step)


def _outside(lanes: Lanes, step: Step) -> None:
    match step.what:
        case Happening.FILL:
            lanes.simulator.fill_open()
        case Happening.BY_HAND:
            forms = tuple(OrderForm)
            lanes.simulator.place_by_hand(lanes.account, lanes.trades[0].symbol, forms[step.which % len(forms)])
        case Happening.REPLACE:
            lanes.simulator.replace_open(lanes.account)
        case Happening.ARRIVE:
            lanes.let_through()
        case Happening.PUBLISH:
            lanes.publish()
        case Happening.START:
            lanes.start_execution()
        case _:
            lanes.redrive(step.which)


def run(schedule: Schedule, simulator: Simulator | None = None) -> Lanes:
    """Run a schedule to its end and check every rule; then let a redrive look at a broker that is well again."""
    lanes = schedule.lanes(simulator)
    try:
        lanes.publish()
        lanes.start_execution()
        lanes.play.run()
        lanes.check_rest()
        lanes.play.calm()
        lanes.simulator.clear_faults()
        lanes.simulator.set_rate_limit(None)
        lanes.holds_back = False
        lanes.let_through()
        lanes.close()
        lanes.play.run()
        lanes.check_closed()
        for index in range(len(lanes.results)):
            lanes.redrive(index)
        lanes.play.run()
        lanes.check_reconciled()
    except AssertionError as error:
        error.add_note("\n".join(lanes.play.trace))
        raise
    return lanes


def steps(most: int = 10) -> st.SearchStrategy[tuple[Step, ...]]:
    """Give surprises, mostly close together at the start, where the orders are."""
    often = (Happening.SWITCH, Happening.SWITCH, Happening.KILL, Happening.LOSE, Happening.FAULT)
    step = st.builds(Step, st.integers(1, 25), st.sampled_from([*Happening, *often]), st.integers(0, len(FAULTS) - 1))
    return st.lists(step, max_size=most).map(tuple)


def schedules(most: int = 10) -> st.SearchStrategy[Schedule]:
    """Give whole schedules."""
    amount = st.sampled_from([Decimal(text) for text in ("-2400", "-600", "-90", "90", "600", "1500", *FINE)])
    return st.builds(
        Schedule,
        amounts=st.dictionaries(st.sampled_from(["AAA", "BBB", "CCC"]), amount, min_size=1, max_size=2).map(
            lambda found: tuple(sorted(found.items()))
        ),
        steps=steps(most),
        exits=st.booleans(),
        one_account=st.booleans(),
        limit=st.sampled_from(LIMITS),
        rest_limits=st.sampled_from([0, 1, 3]),
        whole_shares=st.booleans(),
        requests=st.sampled_from(REQUESTS),
    )
