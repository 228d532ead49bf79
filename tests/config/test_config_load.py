"""File, environment and `--set`: who wins, what is remembered, what is never said aloud."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from darwin.config.load import load_config
from darwin.errors import ConfigError
from tests.config.config_samples import FULL, Command, assert_refused, changed, full, renamed

Write = Callable[[object], Path]
SMALL = {
    "run_id": "small",
    "market": {"provider": "synthetic", "symbols": ["BTC/USDT"], "timeframe": "1h", "edge": 0.1},
    "playbooks": [{"name": "breakout", "params": {"lookback": 20}}],
    "decider": {"provider": "rules"},
}


def test_set_wins_over_environment_over_file_over_default(write: Write) -> None:
    file = write(SMALL)
    environ = {"DARWIN__MARKET__EDGE": "0.2", "DARWIN__MARKET__SEED": "5"}
    assert load_config(file, environ={}).config.market.edge == 0.1
    assert load_config(file, environ=environ).config.market.edge == 0.2
    loaded = load_config(file, ["market.edge=0.3"], environ)
    market = loaded.config.market
    assert (market.edge, market.seed, market.timeframe, market.max_gap_bars) == (0.3, 5, "1h", 24)
    origins = [loaded.origins[f"market.{key}"] for key in ("edge", "seed", "timeframe", "bars")]
    assert origins == ["--set", "env", "file", "default"]


def test_every_resolved_value_has_an_origin(write: Write) -> None:
    loaded = load_config(write(FULL), environ={})
    assert set(loaded.origins.values()) == {"file"}
    assert loaded.resolved() == FULL


def test_the_environment_is_the_default_environment(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARWIN__ARTIFACTS_DIR", "/var/darwin")
    loaded = load_config(write(SMALL))
    assert loaded.config.artifacts_dir == "/var/darwin"
    assert loaded.origins["artifacts_dir"] == "env"


@pytest.mark.parametrize(
    "name", ["DARWIN__PLAYBOOKS__0__PARAMS__LOOKBACK", "DARWIN__playbooks__0__Params__lookBack"]
)
def test_a_variable_reaches_into_lists_and_free_options_in_any_case(
    name: str, write: Write
) -> None:
    loaded = load_config(write(SMALL), environ={name: "55"})
    assert loaded.config.playbooks[0].params == {"lookback": 55}


@pytest.mark.parametrize(
    ("option", "key", "value"),
    [
        ("playbooks.0.params.lookback=9", "playbooks[0].params.lookback", 9),
        ("playbooks[0].params.lookback=9", "playbooks[0].params.lookback", 9),
        ("playbooks[0].exits.trailing.activation_r=1", "", ConfigError),
        ('playbooks[0].exits.trailing={"activation_r":1,"distance_atr":2}',
         "playbooks[0].exits.trailing.distance_atr", 2.0),
        ("playbooks[1].name=pullback", "playbooks[1].name", "pullback"),
        ("playbooks[2].name=pullback", "", ConfigError),
        ("playbooks.x.name=pullback", "", ConfigError),
        ("market.symbols=[\"ETH/USDT\"]", "market.symbols", ["ETH/USDT"]),
        ("market.symbols[1]=ETH/USDT", "market.symbols", ["BTC/USDT", "ETH/USDT"]),
        ("run_id=20240131", "run_id", "20240131"),
        ("market.path=2024", "market.path", "2024"),
        ("market.start=2024-01-31", "market.start", "2024-01-31"),
        ("market.tick_size=0.5", "market.tick_size", 0.5),
        ("market.tick_size.BTC/USDT=0.5", "market.tick_size.BTC/USDT", 0.5),
        ("limits.max_orders_per_bar=null", "limits.max_orders_per_bar", None),
        ("limits.reducing_resume=never", "limits.reducing_resume", "never"),
        ("decider.take_all=true", "decider.take_all", True),
        ("run_id=a=b", "", ConfigError),
        ("costs=null", "", ConfigError),
        ("costs.taker_bps=1e999", "", ConfigError),
        ("costs.taker_bps=NaN", "", ConfigError),
        ("costs.taker_bps=\"5\"", "", ConfigError),
        ("costs.taker_bps.deep=5", "costs.taker_bps.deep", ConfigError),
        ("run_id.deep=5", "", ConfigError),
        ('costs={"taker_bps":1,"taker_bps":2}', "", ConfigError),
        ("decider.depth=" + "[" * 100_000, "", ConfigError),
        ("decider.depth=" + "[" * 40 + "]" * 40, "", ConfigError),
    ],
)  # fmt: skip
def test_set_reaches_every_value(option: str, key: str, value: object, write: Write) -> None:
    file = write(SMALL)
    if value is ConfigError:
        with pytest.raises(ConfigError):
            load_config(file, [option], {})
        return
    loaded = load_config(file, [option], {})
    assert loaded.origins[key] == "--set"
    node: object = loaded.resolved()
    for part in key.replace("]", "").replace("[", ".").split("."):
        node = node[int(part)] if isinstance(node, list) else node[part]  # type: ignore[index]
    assert node == value
    assert type(node) is type(value)


def test_the_last_set_of_a_key_wins_and_a_whole_block_replaces_its_keys(write: Write) -> None:
    options = ["costs.maker_bps=7", 'costs={"taker_bps": 3}', "market.seed=1", "market.seed=2"]
    loaded = load_config(write(SMALL), options, {})
    assert (loaded.config.costs.maker_bps, loaded.config.costs.taker_bps) == (2.0, 3.0)
    assert loaded.origins["costs.maker_bps"] == "default"
    assert loaded.config.market.seed == 2
    loaded = load_config(write(SMALL), options, {"DARWIN__COSTS__TAKER_BPS": "9"})
    assert (loaded.config.costs.taker_bps, loaded.origins["costs.taker_bps"]) == (3.0, "--set")


@pytest.mark.parametrize(
    "option", ["market.edge", "=5", ".edge=1", "market..edge=1", "market[x]=1", "market[0=1", ""]
)
def test_a_malformed_set_is_refused_without_echo(
    option: str, darwin: Command, write: Write
) -> None:
    outcome = darwin("config", "check", write(SMALL), "--set", "run_id=x", "--set", option + "")
    assert_refused(outcome)
    assert "--set number 2" in outcome.err


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("DARWIN__MARKET__EGDE", "did you mean 'edge'?"),
        ("DARWIN__MARKT__EDGE", "did you mean 'market'?"),
        ("DARWIN__RISK_PER_TRADE", "did you mean 'portfolio.risk_per_trade'?"),
        ("DARWIN__PLAYBOOKS__0__EXITS__STOP", "did you mean 'stop_atr'?"),
        ("DARWIN__PLAYBOOKS__7__NAME", "number them from 0"),
        ("DARWIN__MARKET____EDGE", "DARWIN__MARKET__EDGE=0.1"),
        ("DARWIN__", "DARWIN__MARKET__EDGE=0.1"),
    ],
)
def test_a_variable_that_names_no_key_is_refused_with_a_suggestion(
    name: str, hint: str, darwin: Command, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "0.5")
    outcome = darwin("config", "check", write(SMALL))
    assert_refused(outcome)
    assert name in outcome.err
    assert hint in outcome.err


def test_two_variables_that_differ_in_case_alone_are_refused(write: Write) -> None:
    with pytest.raises(ConfigError, match="name the same key"):
        load_config(write(SMALL), (), {"DARWIN__RUN_ID": "a", "DARWIN__run_id": "b"})


def test_other_variables_are_left_alone(write: Write) -> None:
    environ = {"DARWIN_RL_DISABLED": "1", "DARWIN_DEBUG": "x", "XDARWIN__RUN_ID": "x"}
    assert load_config(write(SMALL), (), environ).config.run_id == "small"


@pytest.mark.parametrize(
    ("tree", "hint"),
    [
        (renamed(("market", "edge"), "egde"), "did you mean 'edge'?"),
        (renamed(("portfolio", "risk_per_trade"), "risk_per_trad"), "'risk_per_trade'?"),
        (full() | {"risk_per_trade": 0.01}, "did you mean 'portfolio.risk_per_trade'?"),
        (full() | {"qqq": 1}, "known here: run_id, mode, market"),
        (renamed(("decider", "provider"), "providr"), "rename providr"),
        (renamed(("playbooks", 0, "params", "lookback"), "lokback"), "did you mean 'lookback'?"),
        (renamed(("decider", "cost_usd_per_call"), "cost_per_call"), "'cost_usd_per_call'?"),
        (changed(("portfolio", "sizing"), "equal_wieght"), "did you mean 'equal_weight'?"),
        (changed(("playbooks", 1, "name"), "pulback"), "did you mean 'pullback'?"),
        (changed(("mode",), "live"), "not available in this version"),
        (changed(("rl", "gate_agent", "mode"), "activ"), "did you mean 'active'?"),
        (changed(("rl", "gate_agent", "policy"), "cautious-gat"), "did you mean 'cautious-gate'?"),
        (
            changed(("rl", "gate_agent", "model_path"), "artifacts/rl_models/gate/v1"),
            "write artifacts/rl_models/gate/current",
        ),
    ],
)
def test_a_fault_comes_with_the_mend(
    tree: object, hint: str, darwin: Command, write: Write
) -> None:
    outcome = darwin("config", "check", write(tree))
    assert_refused(outcome)
    assert hint in outcome.err


@pytest.mark.parametrize("path", [("run_id",), ("market", "symbols"), ("playbooks", 0, "name")])
def test_a_misspelt_required_key_is_one_fault_not_two(
    path: tuple[str | int, ...], write: Write
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(write(renamed(path, f"{path[-1]}s")), (), {})
    assert f"{path[-1]}s is no key of the config" in refused.value.what
    assert "faults" not in refused.value.what


def test_an_endless_key_is_shortened_and_an_odd_one_escaped(write: Write) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(write(full() | {"k" * 5000 + "\u202e": 1}), (), {})
    assert "k" * 49 not in refused.value.what
    with pytest.raises(ConfigError) as refused:
        load_config(write(full() | {"a\u202eb\x1b[2J": 1}), (), {})
    assert r'["a\u202eb\u001b[2J"]' in refused.value.what


@pytest.mark.parametrize(
    "key", ["api_key", "apiKey", "API-KEY", "exchange_secret", "token", "openai_api_key", "xpto"]
)
@pytest.mark.parametrize("place", [(), ("market",), ("decider",), ("playbooks", 0, "params")])
def test_the_value_of_a_key_that_may_be_a_secret_is_never_echoed(
    key: str, place: tuple[str | int, ...], darwin: Command, write: Write
) -> None:
    tree = full()
    node = tree
    for part in place:
        node = node[part]  # type: ignore[index]
    node[key] = "sk-hunter2"
    for command in ("check", "show"):
        outcome = darwin("config", command, write(tree))
        assert_refused(outcome)
        assert key in outcome.err
        assert "hunter2" not in outcome.err


def test_a_secret_given_by_set_or_environment_is_not_echoed_either(
    darwin: Command, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(SMALL)
    by_set = darwin("config", "show", file, "--set", "llm.api_key=sk-hunter2")
    malformed = darwin("config", "show", file, "--set", "llm.api_key sk-hunter2")
    monkeypatch.setenv("DARWIN__API_KEY", "sk-hunter2")
    by_variable = darwin("config", "show", file)
    for outcome in (by_set, malformed, by_variable):
        assert_refused(outcome)
        assert "hunter2" not in outcome.err


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("decider.api_key", '"x"'),
        ("playbooks[0].params.apiKey", '"x"'),
        ("decider.deep", '{"list": [{"password": 1}]}'),
        ("decider.free", "NaN"),
        ("playbooks[0].params.free", "[1, -1e999]"),
        ("decider.free", '"\\ud800"'),
    ],
)
def test_what_no_value_may_be_is_refused_in_free_options_too(
    path: str, text: str, write: Write
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(write(SMALL), [f"{path}={text}"], {})
    assert path in refused.value.where


def test_options_that_only_sound_like_secrets_are_options(write: Write) -> None:
    tree = SMALL | {"decider": {"provider": "mine:Decider", "max_tokens": 5, "api_key_env": "X"}}
    options = load_config(write(tree), (), {}).config.decider.options
    assert options == {"max_tokens": 5, "api_key_env": "X"}


def test_an_int_may_stand_for_a_float_and_a_config_is_frozen(write: Write) -> None:
    config = load_config(write(changed(("costs", "taker_bps"), 3)), (), {}).config
    assert type(config.costs.taker_bps) is float
    with pytest.raises(ValueError, match="frozen"):
        config.costs.taker_bps = 4.0  # type: ignore[misc]


def test_dates_are_utc_unless_they_say_otherwise(write: Write) -> None:
    tree = changed(("market", "start"), "2020-01-01T02:00:00+02:00")
    market = load_config(write(tree), (), {}).config.market
    assert market.start_ms == 1_577_836_800_000
    assert market.end_ms == 1_609_459_200_000
    assert load_config(write(SMALL), (), {}).config.market.start_ms is None


@pytest.mark.parametrize("path", [None, 5, ""])
def test_the_files_provider_needs_a_path(path: object, darwin: Command, write: Write) -> None:
    tree = changed(("market", "path"), path)
    tree["market"]["provider"] = "files"
    outcome = darwin("config", "check", write(tree))
    assert_refused(outcome)
    assert "market.path" in outcome.err


def test_show_names_each_value_with_its_origin(darwin: Command, write: Write) -> None:
    outcome = darwin("config", "show", write(SMALL), "--set", "market.seed=11")
    assert outcome.code == 0
    rows = [line.split() for line in outcome.out.splitlines()]
    assert ["market.seed", "11", "--set"] in rows
    assert ["market.edge", "0.1", "file"] in rows
    assert ["playbooks[0].exits.stop_atr", "1.2", "default"] in rows


def test_show_in_json_is_json_and_loads_again(darwin: Command, write: Write) -> None:
    shown = json.loads(darwin("config", "show", write(SMALL), "--json").out)
    checked = json.loads(darwin("config", "check", write(shown["config"]), "--json").out)
    assert checked == {"ok": True, "run_id": "small", "digest": shown["digest"]}


def test_help_has_an_example(darwin: Command) -> None:
    for command in ((), ("check",), ("show",)):
        assert "darwin config " in darwin("config", *command, "--help").out.split("Example:")[1]
