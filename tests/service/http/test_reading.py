"""Reading through the service: it shows what holds, starves nobody, and writes nothing."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from darwin.errors import StorageError
from darwin.service.background import Background, Chore
from darwin.service.entry import FOR_ACTS
from darwin.service.jobs import Supervisor
from darwin.service.place import Place
from darwin.service.reader import THREADS, Reader
from tests.run.command import Desk
from tests.service.http.serving import SIGNED, Service, here

PATIENCE_S = 15.0  # of a machine that is busy; nothing here is timed


def database_of(desk: Desk) -> Path:
    return desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite"


def test_what_is_shown_is_what_the_commands_print(shown: Service) -> None:
    where = ("--artifacts-dir", str(shown.desk.folder / "artifacts"), "--json")
    agent = shown.get("/api/v1/agents/market").json()
    agent.pop("rollout")
    assert agent == json.loads(here_judged("status", "market", *where))
    run = shown.get("/api/v1/runs/small").json()
    assert run == run | json.loads(here("runs", "show", "small", *where))
    assert shown.get("/api/v1/kill").json() == json.loads(here("status", *where, of="kill"))
    [[candidate]] = shown.desk.ask("SELECT candidate_id FROM candidates LIMIT 1")
    told = shown.get(f"/api/v1/candidates/{candidate}").json()
    assert told == json.loads(here("why", candidate, *where))
    models = shown.get("/api/v1/agents/gate/models").json()["models"]
    listed = json.loads(here("models", "list", *where, of="rl"))
    assert models == [one for one in listed if one["agent"] == "gate"]


def here_judged(*words: str) -> str:
    """A command whose exit code is a verdict."""
    from click.testing import CliRunner

    from darwin.cli.main import darwin

    return CliRunner().invoke(darwin, ["rl", *words], standalone_mode=False).stdout


def test_pages_of_decisions_follow_each_other_without_gap_or_repetition(shown: Service) -> None:
    address = "/api/v1/agents/market/decisions?limit=30"
    seen, before = [], ""
    while True:
        page = shown.get(address + before).json()
        seen += [row["id"] for row in page["decisions"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    rows = shown.desk.ask("SELECT id FROM rebalances WHERE agent_name = 'market' ORDER BY id DESC")
    assert seen == [row[0] for row in rows]
    assert len(seen) > 60


def test_what_was_done_elsewhere_shows_at_once(service: Service) -> None:
    address = "/api/v1/agents/market"
    assert service.get(address).json()["stage"] == 0.01
    where = ("--artifacts-dir", str(service.desk.folder / "artifacts"))
    here("demote", "market", *SIGNED, *where, of="rl")
    assert service.get(address).json()["stage"] == 0.0
    assert service.get("/api/v1/rl/v3/rollout/status").json()["configured"] is False


def test_a_database_that_was_restored_is_read_anew(service: Service) -> None:
    path = database_of(service.desk)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(path, path.with_suffix(".kept"))
    where = ("--artifacts-dir", str(service.desk.folder / "artifacts"))
    here("demote", "market", *SIGNED, *where, of="rl")
    here("revoke", "vera", *where, of="token")
    assert service.get("/api/v1/agents/market").json()["stage"] == 0.0
    assert service.get("/api/v1/runs", who="vera").status_code == 401
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.with_suffix(".kept").replace(path)
    assert service.get("/api/v1/agents/market").json()["stage"] == 0.01
    assert service.get("/api/v1/runs", who="vera").status_code == 200


def test_a_database_that_is_gone_is_said_and_the_service_goes_on(service: Service) -> None:
    path = database_of(service.desk)
    aside = path.with_suffix(".aside")
    path.rename(aside)
    for address in ("/api/v1/runs", "/api/v1/agents/gate", "/api/v1/rl/v3/status"):
        answer = service.get(address)
        assert answer.status_code == 503
        assert "/" not in answer.json()["where"]
    assert service.get("/health").status_code == 503
    aside.rename(path)
    assert service.get("/api/v1/runs").status_code == 200
    assert service.get("/health").json()["status"] == "ok"


def test_nobody_who_watches_jobs_makes_a_database_in_the_place_of_one_that_is_gone(
    tmp_path: Path,
) -> None:
    place = Place(str(tmp_path / "artifacts"))
    place.make()
    path = database_of(Desk(tmp_path))
    path.rename(path.with_suffix(".aside"))
    with pytest.raises(StorageError):
        Supervisor(place).tick(datetime.now(UTC))
    assert not path.exists()


def test_looking_writes_nothing(shown: Service) -> None:
    path = database_of(shown.desk)
    shown.get("/api/v1/runs")
    before = {
        one: one.read_bytes() for one in path.parent.glob("*.sqlite*") if "shm" not in one.name
    }
    for address in ("runs", "agents", "agents/gate", "alerts", "acts", "kill", "jobs", "schedule"):
        assert shown.get(f"/api/v1/{address}").status_code == 200
    after = {
        one: one.read_bytes() for one in path.parent.glob("*.sqlite*") if "shm" not in one.name
    }
    assert after == before


def test_many_readers_at_once_see_the_same_and_let_a_writer_write(service: Service) -> None:
    path, over, seen, written = database_of(service.desk), threading.Event(), [], 0
    addresses = ("agents/market", "runs", "agents/gate/decisions", "jobs")

    def read(number: int) -> None:
        while not over.is_set():
            answer = service.get(f"/api/v1/{addresses[number % len(addresses)]}")
            seen.append(answer.status_code)

    readers = [threading.Thread(target=read, args=(number,)) for number in range(12)]
    for reader in readers:
        reader.start()
    with closing(sqlite3.connect(path, timeout=5.0, isolation_level=None)) as database:
        while len(seen) < 120:
            database.execute("BEGIN IMMEDIATE")
            database.execute("UPDATE jobs SET message = 'x' WHERE id = -1")
            database.execute("COMMIT")
            written += 1
            over.wait(0.01)
    over.set()
    for reader in readers:
        reader.join()
    assert set(seen) == {200}
    assert written > 3


def test_the_kill_switch_waits_behind_nobody_who_only_looks(service: Service) -> None:
    may_end, begun = threading.Event(), threading.Semaphore(0)

    def dawdle() -> None:
        begun.release()
        may_end.wait(4 * PATIENCE_S)

    service.client.app.add_api_route("/slow", dawdle)
    lookers = [threading.Thread(target=service.get, args=("/slow",)) for _ in range(2 * THREADS)]
    told: list[int] = []

    def kill() -> None:
        told.append(service.get("/health").status_code)
        told.append(service.post("/api/v1/kill", {"state": "on", "reason": "a test"}).status_code)

    killer = threading.Thread(target=kill)
    for one in lookers:
        one.start()
    for _ in range(THREADS - FOR_ACTS):
        assert begun.acquire(timeout=PATIENCE_S)
    try:
        killer.start()
        killer.join(PATIENCE_S)
        assert told == [200, 200]
    finally:
        may_end.set()
        for one in (*lookers, killer):
            one.join()


def test_a_queue_that_is_full_is_429(service: Service) -> None:
    for number in range(20):
        body = {"symbol": "BTC/USDT", "num_episodes": 100, "lookback_hours": 5_000 + number}
        answer = service.post("/api/v1/rl/v3/train_production", body)
        assert answer.status_code == 200
    full = service.post("/api/v1/rl/v3/train_production", {"symbol": "BTC/USDT"})
    assert full.status_code == 429
    assert full.headers["retry-after"]
    assert service.counts()["jobs"] == 20


class Fails:
    """A chore that fails each second time."""

    def __init__(self, enough: threading.Event) -> None:
        self.times, self.enough = 0, enough

    def tick(self, now: datetime) -> None:
        assert now.tzinfo is UTC
        self.times += 1
        if self.times >= 6:
            self.enough.set()
        if self.times % 2:
            raise RuntimeError("not today")


def test_a_chore_that_fails_goes_on_and_keeps_no_other() -> None:
    events = [threading.Event(), threading.Event()]
    chores = [Chore(f"chore {at}", Fails(event), 0.001) for at, event in enumerate(events)]
    background = Background(chores)
    background.start()
    assert all(event.wait(30) for event in events)
    background.stop()
    assert [chore.faults >= 3 for chore in chores] == [True, True]


def test_one_who_asks_while_another_judges_waits_for_the_same_answer(settled: Desk) -> None:
    reader = Reader(Place(str(settled.folder / "artifacts")))
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(id(reader.agent_status("gate"))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader.close()
    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.parametrize("agent", ["gate", "market", "allocator"])
def test_every_agent_has_a_status_in_both_names(shown: Service, agent: str) -> None:
    of = f"?agent={agent}"
    assert shown.get(f"/api/rl-agent/status{of}").json()["status"]["agent"] == agent
    assert shown.get(f"/api/v1/rl/v3/status{of}").json()["agent"] == agent
