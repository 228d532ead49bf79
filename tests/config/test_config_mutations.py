"""Every key of the config, spoilt in every way: exit 2, three lines, the key named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from darwin.config.load import load_config
from tests.config.config_samples import (
    FULL,
    REQUIRED,
    Command,
    Mutation,
    Outcome,
    assert_refused,
    at,
    changed,
    key_path,
    keys,
    mutations,
    without,
)

pytestmark = pytest.mark.slow

Write = Callable[[object], Path]
MUTATIONS = list(mutations())
OPTIONAL = [path for path in keys() if path not in REQUIRED]

OUT_OF_BOUNDS = [
    (("run_id",), "two\nlines"),
    (("run_id",), "trailing\n"),
    (("run_id",), "a" * 65),
    (("run_id",), ".hidden"),
    (("mode",), "live"),
    (("mode",), "live"),
    (("mode",), "replai"),
    (("market", "symbols"), []),
    (("market", "symbols"), ["btc/usdt"]),
    (("market", "symbols"), ["BTC/USDT\n"]),
    (("market", "symbols"), ["BTC/USDT", "BTCUSDT"]),
    (("market", "symbols"), [f"A{i}A" for i in range(101)]),
    (("market", "timeframe"), "60"),
    (("market", "timeframe"), "1\u0663h"),
    (("market", "start"), "2021-01-01"),
    (("market", "start"), "2020-13-01"),
    (("market", "start"), "yesterday"),
    (("market", "start"), "0001-01-01T00:00+99:00"),
    (("market", "end"), "2019-12-31"),
    (("market", "warmup_bars"), -1),
    (("market", "warmup_bars"), 400.0),
    (("market", "max_gap_bars"), 0),
    (("market", "calendar"), "session"),
    (("market", "tick_size"), 0),
    (("market", "tick_size"), {"SOL/USDT": 1}),
    (("market", "tick_size"), {"BTC/USDT": -1}),
    (("market", "lot_size"), -0.1),
    (("market", "bars"), 50_000_001),
    (("market", "bars"), 10**30),
    (("market", "seed"), 2**63),
    (("market", "seed"), -1),
    (("market", "edge"), 1.01),
    (("market", "annual_volatility"), 0),
    (("costs", "maker_bps"), -10.5),
    (("costs", "taker_bps"), -0.1),
    (("costs", "slippage_bps"), 1001),
    (("portfolio", "starting_equity_usd"), 0),
    (("portfolio", "sizing"), "rsk"),
    (("portfolio", "risk_per_trade"), 0),
    (("portfolio", "risk_per_trade"), 1.5),
    (("portfolio", "units"), None),
    (("portfolio", "max_positions"), 0),
    (("portfolio", "max_exposure_fraction"), 0),
    (("portfolio", "positions_per_symbol"), 0),
    (("portfolio", "min_order_usd"), -1),
    (("portfolio", "max_order_usd"), 1),
    (("limits", "max_daily_loss_fraction"), 0),
    (("limits", "max_drawdown_fraction"), 1.1),
    (("limits", "reducing_resume"), 0),
    (("limits", "reducing_resume"), "always"),
    (("playbooks",), []),
    (("playbooks", 0, "name"), "brekout"),
    (("playbooks", 0, "params", "lookback"), 0),
    (("playbooks", 0, "params", "sides"), ["up"]),
    (("playbooks", 0, "exits", "stop_atr"), 0),
    (("playbooks", 0, "exits", "time_stop_bars"), 0),
    (("playbooks", 0, "exits", "trailing", "activation_r"), -1),
    (("playbooks", 0, "exits", "anchor"), "close"),
    (("playbooks", 1), FULL["playbooks"][0]),
    (("decider", "provider"), "rulez"),
    (("decider", "cost_usd_per_call"), -0.01),
    (("rl", "gate_agent", "name"), "portfolio"),
    (("rl", "gate_agent", "mode"), "Active"),
    (("rl", "gate_agent", "model_path"), "artifacts/rl_models/gate/20260101_000000"),
    (("rl", "gate_agent", "model_path"), "artifacts/rl_models/portfolio/current"),
    (("rl", "gate_agent", "policy"), "cautious-gat"),
    (("rl", "gate_agent", "policy"), "second-opinion"),
    (("rl", "gate_agent", "policy"), "os:system"),
    (("rl", "gate_agent", "params", "volume"), None),
    (("rl", "timeout_ms"), 0),
    (("rl", "timeout_ms"), 60_001),
    (("rl", "on_model_error"), "ignore"),
    (("rl", "max_override_rate"), 1.2),
    (("artifacts_dir",), "~/artifacts"),
]
TRAVERSALS = [
    (path, text)
    for path in (
        ("run_id",),
        ("rl", "gate_agent", "model_path"),
        ("rl", "meta_learner_agent", "model_path"),
        ("rl", "agent_state_db"),
    )
    for text in (
        "../escape",
        "/etc/passwd",
        "artifacts/../../escape",
        "artifacts/rl_models/../../../escape",
        "artifacts/./x",
        "artifacts//x",
        "artifacts",
        "artifacts/",
        "artifacts/.hidden",
        "artifacts\\..\\escape",
        "elsewhere/model",
        "..",
    )
    if (path, text) != (("run_id",), "artifacts")
] + [(("artifacts_dir",), text) for text in ("../escape", "a/../../escape", "/tmp/../etc")]


def test_the_config_that_is_spoilt_here_holds(darwin: Command, write: Write) -> None:
    outcome = darwin("config", "check", write(FULL))
    assert outcome.code == 0, outcome.err
    assert "run full" in outcome.out


def test_there_are_more_than_three_hundred_ways_and_each_is_another() -> None:
    texts = {mutation.text for mutation in MUTATIONS}
    assert len(texts) == len(MUTATIONS) >= 300
    assert {mutation.kind for mutation in MUTATIONS} >= {
        "misspelt", "twice", "dropped", "as text", "as number", "as bool", "as list", "NaN",
        "Infinity", "1e999",
    }  # fmt: skip


@pytest.mark.parametrize("kind", sorted({mutation.kind for mutation in MUTATIONS}))
def test_a_spoilt_key_is_refused_and_named(kind: str, darwin: Command, write: Write) -> None:
    for mutation in (mutation for mutation in MUTATIONS if mutation.kind == kind):
        outcome = darwin("config", "check", write(mutation.text))
        assert_refused(outcome, mutation.label)
        assert any(name in outcome.err for name in mutation.named), (mutation.label, outcome.err)


@pytest.mark.parametrize(("path", "value"), OUT_OF_BOUNDS + TRAVERSALS)
def test_a_value_out_of_bounds_is_refused_and_named(
    path: tuple[str | int, ...], value: object, darwin: Command, write: Write
) -> None:
    outcome = darwin("config", "check", write(changed(path, value)))
    assert_refused(outcome)
    assert key_path(path) in outcome.err


@pytest.mark.parametrize("text", ["half \ud800", "nul \0"])
def test_text_that_is_no_text_is_refused_and_named(
    text: str, darwin: Command, write: Write
) -> None:
    for path in (path for path in keys() if isinstance(at(FULL, path), str)):
        outcome = darwin("config", "check", write(changed(path, text)))
        assert_refused(outcome, key_path(path))
        assert key_path(path) in outcome.err


def test_an_optional_key_that_is_dropped_takes_its_default(darwin: Command, write: Write) -> None:
    for path in OPTIONAL:
        shown, file = key_path(path), write(without(path))
        outcome = darwin("config", "check", file)
        assert outcome.code == 0, (shown, outcome.err)
        origins = load_config(file, environ={}).origins
        here = [origins[key] for key in origins if key == shown or key.startswith(f"{shown}.")]
        free = "params." in shown or "tick_size." in shown  # keys that have no default
        assert set(here) == (set() if free else {"default"}), shown


@pytest.mark.parametrize("mutation", MUTATIONS[:: len(MUTATIONS) // 11], ids=lambda m: m.label)
def test_a_spoilt_key_is_refused_in_a_process_of_its_own(
    mutation: Mutation, write: Write, tmp_path: Path
) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("darwin"), "config", "check", write(mutation.text)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert_refused(Outcome(done.returncode, done.stdout, done.stderr))
    assert any(name in done.stderr for name in mutation.named)


def test_all_faults_stand_in_one_message(darwin: Command, write: Write) -> None:
    tree = changed(("market", "edge"), 7)
    tree["costs"]["takr_bps"] = tree["costs"].pop("taker_bps")
    tree["portfolio"]["units"] = None
    tree["playbooks"][0]["exits"]["stop_atr"] = "wide"
    outcome = darwin("config", "check", write(tree))
    assert_refused(outcome)
    assert "4 faults; the first: market.edge must be at most 0.5, not 7" in outcome.err
    for named in ("costs.takr_bps: did you mean 'taker_bps'?", "portfolio.units: ",
                  "playbooks[0].exits.stop_atr: write a number"):  # fmt: skip
        assert named in outcome.err


def test_many_faults_still_take_three_short_lines(darwin: Command, write: Write) -> None:
    text = json.dumps(FULL).replace(": 0.", ': -Infinity, "x": 0.').replace("true", "7")
    odd = json.dumps("k" * 5000 + "\u202e\n")
    outcome = darwin("config", "check", write(f'{text[:-1]}, {odd}: {odd}, "mode": {odd}}}'))
    assert_refused(outcome)
    assert "+" in outcome.err.splitlines()[1]
    assert "k" * 60 not in outcome.err
    assert "\u202e" not in outcome.err
