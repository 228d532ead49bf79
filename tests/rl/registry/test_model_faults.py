"""Killed at any system call, or refused by the disk: exactly one version serves, old or new."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from darwin.errors import ModelError
from darwin.rl.registry.fsck import Weight, fsck
from darwin.rl.registry.versions import Place
from tests.conftest import ROOT
from tests.faults.desk import filter_calls, may_trace, traced, was_killed
from tests.rl.registry import act as act_module
from tests.rl.registry.act import OLD, SERVES_AFTER, act, lay
from tests.rl.registry.shop import Shop

pytestmark = pytest.mark.slow

ACTS = tuple(SERVES_AFTER)
CALLS = (
    "rename", "fsync", "fdatasync", "pwrite64", "unlink", "unlinkat", "symlink", "mkdir", "rmdir",
    "write",
)  # fmt: skip
SAMPLED = (
    "deploy mkdir .99", "deploy rename 0", "deploy rename .99", "deploy symlink 0",
    "deploy fdatasync .5", "challenge pwrite64 .5", "rollback rename 0", "cleanup unlinkat .5",
)  # fmt: skip


def run(folder, what, *more, under=()):
    words = [*under, sys.executable, str(act_module.__file__), str(folder), what, *map(str, more)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A deployment with four versions of the gate."""
    folder = tmp_path_factory.mktemp("world") / "artifacts"
    lay(folder)
    return folder


@pytest.fixture(scope="session")
def calls(world, tmp_path_factory):
    """What an act asks of the system when nothing goes wrong, line by line; traced once each."""
    if not may_trace():
        pytest.skip("strace is missing or may trace nothing here")
    seen: dict[str, list[str]] = {}

    def of(what: str, call: str) -> list[str]:
        if what not in seen:
            folder = tmp_path_factory.mktemp("watched")
            shutil.copytree(world, folder / "artifacts", symlinks=True)
            watch = ["strace", "-f", "-qq", "-y", "-o", str(folder / "trace")]
            words = [*watch, "-e", "trace=" + ",".join(CALLS)]
            done = run(folder / "artifacts", what, under=words)
            assert done.returncode == 0, done.stderr
            lines = (folder / "trace").read_text().splitlines()
            seen[what] = [re.sub(r"^\d+ +", "", line) for line in lines]
        return filter_calls(seen[what], call)

    return of


@pytest.fixture
def place(world, tmp_path):
    """A copy of the world; each call makes it anew."""

    def fresh() -> Path:
        shutil.rmtree(tmp_path / "artifacts", ignore_errors=True)
        shutil.copytree(world, tmp_path / "artifacts", symlinks=True)
        return tmp_path / "artifacts"

    return fresh


def assert_one_serves(folder: Path, what: str, done: bool) -> None:
    """As it is, and after a start; then the act can be done (again)."""
    shop = Shop(folder)
    try:
        serving = shop.serving
        assert serving in ({SERVES_AFTER[what]} if done else {OLD[3], SERVES_AFTER[what]})
        shop.registry.load("gate", shop.shelf.serving)
        shop.start()
        shop.assert_serves(serving)
        assert [
            one for one in fsck(shop.registry, repair=True) if one.weight is not Weight.NOTE
        ] == []
        act(shop, what)
        assert shop.serving.startswith(SERVES_AFTER[what])
        shop.assert_serves(shop.serving)
        assert fsck(shop.registry) == []
    finally:
        shop.database.close()


def kill(place, what, call, nth, tmp_path):
    folder = place()
    fault = f"{call}:signal=KILL:when={nth}"
    killed = run(folder, what, under=traced(tmp_path / "trace", fault))
    assert was_killed(killed.returncode), (call, nth, killed.stderr)
    assert_one_serves(folder, what, "done" in killed.stdout)


@pytest.mark.parametrize("point", SAMPLED)
def test_an_act_that_is_killed_leaves_one_version_serving(point, calls, place, tmp_path):
    what, call, share = point.split()
    asked = calls(what, call)
    kill(place, what, call, 1 + int(float(share) * len(asked)), tmp_path)


