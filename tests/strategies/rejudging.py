"""Cases and policies at random, for judging again: fields jolted, evidence torn, defects planted; other rules and registers."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from shadow.compare.case import PairCase
from shadow.compare.policy import OwnAbsoluteRule, OwnBpsRule, OwnExactRule, Policy, default_policy
from shadow.compare.rules import AbsoluteRule, BpsRule, DurationRatioRule, ExactRule, OrderedRule, TicksRule
from shadow.contracts.comparison import Severity
from shadow.contracts.outcome import Gap, Intent, OwnField, OwnType
from shadow.contracts.vocabulary import EffectKind, Lane, Reason, Role, SizingBasis, TradeStatus
from tests.strategies.outcomes import DAY, SCENARIOS, random_case
from tests.strategies.planting import run_of, with_run
from tests.strategies.plants import PLANTS
from tests.strategies.policies import policy_with

FACTORS = (Decimal(0), Decimal("0.5"), Decimal("0.9"), Decimal("0.98"), Decimal("1.0000001"), Decimal("1.002"), Decimal(2))


def jolted(case: PairCase, rng: random.Random) -> PairCase:
    """Change a few fields of a few trades at random, slightly and beyond reason."""
    for _ in range(rng.randint(0, 4)):
        role = rng.choice((Role.CONTROL, Role.CANDIDATE))
        run = run_of(case, role)
        if not run.trades:
            return case
        place = rng.randrange(len(run.trades))
        if rng.random() < 0.1:
            case = with_run(case, role, trades=run.trades[:place] + run.trades[place + 1 :])
            continue
        if rng.random() < 0.3:
            case = _repriced(case, role, place, rng)
            continue
        trade = run.trades[place].model_copy(update=_jolt(run.trades[place].model_dump(), rng))
        case = with_run(case, role, trades=(*run.trades[:place], trade, *run.trades[place + 1 :]))
    return case


def _repriced(case: PairCase, role: Role, place: int, rng: random.Random) -> PairCase:
    """Change a trade's recorded price and what was filled in every record of it but, at times, the orders and the ledger."""
    run = run_of(case, role)
    trade = run.trades[place]
    if not trade.average_price or not trade.filled_quantity:
        return case
    price = (trade.average_price * rng.choice(FACTORS[1:])).quantize(Decimal("0.0001"))
    part = rng.choice((Decimal(1), Decimal("0.3"), Decimal("0.9")))
    filled = (trade.filled_quantity * part).quantize(Decimal("0.000001"))
    orders = tuple(o.model_copy(update={"filled_quantity": filled}) if o.filled_quantity else o for o in trade.orders)
    update: dict[str, object] = {"average_price": price, "value": filled * price, "filled_quantity": filled, "orders": orders}
    told: dict[str, object] = {"price": price}
    if rng.random() < 0.3:
        update |= {"status": TradeStatus.FAILED, "reason": Reason.NOT_FILLED}
        told["success"] = False
    effects = tuple(
        e.model_copy(update={"quantity": filled} | (told if e.kind is EffectKind.TRADE_EXECUTED else {}))
        if e.symbol == trade.symbol
        else e
        for e in run.effects or ()
    )
    trades = (*run.trades[:place], trade.model_copy(update=update), *run.trades[place + 1 :])
    return with_run(case, role, trades=trades, effects=effects)


def _jolt(trade: dict[str, object], rng: random.Random) -> dict[str, object]:
    def moved(value: object) -> Decimal | None:
        return (value * rng.choice(FACTORS)).quantize(Decimal("0.000001")) if isinstance(value, Decimal) else None

    name = rng.choice(
        (
            "planned_amount",
            "filled_quantity",
            "average_price",
            "value",
            "status",
            "reason",
            "is_complete_exit",
            "attempts",
            "residual_position",
            "intent",
            "intent",
            "intent",
        )
    )
    choices: dict[str, list[object]] = {
        "status": [*TradeStatus],
        "reason": [None, *Reason],
        "is_complete_exit": [None, True, False],
        "attempts": [None, 1, 2, 4],
        "residual_position": [Decimal(0), Decimal("0.000001"), Decimal(-1), Decimal("1e-9")],
    }
    if name in choices:
        return {name: rng.choice(choices[name])}
    if name == "intent":
        return _jolted_intent(trade["intent"], rng, moved)
    return {name: moved(trade[name])}


