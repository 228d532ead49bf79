"""`darwin runs compare` on runs that were made: each cause by the change that brings it about."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.run.agents import promote, rules
from tests.run.command import Desk

pytestmark = pytest.mark.slow

BARS = {"bars": 1500}


def run(desk: Desk, run_id: str, *more: str) -> None:
    sets = (word for key in (f"run_id={run_id}", *more) for word in ("--set", key))
    done = desk.darwin("run", "config.json", *sets)
    assert done.returncode == 0, done.stderr


def compared(desk: Desk, a: str, b: str, *more: str) -> dict[str, Any]:
    """The comparison, its sums held against what the runs themselves have reported."""
    done = desk.darwin("runs", "compare", a, b, "--json", *more)
    assert (done.returncode, done.stderr) == (0, "")
    tree: dict[str, Any] = json.loads(done.stdout)
    net = {
        one: {row["candidate_id"]: float(row["net_pnl_usd"]) for row in desk.trades(one)}
        for one in (a, b)
    }
    for one in tree["differences"]:
        ids = [one[side] and one[side]["candidate_id"] for side in ("a", "b")]
        earned = net[b].get(ids[1], 0.0) - net[a].get(ids[0], 0.0)
        assert one["usd"] == pytest.approx(earned, abs=1e-9)
        assert sum(one["parts"].values()) == pytest.approx(earned, abs=1e-9)
    told = {side: desk.metrics(one)["net_pnl_usd"] for side, one in (("a", a), ("b", b))}
    for side, earned in told.items():
        assert tree[side]["net_pnl_usd"] == pytest.approx(earned, abs=1e-6)
    reported = told["b"] - told["a"]
    assert sum(one["usd"] for one in tree["causes"]) == pytest.approx(reported, abs=1e-6)
    assert tree["net_pnl_usd"]["difference"] == pytest.approx(reported, abs=1e-6)
    assert tree["net_pnl_usd"]["remainder"] == pytest.approx(0.0, abs=1e-6)
    return tree


def causes(tree: dict[str, Any]) -> dict[str, int]:
    """How many candidates each cause has."""
    found = {one["cause"]: one["candidates"] for one in tree["causes"] if one["candidates"]}
    assert found == Counter(one["cause"] for one in tree["differences"])
    return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk with a run `base` that tests compare theirs with."""
    desk = Desk(tmp_path_factory.mktemp("compared"))
    desk.config(market=BARS)
    run(desk, "base")
    return desk


def test_dearer_fees_are_cost_and_the_account_they_leave_is_a_knock_on(desk: Desk) -> None:
    run(desk, "dear", "costs.taker_bps=20")
    tree = compared(desk, "base", "dear")
    assert set(causes(tree)) == {"size", "cost"}
    assert [change["key"] for change in tree["config"]] == ["costs.taker_bps"]
    untraded = {one["what"] for one in tree["differences"] if one["a"]["trade"] is None}
    assert untraded == {"outcome alone"}
    size, cost = (one for one in tree["causes"] if one["candidates"])
    assert size["knock_on"] == size["candidates"]
    assert size["knock_on_usd"] == size["usd"]
    fees = desk.metrics("dear")["fees_usd"] - desk.metrics("base")["fees_usd"]
    assert cost["usd"] < 0
    assert cost["usd"] == pytest.approx(-fees, rel=0.1)  # the other units paid a little of them


def test_dearer_fees_on_fixed_units_are_cost_alone_to_the_cent(desk: Desk) -> None:
    terms = (
        "portfolio.sizing=fixed_units", "portfolio.units=0.01",
        "limits.max_drawdown_fraction=null", "limits.max_daily_loss_fraction=null",
    )  # fmt: skip
    run(desk, "fixed", *terms)
    run(desk, "fixed-dear", *terms, "costs.taker_bps=20", "costs.slippage_bps=3")
    tree = compared(desk, "fixed", "fixed-dear")
    assert set(causes(tree)) == {"cost"}
    earned = [desk.metrics(one)["net_pnl_usd"] for one in ("fixed", "fixed-dear")]
    assert tree["causes"][-1]["usd"] == pytest.approx(earned[1] - earned[0], abs=1e-9)
    assert tree["causes"][-1]["usd"] < 0


def test_another_market_is_data(desk: Desk) -> None:
    run(desk, "seed", "market.seed=4")
    tree = compared(desk, "base", "seed")
    assert set(causes(tree)) == {"data"}
    assert tree["alike"] == 0
    assert tree["data"]["first_seen_at"] == min(one["bar_time"] for one in tree["differences"])


def test_fewer_bars_are_data_from_where_they_end(desk: Desk) -> None:
    run(desk, "short", "market.bars=1200")
    tree = compared(desk, "base", "short")
    assert set(causes(tree)) == {"data"}
    assert {one["what"] for one in tree["differences"]} == {"range", "course"}
    end = tree["b"]["last_bar"]
    assert {one["bar_time"] > end for one in tree["differences"] if one["b"] is None} == {True}
    assert tree["data"]["first_seen_at"] > end
    assert tree["alike"] > 0


def test_a_more_demanding_expert_is_signal_and_what_it_left_room_for_a_knock_on(
    desk: Desk,
) -> None:
    run(desk, "choosy", "decider.min_confidence=0.52")
    tree = compared(desk, "base", "choosy")
    assert set(causes(tree)) == {"signal", "size"}
    ways = {(one["what"], one["a"], one["b"]) for one in tree["ways"]}
    assert ("expert", "taken", "expert: expert skip") in ways
    assert ("account", "account: position open", "taken") in ways
    for one in tree["differences"]:
        if one["cause"] == "signal":
            assert one["knock_on"] == (one["what"] == "account")


