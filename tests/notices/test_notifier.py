"""What happened is told once, in time, over restarts, dead receivers and floods."""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing

import pytest

from darwin.core.agents import Model
from darwin.rl.graduation import record
from darwin.store import logs, schema
from darwin.store.runs import iso_time
from tests.notices.desk import Desk, webhook
from tests.notices.receiver import Receiver

DEAD = "http://127.0.0.1:9/hook/s3cret-path"
HOUR = 3600


def test_what_was_on_record_before_the_first_look_is_nobodys_news(
    tmp_path_factory: pytest.TempPathFactory, hook: Receiver
) -> None:
    desk = Desk(tmp_path_factory.mktemp("old"))
    desk.kill("long ago")
    desk.alert("breaker opened")
    desk.fail_a_job()
    notifier = desk.notifier(webhook(hook.url))
    assert notifier.tick(desk.at) == (0, 0, 0, 0)
    desk.kill("just now")
    notifier.tick(desk.at)
    assert hook.texts == ["[critical] all agents are switched off by Ada: just now"]


def test_each_kind_of_happening_is_told_with_its_urgency(desk: Desk, hook: Receiver) -> None:
    desk.kill()
    desk.alert("breaker opened", "model stale")
    desk.fail_a_job()
    with desk.place.write() as database, database.write() as connection:
        logs.append(
            connection, schema.graduation_events, agent_name="gate", kind="demoted",
            version="20260101_000000", manifest_sha256="a" * 64, scope="deployment",
            by=record.BY_ITSELF, reason="evidence refuted", override=0, at=iso_time(desk.at),
        )  # fmt: skip
        logs.append(
            connection, schema.rollout_events, agent_name="gate", stage=0.05, by="Ada",
            reason="green", override=0, max_position_usd=0.25, at=iso_time(desk.at),
        )  # fmt: skip
    desk.notifier(webhook(hook.url)).tick(desk.at)
    assert sorted(hook.texts) == [
        "[critical] all agents are switched off by Ada: odd orders",
        "[critical] breaker opened of gate in run paper-1 (paper): as it is",
        "[critical] gate 20260101_000000 is demoted by darwin: evidence refuted",
        "[warning] gate holds 5% of the capital, no position above 0.25 USD by Ada: green",
        "[warning] job 1, train of gate, has failed: no rows",
        "[warning] model stale of gate in run paper-1 (paper): as it is",
    ]


def test_alerts_of_a_replay_wake_nobody_up(desk: Desk, hook: Receiver) -> None:
    desk.alert("breaker opened", run="back-test", mode="replay")
    desk.notifier(webhook(hook.url)).tick(desk.at)
    assert hook.texts == []
    desk.alert("model refused", run="back-test", mode="replay")
    desk.notifier(webhook(hook.url), least="info").tick(desk.at)
    assert hook.texts == ["[info] model refused of gate in run back-test (replay): as it is"]


def test_a_restart_tells_nothing_twice_and_loses_nothing(desk: Desk, hook: Receiver) -> None:
    desk.kill("first")
    desk.notifier(webhook(hook.url)).tick(desk.at)
    desk.kill("while nobody looked")
    for _ in range(3):
        desk.wait(seconds=5)
        desk.notifier(webhook(hook.url)).tick(desk.at)
    assert [text.rpartition(": ")[2] for text in hook.texts] == ["first", "while nobody looked"]


def test_runs_that_write_at_once_are_each_read_to_the_end(desk: Desk, hook: Receiver) -> None:
    for run in ("paper-1", "paper-2", "paper-1", "paper-3", "paper-2"):
        desk.alert("model stale", run=run)
        desk.wait(hours=2)
        desk.notifier(webhook(hook.url)).tick(desk.at)
    told = [text.split(" in run ")[1].split()[0] for text in hook.texts]
    assert told == ["paper-1", "paper-2", "paper-1", "paper-3", "paper-2"]


