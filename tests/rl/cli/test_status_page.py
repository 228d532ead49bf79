"""`darwin rl status` as people read it: a verdict, the exit code of it, figures with a unit."""

from __future__ import annotations

import json
import re

import pytest

from darwin.core.agents import AGENTS, GATE, PASS, SKIP
from tests.rl.graduation.desk import hours
from tests.run.command import Desk

CODES = {"passed": 0, "refuted": 10, "inconclusive": 11}


def asked(desk, model, winners_skipped, count=400):
    """A gate that skips three in ten, of what wins for the expert a share."""
    desk.run("one")
    time = hours(0.0, count)
    passed, skipped = count * 7 // 10, round(count * 3 // 10 * winners_skipped)
    desk.decide(GATE, time[:passed], PASS, take=1, r=1.0, model=model)
    desk.decide(GATE, time[passed : passed + skipped], SKIP, take=1, r=1.0, model=model)
    desk.decide(GATE, time[passed + skipped :], SKIP, take=1, r=-1.0, model=model)


def test_what_the_other_rule_refutes_is_no_refusal(desk, deploy, darwin):
    asked(desk, deploy(), winners_skipped=1.0)
    code, out, _ = darwin("rl", "status", "gate")
    assert re.search(r"^miss rate \(by cost, reported\) +refuted", out, re.M)
    last = out.splitlines()[-1]
    assert last == "gate: inconclusive (by value: inconclusive; by cost: refuted)"
    assert code == 11
    _, out, _ = darwin("rl", "status", "gate", "--json")
    tree = json.loads(out)
    assert (tree["overall"], tree["by_rule"]) == (
        "inconclusive", {"value": "inconclusive", "cost": "refuted"},
    )  # fmt: skip


def test_what_every_rule_refutes_is_refused(desk, deploy, darwin):
    desk.run("one")
    desk.decide(GATE, hours(0.0, 400), SKIP, take=1, r=1.0, model=deploy())
    code, out, _ = darwin("rl", "status", "gate")
    assert out.splitlines()[-1] == "gate: refuted (by value: refuted; by cost: refuted)"
    assert code == 10


def test_each_agent_has_its_verdict_and_the_worst_is_the_exit_code(desk, deploy, darwin):
    desk.run("one")
    desk.decide(GATE, hours(0.0, 400), SKIP, take=1, r=1.0, model=deploy())
    code, out, _ = darwin("rl", "status")
    told = [line for line in out.splitlines() if re.match(r"[a-z_]+: ", line)]
    assert [line.split()[1] for line in told] == ["refuted", "inconclusive", "inconclusive"]
    assert code == 10


def test_counts_are_told_as_counts(desk, deploy, darwin):
    asked(desk, deploy(), winners_skipped=0.0, count=17_660)
    _, out, _ = darwin("rl", "status", "gate")
    (row,) = re.findall(r"^decisions  +passed .*$", out, re.M)
    assert row.split()[2] == "17,660"


@pytest.mark.slow
@pytest.mark.parametrize("agent", AGENTS)
def test_each_e_says_of_when_it_is_and_detectors_what_they_mean(lived: Desk, agent: str) -> None:
    done = lived.darwin("rl", "status", agent)
    lines = done.stdout.splitlines()
    assert done.returncode == CODES[re.match(rf"{agent}: (\w+)", lines[-1])[1]]
    tree = json.loads(lived.darwin("rl", "status", agent, "--json").stdout)
    for test in tree["trial"]["evidence"]:
        (row,) = [line for line in lines if re.match(rf"{test} +\[", line)]
        assert re.search(r"E \S+ now, [\d,]+ needed", row)
    told = [one for one in tree["conditions"] if one["name"].startswith("evidence of")]
    for one in told:
        (row,) = [line for line in lines if line.startswith(one["name"])]
        passed = one["state"] == "passed"
        assert ("at its highest" in row, " now " in row) == (passed, not passed)
    page = done.stdout
    assert (" stands at " in page, "for more capital" in page) == (
        False, bool(tree["since_promotion"]),
    )  # fmt: skip
