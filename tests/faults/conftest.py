from __future__ import annotations

import pytest

from tests.faults.desk import FaultyDesk, undisturbed


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The run as it is when nothing goes wrong."""
    desk = FaultyDesk(tmp_path_factory.mktemp("undisturbed"))
    desk.lay()
    left = undisturbed(desk)
    assert sum(b'"reason":"observe"' in line for line in left.lines) > 50
    return left


@pytest.fixture(scope="session")
def fed_run(tmp_path_factory):
    """A run with acting agents that is fed bar by bar, when nothing goes wrong."""
    desk = FaultyDesk(tmp_path_factory.mktemp("fed"))
    desk.lay_acting()
    left = undisturbed(desk, "--feed")
    assert sum(b'"reason":"active"' in line for line in left.lines) > 50
    return left


@pytest.fixture
def desk(tmp_path):
    desk = FaultyDesk(tmp_path)
    desk.lay()
    return desk
