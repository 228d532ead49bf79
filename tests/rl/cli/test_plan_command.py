"""`darwin rl plan`, from outside: what it says is on record, what it refuses, how it ends."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest

from darwin.core.agents import AGENTS
from darwin.core.market import DAY_MS
from darwin.rl.cli.plan_agent import plan
from tests.conftest import ROOT
from tests.run.command import Desk

RULES = {"gate": ["value", "cost"], "portfolio": ["value"], "meta_learner": ["value"]}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A folder in which the demonstration ran twice: watched by its agents, and without any."""
    folder = tmp_path_factory.mktemp("played")
    config = str(ROOT / "configs" / "demo.json")
    short = ("--set", "market.bars=4000")
    alone = ("--set", "run_id=alone", "--set", "rl.enabled=false")
    for words in (short, (*short, *alone)):
        done = Desk(folder).darwin("run", config, *words)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def there(played, tmp_path, monkeypatch):
    """The working directory is a copy of that folder."""
    shutil.copytree(played / "artifacts", tmp_path / "artifacts")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "artifacts" / "rl_state" / "agent_state.sqlite"


def ask(path, query):
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(query).fetchall()


@pytest.mark.parametrize("agent", AGENTS)
def test_the_record_in_a_plan_is_what_the_database_holds(agent, there, darwin):
    code, out, err = darwin("rl", "plan", agent, "--json")
    assert (code in (0, 10, 11), err) == (True, "")
    tree = json.loads(out)
    decided = f"""
        FROM agent_decisions d LEFT JOIN verdicts v USING (run_id, candidate_id)
        LEFT JOIN outcomes o USING (run_id, candidate_id)
        WHERE d.run_id = 'demo' AND agent_name = '{agent}' AND action IS NOT NULL"""
    acted = {
        "gate": "AVG(action = 0)",
        "portfolio": "AVG(action)",
        "meta_learner": "AVG((action = 1 AND take = 1) OR (action = 2 AND take = 0))",
    }[agent]
    ((count, days, acts, take, known, won),) = ask(
        there,
        f"SELECT COUNT(*), (MAX(bar_time) - MIN(bar_time)) / 86400000.0, {acted}, AVG(take),"
        f"SUM(status IN ('resolved', 'gapped')), SUM(r > 0) {decided}",
    )
    assert (tree["run_id"], tree["advises"], tree["assumed"]) == ("demo", True, [])
    assert (tree["decisions"], tree["outcomes"]) == (count, known)
    assert tree["days_on_record"] == pytest.approx(days)
    assert tree["candidates_per_day"] == pytest.approx(count / days)
    assert tree["winners"] == pytest.approx(won / known)
    told = tree["mean_size"] if agent == "portfolio" else tree["act_rate"]
    assert told == pytest.approx(acts, abs=0.002 if agent == "portfolio" else 1e-9)
    assert tree["take_rate"] == (None if agent == "portfolio" else pytest.approx(take))
    assert [rule["rule"] for rule in tree["rules"]] == RULES[agent]