def _jolted_intent(intent: object, rng: random.Random, moved: object) -> dict[str, object]:
    if not isinstance(intent, dict) or not callable(moved):
        return {}
    field = rng.choice(("quantity", "decision_price", "sizing_basis", "fractionable"))
    value: object = moved(intent[field]) if field in ("quantity", "decision_price") else None
    if field == "quantity" and isinstance(value, Decimal) and rng.random() < 0.4:
        value = value.quantize(Decimal(1), rounding="ROUND_DOWN")
    if field == "sizing_basis":
        value = rng.choice([None, *SizingBasis])
    if field == "fractionable":
        value = rng.choice([True, False])
    return {"intent": Intent.model_construct(**(intent | {field: value}))}


def torn(case: PairCase, rng: random.Random) -> PairCase:
    """Lose a lane, or a piece of a lane's evidence, or let a run take long or set itself another limit."""
    role = rng.choice((Role.CONTROL, Role.CANDIDATE))
    run = run_of(case, role)
    ended = run.completed_at
    choices = [
        lambda: replace(case, **{role.value: None}),
        lambda: replace(case, control=None, candidate=None),
        lambda: with_run(case, role, gaps=(Gap(what="history", reason="truncated"),)),
        lambda: with_run(case, role, violations=("status: expected a word",)),
        lambda: with_run(case, role, raw_status=""),
        lambda: with_run(case, role, completed_at=ended and ended + timedelta(seconds=rng.choice((59, 90, 1801, 7200)))),
        lambda: with_run(case, role, equity_limit=(run.equity_limit or Decimal(0)) * rng.choice((1, Decimal("1.005"), 2))),
    ]
    return rng.choice(choices)()


def drawn_case(rng: random.Random) -> PairCase:
    case = random_case(rng.randint(0, 60), rng.randint(0, 6), rng.choice(SCENARIOS))
    if rng.random() < 0.5:
        plant = rng.choice(PLANTS)
        with suppress(StopIteration, AssertionError, IndexError, TypeError):
            case = plant.edit(case, rng.choice(plant.lanes))
    if rng.random() < 0.6:
        case = jolted(case, rng)
    if rng.random() < 0.25:
        case = torn(case, rng)
    if rng.random() < 0.5:
        case = with_own(case, rng)
    origin = rng.choice(("live", "live", "replay"))
    moved = case.published_at + timedelta(seconds=rng.randint(0, 3))
    role = rng.choice((Lane.LEGACY, Lane.LEGACY, Lane.WORKFLOW))
    day = DAY + timedelta(days=rng.randint(0, 2))
    return replace(case, trading_day=day, origin=origin, production_lane=role, published_at=moved)


def with_own(case: PairCase, rng: random.Random) -> PairCase:
    """Give both runs and their trades fields of a user's own: nearly alike, null, absent, of another type, or not there."""
    for run in (case.control, case.candidate):
        if run is None:
            continue
        trades = tuple(trade.model_copy(update={"own": _drawn_own(rng)}) for trade in run.trades)
        case = with_run(case, run.role, trades=trades, own=_drawn_own(rng))
    return case


def _drawn_own(rng: random.Random) -> tuple[OwnField, ...]:
    fee = {"type": OwnType.DECIMAL, "text": str(Decimal(100) * rng.choice(FACTORS))}
    others = ({"absent": True}, {"text": None}, {"type": OwnType.TEXT, "text": "none"}, {"type": OwnType.TEXT})
    fields = {"fee": fee | (rng.choice(others) if rng.random() < 0.1 else {}), "desk": {"type": OwnType.TEXT, "text": "a"}}
    return tuple(OwnField.model_validate({"name": name, **each}) for name, each in fields.items() if rng.random() < 0.97)


OWN_KINDS = {"exact": OwnExactRule, "absolute": OwnAbsoluteRule, "bps": OwnBpsRule}


def drawn_own_rule(rng: random.Random) -> object:
    """Draw an entry for a field of a user's own."""
    kind, severity = rng.choice(list(OWN_KINDS)), rng.choice((None, Severity.INFO, Severity.CRITICAL))
    values = {"rule": kind, "severity": severity}
    return OWN_KINDS[kind].model_validate(values if kind == "exact" else values | {"tolerance": rng.choice(_TOLERANCES)})


