"""Acts of persons: asked for at any time, effective from one decision on, fed again later."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from darwin.core.candidate import Candidate
from darwin.core.facts import RELEASE, Input
from darwin.core.journaled import Journaled
from darwin.engine.session import Session
from darwin.errors import ConfigError
from darwin.store import acts as acts_module
from darwin.store.acts import Heard, Releases, ask, journaled
from darwin.store.db import Database, connect, connect_readonly
from darwin.store.export import export_lines
from darwin.store.journal import Journal
from darwin.store.runs import begin_run, find_begun
from tests.engine.worlds import NO_LIMITS, TakeAll, grid_bars, session_over
from tests.store.conftest import IDS, NOW, START, facts_of, hour, identity, worked_out
from tests.store.outsider import facts, plain, rows, tables

pytestmark = pytest.mark.slow

FED = identity(mode="feed", data_digest=None)


@pytest.fixture
def fed(path: Path) -> Path:
    """A database in which the feed `one` is running."""
    with connect(path) as database:
        begin_run(database, FED, at=NOW)
    return path


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who listens looks before every decision."""
    monkeypatch.setattr(acts_module, "_LOOK_EVERY_S", 0.0)


def release(path: Path, reason: str, by: str = "Ada", run_id: str = "one") -> None:
    with connect(path) as database:
        ask(database, run_id, RELEASE, by=by, reason=reason, at=NOW)


