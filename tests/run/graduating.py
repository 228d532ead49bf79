"""Desks on which agents graduate: planted worlds, the demonstration's models deployed in them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from darwin.core.agents import AGENTS, GATE
from darwin.core.market import Timeframe
from darwin.data.synthetic import SyntheticProvider
from darwin.data.synthetic_path import expected_log_volume
from darwin.rl.serving import spec_file, weights_file
from darwin.rl.serving.demo_models import FOLDER
from darwin.rl.serving.spec_file import read_spec, write_spec
from darwin.rl.serving.weights_file import read_weights
from darwin.testing.models import raw_outputs
from tests.run.command import Desk

SYMBOLS = ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
START_MS = 1_640_995_200_000  # 2022-01-01 00:00 UTC
AUTO = {"enabled": True} | {f"{name}_agent": {"name": name, "mode": "auto"} for name in AGENTS}
ROOM: dict[str, Any] = {
    "portfolio": {
        "risk_per_trade": 0.0025, "positions_per_symbol": 20, "max_positions": 60,
        "max_exposure_fraction": None,
    },
    "limits": dict.fromkeys(
        ("max_drawdown_fraction", "max_daily_loss_fraction", "max_orders_per_day")
    ),
    "playbooks": [{"name": name} for name in ("breakout", "pullback", "mean_reversion")],
}  # fmt: skip
"""Every candidate finds its symbol free, so that evidence comes quickly."""


def world(seed: int = 3, bars: int = 9_000, edge: float = 0.25, **more: Any) -> dict[str, Any]:
    """Bars that begin after the demonstration's models had been trained."""
    return {
        "provider": "synthetic", "symbols": SYMBOLS, "timeframe": "1h", "bars": bars, "seed": seed,
        "edge": edge, "start": "2022-01-01",
    } | more  # fmt: skip


def turned(folder: Path, seed: int, bars: int, at: float) -> dict[str, Any]:
    """A market of files whose regime shows the other way round in volume from a share `at` on.

    What models have learned to read there then tells them the opposite.
    """
    provider = SyntheticProvider(
        bars=bars, seed=seed, edge=0.25, start_ms=START_MS,
        timeframe=Timeframe.parse("1h"), symbols=tuple(SYMBOLS),
    )  # fmt: skip
    folder.mkdir()
    for symbol in SYMBOLS:
        one = provider.bars(symbol)
        log_volume = np.log(one.volume)
        usual = expected_log_volume(provider.recipe, np.log(one.high / one.low))
        late = np.arange(len(one)) >= at * len(one)
        volume = np.exp(np.where(late, 2.0 * usual - log_volume, log_volume))
        rows = zip(one.time, one.open, one.high, one.low, one.close, volume, strict=True)
        lines = ["time,open,high,low,close,volume"]
        lines += [
            ",".join([str(int(time)), *(repr(float(x)) for x in rest)]) for time, *rest in rows
        ]
        (folder / f"{symbol.replace('/', '')}-1h.csv").write_text("\n".join(lines) + "\n")
    return {"provider": "files", "path": str(folder), "symbols": SYMBOLS, "timeframe": "1h"}


def serve(desk: Desk, *agents: str, files: dict[str, bytes] | None = None) -> None:
    """Deploy the demonstration's models, or one model of these files."""
    for agent in agents or AGENTS:
        folder = FOLDER / agent
        if files is not None:
            folder = desk.folder / "given"
            folder.mkdir(exist_ok=True)
            for name, content in files.items():
                (folder / name).write_bytes(content)
        done = desk.darwin(
            "rl", "models", "deploy", agent, str(folder), "--by", "Ada", "--reason", "a test"
        )
        assert done.returncode == 0, done.stderr


def wrong_gate() -> dict[str, bytes]:
    """The demonstration's gate, made to skip as often, and the very opposite."""
    folder = FOLDER / GATE
    spec = read_spec((folder / spec_file.FILE).read_bytes())
    weights = read_weights((folder / weights_file.FILE).read_bytes(), spec)
    layers = list(zip(weights.matrices, weights.biases, strict=True))
    matrix, bias = layers[-1]
    layers[-1] = (-matrix, -bias)
    observations = np.asarray(weights.observations, dtype=np.float64)
    outputs = raw_outputs(spec, layers, observations)
    skips = 1.0 / (1.0 + np.exp(outputs[:, 1] - outputs[:, 0]))
    changed = replace(spec, threshold=float(np.quantile(skips, 0.7)))
    return {
        spec_file.FILE: write_spec(changed),
        weights_file.FILE: weights_file.write_weights(layers, observations, outputs),
    }


def acts(desk: Desk) -> list[tuple[Any, ...]]:
    """What was said of agents: name, kind or stage, scope, bar time; in the order of bars."""
    said = desk.ask(
        "SELECT agent_name, kind, scope, json_extract(detail, '$.bar_time') FROM graduation_events"
        " UNION ALL SELECT agent_name, stage, scope, json_extract(detail, '$.bar_time')"
        " FROM rollout_events ORDER BY 4, 1"
    )
    return [tuple(row) for row in said]


def status(desk: Desk, agent: str, *more: str) -> tuple[int, dict[str, Any]]:
    """Exit code and tree of `darwin rl status`."""
    done = desk.darwin("rl", "status", agent, "--json", *more)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def desk_at(folder: Path) -> Desk:
    """An empty desk."""
    folder.mkdir(parents=True, exist_ok=True)
    return Desk(folder)
