"""`darwin rl status|promote|demote|rollout`: what persons see and do, from outside."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from darwin.core.agents import AGENTS, GATE, META_LEARNER, PASS, PORTFOLIO, SKIP, Model
from darwin.rl.cli.graduation_status import status
from darwin.rl.graduation.record import earned, read_record, scope_of
from tests.rl.graduation.desk import hours

WHO = ("--by", "Ada", "--reason", "a test")


def good_gate(desk, model, run="one"):
    """400 hours of a gate within all its bounds."""
    desk.run(run)
    time = hours(0.0, 400)
    desk.decide(GATE, time[:280], PASS, run=run, take=1, r=1.0, model=model)
    desk.decide(GATE, time[280:], SKIP, run=run, take=1, r=-1.0, model=model)


def may_act(desk, model, agent=GATE, run_id="x", live=True):
    return earned(read_record(desk.database, agent), model, run_id, live=live)


def states(tree):
    return {one["name"]: one["state"] for one in tree["conditions"]}


def test_the_status_of_a_good_agent_is_inconclusive_for_want_of_evidence(desk, deploy, darwin):
    model = deploy()
    good_gate(desk, model)
    code, out, _ = darwin("rl", "status", "gate", "--json")
    tree = json.loads(out)
    assert code == 11
    found = states(tree)
    assert {found.pop(name) for name in ("blocks", "evidence of skill")} == {"missing"}
    assert set(found.values()) == {"passed"}
    assert (tree["serving"]["version"], tree["mode"], tree["stage"]) == (
        model.version, "observe", 0.0,
    )  # fmt: skip
    assert (tree["decisions"], tree["decisions_fed"], tree["outcomes"]) == (400, 400, 400)


def test_the_status_of_a_refuted_agent_is_exit_10(desk, deploy, darwin):
    model = deploy()
    desk.run("one")
    desk.decide(GATE, hours(0.0, 400), SKIP, take=1, r=1.0, model=model)
    code, out, _ = darwin("rl", "status", "gate")
    assert code == 10
    assert "refuted" in out
    code, out, _ = darwin("rl", "status", "--json")
    assert code == 10
    trees = json.loads(out)
    assert [tree["agent"] for tree in trees] == list(AGENTS)
    assert [tree["overall"] for tree in trees] == ["refuted", "inconclusive", "inconclusive"]


def test_decisions_of_an_earlier_model_are_no_evidence_for_the_one_that_serves(
    desk, deploy, darwin
):
    good_gate(desk, deploy(seed=1))
    deploy(seed=2)
    code, out, _ = darwin("rl", "status", "gate", "--json")
    assert code == 11
    assert json.loads(out)["decisions"] == 0


@pytest.mark.parametrize("agent", AGENTS)
def test_the_checklist_s_command_works_as_it_stands(agent, desk, module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    database = "artifacts/rl_state/agent_state.sqlite"
    code, out, err = module(status, agent, "--db", database)
    assert (code, err) == (11, "")
    assert out.startswith(agent)
    assert "no model serves" in out


@pytest.mark.slow
def test_it_is_a_module_of_its_own(desk, tmp_path):
    words = [sys.executable, "-m", "darwin.rl.cli.graduation_status", "gate", "--json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (11, "")
    assert json.loads(done.stdout)["agent"] == "gate"


def test_a_database_that_is_missing_is_exit_4_on_three_lines(darwin):
    code, out, err = darwin("rl", "status", "gate")
    assert (code, out) == (4, "")
    assert len(err.splitlines()) <= 3


def test_a_damaged_model_refutes(desk, deploy, darwin, tmp_path):
    model = deploy()
    weights = tmp_path / "artifacts/rl_models/gate/versions" / model.version / "weights.safetensors"
    weights.chmod(0o644)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    code, out, _ = darwin("rl", "status", "gate", "--json")
    assert code == 10
    assert states(json.loads(out))["model validated"] == "refuted"


def test_a_model_without_held_out_figures_is_not_validated_for_acting(desk, deploy, darwin):
    deploy(held_out=None)
    _, out, _ = darwin("rl", "status", "gate", "--json")
    assert states(json.loads(out))["model validated"] == "missing"


def test_promoting_without_evidence_is_exit_10_and_names_what_lacks(desk, deploy, darwin):
    model = deploy()
    good_gate(desk, model)
    code, out, _ = darwin("rl", "promote", "gate", *WHO)
    assert code == 10
    assert "evidence" in out
    assert "miss rate" not in out
    assert "--override" in out
    assert desk.rows("graduation_events") == []
    code, out, _ = darwin("rl", "promote", "gate", *WHO, "--json")
    tree = json.loads(out)
    assert (code, tree["promoted"]) == (10, False)
    assert [one["name"] for one in tree["lacking"]] == ["blocks", "evidence of skill"]


def test_a_named_person_may_promote_all_the_same(desk, deploy, darwin):
    model = deploy()
    code, _, err = darwin("rl", "promote", "gate", *WHO, "--override")
    assert code == 0
    assert err.startswith("dossier: ")
    assert may_act(desk, model) == (True, 0.01)
    (row,) = desk.rows("graduation_events")
    assert (row["by"], row["reason"], row["override"], row["scope"]) == (
        "Ada", "a test", 1, "deployment",
    )  # fmt: skip
    _, out, _ = darwin("rl", "status", "gate")
    assert "active, 1% of the capital" in out
    assert "promoted version" in out
    assert "by Ada, with override: a test" in out


def test_a_promotion_for_one_replay_looks_at_it_alone_and_counts_in_it_alone(desk, deploy, darwin):
    model = deploy()
    good_gate(desk, model, "one")
    desk.run("two")
    code, out, _ = darwin("rl", "promote", "gate", *WHO, "--scope", "run:two", "--json")
    assert code == 10
    assert "decisions" in [one["name"] for one in json.loads(out)["lacking"]]
    code, _, _ = darwin("rl", "promote", "gate", *WHO, "--scope", "run:two", "--override")
    assert code == 0
    assert may_act(desk, model) == (False, 0.0)
    assert may_act(desk, model, run_id="two", live=False) == (True, 0.01)
    assert scope_of("two") == "run:two"


@pytest.mark.parametrize("act", [("promote", "--override"), ("demote",)])
def test_a_scope_of_a_run_that_is_not_on_record_is_refused(desk, deploy, darwin, act):
    deploy()
    desk.run("one")
    code, out, err = darwin("rl", act[0], "gate", *WHO, *act[1:], "--scope", "run:ome")
    assert (code, out) == (2, "")
    assert "no run called 'ome'" in err
    assert "did you mean 'one'?" in err
    assert desk.rows("graduation_events") == []


def test_the_status_of_a_run_that_is_not_on_record_is_refused(desk, deploy, darwin):
    good_gate(desk, deploy())
    code, out, err = darwin("rl", "status", "gate", "--run", "nope")
    assert (code, out) == (2, "")
    assert "no run called 'nope'" in err
    assert len(err.splitlines()) <= 3
    assert darwin("rl", "status", "gate", "--run", "one")[0] == 11


def test_what_is_promoted_in_a_replay_alone_is_not_demoted_in_the_deployment(desk, deploy, darwin):
    model = deploy()
    desk.run("one", "replay")
    there = ("--scope", "run:one")
    assert darwin("rl", "promote", "gate", *WHO, *there, "--override")[0] == 0
    code, out, err = darwin("rl", "demote", "gate", *WHO)
    assert (code, out) == (2, "")
    assert "is promoted there" in err
    assert "--scope run:ID" in err
    assert len(err.splitlines()) <= 3
    assert may_act(desk, model, run_id="one", live=False) == (True, 0.01)
    code, out, _ = darwin("rl", "demote", "gate", *WHO, *there)
    assert (code, out.splitlines()[0]) == (
        0, f"gate observes (run:one): version {model.version} had 1% of the capital",
    )  # fmt: skip
    assert may_act(desk, model, run_id="one", live=False) == (False, 0.0)


@pytest.mark.parametrize("scope", ["two", "run:", "run:../x", "Deployment", "run:a b", ""])
def test_a_scope_that_is_none_is_refused(desk, deploy, darwin, scope):
    deploy()
    code, _, err = darwin("rl", "promote", "gate", *WHO, "--scope", scope, "--override")
    assert code == 2
    assert "scope" in err
    assert desk.rows("graduation_events") == []


def test_a_demotion_needs_nothing_but_a_name_and_a_reason(desk, deploy, darwin):
    model = deploy()
    darwin("rl", "promote", "gate", *WHO, "--override")
    code, out, _ = darwin("rl", "demote", "gate", *WHO)
    assert code == 0
    assert "gate observes" in out
    assert may_act(desk, model) == (False, 0.0)
    code, _, err = darwin("rl", "demote", "gate", *WHO)
    assert code == 2
    assert "nothing to take back" in err


@pytest.mark.parametrize(
    "words",
    [
        ("promote", "gate", "--override"),
        ("demote", "gate"),
        ("rollout", "set", "gate", "5%"),
    ],
)
@pytest.mark.parametrize(
    "who",
    [
        (),
        ("--by", "Ada"),
        ("--reason", "a test"),
        ("--by", " ", "--reason", "a test"),
        ("--by", "Ada", "--reason", "two\nlines"),
        ("--by", "Ada", "--reason", "x" * 201),
    ],
)
def test_an_act_wants_a_name_and_a_reason_on_one_plain_line(desk, deploy, darwin, words, who):
    deploy()
    code, _, err = darwin("rl", *words, *who)
    assert code == 2
    assert len(err.splitlines()) <= 3
    assert desk.rows("graduation_events") == desk.rows("rollout_events") == []


def test_an_agent_without_a_model_cannot_be_promoted(desk, darwin):
    code, _, err = darwin("rl", "promote", "gate", *WHO, "--override")
    assert code == 2
    assert "no model of gate serves" in err
    assert "darwin rl models deploy gate" in err


def test_deploying_beside_a_model_that_may_act_leaves_the_promotion_to_it(desk, deploy, darwin):
    first = deploy(seed=1)
    darwin("rl", "promote", "gate", *WHO, "--override")
    deploy(seed=2)
    _, out, _ = darwin("rl", "status", "gate", "--json")
    tree = json.loads(out)
    assert tree["serving"]["version"] == first.version
    assert tree["challenger"] is not None
    assert may_act(desk, first) == (True, 0.01)


def test_a_rollback_takes_the_right_to_act_until_the_promoted_one_is_back(desk, deploy, darwin):
    first, second = deploy(seed=1), deploy(seed=2)
    darwin("rl", "promote", "gate", *WHO, "--override")
    code, _, err = darwin("rl", "rollback", "gate", "--version", first.version)
    assert (code, err) == (0, "")
    _, out, _ = darwin("rl", "status", "gate", "--json")
    assert (json.loads(out)["mode"], json.loads(out)["stage"]) == ("observe", 0.0)
    darwin("rl", "rollback", "gate", "--version", second.version)
    _, out, _ = darwin("rl", "status", "gate", "--json")
    assert (json.loads(out)["mode"], json.loads(out)["stage"]) == ("active", 0.01)


class TestRollout:
    """Stages of capital."""

    @pytest.fixture
    def model(self, desk, deploy, darwin):
        model = deploy()
        darwin("rl", "promote", "gate", *WHO, "--override")
        desk.run("one")
        desk.checkpoint(datetime.now(UTC))
        return model

    def test_a_stage_is_reached_after_its_dwell(self, desk, model, darwin):
        code, _, err = darwin("rl", "rollout", "set", "gate", "5%", *WHO)
        assert code == 2
        assert "held for 0.0 of 7 days" in err
        desk.decide(GATE, [0.0, 7.0], PASS, mode="active", reason="active", model=model)
        code, out, _ = darwin("rl", "rollout", "set", "gate", "5%", *WHO)
        assert code == 10
        for lacking in ("decisions", "saved calls", "evidence", "--override"):
            assert lacking in out
        assert "model validated" not in out
        code, out, _ = darwin("rl", "rollout", "set", "gate", "5%", *WHO, "--json")
        assert (code, json.loads(out)["stage"]) == (10, 0.01)
        assert may_act(desk, model) == (True, 0.01)
        code, out, _ = darwin("rl", "rollout", "set", "gate", "5%", *WHO, "--override")
        assert code == 0
        assert [row["override"] for row in desk.rows("rollout_events")] == [1]
        assert out == "gate holds 5% of the capital; before, 1%\n"
        assert may_act(desk, model) == (True, 0.05)

    def test_a_refuted_condition_keeps_it_where_it_is(self, desk, model, darwin):
        time = [day / 24 for day in range(400)]
        how = {"mode": "active", "reason": "active", "take": 1, "r": 1.0}
        desk.decide(GATE, time, SKIP, model=model, **how)
        code, out, _ = darwin("rl", "rollout", "set", "gate", "5%", *WHO)
        assert code == 10
        lines = [line for line in out.splitlines() if " refuted " in line]
        assert [line.split("  ")[0] for line in lines] == ["saved calls (by value)"]

    def test_its_status_says_what_set_would_say(self, desk, model, darwin):
        desk.decide(GATE, [0.0, 7.0], PASS, mode="active", reason="active", model=model)
        _, out, _ = darwin("rl", "rollout", "status", "gate", "--json")
        told = json.loads(out)["next"]
        _, out, _ = darwin("rl", "rollout", "set", "gate", "5%", *WHO, "--json")
        names = [one["name"] for one in json.loads(out)["lacking"]]
        assert told == f"it lacks {', '.join(names)}"

    def test_the_evidence_of_another_version_is_none_for_the_promoted_one(
        self, desk, model, deploy, darwin
    ):
        desk.decide(GATE, [0.0, 7.0], PASS, mode="active", reason="active", model=model)
        darwin("rl", "demote", "gate", *WHO)
        deploy(seed=2)
        _, out, _ = darwin("rl", "status", "gate", "--json")
        second = json.loads(out)["serving"]["version"]
        darwin("rl", "promote", "gate", *WHO, "--override")
        darwin("rl", "rollback", "gate", "--version", model.version)
        _, out, _ = darwin("rl", "rollout", "status", "gate", "--json")
        tree = json.loads(out)
        assert (tree["promoted"], tree["serves"]) == (second, False)
        assert "promoted model serves" in tree["next"]

    def test_a_person_may_skip_stages_and_it_is_recorded(self, desk, model, darwin):
        code, _, _ = darwin("rl", "rollout", "set", "gate", "100%", *WHO)
        assert code == 2
        code, _, _ = darwin("rl", "rollout", "set", "gate", "100%", *WHO, "--override")
        assert code == 0
        assert may_act(desk, model) == (True, 1.0)
        assert [row["override"] for row in desk.rows("rollout_events")] == [1]

    def test_down_wants_no_override(self, desk, model, darwin):
        darwin("rl", "rollout", "set", "gate", "100%", *WHO, "--override")
        code, out, _ = darwin("rl", "rollout", "set", "gate", "0%", *WHO, "--json")
        assert code == 0
        uncapped = {"max_position_usd": None, "max_position_usd_before": None}
        assert json.loads(out) == {"agent": "gate", "stage": 0.0, "stage_before": 1.0} | uncapped
        assert may_act(desk, model) == (True, 0.0)

    @pytest.mark.parametrize("stage", ["5", "0.05", "5 %", "3%", "05%", "200%", "nan", "-5%", "%"])
    def test_a_stage_has_one_form(self, desk, model, darwin, stage):
        code, _, err = darwin("rl", "rollout", "set", "gate", stage, *WHO, "--override")
        assert code == 2
        assert "0%, 1%, 5%, 10%, 25%, 50%, 100%" in err or "No such option" in err
        assert desk.rows("rollout_events") == []

    def test_its_status_says_what_the_next_stage_wants(self, desk, model, darwin):
        desk.decide(GATE, [0.0, 3.0], PASS, mode="active", reason="active", model=model)
        code, out, _ = darwin("rl", "rollout", "status", "--json")
        assert code == 0
        gate, meta_learner, portfolio = json.loads(out)
        assert (gate["stage"], gate["promoted"], gate["serves"]) == (0.01, model.version, True)
        assert gate["days_held"] == pytest.approx(3.0)
        assert gate["next"].startswith("1% was held for 3.0 of 7 days of market time; it lacks ")
        for none in (meta_learner, portfolio):
            assert (none["stage"], none["promoted"], none["next"]) == (0.0, None, "by a promotion")
        code, out, _ = darwin("rl", "rollout", "status", "gate")
        assert code == 0
        assert out.splitlines()[0].split()[:2] == ["agent", "holds"]

    def test_the_top_has_no_next(self, desk, model, darwin):
        darwin("rl", "rollout", "set", "gate", "100%", *WHO, "--override")
        _, out, _ = darwin("rl", "rollout", "status", "gate", "--json")
        assert json.loads(out)["next"] == "there is none"


def test_figures_and_alerts_are_told_to_people(desk, deploy, darwin):
    sizes, meta = deploy(PORTFOLIO), deploy(META_LEARNER)
    desk.run("one")
    desk.decide(PORTFOLIO, hours(0.0, 400), 0.5, take=1, r=0.5, model=sizes)
    desk.decide(META_LEARNER, hours(0.0, 10), 0.0, take=1, r=0.5, model=meta)
    desk.alert(PORTFOLIO, 16.0, "model stale")
    _, out, _ = darwin("rl", "status", "portfolio")
    assert "model stale: told" in out
    assert "Sharpe ratio" in out
    assert "shadow drawdown" in out
    _, out, _ = darwin("rl", "status", "meta_learner")
    assert "190 more" in out
    assert "override accuracy" in out


@pytest.mark.parametrize(
    "words",
    [
        (), ("status",), ("plan",), ("promote",), ("demote",), ("rollout",), ("rollout", "set"),
        ("rollout", "status"), ("rollback",), ("models",), ("models", "deploy"),
    ],
)  # fmt: skip
def test_every_command_shows_an_example(darwin, words):
    code, out, _ = darwin("rl", *words, "--help")
    assert code == 0
    assert "Example" in out


def test_a_rule_in_the_place_of_a_model_is_judged_and_can_be_promoted_by_a_person(desk, darwin):
    rule = Model("rule.Cautious", "c" * 64)
    good_gate(desk, rule, "demo")
    code, out, _ = darwin("rl", "status", "gate", "--json")
    tree = json.loads(out)
    assert (code, tree["serving"], tree["judged"]["version"]) == (11, None, "rule.Cautious")
    found = states(tree)
    assert [name for name, state in found.items() if state != "passed"] == [
        "model validated", "blocks", "evidence of skill",
    ]  # fmt: skip
    code, _, _ = darwin("rl", "promote", "gate", *WHO)
    assert code == 10
    code, _, _ = darwin("rl", "promote", "gate", *WHO, "--override")
    assert code == 0
    assert may_act(desk, rule) == (True, 0.01)


def test_a_deployed_model_is_judged_in_place_of_the_rule_that_was_asked_before(
    desk, deploy, darwin
):
    good_gate(desk, Model("rule.Cautious", "c" * 64), "demo")
    model = deploy()
    _, out, _ = darwin("rl", "status", "gate", "--json")
    tree = json.loads(out)
    assert (tree["judged"]["version"], tree["decisions"]) == (model.version, 0)
