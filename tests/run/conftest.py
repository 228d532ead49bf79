from __future__ import annotations

import pytest

from tests.run.command import Desk


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished small run that tests only read."""
    desk = Desk(tmp_path_factory.mktemp("finished"))
    done = desk.darwin("run", desk.config())
    assert done.returncode == 0, done.stderr
    return desk
