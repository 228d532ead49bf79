from __future__ import annotations

import shutil

import pytest

from darwin.store.db import connect
from tests.rl.graduation.desk import Desk


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database in which nothing has happened."""
    path = tmp_path_factory.mktemp("empty") / "state.sqlite"
    connect(path).close()
    return path


@pytest.fixture
def desk(tmp_path, empty_database):
    path = tmp_path / "artifacts" / "rl_state" / "agent_state.sqlite"
    path.parent.mkdir(parents=True)
    shutil.copy(empty_database, path)
    desk = Desk(path)
    yield desk
    desk.database.close()
