"""`darwin rl evaluate` on rows made by hand: what each line of the checklist says, and when."""

from __future__ import annotations

import json

import pytest

from darwin.core.agents import AGENTS, GATE, META_LEARNER, PASS, PORTFOLIO, SKIP, TO_SKIP, Model
from darwin.core.market import DAY_MS
from darwin.safety.circuit import Transition
from tests.rl.graduation.desk import RISK, START, hours, later

RULE = Model("rule.Cautious", "c" * 64)
LIMITED = RISK | {"rl": {"max_override_rate": 0.2}}


@pytest.fixture
def evaluate(desk, darwin):
    def call(agent=GATE, *words):
        code, out, err = darwin("rl", "evaluate", agent, *words, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return call


def light(tree, name):
    (line,) = [one for one in tree["daily"] if name in one["name"]]
    return line["is"], line["said"]


def by_hours(desk, agent, first, last, action, **how):
    """A decision each hour of these days."""
    desk.decide(agent, hours(first, round(24 * (last - first))), action, model=RULE, **how)


def fair_gate(desk, days=30, run="one", first=0, r=1.0):
    """A gate that skips what loses, six hours of each day."""
    for hour, action, won in ((range(18), PASS, r), (range(18, 24), SKIP, r and -r)):
        when = [first + day + one / 24 for day in range(days) for one in hour]
        desk.decide(GATE, when, action, model=RULE, take=1, r=won, run=run)


@pytest.fixture
def fair(desk):
    desk.run("one", config=LIMITED)
    fair_gate(desk)
    return desk


def test_a_fair_agent_is_healthy(fair, evaluate):
    tree = evaluate()
    assert [one["is"] for one in tree["daily"]] == ["ok"] * 5
    assert (tree["verdict"], tree["findings"]) == ("healthy", [])
    assert tree["judged"]["version"] == RULE.version
    assert tree["serving"] is None
    inside, record = tree["inside"], tree["record"]
    assert (inside["decisions"], record["decisions"]) == (168, 720)
    assert inside["figures"]["saved_calls"]["value"] == pytest.approx(0.25)
    assert record["figures"]["miss_rate"] == {
        "value": 0.0, "low": 0.0, "high": pytest.approx(0.007, abs=1e-3), "cases": 540,
        "unit": "share",
    }  # fmt: skip
    assert inside["rate"]["per_day"] == pytest.approx(24.0)
    assert tree["before"]["rate"]["decisions"] == 720 - 168
    assert tree["drift"]["why_not"] == "a rule has no rows of training"


def test_the_checklist_names_its_five_lines(fair, evaluate):
    assert [one["name"] for one in evaluate()["daily"]] == [
        "No new alerts in past 24 hours",
        "Agent decision rates normal",
        "Performance metrics stable",
        "Override rates within limits",
        "No circuit breaker activations",
    ]


@pytest.mark.parametrize(("words", "days"), [((), 7.0), (("--window-days", "2.5"), 2.5)])
def test_the_window_is_of_market_time(fair, evaluate, words, days):
    tree = evaluate(GATE, *words)
    newest = START + 30 * DAY_MS - 3_600_000
    assert tree["window"]["until_ms"] == newest
    assert tree["window"]["since_ms"] == newest - days * DAY_MS
    assert tree["inside"]["decisions"] == days * 24
    assert tree["window"]["runs"] == ["one"]


@pytest.mark.parametrize("agent", AGENTS)
def test_of_an_empty_database_nothing_is_known_and_that_is_no_error(desk, evaluate, darwin, agent):
    tree = evaluate(agent)
    assert tree["verdict"] == "nothing is known: no run holds a bar"
    assert (tree["window"], tree["judged"], tree["record"]["decisions"]) == (None, None, 0)
    assert {one["is"] for one in tree["daily"]} <= {"no data", "ok"}
    code, out, err = darwin("rl", "evaluate", agent)
    assert (code, err) == (0, "")
    assert "nothing is known" in out.splitlines()[-1]


def test_an_agent_that_was_not_asked_in_the_window_is_said_so(fair, evaluate, darwin):
    fair.run("two", config=LIMITED)
    fair.checkpoint(later(), run="two", reached=40.0)
    tree = evaluate()
    assert tree["inside"]["decisions"] == 0
    is_, said = light(tree, "decision rates")
    assert (is_, said) == ("look", "no decision in the window, the last at 2024-01-30 23:00 UTC")
    assert tree["verdict"].startswith("look at: Agent decision rates normal: no decision")
    assert light(tree, "stable")[0] == "no data"
    _, out, _ = darwin("rl", "evaluate", "gate")
    assert "none in the window" in out


def test_silence_is_told_by_reason(fair, evaluate):
    by_hours(fair, GATE, 30, 32, None, reason="killed")
    by_hours(fair, GATE, 32, 36, None, reason="out of range")
    tree = evaluate()
    assert tree["inside"]["silent"] == {"out of range": 96, "killed": 48}
    assert tree["inside"]["figures"]["silent_share"]["value"] == pytest.approx(144 / 168)
    assert light(tree, "decision rates") == (
        "look", "no sound advice at 86% (out of range 96, killed 48)",
    )  # fmt: skip
    assert tree["drift"]["strange"] == 96
    assert "Strange rows: 96 of 168 lay beyond 10 sd of training" in tree["findings"]


@pytest.mark.parametrize(
    ("a_day", "is_"), [(24, "ok"), (13, "ok"), (11, "look"), (47, "ok"), (49, "look"), (1, "look")]
)
def test_a_rate_is_normal_between_half_and_twice_that_of_before(desk, evaluate, a_day, is_):
    desk.run("one", config=LIMITED)
    fair_gate(desk, 14)
    every = [14 + place / a_day for place in range(7 * a_day)]
    desk.decide(GATE, [*every, 21.0], PASS, model=RULE, take=1, r=1.0)
    assert light(evaluate(), "decision rates")[0] == is_


def test_a_rate_of_few_decisions_is_not_judged(desk, evaluate):
    desk.run("one")
    desk.decide(GATE, [0, 5, 10, 20, 20.1, 20.2, 20.3, 20.4], PASS, model=RULE)
    is_, said = light(evaluate(), "decision rates")
    assert is_ == "no data"
    assert said.endswith("too few to judge")


def test_a_record_no_longer_than_the_window_has_nothing_to_be_held_against(desk, evaluate):
    desk.run("one")
    fair_gate(desk, 5)
    tree = evaluate()
    assert light(tree, "decision rates") == ("no data", "the record is no longer than the window")
    assert light(tree, "stable") == ("no data", "the record is no longer than the window")
    assert tree["verdict"].startswith("healthy as far as is known; no data on: ")


def test_a_figure_whose_intervals_do_not_touch_is_not_stable(desk, evaluate):
    desk.run("one")
    fair_gate(desk, 60)
    by_hours(desk, GATE, 60, 67, SKIP, take=1, r=1.0)
    tree = evaluate()
    is_, said = light(tree, "stable")
    assert is_ == "look"
    assert "saved calls 100.0%, on record 32.8%" in said
    assert "miss rate 100.0%" in said


def test_brackets_that_are_open_yet_are_no_change_for_the_worse(desk, evaluate):
    desk.run("one")
    fair_gate(desk, 60)
    fair_gate(desk, 7, first=60, r=None)
    tree = evaluate()
    assert tree["inside"]["figures"]["settled_share"]["value"] == 0.0
    assert light(tree, "stable")[0] == "ok"


class TestAlerts:
    """Those of the last 24 hours of market time."""

    def test_an_old_one_is_over(self, fair, evaluate):
        fair.alert(GATE, 28.9, "model stale")
        fair.alert(PORTFOLIO, 29.9, "model stale")
        assert light(evaluate(), "alerts") == ("ok", "none")

    def test_a_new_one_is_looked_at_be_it_about_the_run_itself(self, fair, evaluate):
        fair.alert(GATE, 29.0, "model stale")
        fair.alert(None, 29.9, "data gap")
        tree = evaluate()
        assert light(tree, "alerts") == ("look", "2: model stale, data gap")
        assert [(one["kind"], one["agent"]) for one in tree["alerts"]] == [
            ("model stale", GATE), ("data gap", ""),
        ]  # fmt: skip
        assert "look at: No new alerts in past 24 hours: 2: model stale" in tree["verdict"]

    def test_of_another_run_it_counts_unless_one_is_named(self, fair, evaluate):
        fair.run("two")
        fair.alert(GATE, 29.5, "model stale", run="two")
        assert light(evaluate(), "alerts")[0] == "look"
        assert light(evaluate(GATE, "--run-id", "one"), "alerts")[0] == "ok"


class TestBreaker:
    """Openings inside the window, and where it stands."""

    def open(self, desk, day, agent=GATE):
        told = Transition.opened(START + round((day + 0.01) * DAY_MS), "5 in a row")
        desk.safety(agent, day, told.kind, told.detail)

    def test_an_opening_is_looked_at_though_it_is_closed_again(self, fair, evaluate):
        self.open(fair, 25.0)
        fair.safety(GATE, 25.1, "breaker_closed", "3 probes went well")
        self.open(fair, 29.0, PORTFOLIO)
        tree = evaluate()
        is_, said = light(tree, "breaker")
        assert is_ == "look"
        assert said.startswith("1 in the window, the last until 2024-01-26")
        assert len(tree["breaker"]["openings"]) == 1
        assert tree["breaker"]["phase"] == "closed"

    def test_one_from_before_the_window_is_over_once_it_is_closed(self, fair, evaluate):
        self.open(fair, 5.0)
        assert light(evaluate(), "breaker") == ("look", "it is half-open in run 'one'")
        fair.safety(GATE, 5.1, "breaker_closed", "3 probes went well")
        assert light(evaluate(), "breaker") == ("ok", "none")


class TestOverrides:
    """The meta-learner's rate, and the limit of its config."""

    def meta(self, desk, share, config=LIMITED):
        """Overrides are that share of each day's 24 decisions, for 30 days."""
        desk.run("one", config=config)
        cut = round(24 * share)
        for hour, action, r in ((range(cut), TO_SKIP, -1.0), (range(cut, 24), 0.0, 1.0)):
            when = [day + one / 24 for day in range(30) for one in hour]
            desk.decide(META_LEARNER, when, action, model=RULE, take=1, r=r)

    def test_within_it_is_ok(self, desk, evaluate):
        self.meta(desk, 1 / 8)
        tree = evaluate(META_LEARNER)
        assert light(tree, "Override") == ("ok", "12.5% wanted, 20% allowed")
        assert tree["inside"]["figures"]["agreement_with_expert"]["value"] == pytest.approx(7 / 8)
        assert tree["inside"]["figures"]["override_accuracy"]["value"] == 1.0

    def test_beyond_it_is_looked_at(self, desk, evaluate):
        self.meta(desk, 1 / 4)
        assert light(evaluate(META_LEARNER), "Override") == ("look", "25.0% wanted, 20% allowed")

    def test_a_storm_is_looked_at(self, desk, evaluate):
        self.meta(desk, 1 / 8)
        desk.safety(META_LEARNER, 26.0, "override_storm", "told")
        desk.safety(META_LEARNER, 6.0, "override_storm", "told")
        tree = evaluate(META_LEARNER)
        assert tree["breaker"]["override_storms"] == 1
        assert light(tree, "Override")[0] == "look"

    def test_without_a_limit_on_record_nothing_is_said(self, desk, evaluate):
        self.meta(desk, 1 / 4, config=RISK)
        assert light(evaluate(META_LEARNER), "Override")[0] == "no data"

    def test_few_decisions_are_not_judged(self, desk, evaluate):
        desk.run("one", config=LIMITED)
        desk.decide(META_LEARNER, hours(0, 10), TO_SKIP, take=1, model=RULE)
        assert light(evaluate(META_LEARNER), "Override") == (
            "no data", "100.0% wanted, 20% allowed",
        )  # fmt: skip

    @pytest.mark.parametrize("agent", [GATE, PORTFOLIO])
    def test_other_agents_set_nothing_aside(self, desk, evaluate, agent):
        desk.run("one", config=LIMITED)
        by_hours(desk, agent, 0, 3, 1.0)
        assert light(evaluate(agent), "Override")[0] == "ok"


def test_a_refuted_condition_is_part_of_the_verdict(desk, evaluate):
    desk.run("one")
    by_hours(desk, GATE, 0, 30, PASS, take=1, r=1.0)
    tree = evaluate()
    assert tree["overall"] == "refuted"
    assert tree["verdict"] == "look at: Conditions refuted: saved calls"


def test_a_run_of_another_model_is_told(fair, evaluate, deploy):
    deploy()
    tree = evaluate()
    assert tree["serving"] is not None
    assert tree["inside"]["decisions"] == 0
    assert tree["inside"]["asked_of_other_models"] == 168
    assert "`reference`" in tree["drift"]["why_not"]


def test_a_damaged_model_says_why_drift_is_not_known(fair, evaluate, deploy, tmp_path):
    model = deploy()
    spec = tmp_path / "artifacts/rl_models/gate/versions" / model.version / "spec.json"
    spec.chmod(0o644)
    spec.write_bytes(spec.read_bytes() + b" ")
    tree = evaluate()
    assert tree["drift"]["why_not"].startswith("the model has another spec.json")
    assert "Conditions refuted: " in tree["verdict"]


@pytest.mark.parametrize(
    "days", ["0", "-1", "-0.0", "nan", "inf", "-inf", "1e9", "36526", "week", ""]
)
def test_a_window_of_no_length_is_refused(fair, darwin, days):
    code, out, err = darwin("rl", "evaluate", "gate", f"--window-days={days}")
    assert (code, out) == (2, "")
    assert "--window-days" in err
    assert len(err.splitlines()) <= 3


@pytest.mark.parametrize("days", ["1e-12", "36525"])
def test_the_shortest_and_the_longest_window(fair, evaluate, days):
    tree = evaluate(GATE, "--window-days", days)
    assert tree["inside"]["decisions"] == (1 if days == "1e-12" else 720)


def test_an_agent_or_a_run_that_does_not_exist_is_refused(fair, darwin):
    code, _, err = darwin("rl", "evaluate", "gait")
    assert code == 2
    assert "gate" in err
    code, _, err = darwin("rl", "evaluate", "gate", "--run-id", "onne")
    assert code == 2
    assert "did you mean 'one'?" in err


def test_a_database_that_is_missing_is_exit_4_on_three_lines(darwin):
    code, out, err = darwin("rl", "evaluate", "gate")
    assert (code, out) == (4, "")
    assert len(err.splitlines()) <= 3


def test_the_command_shows_examples(darwin):
    code, out, _ = darwin("rl", "evaluate", "--help")
    assert code == 0
    assert "Examples" in out
    assert "python -m darwin.rl.cli.evaluate_agent gate" in out
