"""Bars by ccxt: its binance class against the local venue, the same bars and the same refusals."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import ccxt
import pytest

from darwin.core.market import HOUR_MS, Bars, Timeframe
from darwin.data.ccxt_bars import CcxtClient, CcxtProvider, exchange_called
from darwin.data.files import digest
from darwin.errors import ConfigError, DataError, UnreachableError
from darwin.testing.builders import make_bars
from darwin.testing.klines_server import KlinesServer

HOUR = Timeframe.parse("1h")
BTC = "BTC/USDT"


@pytest.fixture
def bars() -> Bars:
    return make_bars(2500)


@pytest.fixture
def venue(bars: Bars) -> Iterator[KlinesServer]:
    with KlinesServer([bars]) as server:
        yield server


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def client(venue: KlinesServer, naps: list[float]) -> Iterator[CcxtClient]:
    exchange = ccxt.binance({"rateLimit": 1, "options": {"fetchMarkets": {"types": ["spot"]}}})
    exchange.urls["api"] = dict.fromkeys(exchange.urls["api"], f"{venue.url}/api/v3")
    client = CcxtClient(exchange, deadline_s=1_000, clock=lambda: sum(naps), sleep=naps.append)
    yield client
    client.close()


def test_the_bars_are_those_of_the_venue_bit_for_bit(client, venue, bars):
    got = client.closed(BTC, HOUR, int(bars.time[0]))
    assert digest(got) == digest(bars)
    assert len(venue.asked("klines")) == 3
    assert all(int(each.query["limit"]) <= 1000 for each in venue.asked("klines"))


def test_the_open_candle_is_left_out_by_the_clock_of_the_exchange(client, venue, bars):
    venue.now_ms = int(bars.time[101]) - 1
    since = int(bars.time[98])
    assert client.closed(BTC, HOUR, since).time.tolist() == bars.time[98:100].tolist()
    venue.now_ms += 1
    assert client.closed(BTC, HOUR, since).time.tolist() == bars.time[98:101].tolist()


def test_the_range_ends_before_until(client, bars):
    got = client.closed(BTC, HOUR, int(bars.time[5]), int(bars.time[9]))
    assert got.time.tolist() == bars.time[5:9].tolist()


def test_what_fails_for_a_moment_is_asked_again(client, venue, bars, naps):
    assert client.server_time_ms() == venue.now_ms
    client.closed(BTC, HOUR, int(bars.time[-2]))  # ccxt has read its markets
    venue.faults += ["503", "reset", "429"]
    got = client.closed(BTC, HOUR, int(bars.time[-5]), now_ms=venue.now_ms)
    assert len(got) == 5
    assert naps == [0.25, 0.5, 1.0]


def test_an_exchange_that_is_away_for_too_long_is_given_up(client, venue, naps):
    venue.outage(0, venue.now_ms + HOUR_MS)
    with pytest.raises(UnreachableError, match="binance gave no answer within 1000 s"):
        client.server_time_ms()
    assert 990 < sum(naps) < 1_000


@pytest.mark.parametrize(
    ("fault", "what"),
    [("duplicate", "is there twice"), ("crossed", "below max"), ("nan", "close is nan or empty")],
)
def test_the_same_checks_hold(fault, what, client, venue, bars):
    client.closed(BTC, HOUR, int(bars.time[-2]))
    venue.faults += [fault]
    with pytest.raises(DataError, match=what) as refusal:
        client.closed(BTC, HOUR, int(bars.time[-5]), now_ms=venue.now_ms)
    assert refusal.value.where.startswith("BTC/USDT 1h of binance")


def test_what_the_exchange_does_not_have_is_refused(client, bars):
    with pytest.raises(DataError, match="binance refused: BadSymbol") as refusal:
        client.closed("DOGE/USDT", HOUR, int(bars.time[0]))
    assert "DOGE/USDT" in refusal.value.where
    with pytest.raises(ConfigError, match="no bars of 7h"):
        client.closed(BTC, Timeframe.parse("7h"), 0)


def test_an_exchange_is_found_by_its_id_or_suggested():
    assert exchange_called("kraken").id == "kraken"
    with pytest.raises(ConfigError) as refusal:
        CcxtProvider("krakn", HOUR)
    assert refusal.value.mend == "did you mean 'kraken'?"
    with pytest.raises(ConfigError, match="no exchange called '__init__'"):
        exchange_called("__init__")


def test_a_missing_extra_is_said_with_its_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(ConfigError, match="needs the extra 'live', but ccxt is missing"):
        CcxtProvider("kraken", HOUR)
