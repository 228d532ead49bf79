"""Charged before it is sent, whatever kills the run; a budget is what the server sees at most."""

from __future__ import annotations

import itertools
import threading
from functools import partial

import pytest

from darwin.core.decision import NO_ANSWER
from darwin.testing.llm_faults import status
from darwin.testing.llm_server import LlmServer
from tests.expert.asking import calls, config, export, flags, killed, named, run
from tests.run.command import Desk

pytestmark = pytest.mark.slow

SPENT = (f"{NO_ANSWER}budget spent",)


def test_a_budget_of_five_is_five_requests_over_ten_kills(desk: Desk, server: LlmServer) -> None:
    release, says = threading.Event(), server.answer
    server.answer = lambda one: says(one) if release.wait(60) else "late"
    file = config(desk, server, decider={"budget_calls": 5})
    for number in range(10):
        seen = len(server.requests)
        begun = () if not number else ("--resume",)
        if number < 3:  # while an answer is on its way
            assert killed(desk, lambda seen=seen: len(server.requests) > seen, file, *begun)
            assert calls(desk) == {"charged": len(server.requests)} == {"charged": seen + 1}
        else:  # at any time: later and later, before and after the budget is spent
            release.set()
            turns = itertools.count()
            when = partial(lambda turns, end: next(turns) > end, turns, 40 * number)
            killed(desk, when, file, "--resume")
    run(desk, file, "--resume")
    assert len(server.requests) <= 5
    told = calls(desk)
    assert told["charged"] == 5
    assert told["answered"] + told["failed"] == len(flags(desk))
    assert flags(desk).count(SPENT) == told["failed"] == len(flags(desk)) - told["answered"]
    assert desk.darwin("verify", "small").returncode == 0
    assert desk.darwin("replay", "small").returncode == 0
    assert len(server.requests) <= 5


@pytest.mark.sweep
def test_killed_and_resumed_it_ends_as_if_it_had_not_been(desk: Desk, server: LlmServer) -> None:
    file = config(desk, server, run_id="one")
    for number in (1, 9, 17):
        begun = () if number == 1 else ("--resume",)
        killed(desk, lambda number=number: len(server.requests) >= number, file, *begun)
    run(desk, file, "--resume")
    asked = [one.user for one in server.requests]
    twice = len(asked) - len(set(asked))
    assert twice <= 3  # only what was on its way when it was killed
    # killed between its charge and its leaving, a question is charged again
    assert 0 <= calls(desk, "one")["charged"] - len(asked) <= 3
    with LlmServer(server.answer) as another:
        elsewhere = Desk(desk.folder / "elsewhere")
        elsewhere.folder.mkdir()
        run(elsewhere, config(elsewhere, another, run_id="one"))
        assert [one.user for one in another.requests] == list(dict.fromkeys(asked))
        verdicts = "SELECT candidate_id, take, confidence, risk_flags FROM verdicts ORDER BY id"
        assert elsewhere.ask(verdicts) == desk.ask(verdicts)
        traded = ("orders", "fills", "outcomes")
        assert export(elsewhere, "one", *traded) == export(desk, "one", *traded)


def test_a_charge_is_made_for_every_attempt(desk: Desk) -> None:
    with LlmServer() as server:
        server.script(status("503 Service Unavailable", retry_after="0"), None)
        run(desk, config(desk, server, decider={"max_attempts": 2}))
        assert calls(desk)["charged"] == len(server.requests) == len(flags(desk)) + 1
        assert not any(one and one[0].startswith(NO_ANSWER) for one in flags(desk))


def test_dollars_are_a_budget_too(desk: Desk, server: LlmServer) -> None:
    run(desk, config(desk, server, decider={"budget_usd": 0.004}))
    [(charged, spent)] = desk.ask(
        "SELECT max(CASE kind WHEN 'charged' THEN usd END),"
        " sum(CASE kind WHEN 'answered' THEN usd END) FROM llm_calls"
    )
    assert 0.004 - charged < spent <= 0.004
    assert flags(desk)[-1] == SPENT
    assert len(server.requests) == calls(desk)["charged"] < len(flags(desk))


def test_a_day_is_shared_by_all_runs(desk: Desk, server: LlmServer) -> None:
    file = config(desk, server, run_id="one", decider={"budget_calls_per_day": 7})
    run(desk, file)
    assert len(server.requests) == 7
    run(desk, file, *named("two"))
    assert len(server.requests) == 7
    assert calls(desk, "two")["answered"] == 7
