"""Business Unit: benchmarks | Status: current.

Everything that is measured in the local cloud: B1 and B2 (what the shim adds to the control's publishing), B9 (from settled to
verdict), B10 (a workflow run against the critical path of its tasks), B11 (what a plan costs) and, for B12, the ledger's day.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from benchmarks.desk import Desk, desk
from benchmarks.environment import probe
from benchmarks.faulty_endpoint import Trouble, faulty_endpoint
from benchmarks.plans import plan_of
from benchmarks.rows import Growth, Line, Measurement, timed
from benchmarks.runs import candidate_cost, critical_path
from benchmarks.slow_road import slow_road
from benchmarks.timing import exponent, in_turn, percentile, ratios, spread
from benchmarks.transitions import transitions
from benchmarks.watch import DeliveryWatch
from local.cloud.access import dummy_environment
from local.cloud.progress import Progress
from local.stack import STAGE
from shadow.aws.pair_ledger import pair_to_item
from shadow.contracts.identity import run_id_of
from shadow.contracts.pair import Pair
from shadow.lanes.workflow.history import read_history

SHIM_LIMIT, BOUND_MS, BEYOND_LIMIT, PATH_LIMIT = 1.05, 50.0, 1.0, 1.5
P95 = 0.95
MILLISECONDS = 1000.0
NETWORK_MS = 10.0
USD_A_TRANSITION = 25 / 1_000_000
SIZES, QUICK_SIZES, LARGEST = (10, 50, 300), (10,), 5_000
_BATCH = 25


def measure_all(python: Path, progress: Progress, *, quick: bool) -> tuple[dict[str, Measurement], Growth]:
    """Bring a local cloud up and measure B1, B2, B9, B10, B11 and the ledger's growth in it."""
    with desk(progress) as cloud:
        progress("B1, B2: publishing through the shim")
        cloud.still_the_control(still=True)
        found = {"B1": _publishing(cloud, python, quick=quick), "B2": _troubled(cloud, python, quick=quick)}
        cloud.stack.access.sqs().purge_queue(QueueUrl=cloud.queue_url)
        cloud.still_the_control(still=False)
        progress("B9: from settled to verdict")
        cloud.run(10, "warm-up")
        found["B9"] = _verdicts(cloud, 1 if quick else 20)
        progress("B10, B11: runs of the workflow")
        found["B10"], found["B11"] = _runs(cloud, QUICK_SIZES if quick else SIZES, quick=quick)
        progress("B12: the ledger's daily query")
        return found, _ledger_growth(cloud, (1, 4, 8) if quick else (1, 10, 100, 1_000))


def _publishing(cloud: Desk, python: Path, *, quick: bool) -> Measurement:
    """Publish straight to the local cloud, which is what is judged, and with a network in front of it.

    In the local cloud the intake, and the run that it starts, share the publisher's processors, which on AWS they do not: so both
    are measured once more without them.
    """
    lines = [_shim_line("15 trades", _shim(cloud, python, "healthy", 2 if quick else 15), SHIM_LIMIT)]
    if not quick:
        with slow_road(cloud.stack.emulator.endpoint, NETWORK_MS) as slow, cloud.still_intake():
            alone = _shim(cloud, python, "alone", 15, is_followed=False)
            network = _shim(cloud, python, "network", 15, cloud_at=slow, is_followed=False)
        lines.append(_shim_line("the same, and nothing of the shadow runs beside", alone, None))
        lines.append(_shim_line(f"the same, with {NETWORK_MS:.0f} ms of network a call", network, None))
    return Measurement(tuple(lines))


def _shim_line(name: str, times: Mapping[str, list[float]], limit: float | None) -> Line:
    return timed(name, times["shim"], times["control"], limit, against="the control alone")


