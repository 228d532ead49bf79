"""Bars of one symbol that come late: waited for where something is at stake, else on record."""

from __future__ import annotations

import json
import subprocess

import pytest

from darwin.core.market import Bars
from darwin.engine.report_words import iso
from darwin.testing.klines_server import KlinesServer
from tests.run.command import Desk
from tests.run.papers import (
    BEGUN,
    FOREVER,
    HOUR_MS,
    SYMBOLS,
    Start,
    fed,
    kill,
    paper,
    replayed,
    wait_for,
)
from tests.run.papers import stepped as step
from tests.run.waiting import until

pytestmark = pytest.mark.slow

LATE = SYMBOLS[1]


def day(markets: list[Bars], place: int) -> str:
    return str(markets[0].time[place].astype("datetime64[ms]"))[:19] + "Z"


def place_of_an_exit(desk: Desk, markets: list[Bars]) -> int:
    """At which bar a stop or target of the late symbol is met, by a replay of all bars."""
    replayed(desk, markets, 900, "seen")
    opens = {iso(int(at)): place for place, at in enumerate(markets[0].time)}
    for trade in desk.trades("seen"):
        entry, end = opens[trade["entry_time"]], opens[trade["exit_time"]]
        met = trade["symbol"] == LATE and trade["exit_reason"] in {"stop", "target"}
        if met and BEGUN < entry < end:
            return end
    raise AssertionError("no such trade")


def beat(desk: Desk) -> dict:
    path = desk.run_dir("paper") / "heartbeat.json"
    return json.loads(path.read_text()) if path.exists() else {}


def waits_for_it(desk: Desk, process: subprocess.Popen[str]) -> None:
    """Return once a heartbeat of this process says so."""
    (desk.run_dir("paper") / "heartbeat.json").unlink(missing_ok=True)
    until(lambda: beat(desk).get("waits_for") == [LATE], process)


def test_an_instant_waits_for_a_symbol_with_a_position_and_no_bar_is_lost(
    desk: Desk, start: Start, markets: list[Bars]
) -> None:
    with KlinesServer(markets, start_bar=BEGUN) as server:
        paper(desk, server, FOREVER)
        place = place_of_an_exit(desk, markets)
        process = start()
        step(desk, server, process, markets, place - 1, place)
        server.silent_from_ms[LATE] = int(markets[1].time[place])
        server.now_ms = int(markets[0].time[place + 3]) + HOUR_MS + 1_000
        waits_for_it(desk, process)
        assert fed(desk) == int(markets[0].time[place - 1])
        kill(process)
        process = start("--resume")
        waits_for_it(desk, process)
        assert fed(desk) == int(markets[0].time[place - 1])
        del server.silent_from_ms[LATE]
        wait_for(desk, process, int(markets[0].time[place + 3]))
        until(lambda: not beat(desk)["waits_for"], process)
        process.terminate()
        said = process.communicate()[1]
        end = place + 40
        server.now_ms = int(markets[0].time[end]) + HOUR_MS + 1_000
        done = desk.darwin("run", "paper.json", "--resume", "--until", iso(markets[0].time[end]))
        assert done.returncode == 0, done.stderr
    assert f"{LATE} has a position or an order, and no bar after" in said
    assert f"{LATE} is waited for no longer" in said
    assert desk.ask("SELECT count(*), sum(stale) FROM bars") == [(3 * end, 0)]
    assert desk.export("paper") == replayed(desk, markets, end).replace('"plain"', '"paper"')
    assert desk.ask("SELECT count(*) FROM alerts WHERE kind LIKE '%bars%'") == [(0,)]


@pytest.mark.sweep
def test_a_symbol_that_stays_away_stops_all_entries_and_is_told_once_for_good(
    desk: Desk, start: Start, markets: list[Bars]
) -> None:
    with KlinesServer(markets, start_bar=BEGUN) as server:
        paper(desk, server, FOREVER, missing_seconds=0)
        place = place_of_an_exit(desk, markets)
        process = start()
        step(desk, server, process, markets, place - 1, place)
        server.silent_from_ms[LATE] = int(markets[1].time[place])
        step(desk, server, process, markets, place, place + 20)
        kill(process)
        process = start("--resume")
        step(desk, server, process, markets, place + 20, place + 40)
        beat_then = beat(desk)
        del server.silent_from_ms[LATE]
        step(desk, server, process, markets, place + 40, place + 80)
        kill(process)
        process = start("--resume")
        step(desk, server, process, markets, place + 80, place + 81)
        process.terminate()
        process.communicate()
        end = iso(markets[0].time[place + 81])
        done = desk.darwin("run", "paper.json", "--resume", "--until", end)
        assert done.returncode == 0, done.stderr
    assert beat_then["goes_on_without"] == [LATE]
    assert beat(desk)["bars_that_came_too_late"] == 40
    times = markets[0].time
    away = f"run_id = 'paper' AND time BETWEEN {times[place]} AND {times[place + 39]}"
    assert desk.ask(f"SELECT count(*) FROM bars WHERE {away} AND stale = 0") == [(0,)]
    sent_before = f"kind = 'entry' AND time > {times[place]}"
    assert desk.ask(f"SELECT count(*) FROM fills WHERE {sent_before} AND {away}") == [(0,)]
    after = f"run_id = 'paper' AND kind = 'entry' AND time > {times[place + 40]}"
    assert desk.ask(f"SELECT count(*) > 0 FROM fills WHERE {after}") == [(1,)]
    told = desk.ask("SELECT time, kind, detail FROM alerts WHERE kind LIKE '%bars%' ORDER BY id")
    assert [(when, kind) for when, kind, _ in told] == [
        (int(times[place - 1]), "no bars"),
        (int(times[place + 39]), "bars left out"),
    ]
    assert told[1][2].startswith(f"{LATE}: 40 bars ")
    shown = json.loads(desk.darwin("runs", "show", "paper", "--json").stdout)["bar_events"]
    assert [event["kind"] for event in shown] == ["no bars", "bars left out"]
    assert desk.darwin("report", "paper").returncode == 0
    metrics = desk.metrics("paper")["run"]["bar_events"]
    assert [event["kind"] for event in metrics] == ["no bars", "bars left out"]
    page = (desk.run_dir("paper") / "report.html").read_text()
    assert f"{LATE}: 40 bars" in page
    assert desk.darwin("replay", "paper").returncode == 0
    assert desk.darwin("verify", "paper").returncode == 0


@pytest.mark.sweep
def test_a_symbol_that_is_listed_no_longer_does_not_stop_the_others(
    desk: Desk, start: Start, markets: list[Bars]
) -> None:
    with KlinesServer(markets, start_bar=BEGUN) as server:
        paper(desk, server, FOREVER, missing_seconds=0)
        process = start()
        step(desk, server, process, markets, BEGUN, BEGUN + 1)
        gone = server.markets.pop("SOLUSDT")
        step(desk, server, process, markets, BEGUN + 1, BEGUN + 4)
        server.markets["SOLUSDT"] = gone
        step(desk, server, process, markets, BEGUN + 4, BEGUN + 6)
        process.terminate()
        said = process.communicate()[1]
        assert process.returncode == 143
    assert "SOL/USDT counts as without bars until it has" in said
    assert "bars left out: SOL/USDT: 3 bars" in said
    last = f"SELECT count(*) FROM bars WHERE time = {markets[0].time[BEGUN + 5]}"
    assert desk.ask(last) == [(3,)]
