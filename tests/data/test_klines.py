"""The client for klines against a local venue: pages, clocks, paces, faults, refusals."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from darwin.core.market import HOUR_MS, Bars, Timeframe
from darwin.data.candles import MOST_CANDLES
from darwin.data.files import digest
from darwin.data.klines import KlinesClient, KlinesProvider
from darwin.data.throttle import Window
from darwin.errors import ConfigError, DataError, UnreachableError
from darwin.testing.builders import make_bars
from darwin.testing.klines_server import KlinesServer

HOUR = Timeframe.parse("1h")
BTC = "BTC/USDT"


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now, self.naps = 0.0, []

    def clock(self) -> float:
        return self.now

    def sleep(self, wait_s: float) -> None:
        self.naps.append(wait_s)
        self.now += wait_s


@pytest.fixture
def bars() -> Bars:
    return make_bars(2500)


@pytest.fixture
def venue(bars: Bars) -> Iterator[KlinesServer]:
    with KlinesServer([bars]) as server:
        yield server


@pytest.fixture
def fake() -> FakeTime:
    return FakeTime()


@pytest.fixture
def client(venue: KlinesServer, fake: FakeTime) -> Iterator[KlinesClient]:
    """Its waits take no time."""
    client = KlinesClient(venue.url, clock=fake.clock, sleep=fake.sleep)
    yield client
    client.close()


def closed(client: KlinesClient, venue: KlinesServer, since_ms: int = 0) -> Bars:
    return client.closed(BTC, HOUR, since_ms, now_ms=venue.now_ms)


def test_a_long_history_comes_in_pages_and_bit_for_bit(client, venue, bars):
    got = client.closed(BTC, HOUR, 0)
    assert digest(got) == digest(bars)
    assert got.symbol == BTC
    asked = venue.asked("klines")
    assert [int(each.query["startTime"]) for each in asked] == [0, *bars.time[[1000, 2000]]]
    assert {each.query["limit"] for each in asked} == {str(MOST_CANDLES)}


def test_a_range_begins_with_since_and_ends_before_until(client, venue, bars):
    between = client.closed(BTC, HOUR, int(bars.time[10]), int(bars.time[20]))
    assert between.time.tolist() == bars.time[10:20].tolist()
    inside = client.closed(BTC, HOUR, int(bars.time[10]) + 1, int(bars.time[20]) + 1)
    assert inside.time.tolist() == bars.time[11:21].tolist()
    assert venue.asked("klines")[-1].query["startTime"] == str(bars.time[11])
    assert len(client.closed(BTC, HOUR, int(bars.time[-1]) + HOUR_MS)) == 0


def test_a_candle_counts_from_its_close_by_the_clock_of_the_venue(client, venue, bars):
    since = int(bars.time[98])
    for moment, count in ((-1, 2), (0, 3), (HOUR_MS - 1, 3)):
        venue.now_ms = int(bars.time[101]) + moment
        got = client.closed(BTC, HOUR, since)
        assert got.time.tolist() == bars.time[98 : 98 + count].tolist()
        assert got.row(count - 1) == bars.row(98 + count - 1)


def test_no_request_is_sent_for_what_cannot_have_closed(client, venue, bars):
    venue.now_ms = int(bars.time[100]) + HOUR_MS // 2
    assert len(client.closed(BTC, HOUR, int(bars.time[100]), now_ms=venue.now_ms)) == 0
    assert venue.requests == []


def test_weeks_begin_on_monday(venue):
    week = make_bars(5, timeframe="1w", start="2024-01-01")  # a Monday
    with KlinesServer([week]) as server:
        client = KlinesClient(server.url)
        since = int(week.time[0]) - 3
        assert client.closed(BTC, week.timeframe, since).time.tolist() == week.time.tolist()
        client.close()


@pytest.mark.parametrize("fault", ["429", "500", "503", "reset", "cut"])
def test_what_fails_for_a_moment_is_asked_again(fault, client, venue, fake, bars):
    venue.faults += ["", fault, fault]
    assert digest(client.closed(BTC, HOUR, 0)) == digest(bars)
    assert fake.naps == [0.25, 0.5]
    assert [each.fault for each in venue.requests[:4]] == ["", fault, fault, ""]


def test_a_venue_that_hangs_is_left_and_asked_again(venue, bars):
    client = KlinesClient(venue.url, timeout_s=0.05)
    venue.faults += ["hang"]
    assert len(closed(client, venue, int(bars.time[-10]))) == 10
    assert [each.fault for each in venue.requests] == ["hang", ""]
    client.close()


def test_a_venue_says_how_long_to_wait_and_is_obeyed_within_reason(client, venue, fake):
    venue.faults += ["429:7", "503:9999"]
    assert client.server_time_ms() == venue.now_ms
    assert fake.naps == [7.0, 30.0]


def test_one_deadline_ends_all_tries(client, venue, fake):
    venue.faults += ["500"] * 1000
    with pytest.raises(UnreachableError, match=r"gave no answer within 60 s .* last: HTTP 500"):
        client.server_time_ms()
    assert 50 < fake.now < 60
    assert len(venue.requests) == len(fake.naps) + 1


def test_who_is_told_to_wait_beyond_the_deadline_gives_up_at_once(venue, fake):
    client = KlinesClient(venue.url, deadline_s=5, clock=fake.clock, sleep=fake.sleep)
    venue.faults += ["429:6"]
    with pytest.raises(UnreachableError):
        client.server_time_ms()
    assert fake.naps == []
    client.close()


def test_an_answer_that_trickles_is_no_answer(venue):
    ticks = itertools.count(step=20)  # each look at the clock finds it 20 s later
    client = KlinesClient(venue.url, clock=lambda: next(ticks), sleep=lambda wait_s: None)
    with pytest.raises(UnreachableError, match="the answer came too slowly"):
        client.server_time_ms()
    client.close()


def test_generated_prices_are_known_as_such():
    with KlinesServer([replace(make_bars(5), symbol="BTC/USDT:SYNTH")]) as server:
        client = KlinesClient(server.url)
        assert client.closed("BTC/USDT:SYNTH", HOUR, 0).synthetic
        assert client.closed("BTCUSDT_SYNTH", HOUR, 0).synthetic
        assert KlinesProvider(server.url, HOUR).bars("BTCUSDT_SYNTH").synthetic
        assert {each.query["symbol"] for each in server.asked("klines")} == {"BTCUSDT_SYNTH"}
        client.close()


def test_a_provider_ends_all_symbols_at_one_instant(bars):
    with KlinesServer([bars, replace(bars, symbol="ETH/USDT")], start_bar=100) as server:
        provider = KlinesProvider(server.url, HOUR)
        first = provider.bars("BTC/USDT")
        server.now_ms += 5 * HOUR_MS
        assert provider.bars("ETH/USDT").time.tolist() == first.time.tolist()
        assert len(provider.bars("BTC/USDT")) == 100


def test_nobody_at_home_is_no_endless_wait(fake):
    with KlinesServer([make_bars(3)]) as server:
        url = server.url
    client = KlinesClient(url, clock=fake.clock, sleep=fake.sleep)
    with pytest.raises(UnreachableError, match="refused"):
        client.server_time_ms()
    client.close()


@pytest.mark.parametrize("status", ["400", "401", "403", "404", "418", "451", "302"])
def test_a_refusal_is_one_error_and_no_second_try(status, client, venue, fake):
    venue.faults += [status]
    with pytest.raises(DataError, match=f"refused with HTTP {status}: HTTP {status} as") as refusal:
        closed(client, venue)
    assert not isinstance(refusal.value, UnreachableError)
    assert refusal.value.exit_code == 3
    assert len(refusal.value.lines()) == 3
    assert (len(venue.requests), fake.naps) == (1, [])


def test_a_symbol_that_the_venue_does_not_know_is_named(client):
    with pytest.raises(DataError, match=r"Invalid symbol\.") as refusal:
        client.closed("DOGE/USDT", HOUR, 0)
    assert "symbol=DOGEUSDT" in refusal.value.where


SPOILT = {
    "truncated": ("is no JSON", "klines"),
    "html": ("is no JSON", "klines"),
    "huge": ("larger than 16 MiB", "klines"),
    "object": ("is no array", "BTC/USDT 1h of 127.0.0.1"),
    "duplicate": ("2024-04-14 03:00Z is there twice", "row 501, column 'timestamp'"),
    "backwards": ("2024-01-01 00:00Z came, which was not asked for", "row 1, column 'timestamp'"),
    "half": ("2024-04-14 03:00Z ended early", "row 500, column 'close time'"),
    "nan": ("close 'NaN' is no number", "row 500, column 'close'"),
    "crossed": ("is below max(open", "row 1, column 'high'"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_an_answer_that_nobody_should_trade_on_is_refused(fault, client, venue, fake, bars):
    what, where = SPOILT[fault]
    venue.faults += [fault]
    with pytest.raises(DataError) as refusal:
        closed(client, venue, int(bars.time[2000]))
    assert what in refusal.value.what
    assert where in refusal.value.where
    assert refusal.value.exit_code == 3
    assert "\x1b" not in str(refusal.value)
    assert len(venue.requests) == 1 and fake.naps == []


def test_pages_that_go_back_are_an_error_and_no_endless_loop(client, venue):
    venue.faults += ["", "backwards"]
    with pytest.raises(DataError, match="not asked for"):
        closed(client, venue)
    assert len(venue.requests) == 2


def test_no_candle_is_no_error(client, venue):
    venue.faults += ["empty"]
    assert len(closed(client, venue)) == 0


def test_a_gap_is_left_as_it_is(client, venue, bars):
    venue.faults += ["gap"]
    assert len(closed(client, venue, int(bars.time[2000]))) == 499


def test_half_a_candle_said_to_have_closed_is_not_handed_out(client, venue, bars):
    venue.now_ms = int(bars.time[101]) - HOUR_MS // 4
    venue.faults += ["half"]
    got = closed(client, venue, int(bars.time[98]))
    assert got.time.tolist() == bars.time[98:100].tolist()


BAD_ROWS = {
    "off the grid": ([[HOUR_MS + 1, 1, 1, 1, 1, 1]], "is no multiple of 1h", "timestamp"),
    "a time as text": ([["0", 1, 1, 1, 1, 1]], "is no time in ms", "timestamp"),
    "too short": ([[0, 1, 1, 1, 1]], "is no candle", "row 1"),
    "no row": ([7], "7 is no candle", "row 1"),
    "beyond floats": ([[0, 1, "1e999", 1, 1, 1]], "high is inf", "high"),
    "true": ([[0, 1, 1, True, 1, 1]], "low True is no number", "low"),
    "with underscores": ([[0, "1_0", 1, 1, 1, 1]], "open '1_0' is no number", "open"),
    "nothing": ([[0, 1, 1, 1, None, 1]], "close None is no number", "close"),
    "free": ([[0, 0, 0, 0, 0, 1]], "open 0.0 is not above zero", "open"),
    "less than no volume": ([[0, 1, 1, 1, 1, "-1"]], "volume -1.0 is negative", "volume"),
    "in the wrong order": (
        [[HOUR_MS, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1]],
        "comes after 1970-01-01 01:00Z",
        "row 2",
    ),
    "too many": ([[k * HOUR_MS, 1, 1, 1, 1, 1] for k in range(1001)], "1,001 candles came", ""),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_each_rule_names_row_and_column(name):
    from darwin.data.candles import Request, closed_pages

    rows, what, where = BAD_ROWS[name]
    wanted = Request("a venue", BTC, HOUR, 0, None, 10_000 * HOUR_MS)
    with pytest.raises(DataError) as refusal:
        list(closed_pages(wanted, lambda first, last: rows))
    assert what in refusal.value.what
    assert where in refusal.value.where
    assert refusal.value.where.startswith("BTC/USDT 1h of a venue")


def test_an_outage_lasts_as_long_as_the_clock_says(client, venue, bars, fake):
    venue.outage(int(bars.time[50]), int(bars.time[60]))
    venue.now_ms = int(bars.time[55])
    with pytest.raises(UnreachableError):
        client.server_time_ms()
    venue.now_ms = int(bars.time[60])
    assert len(client.closed(BTC, HOUR, int(bars.time[40]))) == 20


def test_more_than_the_pace_waits_and_is_not_refused(venue, fake):
    client = KlinesClient(venue.url, requests_per_minute=3, clock=fake.clock, sleep=fake.sleep)
    for expected in ([], [], [], [60.0], [60.0]):
        client.server_time_ms()
        assert fake.naps == expected
    assert len(venue.requests) == 5
    client.close()


def test_waiting_for_the_pace_does_not_count_as_no_answer(venue, fake):
    client = KlinesClient(
        venue.url, requests_per_minute=1, deadline_s=5, clock=fake.clock, sleep=fake.sleep
    )
    venue.faults += ["500", "500"]
    assert client.server_time_ms() == venue.now_ms
    assert fake.naps == [0.25, 59.75, 0.5, 59.5]
    client.close()


def test_the_window_slides():
    fake = FakeTime()
    window = Window(2, fake.clock, fake.sleep)
    passed = []
    for gap in (0, 10, 0, 0, 100, 0, 0):
        fake.now += gap
        window.wait()
        passed.append(fake.now)
    assert passed == [0, 10, 60, 70, 170, 170, 230]
    assert all(b - a >= 60 for a, b in zip(passed, passed[2:], strict=False))


def test_symbols_share_one_pace(fake):
    twins = [make_bars(10), replace(make_bars(10), symbol="ETH/USDT")]
    with KlinesServer(twins) as server:
        client = KlinesClient(server.url, requests_per_minute=2, clock=fake.clock, sleep=fake.sleep)
        for symbol in ("BTC/USDT", "ETH/USDT", "BTC/USDT"):
            client.closed(symbol, HOUR, 0, now_ms=server.now_ms)
        assert fake.naps == [60.0]
        assert [r.query["symbol"] for r in server.requests] == ["BTCUSDT", "ETHUSDT", "BTCUSDT"]
        client.close()


def test_threads_queue_for_the_window():
    fake = FakeTime()
    window = Window(5, fake.clock, fake.sleep)
    threads = [threading.Thread(target=window.wait) for _ in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert fake.naps == [60.0] * 3


BAD_URLS = {
    "ftp://venue.example": "is no URL",
    "venue.example": "is no URL",
    "http://": "is no URL",
    "http://venue.example:port": "is no URL",
    "http://venue.example/a b": "is no URL",
    "http://ada:secret@venue.example": "holds a user",
    "https://venue.example?key=secret": "ends in a query",
    "https://venue.example#x": "ends in a query",
}


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_bad_url_is_refused_and_not_repeated(url):
    with pytest.raises(ConfigError, match=BAD_URLS[url]) as refusal:
        KlinesClient(url)
    assert "secret" not in str(refusal.value)


def test_a_timeframe_that_no_venue_has_is_refused(client, venue):
    with pytest.raises(ConfigError, match="7h"):
        client.closed(BTC, Timeframe.parse("7h"), 0)
    with pytest.raises(ConfigError, match="no symbol"):
        client.closed("btc&limit=5", HOUR, 0)
    assert venue.requests == []


@pytest.mark.parametrize("name", ["httpx2", "stamina"])
def test_a_missing_extra_is_said_with_its_mend(name, venue, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=f"needs the extra 'live', but {name} is missing") as said:
        KlinesClient(venue.url).server_time_ms()
    assert '".[live]"' in said.value.mend


def test_bars_are_not_to_be_written_to(client, bars):
    got = client.closed(BTC, HOUR, int(bars.time[-3]))
    with pytest.raises(ValueError, match="read-only"):
        got.close[0] = np.nan
