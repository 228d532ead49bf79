"""Surroundings that are short, shut or odd: a run goes on, or it stops with a clear word."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from itertools import product

import pytest

from tests.faults.desk import (
    RESUME,
    RUN,
    SMALL_BATCHES,
    FaultyDesk,
    assert_refused,
    assert_resumes,
    assert_safe,
    assert_whole,
    traced,
    was_killed,
)
from tests.run.command import clean_environment

pytestmark = pytest.mark.slow


def _some(values, each_run):
    """Those of `each_run` belong to each run of the tests, the others to `make sweep`."""
    return [pytest.param(one, marks=() if one in each_run else pytest.mark.sweep) for one in values]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_asked_to_stop_can_be_resumed(number, code, desk, run, tmp_path):
    process = desk.start_until_it_waits(*RUN)
    process.send_signal(number)
    said = process.communicate()[1]
    assert (process.returncode, said.splitlines()[-1]) == (code, "stopped")
    assert_safe(desk, said, run, tmp_path / "copy")
    desk.go()
    assert_resumes(desk, run)


# Descriptors


@pytest.mark.parametrize(
    "files", _some([5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 20, 40], each_run=(7, 13))
)
def test_a_run_that_may_open_few_files_stops_with_a_clear_word_or_not_at_all(
    files, desk, run, tmp_path
):
    done = desk.darwin(*RUN, under=("prlimit", f"--nofile={files}"))
    if done.returncode == 0:
        assert_whole(desk, run)
        return
    assert_refused(done)
    assert files < 14
    assert_safe(desk, done.stderr, run, tmp_path / "copy")
    assert_resumes(desk, run)


# Logs and streams


def _full(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("/dev/full")


def _folder(path):
    path.mkdir(parents=True)


@pytest.mark.parametrize("spoil", [_full, _folder])
def test_a_log_that_cannot_be_written_stops_nothing(spoil, desk, run):
    spoil(desk.run_dir() / "run.log")
    spoil(desk.folder / "logs" / "darwin.log")
    assert_resumes(desk, run)


def test_a_file_where_the_logs_should_be_stops_nothing(desk, run):
    (desk.folder / "logs").write_text("")
    assert_resumes(desk, run)


def _through_a_shell(desk, words, redirected):
    shell = f"exec {sys.executable} {SMALL_BATCHES} {words} {redirected}"
    return subprocess.run(
        ["sh", "-c", shell], cwd=desk.folder, env=clean_environment(), check=False
    ).returncode


@pytest.mark.parametrize(
    "stderr", _some(["2>&-", "2>/dev/full", "<&- >&- 2>&-"], each_run=("<&- >&- 2>&-",))
)
def test_that_nobody_can_be_told_stops_nothing(stderr, desk, run):
    """The data has a word to say, too: a key that its provider does not read."""
    idle = f"""run config.json --set 'market.end="2031-01-01"' {"--set run_id=noted"}"""
    assert _through_a_shell(desk, "run config.json", f">/dev/null {stderr}") == 0
    assert_whole(desk, run)
    assert _through_a_shell(desk, idle, f">/dev/null {stderr}") == 0


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_the_exit_code_tells_what_stderr_cannot(stderr, desk):
    assert _through_a_shell(desk, "run nowhere.json", stderr) == 2
    (desk.folder / "artifacts").write_text("")
    assert _through_a_shell(desk, "run config.json", stderr) == 4


# Disks


def _mounted(desk, script):
    """Run a shell script where it may mount; `$D` is Darwin."""
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", f"D='{sys.executable} {SMALL_BATCHES}'\n{script}"],
        cwd=desk.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount: " in done.stderr:
        pytest.skip("nothing can be mounted here")
    return done


@pytest.mark.parametrize("kib", _some([40, 100, 170, 240, 400, 600, 800, 1000], each_run=(400,)))
def test_a_disk_that_is_full_stops_a_run_that_goes_on_when_there_is_room(kib, desk, run):
    done = _mounted(
        desk,
        f"""
        mkdir artifacts && mount -t tmpfs -o size={kib}k disk artifacts || exit 9
        $D run config.json >/dev/null 2>said; echo $? >code
        mount -o remount,size=50m artifacts || exit 9
        $D run config.json --resume >/dev/null && cp -r artifacts kept
    """,
    )
    assert done.returncode == 0, done.stderr
    said, code = (desk.folder / "said").read_text(), int((desk.folder / "code").read_text())
    assert_refused(subprocess.CompletedProcess([], code, "", said))
    (desk.folder / "kept").rename(desk.folder / "artifacts2")
    (desk.folder / "artifacts").rmdir()
    (desk.folder / "artifacts2").rename(desk.folder / "artifacts")
    assert_whole(desk, run)


@pytest.mark.parametrize(
    "shut",
    ["artifacts", *_some(["artifacts/rl_state", "artifacts/runs"], each_run=())],
)
def test_a_folder_that_is_read_only_stops_a_run_that_can_be_resumed(shut, desk, run):
    process = desk.start_until_it_waits(*RUN)
    process.kill()
    process.communicate()
    desk.go()
    done = _mounted(
        desk,
        f"""
        mount --bind {shut} {shut} && mount -o remount,ro,bind {shut} || exit 9
        exec $D run config.json --resume
    """,
    )
    assert_refused(done)
    assert_resumes(desk, run)


def test_a_database_that_is_read_only_stops_a_run_that_can_be_resumed(desk, run):
    process = desk.start_until_it_waits(*RUN)
    process.kill()
    process.communicate()
    desk.go()
    file = desk.database.relative_to(desk.folder)
    done = _mounted(
        desk,
        f"""
        mount --bind {file} {file} && mount -o remount,ro,bind {file} || exit 9
        exec $D run config.json --resume
    """,
    )
    assert_refused(done)
    assert_resumes(desk, run)


# Clocks

_SHIFT = """
import datetime, os, time
class Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(days=float(os.environ["DAYS"]))
_time = time.time
time.time = lambda: _time() + 86400 * float(os.environ["DAYS"])
datetime.datetime = Shifted
"""


def test_a_wall_clock_that_jumps_changes_nothing_but_its_own_columns(desk, run, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(_SHIFT)
    path = (str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")]))
    shifted = {"PYTHONPATH": os.pathsep.join(path)}
    middle = run.nth("pwrite64", 0.4, "-wal")
    for command, days, nth in ((RUN, "3650", middle), (RESUME, "-7300", 60)):
        kill = traced(tmp_path / "trace", f"pwrite64:signal=KILL:when={nth}")
        killed = desk.darwin(*command, under=kill, DAYS=days, **shifted)
        assert was_killed(killed.returncode), killed.stderr
    assert desk.darwin(*RESUME, DAYS="0.5", **shifted).returncode == 0
    assert_whole(desk, run)
    years = [at[:4] for (at,) in desk.ask("SELECT at FROM run_events ORDER BY id")]
    assert years[0] > years[2] > years[1]
    listed = desk.darwin("runs", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    [told] = json.loads(listed.stdout)
    assert (told["run_id"], told["status"], told["started_at"][:4]) == (
        "small", "finished", years[0],
    )  # fmt: skip


# The same everywhere

_WORLDS = [
    {"PYTHONHASHSEED": "0", "TZ": "UTC"},
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu"},
    {"PYTHONHASHSEED": "4294967295", "TZ": "America/St_Johns", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "42", "TZ": "Pacific/Kiritimati", "LANG": "tr_TR.UTF-8"},
    {"PYTHONHASHSEED": "7", "OPENBLAS_NUM_THREADS": "1", "PYTHONOPTIMIZE": "1"},
]


@pytest.mark.parametrize(
    ("world", "stopped"),
    [
        pytest.param(world, stopped, marks=() if stopped == world % 2 else pytest.mark.sweep)
        for world, stopped in product(range(len(_WORLDS)), [False, True])
    ],
    ids=str,
)
def test_the_same_run_comes_out_the_same_everywhere(world, stopped, tmp_path, run):
    """In another folder, time zone, order of hashes, on one core, stopped or not."""
    desk = FaultyDesk(tmp_path)
    desk.lay()
    if stopped:
        process = desk.start_until_it_waits(*RUN)
        process.kill()
        process.communicate()
        desk.go()
    elsewhere = FaultyDesk(tmp_path / "else" / "where")
    elsewhere.folder.mkdir(parents=True)
    elsewhere.go()
    one_core = ("taskset", "-c", str(min(os.sched_getaffinity(0)))) if world % 2 else ()
    done = elsewhere.darwin(
        "run", str(tmp_path / "config.json"), "--resume",
        "--set", f"artifacts_dir={tmp_path / 'artifacts'}",
        under=one_core, **_WORLDS[world],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert desk.export() == run.lines
    for name in ("trades.csv", "equity.csv"):
        assert (desk.run_dir() / name).read_bytes() == run.files[name]
