"""A run on paper: fed by a venue on this machine, killed, away, and yet the replay of its bars."""

from __future__ import annotations

import json
import signal
import sqlite3

import numpy as np
import pytest

from darwin.core.market import Bars
from darwin.testing.klines_server import KlinesServer
from tests.run.command import Desk
from tests.run.papers import (
    BARS,
    BEGUN,
    FOREVER,
    HOUR_MS,
    Start,
    fed,
    kill,
    paper,
    replayed,
    stepped,
    wait_for,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("bars", [950, pytest.param(BARS, marks=pytest.mark.sweep)])
def test_killed_five_times_at_speed_and_shown_half_a_candle_it_is_the_plain_replay(
    desk: Desk, start: Start, markets: list[Bars], bars: int
) -> None:
    until = int(markets[0].time[bars])
    day = markets[0].time[bars].astype("datetime64[ms]").astype(str)[:19] + "Z"
    places = np.linspace(BEGUN, bars, 7).astype(int)[1:-1].tolist()
    with KlinesServer(markets, start_bar=BEGUN, speed=150 * HOUR_MS / 1000) as server:
        paper(desk, server, FOREVER)
        process = start("--until", day)
        for place in places:
            wait_for(desk, process, int(markets[0].time[place]))
            if place == places[2]:
                server.faults += ["half"] * 8
            kill(process)
            process = start("--resume", "--until", day)
        said = process.communicate()[1]
        assert process.returncode == 0, said
        assert any(each.fault == "half" for each in server.asked("klines"))
    assert fed(desk) == until - HOUR_MS
    assert desk.ask("SELECT count(*), sum(stale) FROM bars") == [(3 * bars, 0)]
    export = desk.export("paper")
    assert len(desk.trades("paper")) > 30
    assert export == replayed(desk, markets, bars).replace('"plain"', '"paper"')
    assert desk.darwin("replay", "paper").returncode == 0
    assert desk.darwin("verify", "paper").returncode == 0
    beat = json.loads((desk.run_dir("paper") / "heartbeat.json").read_text())
    assert (beat["state"], beat["bars"]) == ("finished", 3 * bars)


@pytest.fixture
def away(desk: Desk, start: Start, markets: list[Bars]) -> Desk:
    """A run that was away for forty bars, and ended."""
    with KlinesServer(markets, start_bar=BEGUN) as server:
        paper(desk, server, 2 * 3_600.0)
        server.now_ms = int(markets[0].time[BEGUN]) + HOUR_MS + 1_000
        process = start()
        stepped(desk, server, process, markets, BEGUN, 560)
        kill(process)
        server.now_ms = int(markets[0].time[600]) + HOUR_MS + 1_000
        process = start("--resume")
        stepped(desk, server, process, markets, 600, 640)
        process.send_signal(signal.SIGTERM)
        assert process.communicate()[1].splitlines()[-1] == "stopped"
        assert process.returncode == 143
        beat = json.loads((desk.run_dir("paper") / "heartbeat.json").read_text())
        assert beat["state"] == "stopped"
        day = markets[0].time[640].astype("datetime64[ms]").astype(str)[:19] + "Z"
        server.now_ms = int(markets[0].time[640]) + HOUR_MS + 1_000
        process = start("--resume", "--until", day)
        assert (process.communicate()[1], process.returncode)[1] == 0
    return desk


def test_an_outage_settles_what_rests_at_the_venue_and_nothing_else(
    away: Desk, markets: list[Bars]
) -> None:
    time_of = markets[0].time
    stale = {int(t) for (t,) in away.ask("SELECT DISTINCT time FROM bars WHERE stale")}
    assert {int(t) for t in time_of[562:598]} <= stale
    assert not {int(t) for t in time_of[455:559]} & stale
    done = away.darwin("replay", "paper")
    assert done.returncode == 0, done.stderr
    assert "identical" in done.stdout
    out = f"time BETWEEN {time_of[562]} AND {time_of[598]} AND run_id = 'paper'"
    assert {why for (why,) in away.ask(f"SELECT DISTINCT reason FROM fills WHERE {out}")} <= {
        "stop", "trailing_stop", "target",
    }  # fmt: skip
    assert away.ask(f"SELECT count(*) FROM fills WHERE kind = 'entry' AND {out}") == [(0,)]
    kinds = [kind for (kind,) in away.ask("SELECT kind FROM safety_events ORDER BY id")]
    assert kinds == ["stale", "fresh", "stale", "fresh"]
    ends = dict(
        away.ask(
            "SELECT e.reason, count(*) FROM endings e"
            " JOIN candidates c USING (run_id, candidate_id)"
            f" WHERE c.bar_time BETWEEN {time_of[562]} AND {time_of[597]} GROUP BY 1"
        )
    )
    assert set(ends) == {"stale"}
    assert ends["stale"] > 3
    taken = away.ask(
        "SELECT count(*) FROM fills WHERE kind = 'entry' AND time >= ?".replace(
            "?", str(time_of[600])
        )
    )
    assert taken[0][0] > 0


def test_a_changed_bar_on_record_is_found(away: Desk) -> None:
    path = away.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE bars SET close = close * 1.001 WHERE id = (SELECT max(id) FROM bars)")
    raw.close()
    done = away.darwin("verify", "paper")
    assert done.returncode == 4
    assert "bars" in done.stderr


def test_a_venue_that_refuses_is_asked_again(desk: Desk, start: Start, markets: list[Bars]) -> None:
    with KlinesServer(markets, start_bar=BEGUN) as server:
        paper(desk, server, FOREVER)
        server.now_ms = int(markets[0].time[BEGUN]) + HOUR_MS + 1_000
        server.faults += ["451"] * 3  # refused: it asks again, and again
        process = start()
        wait_for(desk, process, int(markets[0].time[BEGUN]))
        kill(process)
    log = (desk.run_dir("paper") / "run.log").read_text()
    assert "asked again" in log


@pytest.mark.parametrize(
    ("changes", "words", "said"),
    [
        ({"market": {"provider": "synthetic"}}, (), "brings no new bars"),
        ({"market": {"end": "2024-05-01"}}, (), "has no meaning in mode 'paper'"),
        ({}, ("--feed",), "--feed has no meaning on paper"),
        ({}, ("--until", "soon"), "is no date"),
        (
            {"market": {"provider": "klines", "start": "2024-01-01"}},
            ("--until", "2023-01-01"),
            "lies before market.start",
        ),
        ({"mode": "replay"}, ("--until", "2024-05-01"), "in mode 'paper' alone"),
        ({"live": {"max_staleness_seconds": 0}}, (), "live.max_staleness_seconds"),
        ({"mode": "live"}, (), "not available in this version"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_three_lines(
    desk: Desk, changes: dict[str, object], words: tuple[str, ...], said: str
) -> None:
    tree = {"mode": "paper", "market": {"provider": "klines"}} | changes
    config = desk.config(**tree)
    done = desk.darwin("run", config, *words)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_an_end_before_the_first_bar_is_refused_though_the_start_is_the_venues(
    desk: Desk, markets: list[Bars]
) -> None:
    with KlinesServer(markets, start_bar=BEGUN) as server:
        paper(desk, server, FOREVER)
        tree = json.loads((desk.folder / "paper.json").read_text())
        tree["market"]["start"] = None  # then it begins with the warm-up before now
        (desk.folder / "paper.json").write_text(json.dumps(tree))
        done = desk.darwin("run", "paper.json", "--until", "2023-06-01")
        assert done.returncode == 2, done.stderr
        assert "would end before its first bar" in done.stderr
        assert "  mend: " in done.stderr
        assert len(done.stderr.splitlines()) == 3
        end = str(markets[0].time[BEGUN].astype("datetime64[ms]"))[:19] + "Z"
        done = desk.darwin("run", "paper.json", "--until", end)  # its name is free
        assert done.returncode == 0, done.stderr