def test_a_run_that_begins_anew_under_its_number_is_read_from_its_start(
    desk: Desk, hook: Receiver
) -> None:
    desk.alert("venue refuses")
    desk.notifier(webhook(hook.url)).tick(desk.at)
    with closing(sqlite3.connect(desk.place.deployment.db)) as raw, raw:  # as it is taken back
        for table in ("alerts", "run_events", "runs"):
            raw.execute(f"DELETE FROM {table}")
    desk.wait(hours=2)
    desk.alert("venue refuses")
    desk.notifier(webhook(hook.url)).tick(desk.at)
    assert len(hook.got) == 2


def test_one_matter_is_told_once_in_a_while_and_counted_meanwhile(
    desk: Desk, hook: Receiver
) -> None:
    for _ in range(5):
        desk.alert("data gap")
        desk.notifier(webhook(hook.url)).tick(desk.at)
        desk.wait(minutes=1)
    assert len(hook.got) == 1
    desk.wait(hours=1)
    desk.notifier(webhook(hook.url)).tick(desk.at)  # nothing new: what was counted is told
    assert [one.tree["times"] for one in hook.got] == [1, 4]
    assert hook.texts[1].endswith("as it is (4 times, this is the last)")
    desk.alert("data gap")
    desk.notifier(webhook(hook.url)).tick(desk.at)
    desk.wait(hours=2)
    desk.alert("data gap", "data gap")
    desk.notifier(webhook(hook.url)).tick(desk.at)
    assert [one.tree["times"] for one in hook.got] == [1, 4, 3]  # counted and new together


def test_a_flood_is_so_many_notices_an_hour_and_one_summary(desk: Desk, hook: Receiver) -> None:
    for run in range(12):
        desk.alert("data gap", run=f"paper-{run}")
    desk.notifier(webhook(hook.url), an_hour=4).tick(desk.at)
    assert len(hook.got) == 4
    assert hook.texts[3].startswith("[warning] 9 more about 9 matters: data gap of gate in run")
    desk.alert("model stale", run="paper-0")
    desk.kill()  # what is critical finds its own places
    desk.notifier(webhook(hook.url), an_hour=4).tick(desk.at)
    assert [text.split()[0] for text in hook.texts[4:]] == ["[critical]"]
    desk.wait(hours=1, seconds=1)
    desk.notifier(webhook(hook.url), an_hour=4).tick(desk.at)
    assert "model stale of gate" in hook.texts[5]
    assert sum(one.tree["times"] for one in hook.got) == 14


def test_a_dead_receiver_is_asked_again_ever_more_rarely_and_hears_all_of_it(
    desk: Desk, hook: Receiver
) -> None:
    hook.script.extend([500] * 8)  # two requests a try
    desk.kill("lost?")
    notifier = desk.notifier(webhook(hook.url))
    tries = []
    for second in range(0, 600, 10):
        told = notifier.tick(desk.at)
        if told.failed or told.sent:
            tries.append(second)
        desk.wait(seconds=10)
    assert tries == [0, 30, 90, 210, 450]
    assert {one.tree["id"] for one in hook.got} == {hook.got[0].tree["id"]}
    desk.kill("and now")
    hook.script.extend([500] * 2)
    assert notifier.tick(desk.at).failed == 1
    desk.wait(seconds=30)  # as after a first failure: the way was well meanwhile
    assert notifier.tick(desk.at).sent == 1


def test_a_dead_way_keeps_nothing_from_the_other(desk: Desk, hook: Receiver) -> None:
    dead, alive = webhook(DEAD), webhook(hook.url)
    dead.name, alive.name = "dead", "alive"
    desk.kill()
    told = desk.notifier(dead, alive).tick(desk.at)
    assert (told.sent, told.failed, told.pending) == (1, 1, 1)
    told = desk.notifier(dead, alive).tick(desk.at)
    assert (told.sent, told.failed, told.pending) == (0, 0, 1)
    assert len(hook.got) == 1


