"""The log of what models were asked: charged before, ended once, answered for everybody."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from darwin.core.expert import Expense
from darwin.errors import RecordError
from darwin.store.calls import Calls, End, Question
from darwin.store.db import Database, connect
from darwin.store.expense import Budget, expense_of
from tests.store.conftest import NOW

FREE = Budget()
TOMORROW = NOW + timedelta(days=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with connect(tmp_path / "state.sqlite") as opened:
        yield opened


def question(candidate: int = 1, run_id: str = "one", text: str = "what?") -> Question:
    return Question(run_id, candidate, hashlib.sha256(text.encode()).hexdigest(), text, "m-1")


def rows(database: Database) -> list[tuple[str, str, str, float]]:
    with closing(sqlite3.connect(database.path)) as outside:
        return outside.execute("SELECT kind, run_id, text, usd FROM llm_calls").fetchall()


def expense(database: Database, run_id: str = "one") -> Expense | None:
    with database.read() as connection:
        return expense_of(connection, run_id)


def test_a_charge_is_on_disk_before_anything_is_sent(database: Database) -> None:
    assert Calls(database).charge(question(), 0.25, FREE, NOW)
    assert rows(database) == [("charged", "one", "what?", 0.25)]
    assert expense(database) == Expense(sent=1, usd=0.25)


def test_an_end_says_what_its_charges_came_to(database: Database) -> None:
    calls = Calls(database)
    for _ in range(3):
        assert calls.charge(question(), 0.25, FREE, NOW)
    told = calls.end(question(), End("{}", "", 10, 2, 0.125, 777), NOW)
    assert told == (question().sha256, "{}", "", True, 10, 2, 0.125, 777)
    assert [text for _, _, text, _ in rows(database)] == ["what?", "", "", "{}"]
    assert expense(database) == Expense(sent=3, answered=1, usd=0.125)


def test_the_first_answer_stands_for_every_run_and_costs_it_nothing(database: Database) -> None:
    first, second = Calls(database), Calls(database)
    first.charge(question(), 0.25, FREE, NOW)
    answered = first.end(question(), End("first", "", 10, 2, 0.125, 777), NOW)
    second.refresh()
    known = second.answer(question().sha256)
    assert known == answered
    other = question(run_id="two")
    assert second.end(other, End("first"), TOMORROW) == answered  # cost and time of the first
    assert expense(database, "two") == Expense(from_record=1)
    late = question(run_id="three")
    second.charge(late, 0.25, FREE, TOMORROW)
    assert second.end(late, End("late", "", 9, 9, 0.2, 5), TOMORROW) == answered
    assert expense(database, "three") == Expense(sent=1, answered=1, usd=0.2)


def test_a_failure_is_of_its_run_alone(database: Database) -> None:
    calls = Calls(database)
    calls.charge(question(), 0.25, FREE, NOW)
    told = calls.end(question(), End(None, "malformed: not json\nwhat it said", usd=0.1), NOW)
    assert (told.answer, told.failure, told.sent) == (None, "malformed: not json", True)
    assert calls.answer(question().sha256) is None
    assert calls.ended(question(run_id="two").about) is None
    assert expense(database) == Expense(sent=1, failed=1, usd=0.1)


@pytest.mark.parametrize(
    "budget, fits",
    [
        (Budget(calls=2), 2),
        (Budget(calls_per_day=2), 2),
        (Budget(usd=0.75), 3),
        (Budget(usd_per_day=0.5), 2),
        (Budget(usd=float("nan")), 0),
        (Budget(calls=0), 0),
    ],
)
def test_what_the_budget_does_not_allow_is_not_charged(
    database: Database, budget: Budget, fits: int
) -> None:
    asked = [Calls(database).charge(question(i), 0.25, budget, NOW) for i in range(5)]
    assert asked == [True] * fits + [False] * (5 - fits)
    assert len(rows(database)) == fits


def test_a_day_is_one_of_all_runs_and_ends(database: Database) -> None:
    calls, budget = Calls(database), Budget(calls_per_day=2, usd_per_day=1.0)
    assert calls.charge(question(1, "one"), 0.25, budget, NOW)
    assert calls.charge(question(2, "two"), 0.25, budget, NOW)
    assert not calls.charge(question(3, "three"), 0.25, budget, NOW)
    assert calls.charge(question(3, "three"), 0.25, budget, TOMORROW)


def test_what_a_charge_turns_out_to_have_cost_is_of_its_day(database: Database) -> None:
    calls, budget = Calls(database), Budget(usd_per_day=1.0)
    assert calls.charge(question(1), 1.0, budget, NOW)
    assert not calls.charge(question(2), 0.25, budget, NOW)
    calls.end(question(1), End("{}", usd=0.5), TOMORROW)
    assert calls.charge(question(2), 0.5, budget, NOW)
    assert calls.charge(question(3), 1.0, budget, TOMORROW)


def test_a_charge_without_an_end_stays_charged_in_full(database: Database) -> None:
    Calls(database).charge(question(), 0.25, FREE, NOW)
    after_a_crash = Calls(database)
    after_a_crash.refresh()
    assert after_a_crash.left_open_usd(question().about) == 0.25
    assert after_a_crash.ended(question().about) is None
    assert not after_a_crash.charge(question(), 0.25, Budget(calls=1), NOW)
    assert not after_a_crash.charge(question(), 0.25, Budget(usd=0.4), NOW)


def test_a_changed_row_is_no_answer(database: Database) -> None:
    calls = Calls(database)
    calls.charge(question(), 0.25, FREE, NOW)
    calls.end(question(), End("take"), NOW)
    with closing(sqlite3.connect(database.path)) as outside, outside:
        outside.execute("UPDATE llm_calls SET text = 'skip' WHERE kind = 'answered'")
    with pytest.raises(RecordError, match="row 2 of llm_calls was changed"):
        Calls(database).refresh()


def test_what_stopped_a_run_is_settled_and_its_question_is_put_again(database: Database) -> None:
    calls = Calls(database)
    two = Budget(calls=2, usd=0.3)
    assert calls.charge(question(), 0.25, two, NOW)
    calls.stop(question(), "key refused", 0.0, NOW)
    assert rows(database)[-1] == ("failed", "one", "stopped the run: key refused", 0.0)
    for log in (calls, Calls(database)):
        log.refresh()
        assert log.ended(question().about) is None
        assert log.left_open_usd(question().about) == 0.0
        assert log.spent("one") == expense(database) == Expense(sent=1)
    assert calls.charge(question(), 0.25, two, NOW)  # the dollars are there again,
    assert [text for _, _, text, _ in rows(database)][-1] == "what?"
    calls.end(question(), End("{}", "", 10, 2, 0.125, 7), NOW)
    assert expense(database) == Expense(sent=2, answered=1, usd=0.125)
    assert not calls.charge(question(2), 0.0, two, NOW)  # the requests are not
