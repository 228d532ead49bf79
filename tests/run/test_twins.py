"""Twins from outside: each column of twins.csv is a run that somebody could have made."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from darwin.core.agents import AGENTS
from tests.run.agents import kill_file, promote, rules
from tests.run.command import Desk
from tests.run.test_agents import decided, feed, finish, run, wait_for

pytestmark = pytest.mark.slow

BARS = 2500
ACTING = rules("active")


def days(desk: Desk, run_id: str) -> dict[str, dict[str, float]]:
    """By account and day what twins.csv holds."""
    with (desk.run_dir(run_id) / "twins.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = rows[0].keys() - {"day"}
    return {name: {row["day"]: float(row[name]) for row in rows} for name in names}


def closes(desk: Desk, run_id: str) -> dict[str, float]:
    """By day the last of equity.csv; a close at midnight belongs to the day that ends there."""
    with (desk.run_dir(run_id) / "equity.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    ended = (datetime.fromisoformat(row["time"]) - timedelta(seconds=1) for row in rows)
    equity = (float(row["equity"]) for row in rows)
    return {str(when.date()): value for when, value in zip(ended, equity, strict=True)}


@pytest.fixture(scope="module", params=[pytest.param(0.01, marks=pytest.mark.sweep), 1.0])
def acted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Run `all` with three agents that act, and the runs that its twins stand for."""
    desk = Desk(tmp_path_factory.mktemp("acted"))
    desk.config(market={"bars": BARS}, rl=ACTING)
    promote(desk, *AGENTS, stage=request.param)
    run(desk, "all")
    run(desk, "nobody", "--set", "rl.enabled=false")
    for agent in AGENTS:
        watching = [
            word
            for other in AGENTS
            if other != agent
            for word in ("--set", f"rl.{other}_agent.mode=observe")
        ]
        run(desk, f"only-{agent}", *watching)
    return desk


def test_the_twin_without_agents_is_the_run_with_agents_switched_off(acted: Desk) -> None:
    accounts = days(acted, "all")
    assert accounts["without_agents"] == closes(acted, "nobody")
    assert accounts["run"] == closes(acted, "all")
    assert accounts["run"] != accounts["without_agents"]
    figures = acted.metrics("all")["twins"]["accounts"]["without_agents"]
    bare = acted.metrics("nobody")
    for name in ("net_pnl_usd", "sharpe_ratio", "max_drawdown", "trades", "total_return"):
        assert figures[name] == bare[name]
    assert bare["twins"] is None
    assert not (acted.run_dir("nobody") / "twins.csv").exists()


