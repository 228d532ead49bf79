"""Deployments that are made once, and services over copies of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.command import Desk
from tests.service.http.serving import Service, copied, give_tokens, hosted, settle


@pytest.fixture(scope="session")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Runs, models and a promotion; to be copied, not changed."""
    return settle(tmp_path_factory.mktemp("settled"))


@pytest.fixture
def desk(settled: Desk, tmp_path: Path) -> Desk:
    """A copy of it."""
    return copied(settled, tmp_path / "desk")


@pytest.fixture
def service(desk: Desk) -> Iterator[Service]:
    """The application in this process, over a copy."""
    tokens = give_tokens(desk)
    with hosted(desk) as service:
        service.tokens = tokens
        yield service


@pytest.fixture(scope="module")
def shown(settled: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The same for a whole file of tests that change nothing."""
    desk = copied(settled, tmp_path_factory.mktemp("shown") / "desk")
    tokens = give_tokens(desk)
    with hosted(desk) as service:
        service.tokens = tokens
        yield service
