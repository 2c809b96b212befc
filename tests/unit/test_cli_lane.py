"""The command says what a lane file reads of an execution, what it misses, and writes a first draft of one."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from shadow.aws.clients import text_of
from shadow.cli.operations import lane as app
from shadow.lanes.paths import written
from tests.factories.foreign_lane import LANE_FILE, answer_of, execution_of
from tests.factories.foreign_shapes import SHAPES, History, Shape, answered
from tests.fakes.plans import plan_of
from tests.strategies.policies import TEXT

PLAN = plan_of(AAPL="-600", GOOG="1000")


def history_of(folder: Path, name: str, **row: object) -> Path:
    answer = answer_of(PLAN)
    answer["Payload"]["order_results"][0].update(row)
    describe, events = execution_of(answer)
    path = folder / name
    path.write_text(
        json.dumps(
            {"events": [*events[:-1], events[-1] | {"executionSucceededEventDetails": {"output": describe["output"]}}]},
            default=str,
        )
    )
    return path


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    return result.exit_code, result.output


def with_examples(folder: Path, *examples: Path) -> Path:
    expect = folder / "expect.json"
    expect.write_text(json.dumps({"status": "COMPLETED"}))
    tables = "".join(f'[[examples]]\ninput = "{path.name}"\nexpect = "expect.json"\n' for path in examples)
    file = folder / "lane.toml"
    file.write_text(LANE_FILE + tables)
    return file


def whole(folder: Path) -> list[Path]:
    words = [
        {"order_status": "rejected", "error": {"code": "REJECTED"}},
        {"order_status": "refused", "error": {"code": "EQ_LIMIT"}},
        {"order_status": "skipped"},
    ]
    return [history_of(folder, f"{number}.json", **row) for number, row in enumerate(words)]


def test_the_lane_file_of_the_examples_reads_its_own_examples_and_hits_every_word() -> None:
    folder = Path(__file__).parents[2] / "examples" / "own_workflow"
    assert run("check", folder / "lane.toml", "--history", folder / "filled.json")[0] == 0
    assert len((folder / "lane.toml").read_text().splitlines()) <= 60


def test_examples_must_hit_every_word_of_every_map(tmp_path: Path) -> None:
    file = with_examples(tmp_path, *whole(tmp_path))
    code, text = run("check", file)
    assert code == 1
    assert "maps.run_status.error: no example has this word" in text
    assert "trade_status" not in text

    file.write_text(file.read_text().replace(', error = "FAILED"', ""))
    assert run("check", file)[0] == 0


@pytest.mark.parametrize("text", ["", "[1]", '{"status": "COMPLETED"'])
def test_what_an_example_expects_is_a_json_object_or_the_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = with_examples(tmp_path, *whole(tmp_path)[:1])
    (tmp_path / "expect.json").write_text(text)
    refused = CliRunner().invoke(app, ["check", str(file)])
    assert "expect.json: expected a JSON object" in str(refused.exception)


def test_an_example_that_is_read_otherwise_than_it_expects_is_told_by_its_field(tmp_path: Path) -> None:
    file = with_examples(tmp_path, *whole(tmp_path))
    (tmp_path / "expect.json").write_text(json.dumps({"status": "FAILED"}))
    code, text = run("check", file)
    assert code == 1
    assert "outcome.status: expected 'FAILED', was 'COMPLETED'" in text


def test_what_a_history_has_and_the_file_does_not_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "lane.toml"
    file.write_text(LANE_FILE)
    code, text = run("check", file, "--history", history_of(tmp_path, "h.json", fee_usd="0.01", order_status="half"), "--json")
    answer: Any = json.loads(text)
    assert code == 1
    assert any("order_status: expected a word of trade_status" in fault for fault in answer["faults"])
    assert any("fee_usd: neither read nor listed as unread" in fault for fault in answer["faults"])
    assert [trade["symbol"] for trade in answer["read"]["trades"]] == ["GOOG"]


def test_a_draft_guesses_fields_by_name_and_lists_what_is_left(tmp_path: Path) -> None:
    code, text = run("draft", "--history", history_of(tmp_path, "h.json"))
    assert code == 0
    lane = tomllib.loads(text)
    assert lane["trades"]["root"] == "Payload.order_results[*]"
    assert lane["trades"]["symbol"] == "ticker"
    assert lane["trades"]["action"] == {"at": "side", "map": "action"}
    assert lane["trades"]["filled_quantity"] == "filled_qty"
    assert lane["maps"]["action"] == {"buy": "", "sell": ""}
    assert lane["run"]["status"] == {"at": "Payload.run_status", "map": "run_status"}
    assert lane["input"]["trade"]["symbol"] == "symbol"
    assert "Payload.order_results[*].latency_ms" in lane["unread"]["ignore"]


def test_a_draft_takes_the_list_in_whose_rows_most_fields_are_found(tmp_path: Path) -> None:
    history = history_of(tmp_path, "h.json", instrument={"code": "GOOG"})
    events = json.loads(history.read_text())["events"]
    body = json.loads(events[-1]["executionSucceededEventDetails"]["output"])["Payload"]
    for row in body["order_results"]:
        del row["ticker"]
    output = json.dumps({"Legs": [{"symbol": "SPY"}], "Payload": body})
    history.write_text(
        json.dumps({"events": [*events[:-1], events[-1] | {"executionSucceededEventDetails": {"output": output}}]})
    )
    lane = tomllib.loads(run("draft", "--history", history)[1])
    assert lane["trades"]["root"] == "Payload.order_results[*]"
    assert lane["trades"]["symbol"] == "instrument.code"


def test_a_history_in_reverse_order_gives_the_same_draft_and_check(tmp_path: Path) -> None:
    history = history_of(tmp_path, "h.json")
    backwards = tmp_path / "backwards.json"
    backwards.write_text(json.dumps({"events": json.loads(history.read_text())["events"][::-1]}))
    assert run("draft", "--history", backwards) == run("draft", "--history", history)


def test_moments_of_the_older_aws_cli_are_read_as_those_of_the_newer_one(tmp_path: Path) -> None:
    history, file = history_of(tmp_path, "h.json"), tmp_path / "lane.toml"
    file.write_text(LANE_FILE)
    newer = run("check", file, "--history", history)
    events = json.loads(history.read_text())["events"]
    dated = [event | {"timestamp": datetime.fromisoformat(event["timestamp"]).timestamp()} for event in events]
    history.write_text(json.dumps({"events": dated}))
    assert run("check", file, "--history", history) == newer
    assert "timestamp" not in newer[1]


def test_a_draft_is_toml_whatever_the_names_and_words_are(tmp_path: Path) -> None:
    strange = {"\U0001f680": "1", 'a"b\\c': "2", "\x7f\t": "3", "a.b[c]'d\"": "4", "order_status": "\u2705 \U0001f680"}
    lane = tomllib.loads(run("draft", "--history", history_of(tmp_path, "h.json", **strange))[1])
    assert {written("Payload.order_results[*]", name) for name in list(strange)[:4]} <= set(lane["unread"]["ignore"])
    assert "\u2705 \U0001f680" in lane["maps"]["status"]


def test_a_draft_of_an_execution_without_trades_says_what_was_not_found(tmp_path: Path) -> None:
    history = history_of(tmp_path, "h.json")
    events = json.loads(history.read_text())["events"]
    events[-1]["executionSucceededEventDetails"] = {"output": json.dumps({"Payload": {"order_results": []}})}
    history.write_text(json.dumps({"events": events}))
    code, text = run("draft", "--history", history)
    assert code == 0
    assert "not found: the path of the list of trades" in text
    assert '# symbol = ""  # not found' in text
    assert tomllib.loads(text)["trades"]["root"] == ""


def test_a_history_that_is_cut_short_is_said_to_be(tmp_path: Path) -> None:
    history, file = history_of(tmp_path, "h.json"), tmp_path / "lane.toml"
    file.write_text(LANE_FILE)
    history.write_text(json.dumps({"events": json.loads(history.read_text())["events"][:-1]}))
    result = CliRunner().invoke(app, ["draft", "--history", str(history)])
    assert "expected an execution that succeeded, with its output; it is RUNNING" in str(result.exception)
    code, text = run("check", file, "--history", history, "--json")
    assert code == 1
    assert any("wait until it has ended, and fetch all pages" in fault for fault in json.loads(text)["faults"])


@pytest.mark.parametrize(
    ("words", "told"),
    [('buy = "BUY"', "no word for SELL"), ('buy = "BUY", long = "BUY", sell = "SELL"', "the words buy, long for BUY")],
)
def test_a_side_that_the_input_has_no_single_word_for_is_told_before_a_plan_is_refused(
    tmp_path: Path, words: str, told: str
) -> None:
    file = tmp_path / "lane.toml"
    file.write_text(LANE_FILE.replace('buy = "BUY", sell = "SELL"', words))
    code, text = run("check", file, "--json")
    assert code == 1
    assert any(fault.startswith(f"input.trade.side: maps.side has {told}") for fault in json.loads(text)["faults"])


@pytest.mark.parametrize("text", ["", "[]", '{"events": []}', '{"events": [1]}'])
def test_a_file_that_is_no_history_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "h.json"
    path.write_text(text)
    result = CliRunner().invoke(app, ["draft", "--history", str(path)])
    assert "h.json" in str(result.exception)


def test_a_field_that_evidence_has_only_redacted_is_told_before_a_plan_is_published(tmp_path: Path) -> None:
    file = tmp_path / "lane.toml"
    text = LANE_FILE.replace('"broker_order_id"', '"order.token"').replace("[maps]", '[trades.own]\ndesk = "accountId"\n[maps]')
    file.write_text(text)
    faults = json.loads(run("check", file, "--json")[1])["faults"]
    assert [fault.partition(":")[0] for fault in faults if "[redacted]" in fault] == ["trades.order_id", "trades.own.desk"]


def test_a_field_that_every_pair_must_have_and_the_file_does_not_read_is_told_before_a_plan_is_published(tmp_path: Path) -> None:
    file, policy = tmp_path / "lane.toml", tmp_path / "policy.toml"
    file.write_text(LANE_FILE.replace('decision_price = "quote_usd"\n', "").replace('order_id = "broker_order_id"\n', ""))

    def asked_for(*options: object) -> list[str]:
        faults = json.loads(run("check", file, "--json", *options)[1])["faults"]
        return [fault.partition(":")[0] for fault in faults if "INCOMPLETE" in fault]

    assert asked_for() == ["trades.decision_price", "trades.order_id"]
    policy.write_text(
        re.sub(r"(\[evidence\.declared\].*?)completed = [^\n]*", r'\1completed = ["order_id"]', TEXT, flags=re.DOTALL)
    )
    assert asked_for("--policy", policy) == ["trades.order_id"]


def test_an_entry_of_the_policy_that_the_file_has_no_field_for_is_named(tmp_path: Path) -> None:
    file, policy = tmp_path / "lane.toml", tmp_path / "policy.toml"
    file.write_text(LANE_FILE.replace("[maps]", '[trades.own]\nvenue = "venue"\n[maps]'))
    policy.write_text(TEXT + '[own.venue]\nrule = "exact"\n[own.fee]\nrule = "exact"\n')
    code, told = run("check", file, "--policy", policy, "--json")
    assert code == 1
    assert [fault for fault in json.loads(told)["faults"] if "own" in fault] == [
        f"{policy}: own.fee: the policy compares it, and {file} has no such field"
    ]


def finished(draft: str, shape: Shape) -> str:
    """Finish a draft as a reader of it would: say what its words mean, and change what it says is not there."""
    for old, new in shape.edits.items():
        assert old in draft, f"{old} is not in\n{draft}"
        draft = draft.replace(old, new, 1)
    return re.sub(
        r'^("[^"\n]*") = ""', lambda word: f'{word[1]} = "{shape.words[json.loads(word[1])]}"', draft, flags=re.MULTILINE
    )


@pytest.mark.parametrize("name", SHAPES)
def test_a_finished_draft_reads_every_trade_exactly_and_leaves_nothing_unseen(tmp_path: Path, name: str) -> None:
    shape = SHAPES[name]
    history = tmp_path / "h.json"
    history.write_text(json.dumps(shape.history))
    code, draft = run("draft", "--history", history)
    file = tmp_path / "lane.toml"
    file.write_text(finished(draft, shape))
    answer: Any = json.loads(run("check", file, "--history", history, "--json")[1])
    names = ("symbol", "action", "status", "planned_amount", "filled_quantity", "average_price", "order_id")
    read = [tuple(trade[name] for name in names) for trade in answer["read"]["trades"]]
    assert (code, sorted(read)) == (0, sorted(shape.trades))
    assert [fault for fault in answer["faults"] if not fault.startswith(("trades.", "maps."))] == []


def drafted(folder: Path, history: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    path = folder / "h.json"
    path.write_text(json.dumps(history))
    code, text = run("draft", "--history", path)
    assert code == 0
    return text, tomllib.loads(text)


def test_a_draft_makes_the_input_as_this_execution_was_given_it(tmp_path: Path) -> None:
    rows = [
        {"ticker": symbol, "side": side, "usd": {"amount": "100.5"}, "account": "paper", "retry": False, "cap": 0.5}
        for symbol, side in (("AAPL", "buy"), ("MSFT", "sell"))
    ]
    history = History({"request": {"planId": "p"}, "mode": "shadow", "orders": rows})
    output = json.dumps(SHAPES["a list of a function's answers"].history)
    history.state("Task", "Run", output)
    text, lane = drafted(tmp_path, history.ended(output))
    assert lane["input"] == {
        "request.planId": "plan_id",
        "trades": "orders",
        "trade": {
            "ticker": "symbol",
            "side": {"from": "action", "map": "input_action"},
            "usd.amount": {"from": "trade_amount", "form": "absolute"},
        },
    }
    assert lane["maps"]["input_action"] == {"buy": "", "sell": ""}
    for given in ('"mode" = { value = "shadow" }', '"account" = { value = "paper" }', '"retry" = { value = false }', '"cap"'):
        assert f"# {given}" in text


def test_a_draft_says_that_results_in_s3_are_not_read_and_that_another_list_has_trades_too(tmp_path: Path) -> None:
    written_away = {"MapRunArn": "arn:m", "ResultWriterDetails": {"Bucket": "b", "Key": "k/manifest.json"}}
    text, lane = drafted(tmp_path, answered(written_away))
    assert "the results are in S3 (ResultWriter), which is not read" in text
    assert lane["trades"]["root"] == ""
    text = drafted(tmp_path, SHAPES["branches of a Parallel that answer otherwise"].history)[0]
    assert "# not there: [0].bought, [2].bought, [1].sold, [2].sold. Of a Parallel take each branch" in text
    assert "# not there" not in drafted(tmp_path, SHAPES["iterations of a Map, and a mail at the end"].history)[0]
    odd = {
        "sells": [{"sym": "MSFT", "side": "sell", "state": "done"}],
        "buys": [{"ticker": "AAPL", "side": "buy", "status": "ok"}],
    }
    text, lane = drafted(tmp_path, answered(odd))
    assert lane["trades"]["root"] == "buys[*]"
    assert "# not read: sells[*], which looks like trades too" in text


def test_times_that_are_numbers_or_name_no_zone_are_drafted_so(tmp_path: Path) -> None:
    row = {"symbol": "AAPL", "side": "buy", "status": "ok", "sent_at": 1795207501.5, "filled_at": 1795207501234}
    trades = drafted(tmp_path, answered([row]))[1]["trades"]
    assert trades["started_at"] == {"at": "sent_at", "form": "epoch_seconds"}
    assert trades["completed_at"] == {"at": "filled_at", "form": "epoch_milliseconds"}
    naive = drafted(tmp_path, answered([row | {"filled_at": "2026-11-20T20:45:00"}]))[1]["trades"]
    assert naive["completed_at"] == {"at": "filled_at", "zone": ""}
    mixed = [row | {"filled_at": "2026-11-20T20:45:00Z"}, row | {"symbol": "MSFT"}]
    assert drafted(tmp_path, answered(mixed))[1]["trades"]["completed_at"] == "filled_at"


def test_a_value_that_is_not_written_down_is_drafted_as_quantity_times_price(tmp_path: Path) -> None:
    row = {"symbol": "AAPL", "side": "buy", "status": "ok", "filled_qty": "3", "avg_price": "2"}
    assert drafted(tmp_path, answered([row]))[1]["trades"]["value"]["else"] == "filled_quantity * average_price"
    assert drafted(tmp_path, answered([row | {"filled_usd": "6"}]))[1]["trades"]["value"] == "filled_usd"


@pytest.mark.parametrize(("told", "value"), [("null", None), ("absent", ...)])
def test_what_can_stand_in_for_a_value_that_is_not_there_is_said(tmp_path: Path, told: str, value: object) -> None:
    file, history = tmp_path / "lane.toml", history_of(tmp_path, "h.json", order_status=None)
    file.write_text(LANE_FILE)
    if value is ...:
        history.write_text(history.read_text().replace('\\"order_status\\": null, ', ""))
    faults = json.loads(run("check", file, "--history", history, "--json")[1])["faults"]
    place = f"order_status: expected a value, was {told} (when_{told} says what it means where that is usual)"
    assert [fault for fault in faults if fault.endswith(place)]


def test_a_draft_takes_the_trades_and_not_the_fills_inside_of_them(tmp_path: Path) -> None:
    fill = {"qty": "1", "price": "2", "order_id": "o", "id": "f", "value": "2", "filled_at": "2026-11-20T20:45:00Z"}
    lane = drafted(tmp_path, answered([{"symbol": "AAPL", "side": "buy", "status": "ok", "fills": [fill, fill]}]))[1]
    assert lane["trades"]["root"] == "[*]"
    assert "[*].fills[*].qty" in lane["unread"]["ignore"]


def test_an_object_whose_names_could_be_symbols_is_gone_through_where_trades_stand_under_them(tmp_path: Path) -> None:
    rows = [{"symbol": "AAPL", "side": "buy", "status": "ok"}]
    assert (
        drafted(tmp_path, answered({"RESULT": {"orders": rows}, "META": {"HOST": "a"}}))[1]["trades"]["root"]
        == "RESULT.orders[*]"
    )
    lane = drafted(tmp_path, answered({"AAPL": {"side": "buy", "status": "ok"}, "BRK.B": {"side": "sell", "status": "ok"}}))[1]
    assert (lane["trades"]["root"], lane["trades"]["symbol"]) == ("{*}", "{*}")


@pytest.mark.parametrize("name", ["", "a..b", "a[", "{*}", '"'])
def test_a_name_that_is_no_path_by_itself_is_drafted_quoted_wherever_it_stands(tmp_path: Path, name: str) -> None:
    lane = drafted(tmp_path, answered({"AAPL": {"side": "buy", "status": "ok", name: 1}}))[1]
    assert written("{*}", name) in lane["unread"]["ignore"]


def test_a_value_that_cannot_be_a_field_is_not_guessed_to_be_it(tmp_path: Path) -> None:
    row = {"symbol": "AAPL", "side": "buy", "status": "ok", "price": {"currency": "USD", "limit": "187.1"}, "qty": "about 3"}
    rows = [row | {"filled_at": 12345, "id": "batch-7"}, row | {"symbol": "MSFT", "id": "batch-7"}]
    lane = drafted(tmp_path, answered(rows))[1]
    assert lane["trades"]["average_price"] == "price.limit"
    assert not {"asked_quantity", "completed_at", "key"} & lane["trades"].keys()


@pytest.mark.parametrize(
    ("details", "told"),
    [
        ({}, "its output is not in the file, or is cut off there: fetch it with --include-execution-data"),
        ({"output": '{"a', "outputDetails": {"truncated": True}}, "its output is not in the file, or is cut off there"),
        ({"output": '"done"', "outputDetails": {"truncated": False}}, 'its output is "done"'),
    ],
)
def test_an_output_that_is_not_whole_is_told_with_what_to_do(tmp_path: Path, details: dict[str, object], told: str) -> None:
    history = answered({})
    history["events"][-1]["executionSucceededEventDetails"] = details
    path = tmp_path / "h.json"
    path.write_text(json.dumps(history))
    result = CliRunner().invoke(app, ["draft", "--history", str(path)])
    assert told in str(result.exception)


def test_a_planned_amount_whose_sign_is_not_its_sides_is_told_before_every_sell_differs(tmp_path: Path) -> None:
    file, history = tmp_path / "lane.toml", tmp_path / "h.json"
    shape = SHAPES["a list of a function's answers"]
    history.write_text(json.dumps(shape.history))
    draft = run("draft", "--history", history)[1]
    file.write_text(finished(draft.replace(', sign_from = "action"', ""), shape))
    faults = json.loads(run("check", file, "--history", history, "--json")[1])["faults"]
    (told,) = [fault for fault in faults if "sign_from" in fault]
    assert "trades.planned_amount: expected less than zero for a SELL, was 561.30 (MSFT)" in told


def test_no_example_is_asked_for_a_word_that_the_input_alone_has(tmp_path: Path) -> None:
    file = tmp_path / "lane.toml"
    file.write_text(
        LANE_FILE.replace('from = "action", map = "side"', 'from = "action", map = "out"').replace(
            "[maps]", '[maps]\nout = { long = "BUY", short = "SELL" }'
        )
    )
    faults = json.loads(run("check", file, "--json")[1])["faults"]
    assert not any("maps.out" in fault for fault in faults)
    assert any("maps.side.buy: no example has this word" in fault for fault in faults)


def test_a_mark_of_the_order_of_bytes_that_some_editors_write_is_no_part_of_a_file(tmp_path: Path) -> None:
    file, history = tmp_path / "lane.toml", history_of(tmp_path, "h.json")
    file.write_text(LANE_FILE)
    plain = run("check", file, "--history", history)
    for path in (file, history):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert run("check", file, "--history", history) == plain
    assert text_of("LANE_FILE_PATH", str(file)) == LANE_FILE


def test_the_run_and_each_trade_are_shown_field_by_field_with_what_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "lane.toml"
    file.write_text(
        LANE_FILE.replace(
            "[trades]", 'failed_trades = "failed"\ntotal_trades = "all"\n[run.own]\nhost = "debug.host"\n[trades]', 1
        ).replace("[maps]", '[trades.own]\nvenue = "venue"\n[maps]')
    )
    text = run(
        "check", file, "--history", history_of(tmp_path, "h.json", quote_usd=None, filled_usd="999.5", venue="X", client_ref=None)
    )[1]
    shown = {line.strip().partition(": ")[0]: line.partition(": ")[2] for line in text.splitlines() if line.startswith("  ")}
    assert shown["run"].endswith("own.host a")
    assert "status COMPLETED, started_at 20" in shown["run"]
    lines = text.splitlines()
    missing = {line.strip().partition(": ")[0]: lines[at + 1].strip() for at, line in enumerate(lines) if line.startswith("  ")}
    assert missing["run"] == "not there: failed_trades, total_trades"
    first, second = sorted(name for name in shown if name.isupper())
    of_changed, of_other = (first, second) if "own.venue X" in shown[first] else (second, first)
    assert "value 999.5, order_id b-0" in shown[of_changed]
    assert missing[of_changed] == "not there: key, reason, decision_price"
    assert missing[of_other] == "not there: reason, own.venue"