_ANY = ("exact", "absolute", "bps", "ticks")
KINDS = {
    **dict.fromkeys(("planned_amount", "order_quantity", "filled_quantity", "partial_fill", "value", "residual_position"), _ANY),
    **dict.fromkeys(("guard_amounts", "guard_threshold", "equity_limit", "effect_quantity"), _ANY),
    **dict.fromkeys(("executed_value", "decision_mid"), _ANY),
    **dict.fromkeys(("asked_quantity", "exit_quantity"), _ANY[1:]),
    **dict.fromkeys(("average_price", "recorded_price", "effect_price", "limit_price"), ("bps",)),
    "phase_order": ("ordered",),
    "duration_ratio": ("duration_ratio",),
}
_TOLERANCES = tuple(map(Decimal, ("0", "0.000001", "0.0001", "0.01", "0.5", "1", "3", "5", "100", "400", "10000")))


def drawn_rule(rng: random.Random, kinds: tuple[str, ...]) -> object:
    """Draw a rule of one of `kinds`, often with a tolerance that nearly is the usual one."""
    kind, tolerance = rng.choice(kinds), rng.choice(_TOLERANCES)
    return {
        "exact": lambda: ExactRule(rule="exact"),
        "absolute": lambda: AbsoluteRule(rule="absolute", tolerance=tolerance),
        "bps": lambda: BpsRule(rule="bps", tolerance=tolerance),
        "ticks": lambda: TicksRule(rule="ticks", tick=tolerance, ticks=rng.choice((0, 1, 3))),
        "ordered": lambda: OrderedRule(rule="ordered", slack_seconds=tolerance),
        "duration_ratio": lambda: DurationRatioRule(
            rule="duration_ratio",
            ratio=rng.choice(_TOLERANCES[4:]),
            floor_seconds=rng.choice((Decimal(60), Decimal(60), tolerance)),
        ),
    }[kind]()


def drawn_policy(rng: random.Random) -> Policy:
    """Draw a policy: registers in force, used up and expired, other rules, other severities, other demands."""
    policy = rng.choice((default_policy(), policy_with()))
    if rng.random() < 0.7:
        expires = DAY + timedelta(days=rng.randint(-1, 3))
        kind, symbol = rng.choice(("SLIPP*", "*", "PLANNED*", "GUARD*")), rng.choice(("*", "SYM00*", "SYM001"))
        policy = policy_with(
            expires, rng.randint(1, 3), kind=kind, side=rng.choice(("*", "BUY")), lane=rng.choice(("*", "workflow"))
        )
        known = (
            policy.known[0].model_copy(update={"symbol": symbol}),
            policy.known[0].model_copy(update={"id": "KD-2", "kind": "*"}),
        )
        policy = policy.model_copy(update={"known": known[: rng.randint(1, 2)]})
    rules = {name: drawn_rule(rng, kinds) for name, kinds in KINDS.items()}
    limits = {"guard_threshold_usd": Decimal(rng.choice((0, 400, 500))), "run_seconds": rng.choice((10, 1800, 9000))}
    lanes = rng.choice(((), (Lane.LEGACY,), (Lane.LEGACY, Lane.WORKFLOW)))
    applies: dict[str, object] = dict.fromkeys(("effect_emitted", "equity_counted", "recorded_price"), lanes)
    applies["duration_ratio"] = rng.choice(((), (Role.CONTROL,), (Role.CONTROL, Role.CANDIDATE)))
    updates: dict[str, object] = {
        "rules": policy.rules.model_copy(update={name: rule for name, rule in rules.items() if rng.random() < 0.25}),
        "limits": policy.limits.model_copy(update={name: limits[name] for name in limits if rng.random() < 0.3}),
        "applies": policy.applies.model_copy(update={name: applies[name] for name in applies if rng.random() < 0.3}),
        "own": {name: drawn_own_rule(rng) for name in rng.choice(((), ("fee",), ("fee",), ("fee", "desk")))},
        "severity": rng.choice(({}, {"SLIPPAGE": Severity.INFO, "PLANNED_AMOUNT": Severity.MINOR})),
    }
    if rng.random() < 0.2:
        workflow = policy.evidence.workflow.model_copy(update={"trade": ("planned_amount", "residual_position")})
        updates["evidence"] = policy.evidence.model_copy(update={"workflow": workflow})
    return policy.model_copy(update=updates)
