"""The journal: one chain in the order of events, whatever the pieces, stops and attempts."""

from __future__ import annotations

import json
import math
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from darwin.core.account import Alert, EquityMark, SafetyEvent
from darwin.core.candidate import id_text
from darwin.core.facts import Facts, Input
from darwin.core.market import DAY_MS, HOUR_MS
from darwin.engine.marks import daily_marks
from darwin.engine.session import Session
from darwin.errors import IntegrityError, StorageError
from darwin.store import journal as journal_module
from darwin.store.db import Database, connect, connect_readonly
from darwin.store.journal import Journal
from darwin.store.queries import provenance
from darwin.store.runs import begin_run, find_begun
from tests.engine.worlds import grid_bars, session_over
from tests.store.conftest import IDS, NOW, RAISED, START, facts_of, hour, identity, worked_out
from tests.store.outsider import (
    BESIDE,
    CHAINED,
    facts,
    hashes_by_hand,
    rows,
    seals_by_hand,
    tables,
    tell,
)

pytestmark = pytest.mark.slow

RUN = replace(
    worked_out(),
    safety_events=[
        *worked_out().safety_events,
        SafetyEvent(hour(40), "resumed", "released by Ada", 4),
    ],
)
TOLD = replace(
    facts_of(RUN, [Input(4, IDS[4], hour(40), "release", "Ada", 'a call, "all fine" \u00e9\n')]),
    alerts=[Alert(hour(12), "data gap", "", "BTC/USDT: 30 bars"), *RAISED],
)
MARKS = daily_marks(RUN.equity)
Announce = Callable[[int], None]