def test_how_blocks_vary_is_reckoned_from_the_outcomes_on_record(there, darwin):
    _, out, _ = darwin("rl", "plan", "portfolio", "--run", "alone", "--json")
    rows = ask(
        there,
        "SELECT bar_time, MIN(MAX(r, -3), 5) FROM candidates"
        " JOIN outcomes USING (run_id, candidate_id)"
        " WHERE run_id = 'alone' AND stage IS NULL AND status = 'resolved'",
    )
    time, r = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    _, block = np.unique(time // (json.loads(out)["block_days"] * DAY_MS), return_inverse=True)
    sums = np.bincount(block, weights=r - r.mean())
    found = (20 + len(sums) * (sums @ sums) / (r.var() * len(r))) / (20 + len(sums))
    assert json.loads(out)["clustering"] == pytest.approx(found, rel=1e-3)
    assert found > 1.01


def test_a_bracket_that_was_never_entered_is_an_outcome_of_nothing(there, darwin):
    _, before, _ = darwin("rl", "plan", "gate", "--json")
    with closing(sqlite3.connect(there)) as raw, raw:
        raw.execute(
            "UPDATE outcomes SET status = 'gapped', r = NULL, exit_time = NULL, exit_price = NULL,"
            " exit_reason = NULL WHERE id IN (SELECT o.id FROM outcomes o JOIN agent_decisions d"
            " USING (run_id, candidate_id) WHERE run_id = 'demo' AND agent_name = 'gate'"
            " AND action IS NOT NULL AND r > 0 ORDER BY o.id LIMIT 20)"
        )
    _, after, _ = darwin("rl", "plan", "gate", "--json")
    old, new = json.loads(before), json.loads(after)
    assert new["outcomes"] == old["outcomes"]
    assert new["winners"] == pytest.approx(old["winners"] - 20 / old["outcomes"])


def test_an_audited_skip_stands_for_the_twenty_that_nobody_asked_about(there, darwin):
    with closing(sqlite3.connect(there)) as raw, raw:
        raw.execute(
            "UPDATE agent_decisions SET reason = 'audit' WHERE run_id = 'demo' AND"
            " agent_name = 'gate' AND action = 0 AND id % 4 = 0"
        )
    ((expected,),) = ask(
        there,
        "SELECT SUM(take * w) * 1.0 / SUM(w) FROM (SELECT take, CASE reason WHEN 'audit' THEN 20"
        " ELSE 1 END w FROM agent_decisions JOIN verdicts USING (run_id, candidate_id)"
        " WHERE run_id = 'demo' AND agent_name = 'gate' AND action IS NOT NULL)",
    )
    _, out, _ = darwin("rl", "plan", "gate", "--json")
    assert json.loads(out)["take_rate"] == pytest.approx(expected)


def test_a_plan_without_advice_on_record_says_what_it_assumes(there, darwin):
    _, out, _ = darwin("rl", "plan", "gate", "--run", "alone", "--json")
    tree = json.loads(out)
    ((asked,),) = ask(there, "SELECT COUNT(*) FROM verdicts WHERE run_id = 'alone'")
    assert (tree["advises"], tree["decisions"], tree["act_rate"]) == (False, asked, 0.3)
    assert tree["assumed"] == ["it skips 30%, for run 'alone' holds no advice of it"]
    _, out, _ = darwin("rl", "plan", "portfolio", "--run", "alone", "--json")
    ((orders,),) = ask(
        there, "SELECT COUNT(*) FROM orders WHERE run_id = 'alone' AND kind = 'submitted'"
    )
    assert (json.loads(out)["decisions"], json.loads(out)["mean_size"]) == (orders, 0.5)


def test_the_newest_run_that_asked_the_agent_is_planned_on(there, darwin):
    assert ask(there, "SELECT run_id FROM runs ORDER BY number DESC LIMIT 1") == [("alone",)]
    _, out, _ = darwin("rl", "plan", "gate", "--json")
    assert json.loads(out)["run_id"] == "demo"


def test_a_plan_ends_as_the_best_of_its_rules(there, darwin):
    code, out, _ = darwin("rl", "plan", "gate", "--auc", "0.75", "--skip-rate", "0.3")
    assert code == 0
    assert out.splitlines()[-1] == "gate: feasible"
    code, out, _ = darwin("rl", "plan", "gate", "--days", "30")
    assert code == 11
    assert out.splitlines()[-1] == "gate: inconclusive within the horizon"
    code, out, _ = darwin("rl", "plan", "gate", "--skip-rate", "0.5")
    assert code == 10
    assert out.splitlines()[-1] == "gate: cannot be met"
    assert "saved calls 50.0%, and the bound is 20% to 40%" in out
    assert "miss rate below 10% takes an AUC of" in out


def test_the_number_of_the_version_is_that_of_the_trials_on_record(there, darwin):
    contracts = "SELECT number FROM contracts WHERE agent_name = 'gate'"
    assert ask(there, contracts) == [(1,)]
    _, out, _ = darwin("rl", "plan", "gate", "--json")
    tree = json.loads(out)
    assert tree["version_number"] == 2  # the trial of the demonstration is not 180 days old
    assert tree["alpha_v"] == pytest.approx(0.008)
    _, out, _ = darwin("rl", "plan", "gate", "--version-number", "5", "--json")
    assert json.loads(out)["alpha_v"] == pytest.approx(0.05 * 0.2 * 0.8**4)
    assert [rule["level"] for rule in json.loads(out)["rules"]] == pytest.approx(
        [0.8 * 0.01 * 0.8**4, 0.2 * 0.01 * 0.8**4]
    )


def test_a_plan_writes_nothing_and_says_the_same_again(there, darwin):
    before = there.read_bytes()
    first = darwin("rl", "plan", "meta_learner", "--override-rate", "0.1", "--json")
    assert darwin("rl", "plan", "meta_learner", "--override-rate", "0.1", "--json") == first
    assert there.read_bytes() == before


def test_people_are_told_each_number_with_its_unit(there, darwin):
    _, out, _ = darwin("rl", "plan", "gate")
    for said in (
        "market days", "a market day", " R ", "chance of ever being promoted without skill",
        "of market time", "20 are the least", "0.50 is a coin", "500 agents drawn",
        "bound 20% to 40% by value, 20% or more by cost",
    ):  # fmt: skip
        assert said in out, said
    assert "nan" not in out


def test_of_a_rule_that_cannot_be_met_no_wait_is_told(there, darwin):
    _, out, _ = darwin("rl", "plan", "gate", "--skip-rate", "0.35")
    *_, value, cost, _ = out.split("\n\n")
    assert cost.startswith("rule by cost    cannot be met")
    assert "smallest skill" in cost
    for figure in ("acting brings", "promoted after", "stays open"):
        assert (figure in value, figure in cost) == (True, False)


def test_figures_for_more_skill_than_is_planned_on_say_so(there, darwin):
    code, out, _ = darwin("rl", "plan", "gate", "--days", "130", "--json")
    value = json.loads(out)["rules"][0]
    assert (code, value["state"]) == (11, "inconclusive within the horizon")
    assert value["auc"] > json.loads(out)["most_auc"]
    _, out, _ = darwin("rl", "plan", "gate", "--days", "130")
    *_, value, _, _ = out.split("\n\n")
    for figure in ("acting brings", "stays open"):
        (row,) = [line for line in value.splitlines() if line.startswith(figure)]
        assert "which nobody is planned to have" in row
    _, out, _ = darwin("rl", "plan", "gate", "--auc", "0.8")
    assert "nobody is planned to have" not in out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("gate", "--auc", "nan"), 2, "nan is no AUC"),
        (("gate", "--auc", "0.5"), 2, "0.5 is no AUC"),
        (("gate", "--auc", "1"), 2, "1 is no AUC"),
        (("gate", "--skip-rate", "30"), 2, "30 is no share"),
        (("gate", "--skip-rate", "nan"), 2, "nan is no share"),
        (("portfolio", "--skip-rate", "0.3"), 2, "portfolio gives sizes"),
        (("portfolio", "--override-rate", "0.3"), 2, "portfolio gives sizes"),
        (("gate", "--override-rate", "0.1"), 2, "give --skip-rate"),
        (("gate", "--override-rate", "0.1", "--skip-rate", "0.3"), 2, "--override-rate"),
        (("meta_learner", "--skip-rate", "0.1"), 2, "give --override-rate"),
        (("gate", "--days", "inf"), 2, "inf is no horizon"),
        (("gate", "--days", "0.5"), 2, "0.5 is no horizon"),
        (("gate", "--version-number", "0"), 2, "0 is not in the range"),
        (("gate", "--run", "demi"), 2, "did you mean 'demo'?"),
        (("gat",), 2, "is not one of"),
        (("gate", "--db", "none.sqlite"), 4, "there is no database yet"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_error(words, code, says, there, darwin):
    found, out, err = darwin("rl", "plan", *words)
    assert (found, out) == (code, "")
    assert says in err
    assert len(err.splitlines()) <= 3


def test_too_little_on_record_is_exit_3_and_says_how_little(there, darwin):
    config = str(ROOT / "configs" / "demo.json")
    few = ("--set", "market.bars=450", "--set", "run_id=few", "--set", "market.warmup_bars=400")
    assert darwin("run", config, *few)[0] == 0
    ((known,),) = ask(
        there,
        "SELECT COUNT(*) FROM outcomes JOIN verdicts USING (run_id, candidate_id)"
        " WHERE run_id = 'few' AND status IN ('resolved', 'gapped')",
    )
    assert known < 20
    code, out, err = darwin("rl", "plan", "gate", "--run", "few")
    assert (code, out) == (3, "")
    assert f"run 'few' tells what became of {known} decisions for gate" in err


def test_a_database_without_a_candidate_is_exit_3(desk, darwin):
    code, out, err = darwin("rl", "plan", "gate")
    assert (code, out) == (3, "")
    assert "no run is on record that had a candidate" in err


def test_it_is_a_module_of_its_own(there, module):
    code, out, err = module(plan, "portfolio", "--db", str(there), "--days", "200")
    assert (code in (0, 11), err) == (True, "")
    assert out.startswith("portfolio")
    words = [sys.executable, "-m", "darwin.rl.cli.plan_agent", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Examples:" in done.stdout
