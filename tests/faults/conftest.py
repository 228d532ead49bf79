from __future__ import annotations

import pytest

from tests.faults.desk import FED_BARS, FaultyDesk, undisturbed


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The run as it is when nothing goes wrong."""
    desk = FaultyDesk(tmp_path_factory.mktemp("undisturbed"))
    desk.lay()
    return undisturbed(desk)


@pytest.fixture(scope="session")
def fed_run(tmp_path_factory):
    """A run that is fed bar by bar, when nothing goes wrong."""
    desk = FaultyDesk(tmp_path_factory.mktemp("fed"))
    desk.lay(FED_BARS)
    return undisturbed(desk, "--feed")


@pytest.fixture
def desk(tmp_path):
    desk = FaultyDesk(tmp_path)
    desk.lay()
    return desk
