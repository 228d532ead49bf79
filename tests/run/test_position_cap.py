"""A cap on positions from outside: set by the command, kept by runs that are fed or replayed."""

from __future__ import annotations

import json

import pytest

from darwin.core.agents import Model
from tests.run import books
from tests.run.agents import promote, rules
from tests.run.command import Desk
from tests.run.test_agents import decided, feed, finish, wait_for

WHO = ("--by", "Ada", "--reason", "a test")
CAP = 400.0


def set_cap(desk: Desk, agent: str, *words: str) -> None:
    done = desk.darwin("rl", "rollout", "set", agent, *words, *WHO)
    assert done.returncode == 0, done.stderr


def proven(desk: Desk, run_id: str, **environment: str) -> None:
    for word in ("verify", "replay"):
        done = desk.darwin(word, run_id, **environment)
        assert done.returncode == 0, done.stderr


def orders(desk: Desk, run_id: str) -> list[tuple[str, float, str]]:
    """Candidate, USD and what clipped it, of each entry."""
    return desk.ask(
        "SELECT candidate_id, units * price, clipped_by FROM orders"
        f" WHERE run_id = '{run_id}' AND kind = 'submitted' ORDER BY id"
    )


@pytest.mark.sweep
def test_an_active_agents_orders_are_capped_fed_and_replayed_alike(desk: Desk) -> None:
    desk.config(market={"bars": 1200}, rl=rules("active", agents=["portfolio"]))
    promote(desk, "portfolio", stage=0.5)
    set_cap(desk, "portfolio", "50%", "--max-position-usd", str(CAP))
    for words in (("run", "config.json"), ("run", "config.json", "--feed", "--set", "run_id=fed")):
        done = desk.darwin(*words)
        assert done.returncode == 0, done.stderr
    found = orders(desk, "small")
    assert len(found) > 10
    assert max(usd for _, usd, _ in found) <= CAP * (1 + 1e-9)
    assert "agent cap" in {clipped for _, _, clipped in found}
    assert desk.export("fed") == desk.export("small")
    for run_id in ("small", "fed"):
        proven(desk, run_id)
    [(told,)] = desk.ask("SELECT detail FROM inputs WHERE run_id = 'small'")
    assert json.loads(told)["max_position_usd"] == CAP
    [panel] = desk.metrics()["agents"]["portfolio"]["versions"]
    assert panel["max_position_usd"] == CAP
    assert not desk.metrics()["twins"]["equal"]


@pytest.mark.slow
def test_a_cap_that_is_set_in_the_middle_of_a_feed_holds_from_the_next_decision_on(
    desk: Desk,
) -> None:
    desk.config(market={"bars": 1500}, rl=rules("active", agents=["gate"]))
    promote(desk, "gate", stage=0.5)
    process = feed(desk, "fed")
    wait_for(desk, "fed", 10, process)
    set_cap(desk, "gate", "50%", "--max-position-usd", str(CAP))
    seen = decided(desk, "fed")
    finish(process)
    rows = desk.ask(
        "SELECT d.reason, o.units * o.price, o.clipped_by FROM agent_decisions d LEFT JOIN orders o"
        " ON o.run_id = d.run_id AND o.candidate_id = d.candidate_id AND o.kind = 'submitted'"
        " WHERE d.run_id = 'fed' ORDER BY d.id"
    )
    after = [usd for why, usd, _ in rows[seen + 1 :] if usd is not None and why == "active"]
    assert len(after) > 10
    assert max(after) <= CAP * (1 + 1e-9)
    assert max(usd for _, usd, _ in rows[:10] if usd is not None) > CAP
    first = next(at for at, row in enumerate(rows) if row[2] == "agent cap")
    assert first >= 10
    proven(desk, "fed")


@pytest.mark.slow
def test_a_book_in_which_an_agent_acts_is_capped_and_verified(desk: Desk) -> None:
    name = books.config(desk, market={"bars": 800}, allocation={"mode": "active"})
    first = books.config(desk, "first.json", run_id="first", market={"bars": 500})
    books.run(desk, first)
    model = books.rows(desk, "first")[0]
    books.promote(desk, "allocator", Model(model["model_version"], model["model_sha256"]), 0.25)
    set_cap(desk, "allocator", "25%", "--max-position-usd", "2000")
    books.run(desk, name)
    told = books.rows(desk)
    assert {(row["reason"], row["limited_by"]) for row in told} == {("active", "agent cap")}
    start = told[0]["final_weights"] * 10_000.0
    assert start.max() == pytest.approx(2_000.0)
    proven(desk, "book", PYTHONPATH=books.__file__.rsplit("/tests/", 1)[0])
