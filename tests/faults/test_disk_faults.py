"""A disk that fails stops a run with a clear word, keeps what was announced, and can be mended."""

from __future__ import annotations

import pytest

from tests.faults.desk import (
    RUN,
    assert_refused,
    assert_resumes,
    assert_safe,
    assert_whole,
    traced,
)

pytestmark = pytest.mark.slow

DB, WAL, SHARED, JOURNAL = 'agent_state.sqlite[>"]', "sqlite-wal", "sqlite-shm", "sqlite-journal"
LOCK, LOGS, REPORTS, FOLDER = r"small/\.lock", r"\.log", r"small/\.[cmter]", "runs/small>"

# Where: which call is refused with what, the one after this share of those that name the place;
# with a + that one and all later ones of the kind, whatever they name.
STOPPING = {
    DB: "openat EACCES 0, openat EMFILE .2, openat EROFS+ .2, pwrite64 ENOSPC 0, pwrite64 EIO+ .1,"
    " fdatasync EIO 0, fdatasync ENOSPC+ .5",
    WAL: "openat EACCES 0, openat EMFILE 0, openat EROFS+ 0, pwrite64 ENOSPC 0, pwrite64 EIO .02,"
    " pwrite64 ENOSPC .2, pwrite64 ENOSPC+ .3, pwrite64 EIO .4, pwrite64 EIO+ .5,"
    " pwrite64 ENOSPC .6, pwrite64 ENOSPC+ .8, pwrite64 EIO+ .97, pwrite64 ENOSPC .999,"
    " fdatasync EIO 0, fdatasync EIO .1, fdatasync ENOSPC+ .3, fdatasync EIO .5,"
    " fdatasync EIO+ .7, fdatasync EIO .94",
    SHARED: "openat EROFS 0, ftruncate ENOSPC 0, pwrite64 ENOSPC 0, pwrite64 EIO+ .9",
    JOURNAL: "openat EACCES 0, pwrite64 ENOSPC 0, pwrite64 EIO+ .5, fdatasync EIO 0,"
    " fdatasync ENOSPC+ .9, unlink EIO 0",
    "artifacts": "mkdir ENOSPC 0",
    "rl_state": "mkdir EROFS 0",
    LOCK: "openat EACCES 0, openat EIO 0",
    REPORTS: "openat ENOSPC 0, openat EROFS+ .5, write ENOSPC 0, write EIO .3, write ENOSPC .6,"
    " write EIO .99, fsync EIO 0, fsync ENOSPC+ .5, chmod EIO .5, rename EIO .2,"
    " rename ENOSPC+ .9",
    FOLDER: "fsync EIO .5",
}

# What comes when all is kept, as SQLite's last checkpoint, which whoever opens the file next makes
# up for; and logs.
HARMLESS = {
    DB: "pwrite64 ENOSPC .5, pwrite64 EIO+ .9, fdatasync EIO+ .9, ftruncate ENOSPC 0",
    WAL: "fdatasync EIO .999, unlink EIO 0",
    SHARED: "unlink EIO+ 0",
    LOGS: "openat EACCES 0, openat EROFS .5, write ENOSPC 0, write EIO .5",
    '"logs': "mkdir EROFS 0",
}


def _each(faults):
    """Every sixth belongs to each run of the tests, the others to `make sweep`."""
    every = [(place, *one.split()) for place, all_ in faults.items() for one in all_.split(",")]
    return [
        pytest.param(fault, id=" ".join(fault), marks=() if i % 6 == 1 else pytest.mark.sweep)
        for i, fault in enumerate(every)
    ]


@pytest.mark.parametrize("fault", _each(STOPPING))
def test_a_disk_fault_stops_a_run_that_can_be_resumed_when_it_is_mended(fault, desk, run, tmp_path):
    done = desk.darwin(*RUN, under=_with(fault, run, tmp_path))
    assert_refused(done)
    assert "  at: artifacts" in done.stderr
    assert_safe(desk, done.stderr, run, tmp_path / "copy")
    assert_resumes(desk, run)


@pytest.mark.parametrize("fault", _each(HARMLESS))
def test_a_disk_fault_after_all_is_kept_or_in_a_log_stops_nothing(fault, desk, run, tmp_path):
    done = desk.darwin(*RUN, under=_with(fault, run, tmp_path))
    assert done.returncode == 0, done.stderr
    assert_whole(desk, run)
    assert_resumes(desk, run)


def test_where_nothing_at_all_can_be_written_the_exit_code_tells_it(desk, run, tmp_path):
    """Not even stderr takes a word."""
    fault = (REPORTS, "write", "ENOSPC+", "0")
    done = desk.darwin(*RUN, under=_with(fault, run, tmp_path))
    assert (done.returncode, "error" in done.stderr) == (4, False)
    assert_resumes(desk, run)


def _with(fault, run, tmp_path):
    place, call, error, share = fault
    nth, rest = run.nth(call, float(share), place), "+" if error.endswith("+") else ""
    return traced(tmp_path / "trace", f"{call}:error={error.rstrip('+')}:when={nth}{rest}")
