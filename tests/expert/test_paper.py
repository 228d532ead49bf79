"""A model as the expert of a run on paper: asked live, and never again."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from darwin.data.convert import bar_frame, write_whole
from darwin.testing.builders import make_bars
from darwin.testing.klines_server import KlinesServer
from darwin.testing.llm_answers import steady
from darwin.testing.llm_faults import status
from darwin.testing.llm_server import LlmServer
from tests.expert.asking import BROKEN_KEYS, NO_KEYS, begin, config, export, flags, run
from tests.run.command import Desk
from tests.run.waiting import until

pytestmark = pytest.mark.slow

BARS = 520


def test_a_run_on_paper_is_the_replay_of_its_bars_and_answers(
    desk: Desk, server: LlmServer
) -> None:
    bars = replace(make_bars(BARS, seed=1, volatility=0.005), symbol="BTC/USDT")
    with KlinesServer([bars]) as venue:
        market = {
            "provider": "klines", "base_url": venue.url, "symbols": ["BTC/USDT"],
            "start": "2024-01-01", "bars": 10_000, "seed": 0, "edge": 0.0,
        }  # fmt: skip
        live = {"poll_seconds": 0.02, "grace_seconds": 0, "max_staleness_seconds": 1e9}
        config(desk, server, mode="paper", market=market, live=live)
        end = ("--until", "2024-01-21T00:00:00Z")
        refused = desk.darwin("run", "config.json", *end, **BROKEN_KEYS)
        assert refused.returncode == 2
        run(desk, "config.json", *end)
    count = len(server.requests)
    assert count == len(flags(desk)) > 5
    assert desk.darwin("replay", "small", **NO_KEYS).returncode == 0
    write_whole(bar_frame(bars.slice(0, 480)), desk.folder / "BTCUSDT-1h.parquet")
    tree = json.loads((desk.folder / "config.json").read_text())
    tree |= {"run_id": "plain", "mode": "replay"}
    tree["market"] |= {"provider": "files", "path": "."}
    (desk.folder / "plain.json").write_text(json.dumps(tree))
    run(desk, "plain.json")
    assert len(server.requests) == count
    assert export(desk, "plain") == export(desk, "small")


def on_paper(desk: Desk, server: LlmServer, venue: KlinesServer) -> tuple[str, ...]:
    """Write the config of a run on paper; gives the words that end it."""
    market = {
        "provider": "klines", "base_url": venue.url, "symbols": ["BTC/USDT"],
        "start": "2024-01-01", "bars": 10_000, "seed": 0, "edge": 0.0,
    }  # fmt: skip
    live = {"poll_seconds": 0.02, "grace_seconds": 0, "max_staleness_seconds": 1e9}
    config(desk, server, mode="paper", market=market, live=live)
    return "config.json", "--until", "2024-01-21T00:00:00Z"


def test_a_key_refused_while_positions_may_be_open_stops_nothing_and_is_an_alert(
    desk: Desk, server: LlmServer
) -> None:
    says = server.answer
    server.answer = lambda one: (
        says(one) if len(server.requests) <= 3 else status("401 Unauthorized")
    )
    bars = replace(make_bars(BARS, seed=1, volatility=0.005), symbol="BTC/USDT")
    with KlinesServer([bars]) as venue:
        said = run(desk, *on_paper(desk, server, venue))
    assert ": key refused; it is skipped" in said
    assert ("no answer: key refused",) in flags(desk)
    [(kind, detail), *_] = desk.ask("SELECT kind, detail FROM alerts WHERE kind = 'expert silent'")
    assert detail == "no answer to the last 1 questions; the last time: key refused"
    assert f"alert: {kind} at" in (desk.run_dir() / "run.log").read_text()
    assert desk.darwin("replay", "small", **NO_KEYS).returncode == 0


def test_a_key_refused_at_the_first_question_on_paper_stops_before_anything_is_held(
    desk: Desk, server: LlmServer
) -> None:
    server.script(status("401 Unauthorized"))
    bars = replace(make_bars(BARS, seed=1, volatility=0.005), symbol="BTC/USDT")
    with KlinesServer([bars]) as venue:
        words = on_paper(desk, server, venue)
        said = run(desk, *words, code=2)
        assert "then go on with --resume" in said
        run(desk, *words, "--resume")
    assert len(server.requests) == len(flags(desk)) + 1
    assert not any(one and one[0].startswith("no answer") for one in flags(desk))


def test_a_decision_that_takes_too_long_makes_no_order(desk: Desk) -> None:
    def slowly(request):
        time.sleep(1.2)
        return steady(takes=1.0)(request)

    bars = replace(make_bars(BARS, seed=1, volatility=0.005), symbol="BTC/USDT")
    with KlinesServer([bars], start_bar=440) as venue, LlmServer(slowly) as server:
        market = {
            "provider": "klines", "base_url": venue.url, "symbols": ["BTC/USDT"],
            "start": "2024-01-01", "bars": 10_000, "seed": 0, "edge": 0.0,
        }  # fmt: skip
        live = {"poll_seconds": 0.02, "grace_seconds": 0, "max_staleness_seconds": 1}
        config(desk, server, mode="paper", market=market, live=live)
        process = begin(desk, "config.json")
        log = desk.run_dir() / "run.log"
        until(lambda: log.exists() and "begins" in log.read_text(), process)
        for opened in bars.time[440:].tolist():
            venue.now_ms = opened + 3_600_000
            kept = f"SELECT count(*) > 0 FROM bars WHERE time = {opened}"
            until(lambda kept=kept: desk.ask(kept) == [(1,)], process)
            if len(server.requests) >= 2:
                break
        until(lambda: desk.ask("SELECT count(*) FROM verdicts")[0][0] >= 2, process)
        process.terminate()
        process.communicate()
        venue.now_ms = int(bars.time[480]) + 3_600_000
        end = str(bars.time[480].astype("datetime64[ms]"))[:19] + "Z"
        run(desk, "config.json", "--resume", "--until", end)
    assert desk.ask("SELECT count(*) FROM orders") == [(0,)]
    assert desk.ask("SELECT DISTINCT kind FROM inputs") == [("late",)]
    judged = "SELECT DISTINCT e.reason FROM endings e JOIN verdicts USING (run_id, candidate_id)"
    assert desk.ask(judged) == [("stale",)]
    assert desk.darwin("replay", "small", **NO_KEYS).returncode == 0
    assert desk.darwin("verify", "small", **NO_KEYS).returncode == 0


def test_a_config_that_holds_the_key_is_refused(desk: Desk, server: LlmServer) -> None:
    config(desk, server, decider={"notes": "the key is sk-CANARY-123"})
    done = desk.darwin("run", "config.json", **(NO_KEYS | {"OPENAI_API_KEY": "sk-CANARY-123"}))
    assert done.returncode == 2
    assert "holds the key" in done.stderr
    assert "CANARY" not in done.stderr
    assert not server.requests
    assert desk.ask("SELECT count(*) FROM runs") == [(0,)]


@pytest.mark.sweep
def test_a_run_that_was_killed_while_the_model_thought_makes_no_order_after_an_outage(
    desk: Desk,
) -> None:
    asked, go = threading.Event(), threading.Event()

    def thinks(request):
        asked.set()
        go.wait(60)
        return steady(takes=1.0)(request)

    bars = replace(make_bars(BARS, seed=1, volatility=0.005), symbol="BTC/USDT")
    with KlinesServer([bars], start_bar=440) as venue, LlmServer(thinks) as server:
        market = {
            "provider": "klines", "base_url": venue.url, "symbols": ["BTC/USDT"],
            "start": "2024-01-01", "bars": 10_000, "seed": 0, "edge": 0.0,
        }  # fmt: skip
        live = {"poll_seconds": 0.02, "grace_seconds": 0, "max_staleness_seconds": 300}
        config(desk, server, mode="paper", market=market, live=live)
        process = begin(desk, "config.json")
        until((desk.run_dir() / "heartbeat.json").exists, process)
        for opened in bars.time[440:].tolist():
            venue.now_ms = opened + 3_600_000
            kept = f"SELECT count(*) > 0 FROM bars WHERE time = {opened}"
            until(lambda kept=kept: desk.ask(kept) == [(1,)], process)
            if asked.wait(0.2):
                break
        process.kill()
        process.communicate()
        go.set()
        assert desk.ask("SELECT count(*) FROM verdicts") == [(0,)]
        venue.now_ms = opened + 3_600_000 + 301_000  # a second more than it may take
        end = str(np.datetime64(opened + 3_600_000, "ms"))[:19] + "Z"
        run(desk, "config.json", "--resume", "--until", end)
    at = f"FROM candidates JOIN endings e USING (run_id, candidate_id) WHERE bar_time = {opened}"
    assert desk.ask(f"SELECT DISTINCT e.reason {at}") == [("stale",)]
    assert desk.ask("SELECT count(*) FROM orders") == [(0,)]
    assert desk.ask(f"SELECT stale FROM bars WHERE time = {opened}") == [(1,)]
    assert desk.darwin("replay", "small", **NO_KEYS).returncode == 0
