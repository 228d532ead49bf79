"""`darwin benchmark CONFIG` as its user runs it, on a config of candidates and on one of a book."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from darwin.cli.main import darwin
from tests.run.books import BOOK

PLANTED: dict[str, Any] = {
    "run_id": "planted",
    "market": {
        "provider": "synthetic", "symbols": ["BTC/USDT", "ETH/USDT"], "timeframe": "1h",
        "bars": 6000, "seed": 6, "edge": 0.5,
    },
    "costs": {"maker_bps": 0, "taker_bps": 0, "half_spread_bps": 0, "slippage_bps": 0},
    "portfolio": {"risk_per_trade": 0.01},
    "playbooks": [{"name": "breakout"}],
    "decider": {"provider": "rules", "take_all": True},
}  # fmt: skip


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Asks for the benchmark of a config, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def ask(config: dict[str, Any], *words: str) -> Result:
        (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
        line = ["benchmark", "config.json", *words]
        return CliRunner().invoke(darwin, line, catch_exceptions=False, standalone_mode=False)

    return ask


def test_a_run_that_knows_what_was_planted_wins_and_passes(asked):
    done = asked(PLANTED, "--json")
    tree = json.loads(done.stdout)
    assert done.return_value is None
    assert tree["winner"] == tree["judged"] == "this_run"
    assert tree["strategies"]["this_run"]["p_value"] < 0.05
    assert {one["name"]: one["held"] for one in tree["criteria"]} == {
        "sharpe_ratio": True, "max_drawdown": True, "win_rate": True, "beats_buy_and_hold": True,
    }  # fmt: skip
    assert tree["verdict"] == "passed"
    assert tree["total_return"] == pytest.approx(
        tree["strategies"]["this_run"]["total_return"]["value"]
    )


def test_without_what_was_planted_nobody_wins_and_the_table_says_what_it_is(asked):
    done = asked(PLANTED, "--set", "market.edge=0", "--windows", "2")
    for told in (
        "SYNTHETIC", "No winner: of none is it shown", "This run", "Minimum variance", "Win rate",
        "250 days", "nothing is fitted", "2020-01-01 to 2020-05-05", "2,000 draws",
    ):  # fmt: skip
        assert told in done.output, told
    assert not list(Path().glob("artifacts/*"))


def test_one_symbol_says_why_two_rivals_are_missing(asked):
    done = asked(PLANTED, "--set", 'market.symbols=["BTC/USDT"]', "--set", "market.bars=800")
    assert "Equal weight is left out: it wants two symbols" in done.output
    assert "Minimum variance is left out" in done.output


def test_a_config_of_a_book_is_judged_with_its_rule(asked):
    done = asked(BOOK, "--json", "--windows", "3")
    tree = json.loads(done.stdout)
    assert (tree["run_id"], tree["judged"], tree["synthetic"]) == ("book", "allocator", True)
    assert next(iter(tree["strategies"])) == "allocator"
    assert "minimum_variance" in tree["strategies"]
    assert tree["sampling"]["cost_bps"] == pytest.approx(7.0)
    assert tree["sampling"]["bars_between_decisions"] == 24
    assert len(tree["windows"]) == 3
    assert tree["verdict"] in ("refused", "undecided") and done.return_value is None


def test_a_book_without_a_model_has_its_rivals_alone(asked):
    plain = BOOK | {"allocation": {"agent": "allocator"}}
    tree = json.loads(asked(plain, "--json").stdout)
    assert tree["judged"] is None and "allocator" not in tree["strategies"]
    off = BOOK | {"allocation": BOOK["allocation"] | {"enabled": False}}
    assert json.loads(asked(off, "--json").stdout)["judged"] is None