@pytest.mark.parametrize("agent", AGENTS)
def test_a_twin_of_one_agent_is_the_run_in_which_the_others_only_watch(
    agent: str, acted: Desk
) -> None:
    accounts, name = days(acted, "all"), f"only-{agent}"
    assert accounts[agent] == closes(acted, name)
    assert accounts[agent] != accounts["without_agents"]
    own = acted.metrics(name)["twins"]
    assert own["accounts"][agent]["is_run"]
    assert days(acted, name)[agent] == days(acted, name)["run"]
    others = [other for other in AGENTS if other != agent]
    assert all(days(acted, name)[other] == accounts["without_agents"] for other in others)
    assert own["contributions"][agent] == own["accounts"]["without_agents"]["run_minus"]
    assert own["interaction"]["usd"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_what_agents_brought_adds_up_to_what_the_run_earned_more(acted: Desk) -> None:
    twins = acted.metrics("all")["twins"]
    parts = [one["usd"]["value"] for one in twins["contributions"].values()]
    whole = closes(acted, "all"), closes(acted, "nobody")
    gained = list(whole[0].values())[-1] - list(whole[1].values())[-1]
    assert sum(parts) + twins["interaction"]["usd"]["value"] == pytest.approx(gained, abs=1e-6)
    assert twins["intervals"]["days"] == len(whole[0])
    low, high = (
        twins["accounts"]["without_agents"]["run_minus"]["usd"][e] for e in ("low", "high")
    )
    assert low < high


def test_a_second_report_writes_the_same_bytes_and_a_lost_file_is_made_again(acted: Desk) -> None:
    kept = {path.name: path.read_bytes() for path in acted.run_dir("all").iterdir()}
    assert {"twins.csv", "metrics.json", "report.html"} <= kept.keys()
    assert acted.darwin("report", "all").returncode == 0
    assert files(acted, "all", kept) == kept
    (acted.run_dir("all") / "twins.csv").unlink()
    run(acted, "all")
    assert files(acted, "all", kept) == kept


def files(desk: Desk, run_id: str, names: Any) -> dict[str, bytes]:
    """But for the log, which goes on."""
    there = {name: (desk.run_dir(run_id) / name).read_bytes() for name in names}
    return {**there, "run.log": there["run.log"][: len(names["run.log"])]}


def test_where_agents_only_watch_the_twins_are_said_to_be_the_run(desk: Desk) -> None:
    desk.config(rl=rules("observe"))
    run(desk, "watched")
    twins = desk.metrics("watched")["twins"]
    assert twins["equal"] is True
    assert twins["sizes_changed"] == dict.fromkeys(AGENTS, 0)
    assert all(one["is_run"] for one in twins["accounts"].values())
    accounts = days(desk, "watched")
    assert all(one == closes(desk, "watched") for one in accounts.values())
    assert "is therefore this run itself" in (desk.run_dir("watched") / "report.html").read_text()


def test_killed_outright_and_resumed_a_run_has_the_same_twins(desk: Desk) -> None:
    desk.config(market={"bars": 6000}, rl=ACTING)
    promote(desk, *AGENTS, stage=0.5)
    run(desk, "whole")
    desk.config("one.json", run_id="one", market={"bars": 6000}, rl=ACTING)
    assert desk.killed("one.json") > 0
    assert desk.darwin("run", "one.json", "--resume").returncode == 0
    assert not desk.metrics("one")["twins"]["equal"]
    assert desk.metrics("one")["twins"] == desk.metrics("whole")["twins"]
    texts = [(desk.run_dir(name) / "twins.csv").read_text() for name in ("one", "whole")]
    assert texts[0] == texts[1]


@pytest.mark.sweep
def test_a_feed_that_is_killed_midway_has_twins_that_end_alike(desk: Desk) -> None:
    """Fixed units, so that after the kill all accounts trade the same."""
    portfolio = {"sizing": "fixed_units", "units": 0.01, "max_exposure_fraction": None}
    limits = {"max_drawdown_fraction": None, "max_daily_loss_fraction": None}
    desk.config(market={"bars": BARS}, rl=ACTING, portfolio=portfolio, limits=limits)
    promote(desk, *AGENTS, stage=1.0)
    run(desk, "free")
    process = feed(desk, "fed")
    wait_for(desk, "fed", 150, process)
    kill_file(desk).write_text("stop")
    flipped = decided(desk, "fed") + 1  # one may have been on its way
    finish(process)
    [(bar,)] = desk.ask(
        "SELECT max(bar_time) FROM agent_decisions WHERE run_id = 'fed' AND followed = 1"
    )
    [(total,)] = desk.ask("SELECT count(*) FROM agent_decisions WHERE run_id = 'fed'")
    assert flipped < total - 150
    twins, free = days(desk, "fed"), days(desk, "free")
    before = [day for day in free["run"] if day < day_of(bar)]
    assert len(before) > 5
    for account in free:
        assert [twins[account][day] for day in before] == [free[account][day] for day in before]
    last = list(free["run"])[-20:]
    for account in ("run", *AGENTS):
        added = [twins[account][day] - twins["without_agents"][day] for day in last]
        assert added == pytest.approx([added[0]] * len(last), abs=1e-6)
    moves = {twins["without_agents"][day] for day in last}
    assert len(moves) > 5
    kept = (desk.run_dir("fed") / "metrics.json").read_bytes()
    assert desk.darwin("report", "fed").returncode == 0
    assert (desk.run_dir("fed") / "metrics.json").read_bytes() == kept


def day_of(ms: int) -> str:
    return str(datetime.fromtimestamp(ms / 1000, UTC).date())


def test_an_expert_of_ones_own_that_may_cost_money_is_not_asked_for_the_twins(desk: Desk) -> None:
    package = desk.folder / "my_desk"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "dear.py").write_text(DEAR)
    desk.config(
        market={"bars": BARS}, rl=rules("active", agents=["gate"]),
        decider={"provider": "my_desk.dear:Dear"},
    )  # fmt: skip
    promote(desk, "gate", stage=1.0)
    run(desk, "dear", PYTHONPATH=str(desk.folder))
    metrics = desk.metrics("dear")
    twins = metrics["twins"]
    calls = [json.loads(line) for line in (desk.folder / "calls").read_text().splitlines()]
    assert len(calls) == len(set(calls)) == metrics["expert"]["calls"]
    assert twins["expert"] == "verdicts of the run"
    without = twins["accounts"]["without_agents"]
    assert without["not_known"] > 20
    page = (desk.run_dir("dear") / "report.html").read_text()
    assert f"{without['not_known']} candidates came up on which this run never heard" in page


DEAR = """
from pathlib import Path

from darwin.core.decision import Verdict


class Dear:
    needs = ()
    takes_everything = None

    def decide(self, candidate, features, account):
        with Path("calls").open("a") as file:
            file.write(f"{candidate.row}\\n")
        return Verdict(candidate.row % 3 != 0, 0.7, 0.5, (), 0.01)
"""


def test_a_recorded_expert_that_was_not_asked_about_all_is_no_end_of_the_report(
    desk: Desk,
) -> None:
    """The record is of a run whose gate skipped, and what it skipped the twin would have asked."""
    desk.config(market={"bars": BARS}, rl=rules("active", agents=["gate"]))
    promote(desk, "gate", stage=1.0)
    run(desk, "first")
    run(desk, "second", "--set", 'decider={"provider": "recorded", "run_id": "first"}')
    twins = desk.metrics("second")["twins"]
    assert twins["expert"] == "asked anew"
    assert twins["accounts"]["without_agents"]["not_known"] > 20
    assert not twins["accounts"]["gate"]["not_known"]
