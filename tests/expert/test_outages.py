"""A replay has time: it waits for its server and for the rate, and stops before it skips."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from darwin.bootstrap.asking import OUTAGE_S, Asking
from darwin.core.expert import Asked
from darwin.deciders.llm.brief import Scene
from darwin.deciders.llm.decider import LlmDecider
from darwin.deciders.llm.prompt import request_of
from darwin.errors import ExpertAwayError
from darwin.store.calls import Calls
from darwin.store.db import Database, connect
from darwin.testing.llm_answers import steady
from darwin.testing.llm_faults import changed, status
from darwin.testing.llm_server import LlmServer
from tests.llm.briefs import brief
from tests.llm.conftest import Time

BUSY = status("503 Service Unavailable")
CUT_OFF = changed("cut off", lambda one: one["choices"][0].update(finish_reason="length"))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with connect(tmp_path / "state.sqlite") as opened:
        yield opened


class Run:
    """The questions of one run, put on a clock that goes on only where somebody sleeps."""

    def __init__(self, server: LlmServer, database: Database, *, paper: bool = False, **options):
        self.time, self.warned, self.database = Time(), list[str](), database
        self.decider = LlmDecider(
            "rehearsal",
            base_url=server.openai_url,
            price_in_usd_per_mtok=0.25,
            price_out_usd_per_mtok=2.0,
            scene=Scene(),
            **{"max_attempts": 1, "requests_per_minute": None} | options,
        )
        self.asking = Asking(
            self.decider, Calls(database), "one", self.warned.append,
            on_paper=paper, clock=self.time.clock, sleep=self.time.sleep,
        )  # fmt: skip

    def ask(self, number: int) -> Asked:
        one = request_of(brief(), self.decider.setting._replace(notes=f"question {number}"))
        return self.asking.told(number, one)

    def failures(self, numbers: range) -> list[str]:
        return [self.ask(number).failure for number in numbers]


def test_a_short_outage_costs_a_replay_no_more_than_four_questions(
    server: LlmServer, database: Database
) -> None:
    server.script(None, *[BUSY] * 7)
    run = Run(server, database)
    assert run.failures(range(300)) == ["", *["server error"] * 4, *[""] * 295]
    assert run.time.slept == [30.0, 60.0, 60.0]
    assert any("waits and asks it again in 30 s" in said for said in run.warned)


def test_on_paper_it_skips_and_never_waits(server: LlmServer, database: Database) -> None:
    server.answer = lambda one: BUSY
    run = Run(server, database, paper=True)
    assert run.failures(range(9)) == ["server error"] * 5 + ["breaker open"] * 4
    assert run.time.slept == []


def test_an_outage_without_end_stops_the_replay_and_leaves_its_question_open(
    server: LlmServer, database: Database
) -> None:
    server.answer = lambda one: BUSY
    run = Run(server, database)
    assert run.failures(range(4)) == ["server error"] * 4
    with pytest.raises(ExpertAwayError, match="server error") as stopped:
        run.ask(4)
    assert stopped.value.exit_code == 3
    assert 0.8 * OUTAGE_S <= sum(run.time.slept) <= OUTAGE_S
    later = Run(server, database)
    with pytest.raises(ExpertAwayError):
        later.ask(4)  # taken up too early: still nothing is skipped for it
    server.answer = steady()
    last = Run(server, database)
    assert last.failures(range(4)) == ["server error"] * 4  # final, on record
    assert last.failures(range(4, 8)) == [""] * 4
    assert last.time.slept == []


def test_waiting_holds_the_budget(server: LlmServer, database: Database) -> None:
    server.answer = lambda one: BUSY
    run = Run(server, database, budget_calls=6)
    assert run.failures(range(7)) == ["server error"] * 4 + ["budget spent"] * 3
    assert len(server.requests) == 6


def test_what_the_model_says_amiss_is_a_skip_without_waiting(
    server: LlmServer, database: Database
) -> None:
    server.answer = lambda one: CUT_OFF
    run = Run(server, database)
    assert run.failures(range(8)) == ["cut off"] * 8
    server.answer = lambda one: "I take it"
    assert run.failures(range(8, 16)) == ["malformed: not json"] * 8
    assert run.time.slept == []


def test_a_replay_waits_for_room_in_the_rate(server: LlmServer, database: Database) -> None:
    options = {"requests_per_minute": 3, "timeout_s": 1.0}
    run = Run(server, database, **options)
    assert run.failures(range(7)) == [""] * 7
    assert run.time.slept == [60.0, 60.0]
    paper = Run(server, database, paper=True, **options)
    assert paper.failures(range(7, 11)) == ["", "", "", "rate limit"]
