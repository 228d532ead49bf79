"""The daily health check of three real runs, held against the database by plain queries."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from darwin.core.market import DAY_MS
from darwin.rl.agents.pages import PAGES
from darwin.stats.drift import FLOOR, reference_of
from darwin.stats.performance import YEAR_DAYS
from tests.run.agents import deploy, rules
from tests.run.command import Desk, clean_environment

DATABASE = "artifacts/rl_state/agent_state.sqlite"
STRANGE = "volume_level_20_168"
pytestmark = pytest.mark.slow


def observations(desk, where):
    """What the gate saw, each candidate once, in the order of record."""
    seen = {}
    for candidate, raw in desk.ask(
        "SELECT candidate_id, observation FROM agent_decisions"
        f" WHERE agent_name = 'gate' AND role = 'serving' AND {where} ORDER BY id"
    ):
        seen.setdefault(candidate, np.frombuffer(raw, "<f4").astype(float))
    return np.array(list(seen.values()))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A rule, then a model in its place, then one to which much of the market is strange.

    The models were trained on the first ten days of the market.
    """
    desk = Desk(tmp_path_factory.mktemp("evaluated"))
    block = rules()
    for number, run_id in enumerate(("one", "two", "three")):
        market = {"seed": 3 + number, "bars": 1000}
        done = desk.darwin("run", desk.config(run_id=run_id, market=market, rl=block))
        assert done.returncode == 0, done.stderr
        if number == 0:
            rows = observations(desk, "run_id = 'one'")
            mean, sd = rows.mean(axis=0), np.maximum(rows.std(axis=0), 0.2)
            ((first,),) = desk.ask("SELECT min(bar_time) FROM agent_decisions")
            trained = {"mean": tuple(mean.tolist()), "reference": reference_of(rows)}
            trained["training_end"] = (
                f"{datetime.fromtimestamp(first / 1000 + 864_000, UTC):%FT%TZ}"
            )
            block = block | {"gate_agent": {"name": "gate", "mode": "observe"}}
        if number < 2:
            deploy(desk, "gate", seed=number, sd=tuple(sd.tolist()), **trained)
            sd[PAGES["gate"].place(STRANGE)] /= 20
    return desk