def test_after_a_day_a_notice_is_given_up(desk: Desk, hook: Receiver) -> None:
    desk.kill()
    desk.notifier(webhook(DEAD)).tick(desk.at)
    desk.wait(hours=25)
    assert desk.notifier(webhook(hook.url)).tick(desk.at).pending == 0
    assert hook.got == []


def test_two_notifiers_at_once_tell_each_thing_once(desk: Desk, hook: Receiver) -> None:
    for run in range(5):
        desk.alert("data gap", run=f"paper-{run}")
    ready = threading.Barrier(4)

    def look() -> None:
        notifier = desk.notifier(webhook(hook.url))
        ready.wait()
        notifier.tick(desk.at)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    desk.notifier(webhook(hook.url)).tick(desk.at)
    assert len({one.tree["id"] for one in hook.got}) == len(hook.got) == 5


def test_a_backup_in_the_place_of_the_database_is_read_from_its_own_end(
    desk: Desk, hook: Receiver
) -> None:
    path = desk.place.deployment.db
    desk.kill("before")
    notifier = desk.notifier(webhook(hook.url))
    notifier.tick(desk.at)
    kept = desk.folder / "kept.sqlite"
    with closing(sqlite3.connect(path)) as raw, closing(sqlite3.connect(kept)) as copy:
        raw.backup(copy)
    desk.kill("after")
    notifier.tick(desk.at)
    for name in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        name.unlink(missing_ok=True)
    kept.rename(path)
    desk.kill("restored")
    notifier.tick(desk.at)
    assert [text.rpartition(": ")[2] for text in hook.texts] == ["before", "after", "restored"]


def test_nothing_that_is_written_down_holds_an_address_or_a_secret(
    desk: Desk, hook: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)  # where the library would say whom it asks
    hook.script.extend([500, 500, 302])
    desk.kill()
    for url in (hook.url, hook.url, DEAD):
        desk.wait(minutes=10)
        desk.notifier(webhook(url, "hunter2hunter2")).tick(desk.at)
    written = caplog.text + repr(desk.rows())
    assert "HTTP 500" in written
    assert "HTTP 302" in written
    assert "ConnectError" in written
    assert not [one for one in ("s3cret", "hunter2", "127.0.0.1") if one in written]


def test_the_rows_are_sealed_like_every_log(desk: Desk, hook: Receiver) -> None:
    desk.kill()
    desk.notifier(webhook(hook.url)).tick(desk.at)
    with desk.place.read() as database, database.read() as connection:
        rows = logs.sound_rows_in(connection, schema.notices)
    assert [row["sent"] for row in rows] == [0, 0, 0, 1]  # began, read, due, sent
    assert rows[1]["text"] == "1 happenings are read, 0 subjects wait"


def test_a_look_that_finds_nothing_writes_nothing(desk: Desk, hook: Receiver) -> None:
    desk.alert("data gap", "data gap")
    desk.notifier(webhook(hook.url)).tick(desk.at)
    before = len(desk.rows())
    for _ in range(3):
        desk.wait(seconds=5)
        desk.notifier(webhook(hook.url)).tick(desk.at)
    assert len(desk.rows()) == before


def test_a_model_that_is_rolled_back_is_told(desk: Desk, hook: Receiver) -> None:
    model = Model("20260101_000000", "a" * 64)
    with desk.place.write() as database, database.write() as connection:
        logs.append(
            connection, schema.model_events, agent_name="gate", kind="rolled_back",
            version=model.version, manifest_sha256=model.sha256, zip_sha256="b" * 64, by="Ada",
            reason="too eager", at=iso_time(desk.at),
        )  # fmt: skip
    desk.notifier(webhook(hook.url)).tick(desk.at)
    assert hook.texts == ["[warning] gate 20260101_000000 is rolled back by Ada: too eager"]
