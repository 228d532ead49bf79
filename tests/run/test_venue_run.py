"""A run over the bars of a venue is the run over the same bars from files, fact for fact."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from darwin.data.convert import bar_frame, write_whole
from darwin.testing.builders import make_bars
from darwin.testing.klines_server import KlinesServer
from tests.run.command import Desk

pytestmark = pytest.mark.slow

SYMBOLS = ["BTC/USDT", "ETH/USDT"]
MARKET = {"symbols": SYMBOLS, "timeframe": "1h", "bars": 10_000, "seed": 0, "edge": 0.0}


@pytest.fixture(scope="module")
def markets():
    return [
        replace(make_bars(2300, seed=seed, volatility=0.005), symbol=symbol)
        for seed, symbol in enumerate(SYMBOLS)
    ]


def ran(desk: Desk, run_id: str, **market: object) -> str:
    """Run over that market and return the export."""
    config = desk.config(f"{run_id}.json", run_id=run_id, market={**MARKET, **market})
    done = desk.darwin("run", config)
    assert done.returncode == 0, done.stderr
    return desk.export(run_id)


def manifest(desk: Desk, run_id: str) -> dict:
    return json.loads((desk.run_dir(run_id) / "manifest.json").read_text())


def test_the_ledger_is_that_of_the_same_bars_from_files(desk, markets):
    for bars in markets:
        name = bars.symbol.replace("/", "")
        write_whole(bar_frame(bars), desk.folder / f"{name}-1h.parquet")
    from_files = ran(desk, "one", provider="files", path=".")
    with KlinesServer(markets) as server:
        server.faults += ["429", "reset", "500"]
        from_venue = ran(desk, "two", provider="klines", base_url=server.url)
        assert all(int(each.query["limit"]) <= 1000 for each in server.asked("klines"))
    assert len(desk.trades("one")) > 20
    assert from_venue.replace('"two"', '"one"') == from_files
    one, two = manifest(desk, "one"), manifest(desk, "two")
    assert [each["sha256"] for each in one["data"]] == [each["sha256"] for each in two["data"]]
    assert two["data"][0]["source"] == f"klines of {server.url[7:]}, BTC/USDT 1h"


def test_start_and_end_cut_the_range_and_the_rest_is_not_read(desk, markets):
    with KlinesServer(markets) as server:
        ran(
            desk, "cut", provider="klines", base_url=server.url, path="data/", exchange="kraken",
            start="2024-01-11", end="2024-03-01",
        )  # fmt: skip
    assert desk.metrics("cut")["bars"] == 2 * 50 * 24
    notes = json.dumps(manifest(desk, "cut")) + json.dumps(desk.metrics("cut"))
    assert "The provider 'klines' does not read market.exchange, market.path." in notes


def test_a_venue_that_refuses_ends_the_run_with_3(desk, markets):
    with KlinesServer(markets) as server:
        config = desk.config(market={**MARKET, "provider": "klines", "base_url": server.url})
        server.faults += ["", "451"]
        done = desk.darwin("run", config)
        assert (done.returncode, len(done.stderr.splitlines())) == (3, 3)
        assert "refused with HTTP 451" in done.stderr
        nothing = {"market.start": "2025-01-01"}
        done = desk.darwin("run", config, *(f"--set={k}={v}" for k, v in nothing.items()))
    assert done.returncode == 3
    assert "there is no closed bar of BTC/USDT from 2025-01-01 00:00Z on" in done.stderr


@pytest.mark.parametrize(
    ("market", "says"),
    [
        ({"provider": "klines", "base_url": "ftp://x"}, "market.base_url is no URL of a venue"),
        ({"provider": "klines", "base_url": "http://a:b@c"}, "market.base_url holds a user"),
        ({"provider": "ccxt"}, "market.exchange is required by market.provider 'ccxt'"),
        ({"provider": "ccxt", "exchange": "../x"}, "market.exchange is no exchange of ccxt"),
    ],
)
def test_a_venue_that_cannot_be_meant_ends_with_2(market, says, desk):
    done = desk.darwin("config", "check", desk.config(market={**MARKET, **market}))
    assert done.returncode == 2, done
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 3
