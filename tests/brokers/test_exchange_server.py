"""The scripted exchange as others meet it: over HTTP, and from the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from darwin.brokers.exchange_answers import read, read_fill
from darwin.brokers.exchange_names import Names
from darwin.core.market import HOUR_MS, Bar
from darwin.testing.exchange_api import Exchange
from darwin.testing.exchange_faults import KINDS
from darwin.testing.exchange_server import ExchangeServer
from tests.brokers.venue_runs import an_exchange

ENTRY = {"client_id": "a", "symbol": "S", "side": "buy", "type": "market", "quantity": 2.0}
STOP = {"client_id": "b", "symbol": "S", "side": "sell", "type": "stop", "quantity": 2.0,
        "price": 95.0, "reduce_only": True, "group": "g"}  # fmt: skip
TARGET = STOP | {"client_id": "c", "type": "limit", "price": 105.0}


@pytest.fixture
def exchange() -> Exchange:
    return an_exchange()


@pytest.fixture
def http(exchange: Exchange) -> Iterator[httpx2.Client]:
    with ExchangeServer(exchange) as server, httpx2.Client(base_url=server.url) as client:
        yield client


def a_bar(time: int, open_: float, high: float, low: float, close: float) -> Bar:
    return Bar(time * HOUR_MS, open_, high, low, close, 1.0)


def test_a_bracket_lives_from_entry_to_exit(exchange, http):
    exchange.bar("S", a_bar(0, 100, 101, 99, 100), HOUR_MS)
    assert http.post("/v1/orders", json=ENTRY).json()["status"] == "open"
    exchange.open("S", 100.0)
    for order in (STOP, TARGET):
        assert http.post("/v1/orders", json=order).json()["status"] == "open"
    assert http.get("/v1/positions").json() == {"positions": [{"symbol": "S", "units": 2.0}]}
    exchange.bar("S", a_bar(1, 100, 106, 94, 100), HOUR_MS)  # touches both: the stop comes first
    fills = http.get("/v1/fills").json()["fills"]
    assert [(f["client_id"], f["units"], f["time"]) for f in fills] == [
        ("a", 2.0, HOUR_MS), ("b", 2.0, HOUR_MS),
    ]  # fmt: skip
    assert [f["price"] for f in fills] == pytest.approx([100.02, 94.981])
    assert [f["fee_usd"] for f in fills] == pytest.approx([200.04 * 5e-4, 189.962 * 5e-4])
    assert http.get("/v1/orders/c").json()["status"] == "cancelled"
    assert http.get("/v1/positions").json() == {"positions": []}
    assert http.get("/v1/time").json() == {"now_ms": 2 * HOUR_MS}


@pytest.mark.parametrize(
    ("order", "status"),
    [
        (ENTRY, 409),
        (ENTRY | {"client_id": "x", "quantity": -1}, 400),
        (ENTRY | {"client_id": "x", "price": 3.0}, 400),
        (STOP | {"price": None}, 400),
        (ENTRY | {"client_id": "x", "side": "up"}, 400),
        ({}, 400),
    ],
)
def test_what_is_no_order_is_refused(exchange, http, order: dict[str, Any], status: int):
    http.post("/v1/orders", json=ENTRY).raise_for_status()
    answer = http.post("/v1/orders", json=order)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert len(exchange.market.taken) == 1


def test_it_logs_every_request_with_its_fault(exchange, http):
    exchange.fault("rate limit", on="GET /v1/time", retry_after_s=2)
    answer = http.get("/v1/time")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    http.get("/v1/nothing?a=1")
    told = [(r.line, r.query, r.fault, r.done, r.status) for r in exchange.requests]
    assert told == [
        ("GET /v1/time", {}, "rate limit", False, 429),
        ("GET /v1/nothing", {"a": "1"}, "", False, 404),
    ]


def test_bars_and_faults_can_be_handed_over_by_http(exchange, http):
    bar = {"symbol": "S", "length_ms": HOUR_MS, **a_bar(0, 100, 101, 99, 100)._asdict()}
    assert http.post("/v1/admin/bar", json=bar).json() == {"now_ms": HOUR_MS}
    http.post("/v1/admin/open", json={"symbol": "S", "price": 100.0}).raise_for_status()
    http.post("/v1/admin/fault", json={"kind": "lost", "on": "POST"}).raise_for_status()
    with pytest.raises(httpx2.RemoteProtocolError):
        http.post("/v1/orders", json=ENTRY)
    assert http.get("/v1/orders/a").json()["status"] == "filled"
    http.post("/v1/admin/trade", json={"symbol": "S", "units": -2.0}).raise_for_status()
    assert http.get("/v1/positions").json() == {"positions": []}
    for bad in ({"kind": "gremlin"}, {"kind": "lost", "colour": 1}):
        answer = http.post("/v1/admin/fault", json=bad)
        assert answer.status_code == 400
        assert "exchange knows no fault" in answer.text or "has no field" in answer.text
    assert http.post("/v1/admin/bar", json={}).status_code == 400
    assert http.post("/v1/orders", content=b"{").status_code == 400


def test_from_the_command_line_it_says_where_it_listens_and_what_it_can_do():
    words = [sys.executable, "-m", "darwin.testing.exchange_server"]
    helped = subprocess.run([*words, "--help"], capture_output=True, text=True, check=True)
    assert [kind for kind in KINDS if kind not in helped.stdout] == []
    with subprocess.Popen([*words, "--port", "0"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        assert httpx2.get(f"{url}/v1/time").json() == {"now_ms": 0}
        port = url.rsplit(":", 1)[1]
        taken = subprocess.run(
            [*words, "--port", port], capture_output=True, text=True, check=False
        )
        assert taken.returncode == 2
        assert taken.stderr.startswith(f"error: cannot listen on port {port}: ")
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0


def test_a_client_id_is_a_function_of_run_candidate_purpose_and_number():
    one, other = Names("run-1"), Names("run-2")
    ids = {
        names.of(candidate, purpose, number)
        for names in (one, other)
        for candidate in (0, 2**64 - 1)
        for purpose in ("entry", "stop", "target", "close")
        for number in (1, 2, 99)
    }
    assert len(ids) == 48
    assert max(map(len, ids)) <= 36
    name = one.read(one.of(2**64 - 1, "stop", 2))
    assert name == (2**64 - 1, "stop", 2)
    assert other.read(one.of(1, "stop")) is None
    assert one.read("") is None


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "1e999", '"7"', "true", "null"])
@pytest.mark.parametrize("field", ["units", "price", "fee_usd", "trade_id", "time"])
def test_a_number_that_is_none_is_no_answer(field: str, bad: str):
    fill = {"trade_id": 1, "client_id": "a", "symbol": "S", "side": "buy", "units": 1.0,
            "price": 2.0, "fee_usd": 0.0, "time": 3}  # fmt: skip
    assert read_fill(read(json.dumps(fill).encode())).units == 1.0
    body = json.dumps(fill | {field: "?"}).replace('"?"', bad)
    with pytest.raises((ValueError, TypeError)):
        read_fill(read(body.encode()))
