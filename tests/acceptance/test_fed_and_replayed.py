"""Three real markets with gaps, 5,000 bars each: fed bar by bar, and replayed at once."""

from __future__ import annotations

import json

import pytest

from tests.run.command import Desk

pytestmark = pytest.mark.slow


@pytest.mark.sweep
def test_fed_and_replayed_real_markets_leave_the_same_bytes(tmp_path, market_dir):
    desk = Desk(tmp_path)
    tree = {
        "run_id": "small",
        "market": {
            "provider": "files",
            "path": str(market_dir),
            "timeframe": "1h",
            "symbols": ["BTCUSDT", "ETHUSDT", "BNBUSDT"],
            "start": "2020-01-01",
            "end": "2020-07-27T20:00:00Z",
            "warmup_bars": 200,
        },
        "playbooks": [{"name": "breakout"}, {"name": "pullback"}, {"name": "mean_reversion"}],
        "limits": {"max_drawdown_fraction": None},
        "decider": {"provider": "rules"},
    }
    (tmp_path / "config.json").write_text(json.dumps(tree))
    for run_id, mode in (("replayed", []), ("fed", ["--feed"])):
        done = desk.darwin("run", "config.json", "--set", f"run_id={run_id}", *mode)
        assert done.returncode == 0, done.stderr
    assert desk.export("fed") == desk.export("replayed")
    metrics = desk.metrics("fed")
    assert metrics["bars"] > 14_900
    assert metrics["bars"] == desk.metrics("replayed")["bars"]
    assert all(row["gaps"] for row in metrics["data"])
    assert metrics["trades"] > 200
    assert desk.darwin("verify", "fed").returncode == 0