def _troubled(cloud: Desk, python: Path, *, quick: bool) -> Measurement:
    lines = []
    for trouble in (Trouble.HANGS,) if quick else Trouble:
        with faulty_endpoint(trouble) as endpoint:
            hangs = trouble is Trouble.HANGS
            times = _shim(cloud, python, trouble.value, 1 if quick else 9, endpoint=endpoint, laboratory=hangs)
        added = [(a - b) * MILLISECONDS for a, b in zip(times["shim"], times["control"], strict=True)]
        peer = times.get("laboratory")
        lines.append(
            Line(
                name=f"the endpoint {trouble.value}",
                unit="ms",
                ours=statistics.median(times["shim"]) * MILLISECONDS,
                peer=statistics.median(peer) * MILLISECONDS if peer else None,
                floor=statistics.median(times["control"]) * MILLISECONDS,
                figure=statistics.median(added),
                figure_unit="ms more",
                limit=BOUND_MS,
                against="the control alone",
                repetitions=len(added),
            )
        )
    return Measurement(tuple(lines))


def _shim(
    cloud: Desk,
    python: Path,
    name: str,
    turns: int,
    *,
    endpoint: str | None = None,
    cloud_at: str | None = None,
    laboratory: bool = False,
    is_followed: bool = True,
) -> dict[str, list[float]]:
    """Time publishing in a process of the peers' environment; `endpoint` stands in for the candidate's, `cloud_at` for all.

    `is_followed`: a run of the candidate follows, and is waited for.
    """
    stack = cloud.stack
    machine = stack.output("StateMachineArn")
    variables = dummy_environment(cloud_at or stack.emulator.endpoint, stack.emulator.token) | {
        "DUAL_PUBLISHING": "true",
        "SHADOW_INTAKE_QUEUE_URL": stack.output("IntakeQueueUrl"),
        "SHADOW_STAGE": STAGE,
        "PUBLISH_BOUND_MS": str(int(BOUND_MS)),
    }
    if endpoint is not None:
        variables |= {"AWS_ENDPOINT_URL_SFN": endpoint, "INTAKE_ENDPOINT": endpoint}
    options = {
        "turns": turns,
        "name": name,
        "runs_table": f"alchemiser-{STAGE}-execution-runs",
        "queue_url": cloud.queue_url,
        "plan_table": f"alchemiser-{STAGE}-rebalance-plans",
        "machine": machine,
        "healthy": endpoint is None and is_followed,
        "laboratory": laboratory,
    }
    answer = probe(python, "shim", options, variables)
    if not isinstance(answer, Mapping):
        raise TypeError(f"shim: expected an object, was {type(answer).__name__}")
    return {str(way): [float(seconds) for seconds in found] for way, found in answer.items()}


def _verdicts(cloud: Desk, count: int) -> Measurement:
    """Publish plans one after the other; time each verdict from the delivery of the last event that told of its lanes' ends."""
    delivery, beyond = [], []
    with DeliveryWatch(cloud.stack) as watch:
        for number in range(count):
            pair = cloud.run(15, f"verdict-{number}")
            stored = datetime.now(UTC)
            seen = watch.last_of(pair.plan_id)
            settled = max(cloud.execution_of(pair.plan_id).stopped, seen.control_ended)
            delivery.append((seen.arrived - settled).total_seconds())
            beyond.append((stored - seen.arrived).total_seconds())
    line = Line(
        name="15 trades",
        unit="s",
        ours=statistics.median(beyond) + statistics.median(delivery),
        floor=statistics.median(delivery),
        figure=percentile(beyond, P95),
        figure_unit="s beyond (p95)",
        limit=BEYOND_LIMIT,
        against="the event's delivery",
        spread=spread(beyond),
        repetitions=count,
    )
    return Measurement((line,), notes=(f"median {statistics.median(beyond):.2f} s, worst {max(beyond):.2f} s beyond delivery",))


def _runs(cloud: Desk, sizes: tuple[int, ...], *, quick: bool) -> tuple[Measurement, Measurement]:
    """Run plans of each size; the one of 50 (of 10 when quick) is also timed against its critical path, several times."""
    timed = sizes[0] if quick else 50
    walls, paths, costs = [], [], []
    for trades, turn in ((size, turn) for size in sizes for turn in range(_turns(is_timed=size == timed, quick=quick))):
        cloud.invocations()
        pair = cloud.run(trades, f"run-{trades}-{turn}", seconds=240)
        execution, calls = cloud.execution_of(pair.plan_id), cloud.invocations()
        if trades == timed:
            walls.append(execution.wall_seconds)
            paths.append(critical_path(execution, calls))
        if turn == 0:
            costs.append((trades, read_history(execution.history).transitions, candidate_cost(calls)))
    found = ratios(walls, paths)
    path = Line(
        name=f"{timed} trades",
        unit="s",
        ours=statistics.median(walls),
        floor=statistics.median(paths),
        figure=statistics.median(found),
        limit=PATH_LIMIT,
        against="the critical path",
        spread=spread(found),
        repetitions=len(found),
    )
    return Measurement((path,)), _cost(costs)


