"""Others who hold a run, or its database: waited for, or told of, never trampled on."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, contextmanager

import pytest

from tests.faults.desk import RESUME, RUN, assert_refused, assert_resumes, assert_safe, assert_whole

pytestmark = pytest.mark.slow


@contextmanager
def _held(desk):
    """Another process's write lock on the database."""
    with closing(sqlite3.connect(desk.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_a_run_waits_for_a_database_that_is_locked_for_a_second_and_says_so(desk, run):
    process = desk.start_until_it_waits(*RUN)
    with _held(desk):
        desk.go()
        time.sleep(1.0)
    said = process.communicate()[1]
    assert process.returncode == 0, said
    assert_whole(desk, run)
    [event] = desk.metrics()["run"]["storage_events"]
    assert event["kind"] == "waited"
    assert 0.5 < float(event["detail"].split(" s ")[0]) < 10.0
    assert 0 < event["facts"] < len(run.lines)


def test_a_database_that_stays_locked_stops_a_run_that_can_be_resumed(desk, run, tmp_path):
    process = desk.start_until_it_waits(*RUN)
    with _held(desk):
        desk.go()
        begun = time.monotonic()
        said = process.communicate(timeout=25)[1]
        waited_s = time.monotonic() - begun
    assert process.returncode == 4
    assert 4.0 < waited_s < 20.0  # five, on a machine that has nothing else to do
    assert "another process keeps the database locked" in said
    assert_safe(desk, said, run, tmp_path / "copy")
    assert_resumes(desk, run)


def test_a_run_that_is_to_begin_waits_for_a_locked_database_too(desk, run):
    process = desk.start_until_it_waits(*RUN)
    process.kill()
    process.communicate()
    desk.go()
    with _held(desk):
        resumed = desk.start(*RESUME)
        time.sleep(2.0)
        assert resumed.poll() is None
    said = resumed.communicate()[1]
    assert resumed.returncode == 0, said
    assert_whole(desk, run)


def test_whoever_reads_the_database_all_along_disturbs_nothing(desk, run):
    process = desk.start_until_it_waits(*RUN)
    with closing(sqlite3.connect(desk.database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT COUNT(*) FROM candidates").fetchone()
        desk.go()
        said = process.communicate()[1]
        assert process.returncode == 0, said
        assert reader.execute("SELECT COUNT(*) FROM candidates").fetchone() == before
    assert_whole(desk, run)
    assert desk.metrics()["run"]["storage_events"] == []


@pytest.mark.parametrize("command", [RUN, RESUME], ids=" ".join)
def test_of_two_processes_on_one_run_the_second_leaves_at_once(command, desk, run):
    process = desk.start_until_it_waits(*RUN)
    before = time.monotonic()
    assert desk.darwin("--version").returncode == 0
    start_s = time.monotonic() - before
    before = time.monotonic()
    second = desk.darwin(*command)
    assert time.monotonic() - before < 2.0 + start_s
    assert_refused(second, 5)
    assert "another process" in second.stderr
    desk.go()
    said = process.communicate()[1]
    assert process.returncode == 0, said
    assert_whole(desk, run)
    assert desk.metrics()["run"]["resumes"] == []


def test_a_run_can_be_taken_up_as_soon_as_its_process_was_killed(desk, run):
    process = desk.start_until_it_waits(*RUN)
    process.kill()
    process.communicate()
    desk.go()
    assert_resumes(desk, run)
    [event] = desk.metrics()["run"]["resumes"]
    assert (event["kind"], 0 < event["facts"] < len(run.lines)) == ("resumed", True)
