"""A model as the expert of a run on paper: asked live, and never again."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from darwin.data.convert import bar_frame, write_whole
from darwin.testing.builders import make_bars
from darwin.testing.klines_server import KlinesServer
from darwin.testing.llm_server import LlmServer
from tests.expert.asking import BROKEN_KEYS, NO_KEYS, config, export, flags, run
from tests.run.command import Desk

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
        until = ("--until", "2024-01-21T00:00:00Z")
        refused = desk.darwin("run", "config.json", *until, **BROKEN_KEYS)
        assert refused.returncode == 2
        run(desk, "config.json", *until)
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