def _turns(*, is_timed: bool, quick: bool) -> int:
    return 3 if is_timed and not quick else 1


def _cost(costs: list[tuple[int, int, float]]) -> Measurement:
    """Lay the costs out. The transitions are the definition's; what the local cloud's history shows is told beside them."""
    per_trade = costs[-1][2] / costs[-1][0]
    lines = [_cost_line(trades, f"{milliseconds:,.0f} ms of Lambda") for trades, _, milliseconds in costs]
    lines.append(_cost_line(LARGEST, f"about {per_trade * LARGEST:,.0f} ms of Lambda, by the trade of the largest run"))
    constant = transitions(1, 1) - 4
    rates = (
        Line(
            "a further SELL",
            "transitions",
            transitions(2, 1) - transitions(1, 1),
            1.0 * (transitions(2, 1) - transitions(1, 1)),
            "a SELL",
            1.0,
        ),
        Line(
            "a further BUY",
            "transitions",
            transitions(1, 2) - transitions(1, 1),
            1.0 * (transitions(1, 2) - transitions(1, 1)),
            "a BUY",
            3.0,
        ),
    )
    notes = (
        f"constant: {constant} transitions a run; counted by walking the deployed definition, at all four sizes",
        "the emulator's history names no states inside a Map, so it shows fewer: "
        + ", ".join(f"{seen} for {trades} trades" for trades, seen, _ in costs),
        f"{LARGEST:,} trades are not run here: transitions from the definition (Distributed Maps), Lambda by proportion",
    )
    return Measurement((*rates, *lines), notes=notes)


def _cost_line(trades: int, milliseconds: str) -> Line:
    made = transitions(trades // 2, trades - trades // 2)
    usd = made * USD_A_TRANSITION
    return Line(
        f"{trades:,} trades",
        "transitions",
        made,
        made / trades,
        "a trade",
        against=f"{milliseconds}; {usd:.4f} USD",
        floor=trades,
    )


def _ledger_growth(cloud: Desk, sizes: tuple[int, ...]) -> Growth:
    """Time the query of a day with each number of pairs."""
    days = {size: date(2030, 1, 1) + timedelta(days=place) for place, size in enumerate(sizes)}
    for size, day in days.items():
        _fill_day(cloud, day, size)
    ledger = cloud.operator.ledger
    costs = []
    for size, day in days.items():
        times = in_turn({"ours": partial(ledger.pairs_of, day)}, 3 if size == sizes[-1] else 9)
        costs.append(min(times["ours"]))
    fitted = exponent(sizes[1:], costs[1:])
    return Growth("the ledger's daily query", "pairs", tuple(map(float, sizes)), tuple(costs), exponent=fitted)


def _fill_day(cloud: Desk, day: date, size: int) -> None:
    tables, name = cloud.stack.tables(), cloud.stack.output("PairLedgerTableName")
    items = []
    for number in range(size):
        plan = plan_of(15, f"day-{day}-{number}")
        pair = Pair(
            plan_id=plan.plan_id,
            run_id=run_id_of(plan.plan_id),
            correlation_id=plan.correlation_id,
            trading_day=day,
            published_at=plan.timestamp,
            trade_count=15,
            plan_json=plan.model_dump_json(),
        )
        items.append(pair_to_item(pair))
    for start in range(0, size, _BATCH):
        requests = [{"PutRequest": {"Item": item}} for item in items[start : start + _BATCH]]
        tables.batch_write_item(RequestItems={name: requests})  # type: ignore[dict-item] # as the service has it