def cut(whole: Facts, times: Iterable[int]) -> list[Facts]:
    """`whole` in pieces, each complete up to and with one of `times`, the last with the rest."""
    pieces: list[Facts] = []
    after, row = -1, 0
    for until in sorted({*times, whole.reached}):
        table, known = whole.candidates, whole.outcomes.known_time
        mine = (table.bar_time > after) & (table.bar_time <= until)
        last = row + int(mine.sum())
        pieces.append(
            replace(
                whole,
                candidates=table.select(mine),
                first_row=row,
                decided=whole.decided[mine],
                verdicts=[one for one in whole.verdicts if row <= one[0] < last],
                orders=[one for one in whole.orders if after < one.bar_time <= until],
                cancels=[one for one in whole.cancels if after < one.time <= until],
                fills=[one for one in whole.fills if after < one.time <= until],
                outcomes=whole.outcomes.select((known > after) & (known <= until)),
                safety_events=[one for one in whole.safety_events if after < one.time <= until],
                inputs=[one for one in whole.inputs if after < one.time <= until],
                decisions=[one for one in whole.decisions if row <= one.row < last],
                alerts=[one for one in whole.alerts if after < one.time <= until],
                reached=until,
                bars=2 * ((until - START) // HOUR_MS + 1),
            )
        )
        after, row = until, last
    return pieces


def with_marks(pieces: Sequence[Facts], marks: Sequence[EquityMark]) -> list[Facts]:
    """`pieces`, each with the marks of the days that are over when it is handed over."""
    after, handed = -1, []
    for piece in pieces:
        over = [m for m in marks if after < m.time // DAY_MS < piece.reached // DAY_MS]
        handed.append(replace(piece, marks=over))
        after = max([after, *(mark.time // DAY_MS for mark in over)])
    return handed


def attempt(
    path: Path,
    pieces: Sequence[Facts],
    announce: Announce = lambda facts: None,
    *,
    resume: bool = False,
    marks: Sequence[EquityMark] | None = MARKS,
    run_id: str = "one",
    alert: Callable[[Alert], None] = lambda alert: None,
) -> None:
    """Make the run from its first bar on; finished unless `marks` is None."""
    with connect(path) as database:
        begun = begin_run(database, identity(run_id), at=NOW, resume=resume)
        journal = Journal(database, begun, RUN.playbooks, announce=announce, alert=alert)
        for piece in pieces:
            journal.append(piece)
        if marks is not None:
            journal.finish(marks)


@pytest.fixture
def kept(path: Path) -> Path:
    """A database that holds the run, finished, under the name `one`."""
    attempt(path, [TOLD])
    return path


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The hashes of the run, kept in one piece."""
    path = tmp_path_factory.mktemp("whole") / "state.sqlite"
    attempt(path, [TOLD])
    return [row["hash"] for row in facts(path)]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> int:
    """Transactions of four facts."""
    monkeypatch.setattr(journal_module, "BATCH_FACTS", 4)
    return 4


def chained(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Every chained row of the file, marks and alerts: all of a run but its wall clock."""
    return tables(path, *CHAINED, "equity_marks", "alerts")


def checkpoints(path: Path) -> list[tuple[Any, ...]]:
    """The checkpoints of the file without their wall clock."""
    kept = rows(path, "SELECT id, run_id, facts, head, reached, bars FROM checkpoints ORDER BY id")
    return [tuple(row.values()) for row in kept]


def events(path: Path, run_id: str = "one") -> list[tuple[str, int]]:
    """What happened to a run, with how many facts were acknowledged then."""
    query = "SELECT kind, facts FROM run_events WHERE run_id = ? ORDER BY id"
    return [(row["kind"], row["facts"]) for row in rows(path, query, run_id)]


def test_facts_stand_in_the_order_of_events_over_all_tables(kept: Path) -> None:
    number = {id_text(one): row for row, one in enumerate(IDS)}
    told = [
        (row["fact"], row.get("kind", row.get("agent_name")), number.get(row.get("candidate_id")))
        for row in facts(kept)
    ]
    assert told == [
        *[("candidates", None, 0), ("agent_decisions", "gate", 0), ("verdicts", None, 0)],
        *[("agent_decisions", "portfolio", 0), ("orders", "submitted", 0)],
        ("fills", "entry", 0),
        *[("candidates", None, 1), ("verdicts", None, 1)],
        ("candidates", None, 2),
        *[("fills", "exit", 0), ("outcomes", None, 0)],
        *[("outcomes", None, 1), ("outcomes", None, 2)],
        *[("candidates", None, 3), ("agent_decisions", "gate", 3), ("verdicts", None, 3)],
        ("orders", "submitted", 3),
        *[("orders", "cancelled", 3), ("outcomes", None, 3)],
        *[("safety_events", "daily_loss", None), ("safety_events", "reducing", None)],
        ("inputs", "release", 4),
        *[("candidates", None, 4), ("verdicts", None, 4), ("orders", "submitted", 4)],
        ("safety_events", "resumed", None),
        ("fills", "entry", 4),
        *[("candidates", None, 5), ("verdicts", None, 5), ("orders", "submitted", 5)],
        *[("fills", "exit", 4), ("outcomes", None, 4)],
        *[("orders", "cancelled", 5), ("outcomes", None, 5)],
    ]


def test_places_are_counted_from_one_without_a_gap_in_every_run(kept: Path) -> None:
    attempt(kept, cut(TOLD, [hour(12), hour(41)]), run_id="two")
    for number, run_id in ((1, "one"), (2, "two")):
        found = facts(kept, run_id)
        assert [row["seq"] for row in found] == list(range(1, len(TOLD) + 1))
        assert [row["id"] for row in found] == [number << 40 | row["seq"] for row in found]


def test_an_outsider_reckons_the_same_hashes(kept: Path) -> None:
    assert [row["hash"] for row in facts(kept)] == hashes_by_hand(kept)
    (last,) = rows(kept, "SELECT head, facts FROM checkpoints")
    assert (last["head"], last["facts"]) == (hashes_by_hand(kept)[-1], len(TOLD))


def test_an_outsider_reckons_the_same_seals(kept: Path) -> None:
    attempt(kept, [TOLD], run_id="two")
    for run_id in ("one", "two"):
        for table in ("runs", *BESIDE):
            stored = rows(kept, f"SELECT seal FROM {table} WHERE run_id = ? ORDER BY rowid", run_id)
            assert stored, table
            assert [row["seal"] for row in stored] == seals_by_hand(kept, table, run_id)


FINITE = st.floats(allow_nan=False, allow_infinity=False)
SAID = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One database for all examples of a property; each example is a run of its own."""
    return tmp_path_factory.mktemp("shared") / "state.sqlite"


@settings(max_examples=25, deadline=None)
@given(price=FINITE, funding=FINITE, said=SAID, flag=SAID)
@example(price=-0.0, funding=-0.0, said="", flag="")
@example(price=5e-324, funding=1.7976931348623157e308, said='"\\/\b\x7f\u2028', flag="\U0001f600")
@example(price=1.0, funding=0.0, said="", flag="told of one late column, not of the other")
def test_whatever_a_fact_says_an_outsider_reckons_its_hash(
    shared: Path, price: float, funding: float, said: str, flag: str
) -> None:
    (one,) = TOLD.inputs
    told = replace(
        TOLD,
        fills=[TOLD.fills[0]._replace(price=price), *TOLD.fills[1:]],
        outcomes=replace(TOLD.outcomes, funding=np.full(len(TOLD.outcomes), funding)),
        inputs=[one._replace(reason=said, agent=flag, detail=said), one],
        safety_events=[TOLD.safety_events[0]._replace(agent=said), *TOLD.safety_events[1:]],
        decisions=[
            one._replace(action=price, baseline_action=funding, observation=said.encode() * 4)
            for one in TOLD.decisions
        ],
        verdicts=[(row, v._replace(risk_flags=(flag, said))) for row, v in TOLD.verdicts],
    )
    run_id = f"example-{time.monotonic_ns()}"
    attempt(shared, [told], run_id=run_id)
    assert [row["hash"] for row in facts(shared, run_id)] == hashes_by_hand(shared, run_id)


@pytest.mark.parametrize(
    "other",
    [
        {"config_digest": "e" * 64},
        {"data_digest": "e" * 64},
        {"data_digest": None, "mode": "feed"},
        {"mode": "feed"},
        {"code_version": "0.1.1"},
        {"feature_names": ("rsi_14", "return_2")},
        {"run_id": "two"},
    ],
    ids=str,
)
def test_the_first_fact_hangs_on_what_makes_the_run_this_run(
    path: Path, chain: list[bytes], other: dict[str, Any]
) -> None:
    run = identity(**other)
    with connect(path) as database:
        begun = begin_run(database, run, at=NOW)
        Journal(database, begun, RUN.playbooks).append(TOLD)
    hashes = [row["hash"] for row in facts(path, run.run_id)]
    assert hashes == hashes_by_hand(path, run.run_id)
    assert set(hashes).isdisjoint(chain)


def test_where_a_config_came_from_is_no_part_of_the_chain(path: Path, chain: list[bytes]) -> None:
    elsewhere = identity(config_json='{"artifacts_dir": "elsewhere"}')
    with connect(path) as database:
        Journal(database, begin_run(database, elsewhere, at=NOW), RUN.playbooks).append(TOLD)
    assert [row["hash"] for row in facts(path)] == chain


def test_a_negative_zero_is_the_same_fact_as_a_zero(path: Path) -> None:
    hashes = []
    for name, zero in (("plus", 0.0), ("minus", -0.0)):
        fills = [fill._replace(funding_usd=zero) for fill in TOLD.fills]
        outcomes = replace(TOLD.outcomes, funding=np.full(len(TOLD.outcomes), zero))
        decisions = [
            one._replace(action=zero, probability=zero, baseline_action=zero, final_action=zero)
            for one in TOLD.decisions
        ]
        told = replace(TOLD, fills=fills, outcomes=outcomes, decisions=decisions)
        attempt(path.with_name(name), [told])
        hashes.append([row["hash"] for row in facts(path.with_name(name))])
        assert hashes[-1] == hashes_by_hand(path.with_name(name))
    assert hashes[0] == hashes[1]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused_before_anything_is_kept(path: Path, value: float) -> None:
    last = len(TOLD.fills) - 1
    bad = [fill._replace(fee_usd=value) if i == last else fill for i, fill in enumerate(TOLD.fills)]
    with pytest.raises(IntegrityError, match=r"fills\.fee_usd would be") as fault:
        attempt(path, [replace(TOLD, fills=bad)])
    assert fault.value.where == f"row {last} of {len(bad)}"
    assert tables(path, *CHAINED, "checkpoints") == {name: [] for name in (*CHAINED, "checkpoints")}
    attempt(path, [TOLD], resume=True)
    assert len(facts(path)) == len(TOLD)


@pytest.mark.parametrize("name", ["action", "probability", "baseline_action", "final_action"])
def test_nor_is_a_decision_of_an_agent_that_is_no_number(path: Path, name: str) -> None:
    bad = [*TOLD.decisions[:-1], TOLD.decisions[-1]._replace(**{name: math.nan})]
    with pytest.raises(IntegrityError, match=rf"agent_decisions\.{name} would be nan"):
        attempt(path, [replace(TOLD, decisions=bad)])
    assert facts(path) == []


@settings(max_examples=20, deadline=None)
@given(bars=st.sets(st.integers(0, 59)), batch=st.integers(1, 30))
@example(bars=set(range(60)), batch=20_000)
def test_any_cutting_into_appends_and_batches_gives_the_same_chain(
    chain: list[bytes], bars: set[int], batch: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_module, "BATCH_FACTS", batch)
        path = Path(folder) / "state.sqlite"
        attempt(path, with_marks(cut(TOLD, map(hour, bars)), MARKS), marks=MARKS[-1:])
        assert [row["hash"] for row in facts(path)] == chain
        assert len(rows(path, "SELECT * FROM equity_marks")) == len(MARKS)
        last = checkpoints(path)[-1]
    assert last[2:] == (len(TOLD), chain[-1], hour(59), 120)


class Moody:
    """A journal whose mood says when it is due."""

    def __init__(self, journal: Journal, moods: Iterable[bool]) -> None:
        self._journal, self._moods = journal, iter(moods)

    def due(self) -> bool:
        return next(self._moods, False)

    def append(self, facts: Facts) -> None:
        self._journal.append(facts)


def replayed(path: Path, session: Session, moods: Iterable[bool]) -> int:
    """Replay a session into a fresh file; gives the number of its checkpoints."""
    names = tuple(bars.symbol for bars in session.markets)
    with connect(path) as database:
        begun = begin_run(database, identity(symbols=names), at=NOW)
        journal = Journal(database, begun, tuple(setup.name for setup in session.setups))
        result = session.run(journal=Moody(journal, moods))
        journal.finish(daily_marks(result.equity))
    return len(checkpoints(path))


@settings(max_examples=5, deadline=None)
@given(moods=st.lists(st.booleans(), min_size=1, max_size=40))
def test_a_run_is_kept_the_same_however_often_its_journal_is_due(moods: list[bool]) -> None:
    session = session_over(*(grid_bars(500, seed, symbol=f"S{seed}A/USDT") for seed in (1, 2)))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("darwin.engine.timeline._LOOK_EVERY", 16)
        never, always, moody = (Path(folder) / name for name in ("never", "always", "moody"))
        assert replayed(never, session, []) == 1
        assert replayed(always, session, [True] * 10_000) > 20
        replayed(moody, session, moods)
        assert chained(never) == chained(always) == chained(moody)
        assert [row["hash"] for row in facts(never)] == hashes_by_hand(never)


def test_a_journal_is_due_when_facts_have_waited_long_enough(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(path) as database:
        begun = begin_run(database, identity(), at=NOW)
        for waits_s, due in ((0.0, True), (3600.0, False)):
            monkeypatch.setattr(journal_module, "CHECKPOINT_S", waits_s)
            assert Journal(database, begun, RUN.playbooks).due() is due


def test_what_is_announced_is_what_another_reader_finds(path: Path, small_batches: int) -> None:
    heard: list[int] = []

    def announce(count: int) -> None:
        found = facts(path)
        assert [row["seq"] for row in found] == list(range(1, count + 1))
        newest = rows(path, "SELECT * FROM checkpoints ORDER BY id DESC LIMIT 1")[0]
        assert (newest["facts"], newest["head"]) == (count, found[-1]["hash"])
        heard.append(count)

    attempt(path, [TOLD], announce)
    total = len(TOLD)
    assert heard == [*range(small_batches, total, small_batches), total]
    assert [row[2] for row in checkpoints(path)] == heard
    assert [row[0] for row in checkpoints(path)] == [1 << 40 | n + 1 for n in range(len(heard))]


@pytest.mark.usefixtures("small_batches")
def test_a_checkpoint_says_which_bars_it_covers_whole(path: Path) -> None:
    attempt(path, cut(TOLD, [hour(12)]))
    told = [(count, reached, bars) for _, _, count, _, reached, bars in checkpoints(path)]
    first = len(cut(TOLD, [hour(12)])[0])
    assert first == 9
    assert told[:4] == [(4, None, 0), (8, None, 0), (9, hour(12), 26), (13, hour(12), 26)]
    assert told[-1] == (len(TOLD), hour(59), 120)


def test_a_feed_notes_the_bars_it_has_consumed(path: Path) -> None:
    pieces = [
        replace(piece, data_digest=digit * 64)
        for piece, digit in zip(cut(TOLD, [hour(12)]), "ab", strict=True)
    ]
    with connect(path) as database:
        fed = identity(mode="feed", data_digest=None)
        journal = Journal(database, begin_run(database, fed, at=NOW), RUN.playbooks)
        for piece in pieces:
            journal.append(piece)
        place = find_begun(database, "one").place
    assert place == journal.place
    assert (place.facts, place.reached, place.data_digest) == (len(TOLD), hour(59), "b" * 64)
    assert [row["data_digest"] for row in rows(path, "SELECT * FROM checkpoints")] == [
        "a" * 64,
        "b" * 64,
    ]


def test_nothing_new_is_neither_kept_nor_announced(path: Path) -> None:
    heard: list[int] = []
    nothing = cut(TOLD, [hour(5)])[0]
    assert len(nothing) == 0
    attempt(path, [nothing, *cut(TOLD, [])], heard.append)
    assert heard == [row[2] for row in checkpoints(path)] == [len(TOLD)]


def test_an_alert_is_heard_once_and_when_it_is_kept(path: Path) -> None:
    heard: list[Alert] = []

    def hear(alert: Alert) -> None:
        heard.append(alert)
        kept = rows(path, "SELECT kind FROM alerts ORDER BY id")
        assert [one.kind for one in heard] == [row["kind"] for row in kept][: len(heard)]

    pieces = cut(TOLD, [hour(13), hour(47)])
    attempt(path, pieces[:1], marks=None, alert=hear)
    assert heard == TOLD.alerts[:1]
    attempt(path, [*cut(TOLD, [hour(5)])], resume=True, alert=hear)
    assert heard == TOLD.alerts


class Stops:
    """Copies the database at each announcement, as a kill at that moment would leave it."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._folder = path, folder
        self.copies: list[Path] = []

    def __call__(self, count: int) -> None:
        copy = self._folder / f"{count}.sqlite"
        with closing(sqlite3.connect(self._path)) as here, closing(sqlite3.connect(copy)) as there:
            here.backup(there)
        self.copies.append(copy)


@pytest.mark.usefixtures("small_batches")
def test_a_run_resumed_at_any_checkpoint_ends_as_if_it_had_not_been_stopped(
    path: Path, tmp_path: Path
) -> None:
    pieces = with_marks(cut(TOLD, [hour(13), hour(30), hour(47)]), MARKS)
    stops = Stops(path, tmp_path)
    attempt(path, pieces, stops, marks=MARKS[2:])
    assert len(stops.copies) > 8
    for copy in stops.copies:
        before, heard = int(copy.stem), list[int]()
        attempt(copy, pieces, heard.append, resume=True, marks=MARKS[2:])
        assert chained(copy) == chained(path)
        assert checkpoints(copy) == checkpoints(path)
        assert all(count > before for count in heard)
        assert events(copy) == [("begun", 0), ("resumed", before), ("finished", len(TOLD))]


@settings(max_examples=15, deadline=None)
@given(
    stops=st.lists(st.sets(st.integers(0, 59), min_size=1), min_size=1, max_size=3),
    batch=st.integers(1, 30),
)
def test_attempts_that_cut_otherwise_and_stop_anywhere_end_the_same(
    chain: list[bytes], stops: list[set[int]], batch: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_module, "BATCH_FACTS", batch)
        path = Path(folder) / "state.sqlite"
        for nth, bars in enumerate(stops):
            pieces = with_marks(cut(TOLD, map(hour, bars)), MARKS)[:-1]
            attempt(path, pieces, resume=nth > 0, marks=None)
        attempt(path, with_marks(cut(TOLD, []), MARKS), resume=True, marks=MARKS[-1:])
        assert [row["hash"] for row in facts(path)] == chain == hashes_by_hand(path)
        marks = rows(path, "SELECT time, seal FROM equity_marks ORDER BY id")
        assert [row["time"] for row in marks] == [mark.time for mark in MARKS]
        assert [row["seal"] for row in marks] == seals_by_hand(path, "equity_marks")
        alerts = rows(path, "SELECT kind, seal FROM alerts ORDER BY id")
        assert [row["kind"] for row in alerts] == [alert.kind for alert in TOLD.alerts]
        assert [row["seal"] for row in alerts] == seals_by_hand(path, "alerts")


def test_what_is_kept_is_not_announced_again(kept_half: Path) -> None:
    heard: list[int] = []
    attempt(kept_half, cut(TOLD, map(hour, range(60))), heard.append, resume=True)
    assert heard == sorted(set(heard))
    assert heard[0] > HALF


HALF = len(cut(TOLD, [hour(41)])[0])


@pytest.fixture
def kept_half(path: Path) -> Path:
    """A database that holds the run up to bar 41, unfinished."""
    attempt(path, cut(TOLD, [hour(41)])[:1], marks=None)
    return path


CHANGES = {
    "inputs": "reason = 'another'",
    "candidates": "close = close + 1",
    "verdicts": "confidence = confidence / 2",
    "orders": "units = units * 2",
    "fills": "price = price + 1e-9",
    "outcomes": "status = 'unresolved', r = NULL, exit_time = NULL, exit_price = NULL,"
    " exit_reason = NULL",
    "safety_events": "time = time + 1",
    "agent_decisions": "final_action = final_action / 2",
}


@pytest.mark.parametrize("change", ["what it says", "its hash", "it is gone"])
@pytest.mark.parametrize("table", CHAINED)
def test_a_kept_fact_that_was_changed_stops_the_run_and_is_named(
    kept_half: Path, table: str, change: str
) -> None:
    last = [row["seq"] for row in facts(kept_half) if row["fact"] == table][-1]
    sql = {
        "what it says": f"UPDATE {table} SET {CHANGES[table]} WHERE seq = ?",
        "its hash": f"UPDATE {table} SET hash = zeroblob(32) WHERE seq = ?",
        "it is gone": f"DELETE FROM {table} WHERE seq = ?",
    }
    tell(kept_half, sql[change], last)
    before = tables(kept_half, *CHAINED, "checkpoints", "equity_marks")
    with pytest.raises(IntegrityError) as fault:
        attempt(kept_half, [TOLD], resume=True)
    found = "nothing" if change == "it is gone" else f"a row of {table}"
    assert f"fact {last} is {found}, and would now be" in fault.value.what
    assert f'"fact":"{table}"' in fault.value.what
    assert (fault.value.exit_code, len(fault.value.lines())) == (4, 3)
    assert "darwin verify one" in fault.value.mend
    assert tables(kept_half, *CHAINED, "checkpoints", "equity_marks") == before


def test_a_run_that_comes_out_otherwise_stops_where_it_does(kept_half: Path) -> None:
    other = [TOLD.fills[0], TOLD.fills[1]._replace(price=104.5), *TOLD.fills[2:]]
    with pytest.raises(IntegrityError, match="fact 10 is a row of fills") as fault:
        attempt(kept_half, [replace(TOLD, fills=other)], resume=True)
    assert '"price":104.5' in fault.value.what
    assert "code 0.1.0" in fault.value.mend
    assert len(facts(kept_half)) == HALF


def test_a_fact_too_many_or_too_few_on_the_way_is_a_difference_there(kept_half: Path) -> None:
    fewer = replace(TOLD, safety_events=TOLD.safety_events[1:])
    with pytest.raises(IntegrityError, match="fact 20 is a row of safety_events"):
        attempt(kept_half, [fewer], resume=True)
    more = replace(TOLD, safety_events=[TOLD.safety_events[0], *TOLD.safety_events])
    with pytest.raises(IntegrityError, match="fact 21 is a row of safety_events"):
        attempt(kept_half, [more], resume=True)


def test_a_run_that_now_ends_too_early_is_not_finished(kept_half: Path) -> None:
    with pytest.raises(IntegrityError, match=f"now ends after 9 facts, {HALF} are kept"):
        attempt(kept_half, cut(TOLD, [hour(12)])[:1], resume=True)
    assert events(kept_half) == [("begun", 0), ("resumed", HALF)]


def comparing(database: Database, pieces: Sequence[Facts]) -> Journal:
    """Hold `pieces` against the recorded run `one`."""
    heard: list[int] = []
    begun = find_begun(database, "one")
    journal = Journal(database, begun, RUN.playbooks, announce=heard.append, only_compare=True)
    for piece in pieces:
        journal.append(piece)
    journal.finish(MARKS)
    assert heard == []
    return journal


def test_comparing_alone_reads_and_writes_nothing(kept: Path) -> None:
    before = kept.read_bytes()
    with connect_readonly(kept) as database:
        journal = comparing(database, with_marks(cut(TOLD, [hour(13), hour(47)]), MARKS))
        assert journal.place.facts == len(TOLD)
        assert journal.place.head == hashes_by_hand(kept)[-1]
    assert kept.read_bytes() == before


def test_comparing_alone_finds_what_is_missing_and_what_is_too_much(kept: Path) -> None:
    beyond = replace(
        TOLD, safety_events=[*TOLD.safety_events, SafetyEvent(hour(70), "halted", "later")]
    )
    with connect_readonly(kept) as database:
        with pytest.raises(IntegrityError, match=f"now ends after 9 facts, {len(TOLD)} are kept"):
            comparing(database, cut(TOLD, [hour(12)])[:1])
        with pytest.raises(IntegrityError, match=f"fact {len(TOLD) + 1} is nothing") as fault:
            comparing(database, [beyond])
    assert '"kind":"halted"' in fault.value.what


def test_the_end_of_a_run_notes_its_head_and_its_seals(kept: Path) -> None:
    (note,) = rows(kept, "SELECT * FROM run_events WHERE kind = 'finished'")
    assert json.loads(note["detail"]) == {
        "head": hashes_by_hand(kept)[-1].hex(),
        "checkpoints": seals_by_hand(kept, "checkpoints")[-1].hex(),
        "equity_marks": seals_by_hand(kept, "equity_marks")[-1].hex(),
        "alerts": seals_by_hand(kept, "alerts")[-1].hex(),
    }
    assert note["facts"] == len(TOLD)
    (state,) = rows(kept, "SELECT * FROM run_states")
    assert (state["status"], state["finished_at"]) == ("finished", note["at"])
    assert (state["facts"], state["reached"], state["bars"]) == (len(TOLD), hour(59), 120)


def test_equity_is_marked_once_per_utc_day_at_its_last_close(kept: Path) -> None:
    marks = rows(kept, "SELECT day, time, equity_usd, exposure_usd, positions FROM equity_marks")
    assert [tuple(row.values()) for row in marks] == [
        ("2024-01-01", hour(23), 10_023.0, 46.0, 2),
        ("2024-01-02", hour(47), 10_047.0, 94.0, 2),
        ("2024-01-03", hour(59), 10_059.0, 118.0, 2),
    ]


def test_a_run_that_had_to_wait_for_the_database_says_so(path: Path, chain: list[bytes]) -> None:
    attempt(path, cut(TOLD, [hour(41)])[:1], marks=None)
    with (
        closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None)) as other,
        connect(path) as database,
    ):
        begun = begin_run(database, identity(), at=NOW, resume=True)
        journal = Journal(database, begun, RUN.playbooks)
        other.execute("BEGIN IMMEDIATE")
        letting_go = threading.Timer(0.6, other.execute, ["COMMIT"])
        letting_go.start()
        journal.append(TOLD)
        letting_go.join()
        journal.finish(MARKS)
    assert [row["hash"] for row in facts(path)] == chain
    assert events(path) == [
        ("begun", 0), ("resumed", HALF), ("waited", HALF), ("finished", len(TOLD)),
    ]  # fmt: skip
    (waited,) = rows(path, "SELECT * FROM run_events WHERE kind = 'waited'")
    assert waited["detail"].endswith(" s for the database")


def test_a_disk_that_fills_up_keeps_what_was_announced_and_nothing_of_the_rest(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "BATCH_FACTS", 10)
    wide = replace(TOLD, candidates=replace(TOLD.candidates, features=np.ones((6, 2000))))
    heard: list[int] = []
    with connect(path) as database:
        begun = begin_run(database, identity(), at=NOW)
        with database.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {(pages or 0) + 14}")
        with pytest.raises(StorageError, match="disk is full"):
            Journal(database, begun, RUN.playbooks, announce=heard.append).append(wide)
    assert heard == [10]
    assert len(facts(path)) == 10
    attempt(path, [wide], resume=True)
    assert [row["hash"] for row in facts(path)] == hashes_by_hand(path)


def test_two_runs_grow_side_by_side_and_neither_notices(
    path: Path, chain: list[bytes], tmp_path: Path
) -> None:
    alone = tmp_path / "alone.sqlite"
    attempt(alone, [TOLD], run_id="two")
    pieces = with_marks(cut(TOLD, map(hour, range(0, 60, 7))), MARKS)
    with connect(path) as database, connect(path) as of_another_process:
        journals = [
            Journal(one, begin_run(one, identity(name), at=NOW), RUN.playbooks)
            for one, name in ((database, "one"), (of_another_process, "two"))
        ]
        for piece in pieces:
            for journal in journals:
                journal.append(piece)
        for journal in reversed(journals):
            journal.finish(MARKS[-1:])
    assert [row["hash"] for row in facts(path, "one")] == chain
    assert [row["hash"] for row in facts(path, "two")] == [
        row["hash"] for row in facts(alone, "two")
    ]
    for table in BESIDE:
        for run_id in ("one", "two"):
            stored = rows(path, f"SELECT seal FROM {table} WHERE run_id = ? ORDER BY id", run_id)
            assert [row["seal"] for row in stored] == seals_by_hand(path, table, run_id)


def quiet(reached: int) -> Facts:
    """A piece in which nothing happened, up to and with bar `reached`."""
    return replace(
        cut(TOLD, [hour(5)])[0], reached=reached, bars=2 * ((reached - START) // HOUR_MS + 1)
    )


@pytest.mark.parametrize("stopped", [False, True])
def test_the_end_of_a_run_covers_bars_that_brought_no_fact(path: Path, stopped: bool) -> None:
    pieces = [cut(TOLD, [hour(41)])[0], quiet(hour(47)), quiet(hour(59))]
    if stopped:
        attempt(path, pieces[:2], marks=None)
    attempt(path, pieces, resume=stopped)
    head = hashes_by_hand(path)[-1]
    assert [row[2:5] for row in checkpoints(path)] == [
        (HALF, head, hour(41)), (HALF, head, hour(59)),
    ]  # fmt: skip
    (note,) = rows(path, "SELECT detail FROM run_events WHERE kind = 'finished'")
    sealed = json.loads(note["detail"])["checkpoints"]
    assert sealed == seals_by_hand(path, "checkpoints")[-1].hex()


def test_a_run_in_which_nothing_happened_is_kept_too(path: Path) -> None:
    attempt(path, [quiet(hour(30)), quiet(hour(59))])
    assert facts(path) == []
    assert events(path) == [("begun", 0), ("finished", 0)]
    assert len(rows(path, "SELECT * FROM equity_marks")) == 3
    [(_, _, count, head, reached, _)] = checkpoints(path)
    assert (count, head, reached) == (0, identity().genesis(), hour(59))
    with connect_readonly(path) as database:
        assert provenance(database, "one").head == identity().genesis().hex()
