"""A training that is asked for by HTTP: fetched, trained, told, and the old model stays."""

from __future__ import annotations

import threading

import pytest

from darwin.testing.builders import make_bars
from darwin.testing.klines_server import KlinesServer
from tests.run.command import Desk
from tests.service.http.serving import give_tokens, serving

V3 = "/api/v1/rl/v3"


@pytest.mark.sweep
def test_a_training_by_http_is_carried_out_and_watched(desk: Desk) -> None:
    tokens = give_tokens(desk)
    serves = "SELECT version FROM model_events WHERE agent_name = 'market'"
    before = desk.ask(serves)
    bars = make_bars(6_000, start="2023-09-01")
    with KlinesServer([bars]) as venue, serving(desk, "--klines-url", venue.url) as service:
        service.tokens = tokens
        body = {"symbol": "BTC/USDT", "timeframe": "1h", "num_episodes": 2}
        started = service.post(f"{V3}/train_production", body).json()
        seen = []
        while (told := service.get(f"{V3}/training_progress").json())["active"]:
            seen.append(told["progress"])
            threading.Event().wait(0.2)
        asked = len(venue.asked("klines"))
        log = service.get(f"/api/v1/jobs/{started['job']['id']}/log").json()["log"]
    assert told["job"]["state"] == "done"
    assert told["job"]["exit_code"] == 10  # bars of chance: there is nothing to learn
    assert told["progress"] == 100.0
    assert told["started_at"] is not None
    assert seen == sorted(seen)
    assert asked == 4  # 3,520 bars, 1,000 at a time
    assert "Nothing learnable" in log
    assert str(desk.folder) not in log
    assert desk.ask(serves) == before
