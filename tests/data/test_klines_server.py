"""The local venue: what it shows of a bar that forms, its clock, its script, its command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from itertools import pairwise

import httpx2
import pytest

from darwin.core.market import HOUR_MS, Bar, Bars
from darwin.testing.builders import make_bars
from darwin.testing.klines_page import forming
from darwin.testing.klines_server import KlinesServer
from tests.run.command import clean_environment


@pytest.fixture
def bars() -> Bars:
    return make_bars(50)


def asked(server: KlinesServer, **query: object) -> httpx2.Response:
    words = {"symbol": "BTCUSDT", "interval": "1h", **query}
    return httpx2.get(f"{server.url}/api/v3/klines", params=words)


def test_the_last_candle_forms_until_it_closes(bars):
    with KlinesServer([bars], start_bar=10) as server:
        seen = []
        for share in (0.0, 0.2, 0.5, 0.8, 1.0):
            server.now_ms = int(bars.time[10]) + int(share * HOUR_MS)
            rows = asked(server).json()
            *_, newest = (row for row in rows if row[0] <= bars.time[10])
            assert newest[0] == bars.time[10]
            assert newest[6] == bars.time[11] - 1
            seen.append([float(cell) for cell in newest[1:6]])
    whole = list(bars.row(10)[1:])
    assert seen[0] == [whole[0]] * 4 + [0.0]
    assert seen[-1] == whole
    assert len({tuple(each) for each in seen}) == 5
    for before, after in pairwise(seen):
        assert before[1] <= after[1] and before[2] >= after[2] and before[4] < after[4]
    for opened, high, low, close, _ in seen:
        assert whole[2] <= low <= min(opened, close) <= max(opened, close) <= high <= whole[1]


def test_a_forming_bar_ends_as_the_bar():
    bar = Bar(0, 10.0, 12.0, 9.0, 11.0, 30.0)
    assert forming(bar, 1.0) == bar
    assert forming(bar, 1 / 3) == Bar(0, 10.0, 10.0, 9.0, 9.0, 10.0)
    assert forming(bar, 0.5).close == 10.5


def test_a_page_is_cut_as_binance_cuts_it(bars):
    with KlinesServer([bars]) as server:
        times = lambda **query: [row[0] for row in asked(server, **query).json()]  # noqa: E731
        first, last = int(bars.time[5]), int(bars.time[9])
        assert times(startTime=first, endTime=last) == bars.time[5:10].tolist()
        assert times(startTime=first, limit=2) == bars.time[5:7].tolist()
        assert times(limit=2) == bars.time[-2:].tolist()
        assert times(startTime=last + 1, endTime=last + 2) == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"symbol": "NOSUCH"}, -1121),
        ({"interval": "1m"}, -1120),
        ({"limit": 1001}, -1130),
        ({"limit": 0}, -1130),
        ({"startTime": "now"}, -1100),
    ],
)
def test_what_binance_refuses_it_refuses(query, code, bars):
    with KlinesServer([bars]) as server:
        answer = asked(server, **query)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_it_remembers_who_asked_for_what_and_how_it_answered(bars):
    with KlinesServer([bars]) as server:
        server.faults += ["500", ""]
        server.outage(1_000, 2_000)
        server.now_ms = 1_500
        asked(server, limit=3)
        server.now_ms = 2_000
        asked(server, limit=4)
        httpx2.get(f"{server.url}/api/v3/time")
    told = [(each.now_ms, each.fault, each.query.get("limit")) for each in server.requests]
    assert told == [(1_500, "503", "3"), (2_000, "", "4"), (2_000, "", None)]
    assert [len(server.asked(word)) for word in ("klines", "time")] == [2, 1]
    assert server.requests[0].at_s <= server.requests[1].at_s


def test_its_clock_goes_on_by_itself(bars):
    with KlinesServer([bars], start_bar=0, speed=1e9) as server:
        while len(asked(server).json()) < 50:
            pass
        assert server.now_ms > bars.time[-1]


def begun(folder, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "darwin.testing.klines_server", *words],
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_as_a_command_it_serves_the_bars_of_a_config(tmp_path):
    market = {"provider": "synthetic", "symbols": ["BTC/USDT"], "timeframe": "1h", "bars": 90}
    tree = {"run_id": "x", "market": market, "playbooks": [{"name": "breakout"}]}
    (tmp_path / "config.json").write_text(json.dumps(tree))
    words = ("--config", "config.json", "--start-bar", "40", "--speed", "0", "--faults", "500")
    process = begun(tmp_path, *words)
    url = process.stdout.readline().strip()
    query = {"symbol": "BTCUSDT_SYNTH", "interval": "1h"}
    statuses = [httpx2.get(f"{url}/api/v3/klines", params=query) for _ in range(2)]
    assert [each.status_code for each in statuses] == [500, 200]
    assert len(statuses[1].json()) == 41
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("", "stopped\n")
    assert process.returncode == 130


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--config", "nosuch.json"), "nosuch.json"),
        (("--config", "config.json", "--start-bar", "500"), "there is no bar 500"),
        (("--config", "config.json", "--faults", "sulk"), "'sulk' is no fault"),
    ],
)
def test_a_command_that_cannot_be_meant_ends_with_2(words, what, tmp_path):
    market = {"provider": "synthetic", "symbols": ["BTC/USDT"], "timeframe": "1h", "bars": 90}
    tree = {"run_id": "x", "market": market, "playbooks": [{"name": "breakout"}]}
    (tmp_path / "config.json").write_text(json.dumps(tree))
    process = begun(tmp_path, *words)
    _, said = process.communicate()
    assert (process.returncode, len(said.splitlines()) <= 3) == (2, True)
    assert what in said
