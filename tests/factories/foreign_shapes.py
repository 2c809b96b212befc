"""Executions of workflows that are none of ours, as the service tells them: each with another shape, and what was done in each.

The shapes are those of the service's own integrations: a function's answer below `Payload` beside its HTTP metadata, a nested
execution's output as a text, branches of a Parallel, iterations of a Map, a callback with a token, a Catch that writes beside.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

_BEGIN = datetime(2026, 11, 20, 20, 45, tzinfo=UTC)
_HTTP = {
    "AllHttpHeaders": {"Date": ["Fri, 20 Nov 2026 20:45:01 GMT"]},
    "HttpHeaders": {"Content-Length": "231"},
    "HttpStatusCode": 200,
}
Trade = tuple[str, str, str, str | None, str | None, str | None, str | None]
"""Symbol, side, status, planned amount, filled quantity, average price, order id: exactly, as texts."""


class History:
    """Writes a history event by event, each linked to the one before it or to another."""

    def __init__(self, given: object) -> None:
        """Begin an execution with its input."""
        self.events: list[dict[str, Any]] = []
        self.add("ExecutionStarted", before=0, executionStartedEventDetails={"input": json.dumps(given), "roleArn": "arn:r"})

    def add(self, kind: str, before: int | None = None, **details: object) -> int:
        """Add an event; gives its id."""
        number = len(self.events) + 1
        moment = (_BEGIN + timedelta(milliseconds=137 * number)).isoformat(timespec="milliseconds")
        link = number - 1 if before is None else before
        self.events.append({"timestamp": moment, "type": kind, "id": number, "previousEventId": link, **details})
        return number

    def state(self, kind: str, name: str, output: str, before: int | None = None) -> int:
        """Enter a state, and leave it with an output; gives the id of its exit."""
        self.add(f"{kind}StateEntered", before, stateEnteredEventDetails={"name": name, "input": "{}"})
        return self.leave(kind, name, output)

    def leave(self, kind: str, name: str, output: str, before: int | None = None) -> int:
        """Leave a state with an output; gives the id of its exit."""
        details = {"name": name, "output": output, "outputDetails": {"truncated": False}}
        return self.add(f"{kind}StateExited", before, stateExitedEventDetails=details)

    def ended(self, output: str) -> dict[str, Any]:
        """End the execution; gives what get-execution-history answers."""
        self.add("ExecutionSucceeded", executionSucceededEventDetails={"output": output, "outputDetails": {"truncated": False}})
        return {"events": self.events}


def invoked(payload: object) -> dict[str, object]:
    """Give what the integration of Lambda answers with a payload."""
    return {"ExecutedVersion": "$LATEST", "Payload": payload, "SdkHttpMetadata": _HTTP, "StatusCode": 200}


def answered(output: object) -> dict[str, Any]:
    """Give the history of an execution of one task."""
    text = output if isinstance(output, str) else json.dumps(output)
    history = History({"planId": "p"})
    history.state("Task", "Run", text)
    return history.ended(text)


@dataclass(frozen=True)
class Shape:
    """An execution, what was done in it, what its words mean, and what is to be changed of the draft by hand."""

    history: dict[str, Any]
    trades: tuple[Trade, ...]
    words: dict[str, str] = field(default_factory=dict)
    edits: dict[str, str] = field(default_factory=dict)


def _row(symbol: str, side: str, filled: str, **more: object) -> dict[str, object]:
    return {
        "symbol": symbol,
        "side": side,
        "status": "filled",
        "notional": "561.30",
        "filled_qty": filled,
        "avg_price": "187.10",
    } | {
        "order_id": f"o-{symbol}",
        **more,
    }


def _in_a_map() -> dict[str, Any]:
    """Each sector's trades come from one iteration, whose state stands in the history as often as there are sectors.

    The links are the service's: a later iteration is linked to the last state of the one before it, not to that one's end, and
    the Map's own exit to the end of the last one.
    """
    history, answers = History({}), []
    history.add("MapStateEntered", stateEnteredEventDetails={"name": "Each sector", "input": "{}"})
    last = ended = history.add("MapStateStarted", mapStateStartedEventDetails={"length": 2})
    for number, symbols in enumerate((("AAPL", "MSFT"), ("XOM",))):
        iteration = {"name": "Each sector", "index": number}
        started = history.add("MapIterationStarted", last, mapIterationStartedEventDetails=iteration)
        answers.append({"orders": [_row(symbol, "buy", "3") for symbol in symbols]})
        last = history.state("Task", "Trade a sector", json.dumps(answers[-1]), started)
        ended = history.add("MapIterationSucceeded", mapIterationSucceededEventDetails=iteration)
    history.add("MapStateSucceeded")
    history.leave("Map", "Each sector", json.dumps(answers), ended)
    told = json.dumps({"MessageId": "9f", "SdkHttpMetadata": _HTTP})
    history.state("Task", "Tell the desk", told)
    return history.ended(told)


_THREE = [_row("AAPL", "buy", "3"), _row("MSFT", "sell", "1.5"), _row("BRK.B", "buy", "0.000001")]
_DONE: tuple[Trade, ...] = (
    ("AAPL", "BUY", "COMPLETED", "561.30", "3", "187.10", "o-AAPL"),
    ("BRK.B", "BUY", "COMPLETED", "561.30", "0.000001", "187.10", "o-BRK.B"),
    ("MSFT", "SELL", "COMPLETED", "-561.30", "1.5", "187.10", "o-MSFT"),
)
_WORDS = {"buy": "BUY", "sell": "SELL", "filled": "COMPLETED"}
_NUMBERS = (
    '{"trades": [{"symbol": "AAPL", "side": 1, "status": 2, "orderId": 90071992547409931, "filled": 3.141592,'
    ' "avgPrice": 1.8733E2, "notional": 588.514429360000000123}, {"symbol": "MSFT", "side": 2, "status": 8, "orderId": 17,'
    ' "filled": -12.5, "avgPrice": null, "notional": -5014.0}]}'
)
SHAPES: dict[str, Shape] = {
    "a list of a function's answers": Shape(answered([invoked(row) for row in _THREE]), _DONE, _WORDS),
    "below the answer's payload": Shape(answered(invoked({"planId": "p", "results": _THREE})), _DONE, _WORDS),
    "a nested execution's output, which is a text": Shape(
        answered({"Name": "child", "Input": '{"a":1}', "Output": json.dumps({"fills": _THREE}), "StartDate": 1795207501234}),
        _DONE,
        _WORDS,
    ),
    "the body of an answer to HTTP, which is a text": Shape(
        answered({"statusCode": 200, "body": json.dumps({"orders": _THREE})}), _DONE, _WORDS
    ),
    "SELLs and BUYs in a list each": Shape(
        answered({"sells": _THREE[1:2], "buys": [_THREE[0], _THREE[2]], "asked": _THREE[:1]}),
        _DONE,
        _WORDS,
        {"# not read: asked[*], which looks like trades too": "# left: asked[*]"},
    ),
    "branches of a Parallel that answer otherwise": Shape(
        answered([{"sold": _THREE[1:2]}, {"bought": [_THREE[0], _THREE[2]]}, {"MessageId": "m"}]),
        _DONE,
        _WORDS,
        {'["[*].bought[*]", "[*].sold[*]"]': '["[1].bought[*]", "[0].sold[*]"]', '"[*].MessageId"': '"[2].MessageId"'},
    ),
    "an object of trades by symbol": Shape(
        answered({"orders": {str(row["symbol"]): {name: row[name] for name in row if name != "symbol"} for row in _THREE}}),
        _DONE,
        _WORDS,
    ),
    "iterations of a Map, and a mail at the end": Shape(
        _in_a_map(),
        tuple((symbol, "BUY", "COMPLETED", "561.30", "3", "187.10", f"o-{symbol}") for symbol in ("AAPL", "MSFT", "XOM")),
        _WORDS,
    ),
    "words, ids and amounts as JSON numbers": Shape(
        answered(_NUMBERS),
        (
            ("AAPL", "BUY", "COMPLETED", "588.514429360000000123", "3.141592", "187.33", "90071992547409931"),
            ("MSFT", "SELL", "FAILED", "-5014.0", "12.5", None, "17"),
        ),
        {"1": "BUY", "2": "SELL", "8": "FAILED"},
        {"[maps.status]": '[maps.status]\n"2" = "COMPLETED"', '"2" = ""\n"8"': '"8"'},
    ),
    "names with dots and brackets, words that differ in case": Shape(
        answered(
            [
                {"instr.symbol": symbol, "instr.side": side, "st[a]te": "x", "status": word, "order.qty": "9", "filled.qty": "3"}
                | {"avg.price": "187.10", "order.id": f"\u00e9 {symbol}", "notional": "561.30", "n*": 1}
                for symbol, side, word in (("AAPL", "Buy", "\u2705 Filled"), ("MSFT", "BUY", "FILLED"), ("TSLA", "buy", "filled"))
            ]
        ),
        tuple((each, "BUY", "COMPLETED", "561.30", "3", "187.10", f"\u00e9 {each}") for each in ("AAPL", "MSFT", "TSLA")),
        {"Buy": "BUY", "BUY": "BUY", "buy": "BUY", "\u2705 Filled": "COMPLETED", "FILLED": "COMPLETED", "filled": "COMPLETED"},
    ),
    "a Catch that writes beside the trade": Shape(
        answered(
            [
                _row("AAPL", "buy", "3"),
                {"symbol": "MSFT", "side": "sell", "notional": "561.30"}
                | {"error": {"Error": "Rejected", "Cause": '{"errorType": "NoShares", "trace": []}'}},
            ]
        ),
        (
            ("AAPL", "BUY", "COMPLETED", "561.30", "3", "187.10", "o-AAPL"),
            ("MSFT", "SELL", "FAILED", "-561.30", None, None, None),
        ),
        _WORDS,
        {
            'at = "status", map = "status"': 'at = "status", map = "status", when_absent = "caught"',
            "[maps.status]": '[maps.reason]\nNoShares = "BROKER_REJECTED"\n[maps.status]\ncaught = "FAILED"',
            'order_id = "order_id"': 'order_id = "order_id"\nreason = { at = "error.Cause.errorType", map = "reason" }',
            '"[*].error.Cause"': '"[*].error.Cause.trace*"',
        },
    ),
}
