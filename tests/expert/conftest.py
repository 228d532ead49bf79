from __future__ import annotations

from collections.abc import Iterator

import pytest

from darwin.testing.llm_server import LlmServer
from tests.run.command import Desk


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with LlmServer() as running:
        yield running


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path)
