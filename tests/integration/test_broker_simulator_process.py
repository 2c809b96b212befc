"""Business Unit: local cloud | Status: current.

The broker simulator as a process, steered over HTTP; loopback only.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path

import pytest

from local.broker_simulator import BrokerSimulator
from local.broker_simulator.client import SimulatorClient, SimulatorRefused, SimulatorUnreachable
from local.broker_simulator.values import Fault, FaultKind
from local.cloud.emulator_side.strangers import token_header
from shadow.contracts.vocabulary import Role
from tests.factories.broker import CLOSES, connect, order

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def simulator() -> Iterator[BrokerSimulator]:
    with BrokerSimulator(seed=5) as running:
        yield running


def test_every_control_does_over_http_what_it_does_in_the_process(simulator: BrokerSimulator) -> None:
    client = SimulatorClient(simulator.url, simulator.token)
    client.set_day(date(2026, 1, 6), CLOSES)
    client.set_clock(datetime(2026, 1, 6, 20, tzinfo=UTC), is_open=True)
    client.set_account(Role.CONTROL, cash=Decimal("5000.01"), multiplier=Decimal(1))
    client.set_positions(Role.CONTROL, {"AAPL": Decimal("2.5")})
    client.set_identity(Role.CANDIDATE, number="ANOTHER")
    client.set_asset("BRK.B", fractionable=False)
    client.set_spread(Decimal(20))
    client.set_fill_rule(1, "AAPL")
    client.set_rate_limit(200)
    client.add_fault(Fault(kind=FaultKind.REST, symbol="BRK.B"))
    control = connect(simulator, Role.CONTROL)
    control.submit(order("t-1", limit="187.40"))
    client.fill_open(Role.CONTROL, "AAPL")
    client.clear_faults()
    assert client.orders() == simulator.orders()
    assert [(o.client_order_id, o.status) for o in client.orders(Role.CONTROL)] == [("t-1", "filled")]
    assert client.orders(Role.CANDIDATE) == ()
    assert client.requests() == simulator.requests()
    assert client.account(Role.CONTROL) == simulator.account(Role.CONTROL)
    assert client.account(Role.CONTROL).cash == Decimal("5000.01") - Decimal("1.5") * Decimal("187.40")
    assert client.account(Role.CANDIDATE).number == "ANOTHER"
    client.reset(seed=9)
    assert client.orders() == ()


def call(
    simulator: BrokerSimulator, method: str, path: str, body: str = "", headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, object]]:
    connection = HTTPConnection(simulator.url.removeprefix("http://"), timeout=10)
    own = {**token_header(simulator.token), "Content-Type": "application/json"}
    connection.request(method, path, body, own if headers is None else dict(headers))
    response = connection.getresponse()
    found = json.loads(response.read())
    connection.close()
    return response.status, found


@pytest.mark.parametrize(
    ("operation", "body", "status", "words"),
    [
        ("POST /_sim/day", '{"day": "2026-01-06", "closes": {"AAPL": 1.5}}', 422, "closes.AAPL: expected"),
        ("POST /_sim/day", "{", 422, "SetDay"),
        ("POST /_sim/fault", '{"kind": "earthquake"}', 422, "kind: expected"),
        ("POST /_sim/fault", '{"kind": "rest", "often": 1}', 422, "often: expected"),
        ("POST /_sim/party", "{}", 404, "expected one of: day"),
        ("GET /_sim/party", "", 404, "no such view"),
        ("GET /_sim/orders/nobody", "", 404, "no such view"),
    ],
)
def test_a_command_that_makes_no_sense_is_told_why(
    simulator: BrokerSimulator, operation: str, body: str, status: int, words: str
) -> None:
    found = call(simulator, *operation.split(), body)
    assert found[0] == status
    assert words in str(found[1]["message"])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"x-amz-security-token": "guessed"}, 403),
        ({"Content-Type": "text/plain"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "rebound.example"}, 403),
    ],
    ids=repr,
)
@pytest.mark.parametrize("operation", ["POST /_sim/reset", "POST /_sim/account", "GET /_sim/orders"])
def test_no_page_steers_the_simulator(simulator: BrokerSimulator, operation: str, headers: dict[str, str], status: int) -> None:
    assert call(simulator, *operation.split(), "{}", headers)[0] == status
    page = {**token_header(simulator.token), **headers}
    if {"Origin", "Host"} & set(headers):
        assert call(simulator, *operation.split(), "{}", page)[0] == status


def test_no_page_reads_or_trades_at_the_simulators_broker_and_a_command_is_json(simulator: BrokerSimulator) -> None:
    keys = {"APCA-API-KEY-ID": "control-key", "APCA-API-SECRET-KEY": "control-secret"}
    for page in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "same-origin"}):
        assert call(simulator, "GET", "/v2/account", headers={**keys, **page})[0] == 403
    plain = {**token_header(simulator.token), "Content-Type": "text/plain"}
    assert call(simulator, "POST", "/_sim/reset", "{}", plain)[0] == 415
    assert call(simulator, "GET", "/_sim/health", headers={})[0] == 200


def test_the_client_tells_a_refusal_from_silence(simulator: BrokerSimulator) -> None:
    client = SimulatorClient(simulator.url, simulator.token)
    assert client.is_alive()
    with pytest.raises(SimulatorRefused, match="no such view"):
        client.look("party")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = SimulatorClient(f"http://127.0.0.1:{free.getsockname()[1]}", "", timeout=2)
        assert not nobody.is_alive()
        with pytest.raises(SimulatorUnreachable):
            nobody.orders()


def test_it_stops_at_once_even_while_an_answer_hangs(simulator: BrokerSimulator) -> None:
    simulator.add_fault(Fault(kind=FaultKind.HANG, seconds=600))
    connection = HTTPConnection(simulator.url.removeprefix("http://"), timeout=30)
    connection.request("GET", "/v2/clock")
    simulator.stop()
    with pytest.raises(OSError, match=r".*"):
        connection.getresponse()
    connection.close()


def test_it_runs_as_a_process_on_a_free_loopback_port(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    command = [sys.executable, "-m", "local.broker_simulator", "--port-file", str(port_file), "--seed", "4"]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own words
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        token = process.stdout.readline().strip().removeprefix("SHADOW_LOCAL_TOKEN=")
        assert url == f"http://127.0.0.1:{port_file.read_text().strip()}"
        client = SimulatorClient(url, token)
        client.set_day(date(2026, 1, 6), CLOSES)
        assert client.account(Role.CONTROL).cash == Decimal(100_000)
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0
        process.stdout.close()