@pytest.mark.sweep
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("what", ACTS)
def test_an_act_that_is_killed_at_each_of_its_calls_leaves_one_version_serving(
    what, call, calls, place, tmp_path
):
    for nth in range(1, 1 + len(calls(what, call))):
        kill(place, what, call, nth, tmp_path)


REFUSED = {
    "deploy": (
        r"mkdir ENOSPC \.new-", r"write ENOSPC \.new-.*weights", r"fsync EIO \.new-.*spec",
        r"rename EROFS \.new-", r"fdatasync EIO wal", r"symlink ENOSPC current",
        r"rename EIO current\.tmp", r"openat EROFS \.lock",
    ),
    "rollback": (r"symlink EROFS current", r"pwrite64 ENOSPC wal"),
    "cleanup": (r"unlinkat EROFS .", r"fdatasync EIO wal"),
}  # fmt: skip
_POINTS = [(what, *one.split(" ", 2)) for what, some in REFUSED.items() for one in some]
_SAMPLED = {1, 5, 7, 9}


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(one, id=" ".join(one), marks=() if i in _SAMPLED else pytest.mark.sweep)
        for i, one in enumerate(_POINTS)
    ],
)
def test_what_the_disk_refuses_is_told_in_three_lines_and_nothing_is_lost(
    point, calls, place, tmp_path
):
    what, call, error, where = point
    nth = 1
    if call != "openat":
        asked = calls(what, call)
        nth = next(n for n, line in enumerate(asked, start=1) if re.search(where, line))
        fault = f"{call}:error={error}:when={nth}"
        under = traced(tmp_path / "trace", fault)
    else:  # of which there are hundreds: told by the name of the file
        under = (*traced(tmp_path / "trace", f"{call}:error={error}"), "-P", "")
    folder = place()
    if call == "openat":
        under = (*under[:-1], str(folder / "rl_models" / ".lock"))
    done = run(folder, what, under=under)
    assert done.returncode == 4, done.stderr
    told = done.stderr.splitlines()
    assert len(told) == 3
    assert [line.split(":")[0] for line in told] == ["error", "  at", "  mend"]
    assert_one_serves(folder, what, False)


@pytest.mark.parametrize("processes, acts", [(3, 15), pytest.param(8, 50, marks=pytest.mark.sweep)])
def test_processes_that_act_at_random_at_once_keep_the_order(processes, acts, tmp_path):
    folder = tmp_path / "artifacts"
    lay(folder)
    words = [sys.executable, str(act_module.__file__), str(folder), "crowd"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    crowd = [
        subprocess.Popen(
            [*words, str(seed), str(acts)], env=environment, stderr=subprocess.PIPE, text=True
        )
        for seed in range(processes)
    ]
    shop = Shop(folder)
    looks = 0
    while any(process.poll() is None for process in crowd):
        looks += _look(shop)
    said = [process.communicate()[1] for process in crowd]
    assert [process.returncode for process in crowd] == [0] * processes, said
    assert looks > acts
    shop.start()
    shop.assert_serves(shop.serving)
    assert [one for one in fsck(shop.registry, repair=True) if one.weight is not Weight.NOTE] == []
    assert shop.home.names() == sorted(one.name for one in shop.shelf.kept)
    assert len(shop.shelf.versions) > processes * acts // 10
    assert len({one.model.sha256 for one in shop.shelf.versions}) == len(shop.shelf.versions)
    stand = [one.place for one in shop.shelf.versions]
    assert stand.count(Place.SERVING) == 1
    assert stand.count(Place.CHALLENGING) <= 1
    shop.database.close()


def _look(shop: Shop) -> bool:
    """At any moment exactly one version serves, and it can be loaded while it does."""
    seen = shop.shelf.serving
    assert seen is not None
    try:
        shop.registry.load("gate", seen)
    except ModelError:
        assert shop.shelf.serving != seen
        return False
    return True
