"""A model may remember the bars it judges; the report says so."""

from __future__ import annotations

import csv
from datetime import UTC, datetime

import pytest

from darwin.testing.builders import make_bars
from darwin.testing.llm_server import LlmServer
from tests.expert.asking import config, run
from tests.run.command import Desk

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "start, model, masked, says",
    [
        ("2024-03-01", "gpt-5", False, "precede the knowledge cutoff of 'gpt-5' (2024-09-30)"),
        ("2024-03-01", "gpt-5", True, "names and dates are masked"),
        ("2025-03-01", "gpt-5", False, ""),
        ("2025-03-01", "local-8b", False, "What 'local-8b' remembers of these bars is not known"),
    ],
)
def test_bars_before_the_cutoff_are_told(
    start: str, model: str, masked: bool, says: str, desk: Desk, server: LlmServer
) -> None:
    write_bars(desk, start)
    market = {"provider": "files", "path": "bars", "symbols": ["BTC/USDT"]}
    options = {"model": model, "mask_symbols": masked}
    file = config(desk, server, market=market, decider=options)
    stderr = run(desk, file)
    notes = [text for text in desk.metrics()["assumptions"] if "names and dates" in text]
    assert len(notes) == bool(says)
    assert says in "".join(notes)
    assert ("note: " + notes[0] if notes else "") in stderr
    shown = "".join(one.user for one in server.requests)
    assert ("BTC/USDT" not in shown) is masked


def write_bars(desk: Desk, start: str) -> None:
    bars = make_bars(700, seed=5, start=start, volatility=0.01)
    (desk.folder / "bars").mkdir()
    with (desk.folder / "bars" / "BTCUSDT-1h.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["timestamp", "open", "high", "low", "close", "volume"])
        columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
        for time, *rest in zip(bars.time, *columns, strict=True):
            lines.writerow([datetime.fromtimestamp(time / 1000, UTC).isoformat(), *rest])
