"""Business Unit: examples | Status: current.

The one function of the example's workflow: it sizes every order on a quote of its own and writes down a fill at that quote. It
sends no order. `DEFECT` names one of six defects for the tests.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TypedDict

SHARE_STEP = Decimal("0.000001")
Row = dict[str, object]
Rows = list[Row]


class Request(TypedDict):
    """What the lane file makes of a plan: whose it is, and its orders."""

    request: dict[str, str]
    orders: list[dict[str, str]]


def lambda_handler(event: Request, context: object) -> dict[str, object]:
    """Execute a request, SELLs first, and answer with what became of each order."""
    del context
    started = _now()
    orders = sorted(event["orders"], key=lambda order: order["side"] != "sell")
    rows = [_executed(number, order) for number, order in enumerate(orders)]
    DEFECTS.get(os.environ.get("DEFECT", ""), lambda _: None)(rows)
    return {
        "request": event["request"],
        "run_status": "ok" if all(row["order_status"] == "filled" for row in rows) else "partial",
        "timing": {"started_at": started, "finished_at": _now()},
        "order_results": rows,
        "debug": {"host": "orders-v2"},
    }


def _executed(number: int, order: dict[str, str]) -> Row:
    sent = _now()
    quote = _quote(order["ticker"])
    quantity = (Decimal(order["target_usd"]) / quote).quantize(SHARE_STEP, rounding=ROUND_HALF_EVEN)
    return {
        "client_ref": f"ref-{number}",
        "ticker": order["ticker"],
        "side": order["side"],
        "order_status": "filled",
        "error": None,
        "target_usd": order["target_usd"],
        "requested_qty": str(quantity),
        "quote_usd": str(quote),
        "filled_qty": str(quantity),
        "avg_fill_price": str(quote),
        "broker_order_id": f"{sent}-{number}",
        "sent_at": sent,
        "done_at": _now(),
        "latency_ms": 12,
    }


def _quote(symbol: str) -> Decimal:
    """Give the middle between bid and ask, USD a share."""
    keys = {"APCA-API-KEY-ID": os.environ["BROKER_KEY"], "APCA-API-SECRET-KEY": os.environ["BROKER_SECRET"]}
    request = urllib.request.Request(f"{os.environ['BROKER_DATA']}/v2/stocks/{symbol}/quotes/latest", headers=keys)  # noqa: S310 - the broker's address is configured
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - as above
        quote = json.loads(answer.read(), parse_float=Decimal, parse_int=Decimal)["quote"]
    return Decimal(quote["bp"] + quote["ap"]) / 2


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def _last(rows: Rows, **changes: object) -> None:
    rows[-1].update(changes)


DEFECTS: dict[str, Callable[[Rows], object]] = {
    "lost trade": lambda rows: rows.pop(),
    "trade that nobody asked for": lambda rows: rows.append(rows[-1] | {"ticker": "IBM", "client_ref": "ref-99"}),
    "trade made twice": lambda rows: rows.append(dict(rows[-1])),
    "another amount": lambda rows: _last(rows, target_usd="1"),
    "too many shares": lambda rows: _last(rows, requested_qty="40000", filled_qty="40000"),
    "rejection": lambda rows: _last(
        rows, order_status="rejected", error={"code": "REJECTED"}, filled_qty=None, avg_fill_price=None, broker_order_id=None
    ),
}
