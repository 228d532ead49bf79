"""`darwin rl rollout set --max-position-usd` and what the statuses say of a cap."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.rl.graduation.test_record import Deployment

WHO = ("--by", "Ada", "--reason", "a test")


@pytest.fixture
def told(desk, darwin):
    gate = Deployment(desk)
    gate.now = datetime.now(UTC)
    gate.promote()
    gate.stage(0.05)

    def told(*words):
        return darwin("rl", "rollout", *words)

    return told


def test_a_cap_is_set_shown_and_lifted(told):
    cap = ("set", "gate", "5%", "--max-position-usd", "2000.5", *WHO)
    code, out, err = told(*cap)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == (
        "its positions: at most 2,000.50 USD; before, as the config has it"
    )
    _, out, _ = told("status", "gate")
    assert "2,000.50" in out
    _, out, _ = told("status", "gate", "--json")
    assert json.loads(out)["max_position_usd"] == 2000.5
    code, out, _ = told("set", "gate", "1%", *WHO)
    assert out.splitlines()[-1] == "its positions: at most 2,000.50 USD"
    code, out, _ = told("set", "gate", "1%", "--lift-cap", *WHO, "--json")
    tree = json.loads(out)
    assert (code, tree["max_position_usd"], tree["max_position_usd_before"]) == (
        0,
        None,
        2000.5,
    )
    code, out, _ = told("set", "gate", "0%", *WHO)
    assert out == "gate holds 0% of the capital; before, 1%\n"


@pytest.mark.parametrize("usd", ["0", "-1", "nan", "inf", "1e999", "much"])
def test_what_is_no_amount_is_one_clear_error(told, desk, usd):
    before = len(desk.rows("rollout_events"))
    code, _, err = told("set", "gate", "5%", f"--max-position-usd={usd}", *WHO)
    assert code == 2
    assert 1 <= len(err.splitlines()) <= 3
    assert "max_position_usd" in err or "--max-position-usd" in err
    assert len(desk.rows("rollout_events")) == before


def test_to_set_and_to_lift_at_once_is_refused(told):
    words = ("--max-position-usd", "5", "--lift-cap", *WHO)
    code, _, err = told("set", "gate", "5%", *words)
    assert code == 2
    assert "--lift-cap" in err


def test_the_status_of_the_agent_names_the_cap_of_its_last_act(told, darwin):
    told("set", "gate", "5%", "--max-position-usd", "2000", *WHO)
    _, out, _ = darwin("rl", "status", "gate")
    assert "positions of at most 2,000.00 USD by Ada" in out
