"""A deployment with agents, runs and tokens, and the service over it as a process."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from click.testing import CliRunner
from starlette.testclient import TestClient

from darwin.cli.main import darwin
from darwin.service.app import create_app
from darwin.service.place import Place, now
from darwin.service.settings import Settings
from darwin.store.tokens import Role, create
from darwin.testing.models import make_model
from tests.rl.books.test_serving import made
from tests.run import agents, books
from tests.run.command import Desk, clean_environment

TABLES = (
    "graduation_events", "rollout_events", "model_events", "kill_events", "jobs", "tokens",
    "schedule_events",
)  # fmt: skip
"""What an act leaves behind; `service_acts` tells of it, done or refused."""


def settle(folder: Path) -> Desk:
    """A run with agents, a run of a book, models that serve of two agents, one of them promoted."""
    desk = Desk(folder)
    with contextlib.chdir(folder):
        here("run", desk.config(market={"bars": 1000}, rl=agents.rules()))
        here("run", book(desk), of="allocation")
        for agent, files in (
            ("gate", made_gate(0)), ("gate", made_gate(1)), ("market", made_book("market")),
        ):  # fmt: skip
            model = folder / f"model-{agent}"
            model.mkdir(exist_ok=True)
            for name, content in files.items():
                (model / name).write_bytes(content)
            here("models", "deploy", agent, str(model), *SIGNED, of="rl")
        here("promote", "market", "--override", *SIGNED, of="rl")
    return desk


SIGNED = ("--by", "Ada", "--reason", "a test")
PEOPLE = {"ada": "operator", "vera": "viewer"}


def here(*words: str, of: str | None = None) -> str:
    """Run a command in this process; gives what it printed."""
    words = words if of is None else (of, *words)
    done = CliRunner().invoke(darwin, words, catch_exceptions=False, standalone_mode=False)
    assert not done.return_value, done.output
    return done.stdout


def made_gate(seed: int) -> dict[str, bytes]:
    return dict(make_model("gate", seed=seed))


def made_book(agent: str) -> dict[str, bytes]:
    return dict(made(agent, "categorical")[0])


def book(desk: Desk) -> str:
    told = {"agent": "market", "every": 4, "policy": None}
    market = {"symbols": ["BTC/USDT"], "bars": 1000}
    return books.config(desk, "book.json", market=market, allocation=told, run_id="book")


def give_tokens(desk: Desk) -> dict[str, str]:
    """A token for each of `PEOPLE`."""
    with Place(str(desk.folder / "artifacts")).write() as database:
        return {
            name: create(database, name, Role(role), by="Ada", at=now())
            for name, role in PEOPLE.items()
        }


@dataclass
class Service:
    """A service that runs, and how it is asked."""

    desk: Desk
    url: str
    tokens: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    client: Any = None  # of an application in this process

    def ask(
        self, method: str, path: str, *, who: str | None = None, headers: Any = None, **more: Any
    ) -> httpx2.Response:
        """One request, in the name of `who`."""
        given = dict(headers or {})
        if who is not None:
            given["Authorization"] = f"Bearer {self.tokens[who]}"
        if self.client is not None:
            return self.client.request(method, path, headers=given, **more)
        with httpx2.Client(timeout=90.0) as client:
            return client.request(method, self.url + path, headers=given, **more)

    def get(self, path: str, **more: Any) -> httpx2.Response:
        return self.ask("GET", path, **more)

    def post(
        self, path: str, body: Any = None, *, who: str | None = "ada", **more: Any
    ) -> httpx2.Response:
        if body is not None:
            more["json"] = body
        return self.ask("POST", path, who=who, **more)

    def counts(self) -> dict[str, int]:
        """How many rows there are of what acts leave behind."""
        return {name: self.desk.ask(f"SELECT count(*) FROM {name}")[0][0] for name in TABLES}

    def acts(self, after: int = 0) -> list[tuple[Any, ...]]:
        """What was noted: act, by, role, status."""
        query = f"SELECT act, by, role, status FROM service_acts WHERE id > {after} ORDER BY id"
        return self.desk.ask(query)

    def noted(self) -> int:
        """The number of the newest act that was noted."""
        return self.desk.ask("SELECT coalesce(max(id), 0) FROM service_acts")[0][0]


@contextmanager
def serving(desk: Desk, *words: str, **environment: str) -> Iterator[Service]:
    """`darwin serve` on a port that is free, until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "darwin.cli.main", "serve", "--port", "0", "--json", *words],
        cwd=desk.folder, env=clean_environment(**environment), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said, process.communicate()[1]
        yield Service(desk, json.loads(said)["url"], process=process)
    finally:
        process.terminate()
        process.communicate(timeout=30)


@contextmanager
def hosted(desk: Desk, **settings: Any) -> Iterator[Service]:
    """The same application in this process."""
    place = Place(str(desk.folder / "artifacts"))
    app = create_app(Settings(place, runs_jobs=False, schedules=False, **settings))
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=True) as client:
        yield Service(desk, "", client=client)


def copied(desk: Desk, folder: Path) -> Desk:
    """A copy, to be changed."""
    shutil.copytree(desk.folder, folder, symlinks=True)
    return Desk(folder)


@dataclass(frozen=True)
class Curl:
    """A `curl` of a page, taken apart."""

    method: str
    path: str
    body: Any
    needs_token: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def curls(page: Path) -> list[Curl]:
    """Every curl that a page shows, in order."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.startswith("curl ")]
    return [_taken_apart(shlex.split(line)) for line in lines]


def _taken_apart(words: list[str]) -> Curl:
    method, body, tokens, url = "GET", None, False, ""
    rest = iter(words[1:])
    for word in rest:
        if word == "-X":
            method = next(rest)
        elif word == "-d":
            body = json.loads(next(rest))
        elif word == "-H":
            tokens |= next(rest) == "Authorization: Bearer $TOKEN"
        else:
            url = word
    path = re.sub(r"^http://localhost:\d+", "", url)
    assert path.startswith("/"), words
    return Curl(method, path, body, tokens)