def test_a_tighter_limit_is_signal_and_no_knock_on(desk: Desk) -> None:
    run(desk, "limited", "limits.max_orders_per_day=1")
    tree = compared(desk, "base", "limited")
    limited = [one for one in tree["differences"] if one["what"] == "limits"]
    assert {(one["cause"], one["knock_on"]) for one in limited} == {("signal", False)}
    assert {one["b"]["reason"] for one in limited} == {"orders per day"}


def test_another_bracket_is_signal_for_whoever_has_it(desk: Desk) -> None:
    tighter = '[{"name": "breakout", "exits": {"stop_atr": 1.0}}, {"name": "mean_reversion"}]'
    run(desk, "tighter", f"playbooks={tighter}")
    tree = compared(desk, "base", "tighter")
    brackets = {one["playbook"] for one in tree["differences"] if one["what"] == "bracket"}
    assert brackets == {"breakout"}
    assert "data" not in causes(tree)


def test_setups_of_another_playbook_are_signal_not_data(desk: Desk) -> None:
    run(desk, "alone", 'playbooks=[{"name": "breakout"}]')
    tree = compared(desk, "base", "alone")
    setups = [one for one in tree["differences"] if one["what"] == "setup"]
    assert {(one["cause"], one["playbook"], one["b"]) for one in setups} == {
        ("signal", "mean_reversion", None)
    }
    assert "data" not in causes(tree)


@pytest.mark.sweep
def test_fed_bar_by_bar_there_is_no_difference(desk: Desk) -> None:
    few = ("--set", "market.bars=700", "--set")
    for words in (("run_id=few",), ("run_id=fed", "--feed")):
        done = desk.darwin("run", "config.json", *few, *words)
        assert done.returncode == 0, done.stderr
    tree = compared(desk, "few", "fed")
    assert tree["a"]["trades"] > 0
    assert (tree["no_difference"], tree["differences"], tree["config"]) == (True, [], [])
    assert tree["data"] == {
        "bars_differ": False, "told_by_digests": False, "first_seen_at": None,
    }  # fmt: skip
    done = desk.darwin("runs", "compare", "few", "fed")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no difference" in done.stdout.splitlines()[-1]


def test_agents_that_watch_are_signal_without_a_dollar(desk: Desk) -> None:
    desk.config("watched.json", market=BARS, rl=rules())
    done = desk.darwin("run", "watched.json", "--set", "run_id=watched")
    assert done.returncode == 0, done.stderr
    tree = compared(desk, "base", "watched")
    assert set(causes(tree)) == {"signal"}
    assert {one["what"].partition(", ")[2] for one in tree["ways"]} == {"no effect"}
    assert [one["usd"] for one in tree["causes"]] == [0.0] * 6
    served = {(one["agent_name"], one["followed"]) for one in tree["b"]["models"]}
    assert served == {("gate", 0), ("meta_learner", 0), ("portfolio", 0)}
    assert tree["a"]["models"] == []


def test_an_agent_that_acts_is_signal_and_its_stage_is_named(tmp_path: Any) -> None:
    desk = Desk(tmp_path)
    desk.config(market=BARS)
    run(desk, "absent")
    desk.config(market=BARS, rl=rules("active", agents=["gate", "portfolio"]))
    promote(desk, "gate", stage=1.0)
    promote(desk, "portfolio", stage=0.5)
    run(desk, "acting")
    tree = compared(desk, "absent", "acting")
    assert "data" not in causes(tree)
    stages = {one["what"] for one in tree["differences"] if one["cause"] == "signal"}
    assert {"gate", "portfolio"} <= stages
    skipped = [one for one in tree["differences"] if one["what"] == "gate"]
    assert {one["b"]["reason"] for one in skipped} == {"gate skip"}
    resized = [
        one for one in tree["differences"] if one["what"] == "portfolio" and one["b"]["trade"]
    ]
    assert resized
    assert all(set(one["parts"]) <= {"signal"} for one in resized)
    assert any(one["followed"] for one in tree["b"]["models"])


@pytest.mark.sweep
def test_a_run_that_was_killed_is_compared_as_far_as_it_is_kept(tmp_path: Any) -> None:
    desk = Desk(tmp_path)
    desk.config(market={"bars": 30_000})
    desk.killed("config.json")
    run(desk, "whole")
    done = desk.darwin("runs", "compare", "small", "whole", "--json")
    assert done.returncode == 0, done.stderr
    tree = json.loads(done.stdout)
    assert (tree["a"]["finished"], tree["b"]["finished"]) == (False, True)
    assert set(causes(tree)) == {"data"}
    assert tree["alike"] > 0
    money = tree["net_pnl_usd"]
    told = sum(one["usd"] for one in tree["causes"]) + money["remainder"]
    assert told == pytest.approx(money["difference"], abs=1e-6)
    said = desk.darwin("runs", "compare", "small", "whole").stdout
    assert "run 'small' is not finished: compared as far as it is kept" in said


def test_help_has_an_example(desk: Desk) -> None:
    done = desk.darwin("runs", "compare", "--help")
    assert done.returncode == 0
    assert "darwin runs compare btc-breakout btc-dear" in done.stdout
