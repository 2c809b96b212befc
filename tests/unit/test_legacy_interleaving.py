"""Records that run at the same time: what holds whatever the order, and the one thing that does not (the breaker)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from threading import Condition, Thread, current_thread

from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.broker.port import OrderRejected
from shadow.contracts.control_records import DetailType, LegacyRunStatus, LegacyTradeStatus, RunItem, TradeItem
from shadow.contracts.plan import TradeMessage
from shadow.contracts.vocabulary import Side
from tests.fakes.legacy import World
from tests.fakes.plans import plan_of


class Interleaver:
    """Runs jobs in threads of which exactly one moves, from one table access to the next; `choose` says which."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self._turn = Condition()
        self._waiting: list[str] = []
        self._chosen: str | None = None
        self._alive = 0

    def pause(self) -> None:
        """Hand over, and go on when chosen."""
        me = current_thread().name
        with self._turn:
            self._waiting.append(me)
            self._elect()
            while self._chosen != me:
                assert self._turn.wait(timeout=10)
            self._chosen = None
            self._waiting.remove(me)

    def run(self, jobs: Sequence[Callable[[], None]]) -> None:
        self._alive = len(jobs)
        threads = [Thread(target=self._one, args=(job,), name=f"{n:03}", daemon=True) for n, job in enumerate(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
            assert not thread.is_alive()

    def _one(self, job: Callable[[], None]) -> None:
        try:
            job()
        finally:
            with self._turn:
                self._alive -= 1
                self._elect()

    def _elect(self) -> None:
        if self._chosen is None and self._waiting and len(self._waiting) == self._alive:
            self._chosen = sorted(self._waiting)[self._choose(len(self._waiting))]
            self._turn.notify_all()


def work_together(world: World, choose: Callable[[int], int]) -> None:
    """Work the queue in rounds: everything that is on it at once runs at once."""
    taken = 0
    while taken < len(world.queue.sent):
        batch = world.queue.sent[taken:]
        taken += len(batch)
        interleaver = Interleaver(choose)
        world.store.pause = interleaver.pause
        messages = [TradeMessage.parse_json(record.body) for record in batch]
        interleaver.run([partial(world.parts().assemble().process, message) for message in messages])
        world.store.pause = lambda: None


def is_ended(trade: TradeItem) -> bool:
    return trade.status in (LegacyTradeStatus.COMPLETED, LegacyTradeStatus.FAILED)


def sums_of(trades: list[TradeItem], side: Side, status: LegacyTradeStatus) -> Decimal:
    return sum((abs(t.trade_amount) for t in trades if t.action is side and t.status is status), Decimal(0))


def counted(trades: list[TradeItem], run: RunItem) -> RunItem:
    """The run as its counters ought to be, going by its items."""
    return run.model_copy(
        update={
            "completed_trades": sum(map(is_ended, trades)),
            "succeeded_trades": sum(t.status is LegacyTradeStatus.COMPLETED for t in trades),
            "failed_trades": sum(t.status is LegacyTradeStatus.FAILED for t in trades),
            "skipped_trades": 0,
            "sell_completed": sum(is_ended(t) and t.action is Side.SELL for t in trades),
            "buy_completed": sum(is_ended(t) and t.action is Side.BUY for t in trades),
            "sell_failed_amount": sums_of(trades, Side.SELL, LegacyTradeStatus.FAILED),
            "sell_succeeded_amount": sums_of(trades, Side.SELL, LegacyTradeStatus.COMPLETED),
            "cumulative_buy_succeeded_value": sums_of(trades, Side.BUY, LegacyTradeStatus.COMPLETED),
        }
    )


NAMES = ("AAPL", "KO", "MSFT", "PEP", "V", "WMT")


@settings(deadline=None, max_examples=60)
@given(
    amounts=st.lists(st.integers(-900, 900).filter(bool), min_size=1, max_size=6),
    failing=st.sets(st.sampled_from(NAMES)),
    equity=st.integers(500, 5000),
    seed=st.integers(0, 2**32),
)
def test_whatever_the_order_counters_equal_items_and_one_call_ends_the_run(
    amounts: list[int], failing: set[str], equity: int, seed: int
) -> None:
    world = World()
    world.broker.equity = Decimal(equity)
    world.broker.refusals = {symbol: [OrderRejected("no")] * 3 for symbol in failing}
    planned = {name: str(amount) for name, amount in zip(NAMES, amounts, strict=False)}
    published = world.publisher().publish(plan_of(**planned))
    work_together(world, random.Random(seed).randrange)
    run, trades = world.store.runs[published.run_id], list(world.store.trades.values())

    assert run == counted(trades, run)
    assert len(world.bus.of(DetailType.ALL_TRADES_COMPLETED)) == (run.status is LegacyRunStatus.COMPLETED)
    assert len(world.bus.of(DetailType.WORKFLOW_FAILED)) == (run.status is LegacyRunStatus.FAILED)
    assert len(world.bus.of(DetailType.TRADE_EXECUTED)) == run.completed_trades
    assert run.status in (LegacyRunStatus.COMPLETED, LegacyRunStatus.FAILED)
    if run.sell_failed_amount > Decimal(500):
        assert run.buy_completed == 0
    else:
        assert all(map(is_ended, trades))


def test_buys_that_run_together_overshoot_the_limit_because_the_breaker_reads_and_then_acts() -> None:
    world = World()
    world.broker.equity = Decimal(1000)
    published = world.publisher().publish(plan_of(**dict.fromkeys(NAMES, "400")))
    turn = iter(range(10_000))
    work_together(world, lambda ready: next(turn) % ready)
    run = world.store.runs[published.run_id]
    assert run.cumulative_buy_succeeded_value == Decimal(2400) > run.max_equity_limit_usd
    assert run.status is LegacyRunStatus.COMPLETED


def test_one_after_the_other_they_do_not() -> None:
    world = World()
    world.broker.equity = Decimal(1000)
    run = world.run_all(plan_of(**dict.fromkeys(NAMES, "400")))
    assert run.cumulative_buy_succeeded_value == Decimal(800)
    assert not world.broker.of("MSFT")
