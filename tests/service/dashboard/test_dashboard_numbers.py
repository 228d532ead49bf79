"""Every number of the dashboard is that of the command and of the database."""

from __future__ import annotations

import math
from typing import Any

import pytest

from darwin.core.agents import AGENTS
from darwin.core.written import count, number, percent
from tests.service.dashboard.served import Served
from tests.service.dashboard.visiting import Visitor

pytestmark = pytest.mark.slow


def e_of(track: dict[str, Any]) -> float:
    """E as JSON has its logarithm; null is that of zero."""
    return 0.0 if track["log_e"] is None else math.exp(track["log_e"])


def test_the_first_page_says_what_commands_and_database_say(ada: Visitor, served: Served) -> None:
    status = {one["agent"]: one for one in served.tree("rl", "status")}
    capital = {one["agent"]: one for one in served.tree("rl", "rollout", "status")}
    recorded = dict(
        served.desk.ask("SELECT agent_name, count(*) FROM agent_decisions GROUP BY agent_name")
    )
    ada.open("/")
    for agent in AGENTS:
        card, tree = f"[data-agent='{agent}']", status[agent]
        assert ada.text(f"{card} .mode") == tree["mode"]
        assert ada.text(f"{card} .stage") == percent(tree["stage"])
        assert ada.text(f"{card} .version") == tree["serving"]["version"]
        assert ada.text(f"{card} .decisions") == count(tree["decisions"])
        assert ada.text(f"{card} .recorded") == count(recorded[agent])
        evidence = (tree["trial"] or {"evidence": {}})["evidence"]
        assert [row[:1] + row[2:3] for row in ada.rows(f"{card} .evidence")] == [
            [name, f"E {e_of(one):,.3g} now, {1 / one['level']:,.0f} needed"]
            for name, one in evidence.items()
        ]
    assert status["meta_learner"]["trial"]["blocks"] > 0  # there is some evidence to be told
    held = {row[0]: row[1:] for row in ada.rows("#capital")}
    assert set(held) == set(capital)
    for agent, row in held.items():
        tree = capital[agent]
        assert (row[0], row[1], row[-1]) == (
            percent(tree["stage"]), tree["promoted"] or "none", tree["next"],
        )  # fmt: skip
    kill = served.tree("kill", "status")["sources"]
    assert {row[0]: row[1] == "on" for row in ada.rows("#sources")} == {
        name: source["killed"] for name, source in kill.items()
    }


def test_runs_funnel_trades_and_equity_are_those_of_the_record(
    ada: Visitor, served: Served
) -> None:
    [run] = served.tree("runs")
    shown = served.tree("runs", "show", "small")
    ada.open("/runs")
    assert ada.text("#run-count") == count(served.desk.ask("SELECT count(*) FROM runs")[0][0])
    [row] = ada.rows("#runs")
    assert row[3:7] == [
        *(count(run[name]) for name in ("bars", "candidates", "taken")), number(run["equity_usd"]),
    ]  # fmt: skip
    ada.open("/runs/small")
    [(marked,)] = served.desk.ask("SELECT equity_usd FROM equity_marks ORDER BY day DESC LIMIT 1")
    assert ada.text(".equity") == number(run["equity_usd"]) == number(marked)
    assert [row[:3] for row in ada.rows("#funnel")[:-1]] == [
        [end["stage"], end["reason"], count(end["candidates"])] for end in shown["funnel"]
    ]
    trades = {one["candidate_id"][:8]: one for one in served.desk.trades()}
    rows = ada.rows("#trades")
    assert len(rows) == min(50, len(trades))
    for row in rows:
        told = trades[row[0]]
        assert row[9:] == [f"{float(told['net_pnl_usd']):+,.4f}", f"{float(told['r']):+,.4f}"]


def test_conditions_and_versions_of_an_agent_are_those_of_the_commands(
    ada: Visitor, served: Served
) -> None:
    ada.open("/agents/meta_learner")
    printed = [
        " ".join(line.split()) for line in served.text("rl", "status", "meta_learner").splitlines()
    ]
    rows = ada.rows("section:nth-of-type(2) .wide:first-of-type")
    assert len(rows) >= 8
    for row in rows:
        assert " ".join(" ".join(row).split()) in printed
    assert ada.text(".verdict") == printed[-1]
    kept = served.tree("rl", "models", "list", "meta_learner")
    assert [row[0] for row in ada.rows("#models")] == [one["version"] for one in kept]
    decided = served.desk.ask(
        "SELECT substr(candidate_id, 1, 8), reason FROM agent_decisions"
        " WHERE agent_name = 'meta_learner' ORDER BY id DESC LIMIT 50"
    )
    assert [(row[1], row[7]) for row in ada.rows("#decisions")] == decided