def candidate(row: int) -> Candidate:
    """Number `row` of the worked-out run."""
    table = worked_out().candidates
    bar = int(table.bar_time[row])
    return Candidate(IDS[row], row, 0, 0, 1, bar, (bar - START) // 3_600_000, 100.0, 2.0, 4.0)


def listener(database: Database) -> Heard:
    run = find_begun(database, "one")
    return Heard(database, run, Releases(database, run))


def test_what_a_person_asks_is_written_down_and_sealed(fed: Path) -> None:
    release(fed, 'the exchange called: "all fine" \u00e9')
    release(fed, "again", by="Grace")
    stored = rows(fed, "SELECT * FROM acts ORDER BY id")
    assert [(row["id"], row["kind"], row["by"], row["reason"]) for row in stored] == [
        (1, "release", "Ada", 'the exchange called: "all fine" \u00e9'),
        (2, "release", "Grace", "again"),
    ]
    assert {(row["run_id"], row["at"]) for row in stored} == {("one", "2024-06-01T12:00:00.000Z")}
    for row in stored:
        assert row["seal"] == sha256(plain({"fact": "acts"} | row, but="seal")).digest()


def test_nothing_is_asked_of_an_unknown_run(fed: Path) -> None:
    with pytest.raises(ConfigError, match="no run called 'onne'") as fault:
        release(fed, "why", run_id="onne")
    assert fault.value.mend == "did you mean 'one'?"


def test_nothing_is_asked_of_a_finished_run(fed: Path) -> None:
    with connect(fed) as database:
        Journal(database, find_begun(database, "one"), ("breakout",)).finish()
    with pytest.raises(ConfigError, match="run 'one' is finished") as fault:
        release(fed, "why")
    assert (fault.value.exit_code, len(fault.value.lines())) == (2, 3)


def test_nothing_is_asked_of_a_replay(path: Path) -> None:
    with connect(path) as database:
        begin_run(database, identity(), at=NOW)
    with pytest.raises(ConfigError, match="is a replay") as fault:
        release(path, "why")
    assert "limits.reducing_resume" in fault.value.mend
    assert tables(path, "acts") == {"acts": []}


def test_journaled_inputs_come_before_the_decision_they_came_before_once() -> None:
    inputs = [
        Input(-1, IDS[3], hour(20), "release", "Ada", "first"),
        Input(-1, IDS[3], hour(20), "release", "Grace", "second"),
        Input(-1, IDS[4], hour(40), "release", "Ada", "third"),
    ]
    again = Journaled(inputs)
    assert list(again.before(candidate(0))) == []
    assert list(again.before(candidate(3))) == [one._replace(row=3) for one in inputs[:2]]
    assert list(again.before(candidate(3))) == []
    assert list(again.before(candidate(4))) == [inputs[2]._replace(row=4)]
    assert list(again.before(candidate(4))) == []


def test_an_act_takes_effect_at_the_next_decision_once(fed: Path) -> None:
    with connect(fed) as database:
        listening = listener(database)
        assert list(listening.before(candidate(0))) == []
        release(fed, "first")
        release(fed, "second", by="Grace")
        assert list(listening.before(candidate(1))) == [
            Input(1, IDS[1], hour(11), "release", "Ada", "first"),
            Input(1, IDS[1], hour(11), "release", "Grace", "second"),
        ]
        assert list(listening.before(candidate(2))) == []
        release(fed, "third")
        assert [one.reason for one in listening.before(candidate(3))] == ["third"]


def test_the_acts_of_another_run_are_not_heard(fed: Path) -> None:
    with connect(fed) as database:
        begin_run(database, identity("two", mode="feed", data_digest=None), at=NOW)
        listening = listener(database)
        release(fed, "not for you", run_id="two")
        assert list(listening.before(candidate(0))) == []


def test_it_is_not_looked_for_before_every_decision_but_twice_a_second(
    fed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(acts_module, "_LOOK_EVERY_S", 0.5)
    monkeypatch.setattr("darwin.store.acts.time.monotonic", lambda: now[0])
    with connect(fed) as database:
        listening = listener(database)
        assert list(listening.before(candidate(0))) == []
        release(fed, "soon")
        assert list(listening.before(candidate(1))) == []
        now[0] = 100.5
        assert [one.reason for one in listening.before(candidate(2))] == ["soon"]


def test_nothing_fresh_is_heard_before_the_run_has_caught_up(fed: Path) -> None:
    """Row 1 was decided under a release; the run was stopped, and asked again meanwhile."""
    release(fed, "first")
    taken = Input(1, IDS[1], hour(11), "release", "Ada", "first")
    with connect(fed) as database:
        Journal(database, find_begun(database, "one"), worked_out().playbooks).append(
            facts_of(worked_out(), [taken])
        )
    release(fed, "second")
    with connect(fed) as database:
        listening = listener(database)
        assert list(listening.before(candidate(0))) == []
        assert list(listening.before(candidate(1))) == [taken]
        for row in range(2, len(IDS)):
            assert list(listening.before(candidate(row))) == []
        after = candidate(2)._replace(row=len(IDS), id=77)
        assert [one.reason for one in listening.before(after)] == ["second"]
        assert list(listening.before(after._replace(row=len(IDS) + 1, id=78))) == []


def test_a_run_without_inputs_has_none_to_feed_again(recorded: Path) -> None:
    with connect_readonly(recorded) as database:
        assert journaled(database, find_begun(database, "one")) is None


class Says:
    """Releases the account before every so manieth candidate, if it is not told otherwise."""

    def __init__(self, every: int) -> None:
        self._every = every

    def before(self, candidate: Candidate) -> list[Input]:
        if candidate.row % self._every:
            return []
        at = (candidate.row, candidate.id, candidate.bar_time)
        return [Input(*at, "release", "Ada", f"asked at {candidate.row}")]


def losing() -> Session:
    """A session that its drawdown limit stops, so that a release changes what it does."""
    limits = replace(NO_LIMITS, max_drawdown_fraction=0.02)
    return session_over(grid_bars(400, 5), limits=limits, equity=2_000.0, decider=TakeAll())


def test_a_run_with_journaled_inputs_is_made_again_from_them_alone(path: Path) -> None:
    session = losing()
    with connect(path) as database:
        begun = begin_run(database, identity(symbols=("BTC/USDT",)), at=NOW)
        journal = Journal(database, begun, ("sprinkle#0",))
        first = session.run(journal=journal, inputs=Says(7))
        journal.finish()
        run = find_begun(database, "one")
        again = Journal(database, run, ("sprinkle#0",), only_compare=True)
        inputs = journaled(database, run)
        assert inputs is not None
        second = session.run(journal=again, inputs=inputs)
        again.finish()
        lines = list(export_lines(database, run))
    alone = session.run()
    assert len(first.trades) > len(alone.trades)
    assert list(first.fills) == list(second.fills)
    told = [row for row in facts(path) if row["fact"] == "inputs"]
    assert len(told) == sum(b'"fact":"inputs"' in line for line in lines) > 10
    assert any(b'"kind":"resumed"' in line for line in lines)
