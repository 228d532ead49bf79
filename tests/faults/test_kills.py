"""A run killed at any moment loses nothing that it announced, and ends as if it had not been."""

from __future__ import annotations

import time

import pytest

from tests.faults.desk import (
    RESUME,
    RUN,
    assert_resumes,
    assert_safe,
    traced,
    was_killed,
)

pytestmark = pytest.mark.slow

POINTS = {
    "pwrite64": 65, "fdatasync": 20, "write": 14, "openat": 12, "fsync": 12, "rename": 6,
    "chmod": 6, "unlink": 4, "mkdir": 3, "ftruncate": 2,
}  # fmt: skip
FED_POINTS = {"pwrite64": 22, "fdatasync": 10, "write": 4, "unlink": 2, "ftruncate": 2}
MOMENTS = 18  # and so 200 in all
_PLACE = {"openat": "artifacts/", "mkdir": "artifacts|logs"}  # other calls name nothing else
_AGAIN = (("pwrite64", 60), ("fdatasync", 6), ("write", 12), ("fsync", 12), ("rename", 6))


def _spread(points):
    """Each call at that many places, over the whole run; every fortieth of all belongs to each
    run of the tests, the others to `make sweep`."""
    places = [(call, (i + 0.5) / n) for call, n in points.items() for i in range(n)]
    return _thinned(list(enumerate(places)))


def _thinned(points):
    return [
        pytest.param(point, id=str(point), marks=() if i % 40 == 2 else pytest.mark.sweep)
        for i, point in enumerate(points)
    ]


@pytest.mark.parametrize("point", _spread(POINTS))
def test_a_run_killed_as_it_calls_the_system_ends_as_if_it_had_not_been(point, desk, run, tmp_path):
    _kill_and_resume(point, desk, run, tmp_path)


@pytest.mark.parametrize("point", _spread(FED_POINTS))
def test_a_fed_run_killed_as_it_calls_the_system_ends_as_if_it_had_not_been(
    point, desk, fed_run, tmp_path
):
    desk.lay_acting()
    _kill_and_resume(point, desk, fed_run, tmp_path, "--feed")


def _kill_and_resume(point, desk, run, tmp_path, *how):
    """Every third one is killed once more, while it goes on."""
    number, (call, share) = point
    nth = run.nth(call, share, _PLACE.get(call, ""))
    trace, copy = tmp_path / "trace", tmp_path / "copy"
    killed = desk.darwin(*RUN, *how, under=traced(trace, f"{call}:signal=KILL:when={nth}"))
    assert was_killed(killed.returncode), killed.stderr
    assert_safe(desk, killed.stderr, run, copy)
    if number % 3 == 0:
        call, most = _AGAIN[number // 3 % len(_AGAIN)]
        fault = f"{call}:signal=KILL:when={1 + number * 7 % most}"
        again = desk.darwin(*RESUME, *how, under=traced(trace, fault))
        assert was_killed(again.returncode) or again.returncode == 0, again.stderr
        assert_safe(desk, killed.stderr + again.stderr, run, copy)
    assert_resumes(desk, run, *how)


@pytest.mark.parametrize("moment", _thinned(range(MOMENTS)))
def test_a_run_killed_at_any_moment_ends_as_if_it_had_not_been(moment, desk, run, tmp_path):
    """Between two calls it may be writing into shared memory, which no call tells."""
    said = ""
    for command, share in ((RUN, moment / MOMENTS), (RESUME, moment * 5 % MOMENTS / MOMENTS)):
        process = desk.start(*command)
        time.sleep(0.3 + 0.8 * share)  # importing takes about half a second
        process.kill()
        said += process.communicate()[1]
        assert_safe(desk, said, run, tmp_path / "copy")
    assert_resumes(desk, run)
