"""A server that all tests of a file share, and models that ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from darwin.deciders.llm.parse import SCHEMA
from darwin.deciders.llm.transport import Breaker, Model, Request, Server
from darwin.testing.llm_server import LlmServer

KEY = "sk-canary-5f0c1d"
ENVIRON = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}
KINDS = ("openai", "anthropic")
QUESTION = Request("You judge setups.", "BTC/USDT, long", "gpt-4.1", 200, 0.0, SCHEMA)

Ask = Callable[..., Model]


@dataclass
class Time:
    """A clock that goes on only where somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture(scope="module")
def shared_server() -> Iterator[LlmServer]:
    with LlmServer() as server:
        yield server


@pytest.fixture
def server(shared_server: LlmServer) -> LlmServer:
    shared_server.script()
    shared_server.requests.clear()
    return shared_server


def model_of(server: LlmServer, kind: str = "openai", **options: Any) -> Model:
    """A model of `server` whose breaker never opens, unless one is given."""
    of_model = ("limit", "breaker", "clock", "sleep", "wall", "environ")
    handed = {name: options.pop(name) for name in of_model if name in options}
    url = server.openai_url if kind == "openai" else server.url
    where = Server(**{"kind": kind, "base_url": url} | options)  # type: ignore[arg-type]
    return Model(where, **{"breaker": Breaker(10**9), "environ": ENVIRON} | handed)
