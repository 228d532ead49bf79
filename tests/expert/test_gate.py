"""A gate before a model spares calls; the report says what that saved, and what it missed."""

from __future__ import annotations

import json

import pytest

from darwin.testing.llm_server import LlmServer
from tests.expert.asking import config, run
from tests.run.agents import promote, rules
from tests.run.command import Desk

pytestmark = pytest.mark.slow

WIDE = {"market": {"bars": 1500}}
R_OF_SKIPS = """
    SELECT d.reason, v.take, o.r FROM agent_decisions AS d
    JOIN outcomes AS o USING (run_id, candidate_id)
    LEFT JOIN verdicts AS v USING (run_id, candidate_id)
    WHERE d.agent_name = 'gate' AND d.action = 0 AND o.r IS NOT NULL
"""


def gate(desk: Desk) -> dict[str, float]:
    return desk.metrics()["agents"]["gate"]


def test_with_all_of_the_capital_requests_fall_by_what_it_skipped(
    desk: Desk, server: LlmServer
) -> None:
    promote(desk, "gate", stage=1.0)
    run(desk, config(desk, server, **WIDE, rl=rules("active", agents=["gate"])))
    told, metrics = gate(desk), desk.metrics()
    spared = metrics["funnel"]["gate skip"]
    assert told["spared_calls"] == spared > 20
    assert len(server.requests) == told["decisions"] - spared == metrics["expert"]["calls"]
    mean = metrics["expert"]["cost_usd"] / metrics["expert"]["calls"]
    assert told["saved_usd"] == pytest.approx(spared * mean)
    skips = desk.ask(R_OF_SKIPS)
    audits = [r if take else 0.0 for reason, take, r in skips if reason == "audit"]
    silent = [r for reason, _, r in skips if reason != "audit"]
    assert told["heard_skips"] == len(audits) > 0
    assert told["missed_r_known"] == pytest.approx(sum(audits))
    assert told["missed_r_estimated"] == pytest.approx(sum(audits) / len(audits) * len(silent))
    assert told["missed_r"] == pytest.approx(told["missed_r_known"] + told["missed_r_estimated"])
    page = (desk.run_dir() / "report.html").read_text()
    assert f"spared {spared} calls" in page
    assert "estimated from" in page
    assert desk.darwin("replay", "small").returncode == 0


@pytest.mark.sweep
def test_while_it_watches_what_it_would_miss_is_known_and_nothing_is_saved(
    desk: Desk, server: LlmServer
) -> None:
    run(desk, config(desk, server, **WIDE, rl=rules("observe", agents=["gate"])))
    told = gate(desk)
    assert len(server.requests) == told["decisions"]
    assert (told["spared_calls"], told["saved_usd"], told["missed_r_estimated"]) == (0, 0.0, 0.0)
    missed = [r for _, take, r in desk.ask(R_OF_SKIPS) if take]
    assert told["missed_r"] == told["missed_r_known"] == pytest.approx(sum(missed)) != 0
    assert told["missed_r"] == pytest.approx(-told["would_change_r"])


def test_its_twins_ask_nobody(desk: Desk, server: LlmServer) -> None:
    promote(desk, "gate", stage=1.0)
    run(desk, config(desk, server, rl=rules("active", agents=["gate"])))
    twins = desk.metrics()["twins"]
    assert twins["expert"] == "verdicts of the run"
    assert twins["accounts"]["without_agents"]["not_known"] > 0
    assert len(server.requests) == desk.metrics()["expert"]["calls"]
    assert json.dumps(twins)  # fit for JSON
