"""A deployment where telling has begun, and somebody who listens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notices.desk import Desk
from tests.notices.receiver import Receiver, receiver


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as server:
        yield server


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Its first look is past: what comes now is news."""
    one = Desk(tmp_path)
    one.place.make()
    one.notifier().tick(one.at)
    return one
