"""A config with every key in it, ways to spoil it one key at a time, and the command on a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from darwin.cli.main import main
from darwin.config.faults import key_path

KeyPath = tuple[str | int, ...]

EXITS = {
    "stop_atr": 1.2,
    "target_atr": 2.4,
    "time_stop_bars": 32,
    "trailing": {"activation_r": 1.0, "distance_atr": 1.2},
    "anchor": "fill",
    "atr_period": 14,
}


def agent(name: str, rule: str, **params: float) -> dict[str, Any]:
    """An agent with every key, of which `policy` makes the path to a model idle."""
    path = f"artifacts/rl_models/{name}/current"
    told = {"name": name, "enabled": True, "mode": "observe", "model_path": path}
    return told | {"policy": rule, "params": params}


FULL: dict[str, Any] = {
    "run_id": "full",
    "mode": "replay",
    "market": {
        "provider": "synthetic",
        "path": "data/",
        "base_url": "http://127.0.0.1:8080",
        "exchange": "kraken",
        "symbols": ["BTC/USDT", "ETH/USDT"],
        "timeframe": "1h",
        "start": "2020-01-01",
        "end": "2021-01-01T00:00:00Z",
        "warmup_bars": 400,
        "max_gap_bars": 24,
        "calendar": "sessions",
        "funding": True,
        "tick_size": {"BTC/USDT": 0.1},
        "lot_size": 0.001,
        "bars": 2000,
        "seed": 3,
        "edge": 0.2,
        "annual_volatility": 0.8,
        "jumps_per_year": 4,
    },
    "costs": {"maker_bps": 2, "taker_bps": 5, "half_spread_bps": 1, "slippage_bps": 1},
    "portfolio": {
        "starting_equity_usd": 10000,
        "sizing": "fixed_units",
        "risk_per_trade": 0.02,
        "units": 0.5,
        "max_positions": 4,
        "max_exposure_fraction": 0.9,
        "positions_per_symbol": 2,
        "min_order_usd": 5,
        "max_order_usd": 4000,
        "risk_manager": {
            "target_volatility": 0.3,
            "max_leverage": 1.5,
            "min_leverage": 0.1,
            "volatility_bars": 72,
            "hedge_threshold": 0.1,
            "hedge_part_of_excess": 2,
        },
    },
    "limits": {
        "max_position_usd": 5000,
        "max_orders_per_bar": 3,
        "max_orders_per_day": 40,
        "max_daily_loss_fraction": 0.04,
        "max_drawdown_fraction": 0.2,
        "price_collar_fraction": 0.1,
        "max_refusals_per_bar": 90,
        "reducing_resume": 30,
    },
    "playbooks": [
        {
            "name": "breakout",
            "params": {"lookback": 20, "buffer_atr": 0.1, "min_adx": 18, "sides": ["long"]},
            "exits": EXITS,
        },
        {"name": "pullback", "params": {}, "exits": EXITS},
    ],
    "decider": {"provider": "rules", "cost_usd_per_call": 0.01},
    "rl": {
        "enabled": True,
        "gate_agent": agent("gate", "cautious-gate", volume=0.7),
        "portfolio_agent": agent("portfolio", "size-by-strength"),
        "meta_learner_agent": agent("meta_learner", "second-opinion"),
        "agent_state_db": "artifacts/rl_state/agent_state.sqlite",
        "max_override_rate": 0.3,
        "timeout_ms": 20,
        "on_model_error": "baseline",
    },
    "live": {
        "poll_seconds": 2.0,
        "grace_seconds": 20.0,
        "missing_seconds": 60.0,
        "max_staleness_seconds": 600.0,
    },
    "artifacts_dir": "artifacts",
}

REQUIRED: tuple[KeyPath, ...] = (
    ("run_id",),
    ("market",),
    ("market", "provider"),
    ("market", "symbols"),
    ("market", "timeframe"),
    ("portfolio", "sizing"),  # its default would leave units without a meaning
    ("portfolio", "units"),  # by the sizing of FULL
    ("playbooks",),
    ("playbooks", 0, "name"),
    ("playbooks", 0, "exits", "trailing", "activation_r"),
    ("playbooks", 0, "exits", "trailing", "distance_atr"),
    ("playbooks", 1, "name"),
    ("playbooks", 1, "exits", "trailing", "activation_r"),
    ("playbooks", 1, "exits", "trailing", "distance_atr"),
    ("decider", "provider"),
    ("rl", "gate_agent", "name"),
    ("rl", "gate_agent", "policy"),  # whose parameters FULL has
    ("rl", "portfolio_agent", "name"),
    ("rl", "meta_learner_agent", "name"),
)


MISSED_BY: dict[KeyPath, KeyPath] = {
    ("rl", "gate_agent", "policy"): ("rl", "gate_agent", "params"),
}
"""Keys whose absence is a fault of another one."""


def full() -> dict[str, Any]:
    """A fresh copy to spoil."""
    return json.loads(json.dumps(FULL))


def keys(node: Any = FULL, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key of `node`, at any depth."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if isinstance(key, str):
            yield (*path, key)
        if isinstance(value, dict | list):
            yield from keys(value, (*path, key))


def at(tree: Any, path: KeyPath) -> Any:
    for part in path:
        tree = tree[part]
    return tree


def changed(path: KeyPath, value: Any) -> dict[str, Any]:
    """FULL with `value` at `path`."""
    tree = full()
    at(tree, path[:-1])[path[-1]] = value
    return tree


def without(path: KeyPath) -> dict[str, Any]:
    tree = full()
    del at(tree, path[:-1])[path[-1]]
    return tree


def renamed(path: KeyPath, name: str) -> dict[str, Any]:
    tree = without(path)
    at(tree, path[:-1])[name] = at(FULL, path)
    return tree


def text_with_twice(path: KeyPath, node: Any = FULL, here: KeyPath = ()) -> str:
    """FULL as JSON text in which the key at `path` is written twice."""
    if isinstance(node, dict):
        pairs = [
            f"{json.dumps(key)}: {text_with_twice(path, value, (*here, key))}"
            for key, value in node.items()
            for _ in range(2 if (*here, key) == path else 1)
        ]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(node, list):
        items = (text_with_twice(path, value, (*here, i)) for i, value in enumerate(node))
        return "[" + ", ".join(items) + "]"
    return json.dumps(node)


class Mutation(NamedTuple):
    """A spoilt config, and the key paths of which at least one must be named."""

    kind: str
    key: str
    text: str
    named: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"{self.kind} {self.key}"


def mutations() -> Iterator[Mutation]:
    """Spoil FULL in every way that holds for every key."""
    for path in keys():
        key, value, parent = str(path[-1]), at(FULL, path), path[:-1]
        shown = key_path(path)
        wrong = key[:-1] + key[-2] + key[-1]
        yield Mutation(
            "misspelt",
            shown,
            json.dumps(renamed(path, wrong)),
            (key_path((*parent, wrong)), shown),
        )
        yield Mutation("twice", shown, text_with_twice(path), (shown,))
        if path in REQUIRED:
            missed = key_path(MISSED_BY.get(path, path))
            yield Mutation("dropped", shown, json.dumps(without(path)), (missed,))
        for label, other in _other_types(value):
            yield Mutation(label, shown, json.dumps(changed(path, other)), (shown,))
        for word in ("NaN", "Infinity", "-Infinity", "1e999"):
            text = json.dumps(changed(path, "@@")).replace('"@@"', word)
            yield Mutation(word, shown, text, (shown,))


def _other_types(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, bool):
        yield from (("as text", str(value).lower()), ("as number", int(value)))
    elif isinstance(value, int | float):
        yield from (("as text", str(value)), ("as bool", True), ("as list", [value]))
    elif isinstance(value, str):
        yield from (("as number", 5), ("as bool", False), ("as list", [value]), ("empty", ""))
    elif isinstance(value, list):
        yield from (("as object", {"0": value}), ("as text", "x"), ("as number", 5))
    else:
        yield from (("as list", [value]), ("as text", "x"), ("as bool", True))


class Outcome(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


class Command:
    """`darwin` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._patch = patch

    def __call__(self, *arguments: str | Path) -> Outcome:
        self._patch.setattr(sys, "argv", ["darwin", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Outcome(ended.value.code, out, err)


def assert_refused(outcome: Outcome, label: str = "") -> None:
    """Exit 2, at most three lines that say what, where and how to mend it, no traceback."""
    assert outcome.code == 2, (label, outcome)
    assert outcome.out == ""
    lines = outcome.err.splitlines()
    assert len(lines) == 3, outcome.err
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("  at: ")
    assert lines[2].startswith("  mend: ")
    assert len(lines[2]) > len("  mend: ")
    assert max(map(len, lines)) < 800
    assert "Traceback" not in outcome.err
