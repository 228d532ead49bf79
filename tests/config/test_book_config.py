"""The config of a run of a book: what it takes, what it refuses, and that each key steers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from darwin.cli.main import darwin
from darwin.config.book import BookConfig
from darwin.config.explain import known_paths
from darwin.config.faults import key_path
from darwin.config.load import load_book, load_config
from darwin.errors import ConfigError
from tests.config.test_every_key_is_read import keys_read

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "configs" / "books").glob("*.json"))
BOOK: dict[str, Any] = {
    "run_id": "book",
    "market": {"provider": "synthetic", "symbols": ["BTC/USDT", "ETH/USDT"], "timeframe": "1h"},
    "allocation": {"agent": "allocator"},
}


def written(folder: Path, **changes: Any) -> Path:
    tree = BOOK | {key: {**BOOK.get(key, {}), **value} for key, value in changes.items()}
    path = folder / "book.json"
    path.write_text(json.dumps(tree))
    return path


def test_every_key_is_read_somewhere() -> None:
    read = keys_read()
    steering = list(known_paths(BookConfig))
    assert len(steering) > 35
    assert " ".join(key_path(path) for path in steering if path[-1] not in read) == ""


def test_the_page_names_every_key_that_other_runs_do_not_have() -> None:
    text = (ROOT / "docs" / "book-runs.md").read_text("utf-8")
    mine = [path for path in known_paths(BookConfig) if path[0] not in ("market", "costs", "mode")]
    named = {key_path(path) for path in mine if len(path) > 1 or path == ("agent_state_db",)}
    assert len(named) > 12
    assert [key for key in sorted(named) if f"`{key}`" not in text] == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_configs_hold(path: Path) -> None:
    assert load_book(path, (), {}).config.allocation.mode == "observe"


def test_options_and_environment_win_over_the_file(tmp_path: Path) -> None:
    environ = {"DARWIN__ALLOCATION__EVERY": "12", "DARWIN__COSTS__TAKER_BPS": "9"}
    config = load_book(written(tmp_path), ["allocation.every=6"], environ).config
    assert config.allocation.every == 6
    assert config.cost_rate == pytest.approx((9 + 1 + 1) / 10_000)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"allocation": {"agent": "market"}}, "market.symbols names 2"),
        ({"allocation": {"baseline": "flat"}}, "no baseline of the allocator agent"),
        ({"allocation": {"model_path": "artifacts/x/current"}}, "must end in allocator/current"),
        ({"allocation": {"evry": 3}}, "did you mean 'every'?"),
        ({"allocation": {"every": 0}}, "at least 1"),
        ({"allocation": {"params": {"tilt": 1}}}, "no meaning without a rule"),
        ({"limits": {"max_weight": 2.0}}, "at most 1"),
        ({"decider": {"provider": "rules"}}, "is no key of the config"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_key(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_book(written(tmp_path, **changes), (), {})
    assert said in " ".join(map(str, caught.value.lines()))


def test_config_check_and_show_take_the_config_of_a_book(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARWIN__COSTS__TAKER_BPS", "9")
    path = str(written(tmp_path))
    checked = CliRunner().invoke(darwin, ("config", "check", path))
    assert checked.exit_code == 0 and "holds (run book" in checked.output
    words = ("config", "show", path, "--set", "allocation.every=6", "--json")
    shown = json.loads(CliRunner().invoke(darwin, words).output)
    assert shown["config"]["allocation"]["every"] == 6
    told = {key: shown["origins"][key] for key in
            ("run_id", "costs.taker_bps", "allocation.every", "limits.max_weight")}  # fmt: skip
    assert list(told.values()) == ["file", "env", "--set", "default"]
    rule = CliRunner().invoke(
        darwin, ("config", "check", path, "--set", "allocation.policy=nosuch"),
        standalone_mode=False,
    )  # fmt: skip
    assert isinstance(rule.exception, ConfigError) and "nosuch" in str(rule.exception)


def test_a_run_of_candidates_does_not_take_the_config_of_a_book(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="of a book"):
        load_config(written(tmp_path), (), {})
