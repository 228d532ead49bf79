from __future__ import annotations

import pytest

from darwin.store.db import connect
from tests.rl.registry.shop import Shop


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """A database in which nothing has happened."""
    path = tmp_path_factory.mktemp("empty") / "state.sqlite"
    connect(path).close()
    return path


@pytest.fixture
def shop(tmp_path, empty):
    shop = Shop(tmp_path / "artifacts", empty=empty)
    yield shop
    shop.database.close()
