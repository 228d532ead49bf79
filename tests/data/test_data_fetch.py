"""`darwin data fetch`, from outside: new files, files that go on, and what must not be mixed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from darwin.core.market import HOUR_MS, Bars, Timeframe
from darwin.data.files import FilesProvider, digest, read_bars
from darwin.testing.builders import make_bars
from darwin.testing.klines_server import KlinesServer
from tests.run.command import clean_environment

HOUR = Timeframe.parse("1h")
PAGES_AT_ONCE = 20_000  # bars, after which the file is written


@pytest.fixture
def bars() -> Bars:
    return make_bars(2500)


@pytest.fixture
def venue(bars: Bars) -> Iterator[KlinesServer]:
    with KlinesServer([bars, replace(make_bars(30, seed=5), symbol="ETH/USDT")]) as server:
        yield server


def words(venue: KlinesServer, *more: object) -> list[object]:
    return ["data", "fetch", "BTC/USDT", "--since", "2024-01-01", "--base-url", venue.url, *more]


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_new_file_holds_the_bars_of_the_venue(form, tmp_path, darwin, venue, bars):
    folder = tmp_path / "new" / "data"
    ended = darwin(*words(venue, "-o", folder, "--format", form))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        f"BTC/USDT 1h: 2,500 bars came, 2,500 in {folder}/BTCUSDT-1h.{form}, "
        "2024-01-01 00:00Z to 2024-04-14 03:00Z, 0 gaps\n"
    )
    assert [path.name for path in folder.iterdir()] == [f"BTCUSDT-1h.{form}"]
    assert FilesProvider(folder, HOUR).digest("BTC/USDT") == digest(bars)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_it_goes_on_after_the_last_bar_of_the_file(form, tmp_path, darwin, venue, bars):
    venue.now_ms = int(bars.time[1500]) + HOUR_MS // 2
    assert "1,500 bars came" in darwin(*words(venue, "-o", tmp_path, "--format", form)).out
    venue.requests.clear()
    replaced = (tmp_path / f"BTCUSDT-1h.{form}").stat().st_ino
    venue.now_ms = int(bars.time[-1]) + HOUR_MS
    ended = darwin(*words(venue, "-o", tmp_path))
    assert "1,000 bars came, 2,500 in" in ended.out
    assert venue.asked("klines")[0].query["startTime"] == str(bars.time[1499])
    path = tmp_path / f"BTCUSDT-1h.{form}"
    assert digest(read_bars(path, "BTC/USDT", HOUR)[0]) == digest(bars)
    assert path.stat().st_ino != replaced  # put in place whole, not written into
    before = path.stat().st_mtime_ns
    assert "0 bars came, 2,500 in" in darwin(*words(venue, "-o", tmp_path)).out
    assert path.stat().st_mtime_ns == before


def test_several_symbols_and_json(tmp_path, darwin, venue, bars):
    venue.faults += ["", "", "", "", "gap"]
    ended = darwin(*words(venue, "ETH/USDT", "-o", tmp_path, "--until", "2024-03-01", "--json"))
    assert ended.code == 0, ended.err
    btc, eth = json.loads(ended.out)["files"]
    assert (btc["symbol"], btc["bars_added"], btc["report"]["rows"]) == ("BTC/USDT", 1440, 1440)
    assert btc["report"]["last"] == bars.time[1439]
    assert (eth["bars_added"], eth["report"]["gaps"], eth["report"]["missing_bars"]) == (29, 1, 1)
    assert eth["file"] == str(tmp_path / "ETHUSDT-1h.parquet")
    assert "1 gaps (1 bars missing, at most 1)" in ended.err


def test_no_bar_makes_no_file(tmp_path, darwin, venue):
    ended = darwin(*words(venue, "-o", tmp_path, "--since", "2025-01-01"))
    assert ended.code == 0
    assert "no closed bar in that range; nothing is written" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_a_fault_leaves_the_file_as_it_was(tmp_path, darwin, venue, bars):
    venue.now_ms = int(bars.time[1500])
    darwin(*words(venue, "-o", tmp_path))
    path = tmp_path / "BTCUSDT-1h.parquet"
    before = path.read_bytes()
    venue.now_ms = int(bars.time[-1])
    for fault, code, says in (
        ("crossed", 3, "is below max(open"),
        ("418", 3, "refused with HTTP 418"),
        ("truncated", 3, "is no JSON"),
    ):
        venue.faults = ["", fault]
        ended = darwin(*words(venue, "-o", tmp_path))
        assert (ended.code, len(ended.err.splitlines())) == (code, 3)
        assert says in ended.err
        assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_the_prices_of_another_venue_are_not_added(tmp_path, darwin, venue, bars):
    close = bars.close.copy()
    venue.now_ms = int(bars.time[1500])
    darwin(*words(venue, "-o", tmp_path))
    close[1499] = (bars.high[1499] + bars.low[1499]) / 2
    with KlinesServer([replace(bars, close=close)]) as other:
        ended = darwin(*words(other, "-o", tmp_path))
    assert ended.code == 3
    assert "the last bar of the file, 2024-03-03 11:00Z, is not what the venue says" in ended.err
    assert len(read_bars(tmp_path / "BTCUSDT-1h.parquet", "BTC/USDT", HOUR)[0]) == 1500


def test_a_synthetic_market_keeps_its_label(tmp_path, darwin):
    made = replace(make_bars(40), symbol="BTC/USDT:SYNTH")
    with KlinesServer([made]) as server:
        options = ["--since", "2024-01-01", "--base-url", server.url, "-o", tmp_path]
        assert darwin("data", "fetch", "BTC/USDT:SYNTH", *options).code == 0
        assert darwin("data", "fetch", "BTC/USDT", *options).code == 3
    assert [path.name for path in tmp_path.iterdir()] == ["BTCUSDT_SYNTH-1h.parquet"]
    assert FilesProvider(tmp_path, HOUR).bars("BTCUSDT_SYNTH").synthetic


REFUSED = {
    "no date": (["--since", "yesterday"], "'yesterday' is no date"),
    "nothing between": (["--until", "2024-01-01"], "--until is not later than --since"),
    "no timeframe": (["--timeframe", "1 hour"], "is no timeframe"),
    "a timeframe that is not served": (["--timeframe", "7h"], "not served in bars of 7h"),
    "no symbol": (["btc"], "'btc' is no symbol"),
    "one symbol twice": (["BTC-USDT"], "two symbols name the same file"),
    "another format": (["--format", "csv"], "there is BTCUSDT-1h.parquet already"),
    "a url with a password": (["--base-url", "http://a:b@c"], "holds a user or a password"),
    "an exchange for klines": (["--exchange", "kraken"], "--source ccxt alone"),
    "a url for ccxt": (["--source", "ccxt"], "--source klines alone"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_ends_with_2_and_asks_nobody(name, tmp_path, darwin, venue):
    more, says = REFUSED[name]
    (tmp_path / "BTCUSDT-1h.parquet").write_bytes(b"precious")
    ended = darwin(*words(venue, "-o", tmp_path, *more))
    assert ended.code == 2, ended
    assert says in ended.err
    assert len(ended.err.splitlines()) <= 3
    assert (tmp_path / "BTCUSDT-1h.parquet").read_bytes() == b"precious"
    assert venue.requests == []


def test_ccxt_wants_an_exchange(tmp_path, darwin):
    options = ["data", "fetch", "BTC/USDT", "--since", "2024-01-01", "-o", tmp_path]
    ended = darwin(*options, "--source", "ccxt")
    assert (ended.code, "--exchange kraken" in ended.err) == (2, True)
    ended = darwin(*options, "--source", "ccxt", "--exchange", "krakn")
    assert (ended.code, "did you mean 'kraken'?" in ended.err) == (2, True)


def test_a_missing_extra_ends_with_2(tmp_path, darwin, venue, monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx2", None)
    ended = darwin(*words(venue, "-o", tmp_path))
    assert (ended.code, "needs the extra 'live'" in ended.err) == (2, True)


def test_a_place_that_cannot_be_written_ends_with_4(tmp_path, darwin, venue):
    (tmp_path / "file").write_text("no folder")
    ended = darwin(*words(venue, "-o", tmp_path / "file" / "data"))
    assert (ended.code, "the folder cannot be made" in ended.err) == (4, True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_in_the_middle_it_leaves_a_whole_file_and_goes_on(number, tmp_path, darwin):
    long = make_bars(PAGES_AT_ONCE + 2_500, timeframe="1m", volatility=0.0001)
    with KlinesServer([long]) as server:
        server.faults += [""] * 22 + ["hang"]  # after the clock, twenty pages and one more
        options = ["--timeframe", "1m", "-o", str(tmp_path)]
        told = [str(word) for word in words(server, *options)]
        process = subprocess.Popen(
            [sys.executable, "-m", "darwin.cli.main", *told],
            env=clean_environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        while not any(each.fault == "hang" for each in list(server.requests)):
            assert process.poll() is None, process.communicate()
        process.send_signal(number)
        _, said = process.communicate()
        wanted = (-9, "") if number == signal.SIGKILL else (128 + number, "stopped\n")
        assert (process.returncode, said) == wanted
        path, minute = tmp_path / "BTCUSDT-1m.parquet", long.timeframe
        kept = read_bars(path, "BTC/USDT", minute)[0]
        assert digest(kept) == digest(long.slice(0, PAGES_AT_ONCE))
        ended = darwin(*words(server, *options))
        assert "2,500 bars came, 22,500 in" in ended.out
    assert digest(read_bars(path, "BTC/USDT", minute)[0]) == digest(long)
