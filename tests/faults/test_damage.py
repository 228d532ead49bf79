"""Files that were damaged, lost or replaced while a run was stopped."""

from __future__ import annotations

import pytest

from tests.faults.desk import (
    RESUME,
    RUN,
    assert_refused,
    assert_resumes,
    assert_whole,
    traced,
    was_killed,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def stopped(desk):
    """A desk whose run was killed in the middle, much of it in the write-ahead log alone."""
    process = desk.start_until_it_waits(*RUN)
    process.kill()
    process.communicate()
    desk.go()
    return desk


@pytest.fixture
def ended(desk):
    """A desk whose run has ended, but for its manifest: what is kept is compared once more."""
    assert desk.darwin(*RUN).returncode == 0
    (desk.run_dir() / "manifest.json").unlink()
    return desk


def _cut(content):
    return content[: len(content) // 2]


def _other_magic(content):
    return b"SQLite format 4" + content[15:]


def _other_page_size(content):
    return content[:16] + b"\x03\x03" + content[18:]


def _no_pages(content):
    return content[:4096] + bytes(len(content) - 4096)


def _text(content):
    return b"run,seq\n" * 1000


@pytest.mark.parametrize("harm", [_cut, _other_magic, _other_page_size, _no_pages, _text])
def test_a_damaged_database_is_refused_and_a_good_copy_mends_it(harm, ended, run):
    good = ended.database.read_bytes()
    ended.database.write_bytes(harm(good))
    refused = ended.darwin(*RESUME)
    assert_refused(refused)
    assert str(ended.database.name) in refused.stderr
    ended.database.write_bytes(good)
    assert_resumes(ended, run)


@pytest.mark.parametrize("harm", [_cut, _text])
def test_a_database_damaged_while_its_run_is_stopped_is_refused_too(harm, stopped, run):
    good = {path: path.read_bytes() for path in stopped.state.iterdir()}
    stopped.database.write_bytes(harm(good[stopped.database]))
    assert_refused(stopped.darwin(*RESUME))
    for path in stopped.state.iterdir():
        path.unlink()
    for path, content in good.items():
        path.write_bytes(content)
    assert_resumes(stopped, run)


def _lost(path):
    path.unlink()


def _halved(path):
    path.write_bytes(_cut(path.read_bytes()))


def _emptied(path):
    path.write_bytes(b"")


def _flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [_lost, _halved, _emptied, _flipped])
@pytest.mark.parametrize("file", ["-wal", "-shm"])
def test_a_harmed_write_ahead_log_costs_checkpoints_but_not_the_run(harm, file, stopped, run):
    """Its frames have checksums: SQLite goes by those that hold."""
    harm(stopped.database.with_name(stopped.database.name + file))
    assert_resumes(stopped, run)


def test_an_empty_file_in_its_place_is_a_new_database(stopped, run):
    stopped.database.write_bytes(b"")
    assert_resumes(stopped, run)


def test_a_folder_in_its_place_is_refused_and_named(stopped, run):
    aside = stopped.database.rename(stopped.folder / "aside")
    stopped.database.mkdir()
    refused = stopped.darwin(*RESUME)
    assert_refused(refused)
    assert "folder" in refused.stderr
    stopped.database.rmdir()
    aside.rename(stopped.database)
    assert_resumes(stopped, run)


def test_the_report_of_a_run_killed_after_its_end_is_made_up_for(desk, run, tmp_path):
    nth = run.nth("rename", 0.5)
    killed = desk.darwin(*RUN, under=traced(tmp_path / "trace", f"rename:signal=KILL:when={nth}"))
    assert was_killed(killed.returncode)
    assert not (desk.run_dir() / "manifest.json").exists()
    assert desk.darwin(*RUN).returncode == 0  # it is finished: nothing is to be resumed
    assert_whole(desk, run)