def evaluate(desk, *words):
    done = subprocess.run(
        [sys.executable, "-m", "darwin.rl.cli.evaluate_agent", *words, "--db", DATABASE],
        cwd=desk.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def gate(desk):
    return json.loads(evaluate(desk, "gate", "--json"))


@pytest.fixture(scope="module")
def serving(desk):
    """The digest of the model that serves as gate, trained on bars of its run."""
    ((sha256,),) = desk.ask(
        "SELECT manifest_sha256 FROM model_events WHERE kind = 'deployed' ORDER BY id DESC LIMIT 1"
    )
    return sha256


def window(desk, days=7):
    """Of market time, as a condition."""
    ((reached,),) = desk.ask("SELECT max(reached) FROM checkpoints")
    return reached, f"bar_time > {reached - days * DAY_MS} AND bar_time <= {reached}"


def test_the_serving_model_is_judged_by_its_own_decisions(desk, gate, serving):
    reached, inside = window(desk)
    assert gate["judged"]["sha256"] == gate["serving"]["sha256"] == serving
    assert gate["window"]["until_ms"] == reached
    assert datetime.fromisoformat(gate["window"]["until"]).timestamp() * 1000 == reached
    ours = (
        f"FROM decisions_with_outcomes WHERE agent_name = 'gate' AND run_id = 'three' AND {inside}"
    )
    ((asked, decisions, skips, outcomes),) = desk.ask(
        "SELECT count(*), count(action), sum(action = 0),"
        f" sum(action IS NOT NULL AND r IS NOT NULL) {ours}"
    )
    told = gate["inside"]
    assert (told["asked"], told["decisions"], told["outcomes"]) == (asked, decisions, outcomes)
    assert told["figures"]["saved_calls"]["value"] == pytest.approx(skips / decisions)
    ((others,),) = desk.ask(
        "SELECT count(*) FROM agent_decisions WHERE agent_name = 'gate' AND run_id <> 'three'"
        f" AND {inside}"
    )
    assert told["asked_of_other_models"] == others > 0


def test_the_record_beside_it_is_that_of_the_status(desk, gate):
    done = desk.darwin("rl", "status", "gate", "--json")
    status = json.loads(done.stdout)
    assert gate["conditions"] == status["conditions"]
    trial = status["trial"]
    assert trial["scope"] == "run:three"
    assert status["decisions"] == trial["decisions"] == gate["record"]["decisions"] > 0
    assert trial["too_early"] == gate["record"]["left_out"] > 0, "bars that training has seen"
    saved = gate["record"]["figures"]["saved_calls"]
    assert saved["value"] == pytest.approx(status["figures"]["saved_share"])
    ((spec,),) = desk.ask(
        "SELECT terms FROM contracts WHERE agent_name = 'gate' AND scope = 'run:three'"
    )
    since = json.loads(spec)["training_end_ms"] + DAY_MS
    ((early, counted),) = desk.ask(
        f"SELECT sum(bar_time < {since}), sum(bar_time >= {since}) FROM agent_decisions"
        " WHERE agent_name = 'gate' AND run_id = 'three' AND action IS NOT NULL"
    )
    assert (gate["record"]["left_out"], saved["cases"]) == (early, counted)


def test_how_many_were_left_out_is_said(desk, gate):
    (line,) = [one for one in evaluate(desk, "gate").splitlines() if one.startswith("left out")]
    left_out = gate["record"]["left_out"]
    assert f"{left_out} decisions on bars of its training and a day after, 0 of them" in line
    tree = json.loads(evaluate(desk, "gate", "--window-days", "400", "--json"))
    assert (tree["inside"]["left_out"], tree["inside"]["decisions"]) == (
        left_out, gate["record"]["decisions"],
    )  # fmt: skip


def test_strange_rows_are_counted_and_told_as_silence(desk, gate):
    _, inside = window(desk)
    ((strange,),) = desk.ask(
        "SELECT count(*) FROM agent_decisions WHERE run_id = 'three' AND agent_name = 'gate'"
        f" AND reason = 'out of range' AND {inside}"
    )
    assert gate["drift"]["strange"] == gate["inside"]["silent"]["out of range"] == strange > 3
    ((all_strange, asked),) = desk.ask(
        "SELECT sum(reason = 'out of range'), count(*) FROM agent_decisions"
        " WHERE run_id = 'three' AND agent_name = 'gate'"
    )
    share = gate["record"]["figures"]["silent_share"]
    assert share["value"] == pytest.approx(all_strange / asked)
    assert 0.0 < share["low"] < share["value"] < share["high"] < 1.0
    assert any(one.startswith("Strange rows") for one in gate["findings"])


def test_rates_are_per_day_that_the_run_with_the_model_covers(desk, gate):
    reached, inside = window(desk)
    ((first, last, decisions, within),) = desk.ask(
        f"SELECT min(bar_time), max(bar_time), count(action), sum(action IS NOT NULL AND {inside})"
        " FROM agent_decisions WHERE run_id = 'three' AND agent_name = 'gate'"
    )
    assert last <= reached
    record, now = gate["record"]["rate"], gate["inside"]["rate"]
    assert record["days"] == pytest.approx((reached - first) / DAY_MS)
    assert record["per_day"] == pytest.approx(decisions / record["days"])
    assert (now["days"], now["decisions"]) == (pytest.approx(7.0), within)
    assert now["low"] < now["per_day"] < now["high"]
    before = gate["before"]["rate"]
    assert before["decisions"] + now["decisions"] == decisions
    assert before["days"] + now["days"] == pytest.approx(record["days"])


def test_drift_is_the_index_of_training_rows_and_window_rows(desk, gate):
    training = observations(desk, "run_id = 'one'")
    _, inside = window(desk)
    later = observations(desk, inside)
    drift = gate["drift"]
    assert (drift["known"], drift["rows"]) == (True, len(later))
    reference = reference_of(training)
    found = {one["column"]: one for one in drift["columns"]}
    assert set(found) == set(PAGES["gate"].names)
    for place, name in enumerate(PAGES["gate"].names):
        edges = [-math.inf, *reference.edges[place], math.inf]
        index = 0.0
        for low, high in pairwise(edges):
            e, a = (
                max(float(np.mean((rows[:, place] >= low) & (rows[:, place] < high))), FLOOR)
                for rows in (training, later)
            )
            index += (a - e) * math.log(a / e)
        assert found[name]["psi"] == pytest.approx(index, abs=1e-9)
        expected = "stable" if index < 0.1 else "shifted" if index <= 0.25 else "drifted"
        assert found[name]["band"] == expected
    order = [one["psi"] for one in drift["columns"]]
    assert order == sorted(order, reverse=True)
    worst = [one for one in drift["columns"] if one["psi"] > max(0.25, one["by_chance"])]
    told = [one for one in gate["findings"] if one.startswith("Drift since training: ")]
    named = ", ".join(f"{one['column']} (PSI {one['psi']:.2f})" for one in worst[:3])
    more = f" and {len(worst) - 3} more" if len(worst) > 3 else ""
    assert told == ([f"Drift since training: {named}{more}"] if worst else [])
    assert 0 < len(worst) < sum(one["band"] == "drifted" for one in drift["columns"])


def test_the_same_database_gives_the_same_answer_by_either_name(desk, gate):
    done = desk.darwin("rl", "evaluate", "gate", "--json")
    assert json.loads(done.stdout) == gate


def test_a_rule_s_sizing_is_compared_with_full_size(desk):
    tree = json.loads(evaluate(desk, "portfolio", "--window-days", "20", "--json"))
    _, inside = window(desk, 20)
    rows = desk.ask(
        "SELECT candidate_id, action, r FROM decisions_with_outcomes WHERE agent_name = 'portfolio'"
        f" AND r IS NOT NULL AND {inside} ORDER BY run_id = 'three', run_id = 'two'"
    )
    first = {}
    for candidate, size, r in rows:
        first.setdefault(candidate, (size, r))
    size, r = np.array(list(first.values())).T
    figures = tree["inside"]["figures"]
    ((first, last, known),) = desk.ask(
        "SELECT min(bar_time), max(bar_time), count(DISTINCT candidate_id) FILTER (WHERE r IS NOT"
        " NULL) FROM decisions_with_outcomes WHERE agent_name = 'portfolio' AND action IS NOT NULL"
    )
    root = math.sqrt(known / ((last - first) / DAY_MS) * YEAR_DAYS)
    full = r.mean() / r.std(ddof=1) * root
    sized = (size * r).mean() / (size * r).std(ddof=1) * root
    assert figures["sharpe"]["cases"] == len(r) > 30
    assert figures["sharpe"]["value"] == pytest.approx(sized)
    assert figures["sharpe_equal_weight"]["value"] == pytest.approx(full)
    difference = figures["sharpe_difference"]
    assert difference["value"] == pytest.approx(sized - full)
    assert difference["low"] < difference["value"] < difference["high"]
    assert tree["drift"]["why_not"] == "a rule has no rows of training"


def test_the_meta_learner_s_overrides_are_those_on_record(desk):
    tree = json.loads(evaluate(desk, "meta_learner", "--run-id", "two", "--json"))
    assert tree["window"]["runs"] == ["two"]
    ((total, set_aside, known, right),) = desk.ask(
        "SELECT count(*), sum(o), sum(o AND r IS NOT NULL), sum(o AND (r <= 0) = (action = 1))"
        " FROM (SELECT *, (action = 1 AND take = 1) OR (action = 2 AND take = 0) AS o"
        "       FROM decisions_with_outcomes WHERE agent_name = 'meta_learner' AND run_id = 'two')"
    )
    figures = tree["record"]["figures"]
    assert figures["override_rate"]["value"] == pytest.approx(set_aside / total)
    assert figures["agreement_with_expert"]["value"] == pytest.approx(1 - set_aside / total)
    assert figures["override_accuracy"]["value"] == pytest.approx(right / known)
    assert figures["override_accuracy"]["cases"] == known
    (line,) = [one for one in tree["daily"] if one["name"] == "Override rates within limits"]
    assert line["said"].endswith("wanted, 20% allowed")


def test_people_read_it_line_by_line(desk, gate):
    out = evaluate(desk, "gate")
    lines = out.splitlines()
    assert lines[0] == "gate"
    assert gate["verdict"] == lines[-1]
    for one in gate["daily"]:
        assert any(line.startswith(one["name"]) and one["is"] in line for line in lines)
    worst = gate["drift"]["columns"][0]
    assert any(line.split()[:2] == [worst["column"], f"{worst['psi']:.3f}"] for line in lines)
    until = datetime.fromtimestamp(gate["window"]["until_ms"] / 1000, UTC)
    assert f"up to and with {until:%Y-%m-%d %H:%M} UTC" in out
    assert "nan" not in out
