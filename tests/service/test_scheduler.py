"""One retraining for each agent and period, whoever looks, how often, and on how many hosts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from darwin.core.agents import AGENTS
from darwin.core.schedule import Schedule
from darwin.errors import ConfigError
from darwin.service.place import now
from darwin.service.scheduler import Scheduler, set_schedule
from darwin.store import jobs
from darwin.store.jobs import State
from tests.run.agents import rules
from tests.run.command import Desk, clean_environment
from tests.service.desk import Served, query

pytestmark = pytest.mark.slow
SET_UP = datetime(2026, 1, 5, 12, tzinfo=UTC)  # a Monday noon: the next one is a week away
ZONES = dict(zip(AGENTS, ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"), strict=True))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run that three agents watched; to be copied."""
    desk = Desk(tmp_path_factory.mktemp("seen"))
    market = {"bars": 1200, "symbols": ["BTC/USDT"]}
    done = desk.darwin("run", desk.config(run_id="seen", rl=rules(), market=market))
    assert done.returncode == 0, done.stderr
    return desk.folder


@pytest.fixture
def weekly(served: Served) -> Served:
    """Three agents that serve, each to be trained on Sundays at 02:30 of its own zone.

    A training of somebody else keeps the lane, so that none of these begins.
    """
    return made_weekly(served)


@pytest.fixture
def recorded(seen: Path, tmp_path: Path) -> Iterator[Served]:
    """The same with a finished run that three agents watched."""
    folder = tmp_path / "recorded"
    shutil.copytree(seen, folder)
    served = Served(folder)
    yield made_weekly(served)
    served.close()


def made_weekly(served: Served) -> Served:
    for agent, zone in ZONES.items():
        served.serve(agent, SET_UP)
        schedule = Schedule(cron="30 2 * * 0", interval_days=None, timezone=zone)
        set_schedule(served.place, agent, schedule, by="Ada", reason="a test", at=SET_UP)
    keep_lane(served)
    return served


def keep_lane(served: Served) -> None:
    with served.place.write() as database:
        job = jobs.enqueue(
            database, "train", ("never",), lane="training", agent=None, by="Ada", reason="a test",
            at=now(),
        )  # fmt: skip
        assert job is not None
        jobs.claim(database, job.id, "somebody", datetime(2099, 1, 1, tzinfo=UTC))


def periods(served: Served, agent: str) -> list[datetime]:
    told = f"SELECT period FROM jobs WHERE agent_name = '{agent}' AND kind = 'retrain' ORDER BY id"
    return [datetime.fromisoformat(period) for (period,) in query(served, told)]


def test_two_schedulers_come_to_52_jobs_an_agent_in_52_weeks_through_restarts_and_summer_time(
    recorded: Served,
) -> None:
    two = [Scheduler(recorded.place), Scheduler(recorded.place)]
    with ThreadPoolExecutor(2) as hosts:
        for week in range(52):
            sunday = SET_UP + timedelta(days=6 + 7 * week)
            if week % 9 == 8:  # a restart
                two = [Scheduler(recorded.place), Scheduler(recorded.place)]
            for at in (-10, 31) if week % 4 == 0 else (31,):  # hours from noon, in UTC
                time = sunday + timedelta(hours=at)
                if week % 5 == 4 and at < 31:
                    continue  # both were away until the Monday after
                list(hosts.map(lambda one, time=time: one.tick(time), two))
    for agent, zone in ZONES.items():
        found = periods(recorded, agent)
        assert len(found) == len(set(found)) == 52
        local = [due.astimezone(ZoneInfo(zone)) for due in found]
        assert {one.weekday() for one in local} == {6}
        assert len({one.date() for one in local}) == 52
        assert sum((one.hour, one.minute) == (2, 30) for one in local) >= 51
    states = query(recorded, "SELECT state, count(*) FROM jobs WHERE kind = 'retrain' GROUP BY 1")
    assert dict(states) == {"queued": 3, "cancelled": 3 * 51}, "the latest alone still waits"


def test_after_a_downtime_the_latest_missed_period_alone_is_made_up_for(weekly: Served) -> None:
    back = SET_UP + timedelta(days=40)
    assert len(Scheduler(weekly.place).tick(back)) == 3
    assert Scheduler(weekly.place).tick(back + timedelta(hours=1)) == []
    [due] = periods(weekly, "gate")
    assert due == datetime(2026, 2, 8, 1, 30, tzinfo=UTC)
    assert Scheduler(weekly.place).tick(back - timedelta(days=7)) == [], "a clock set back"


def test_what_cannot_be_trained_is_noted_once_with_the_reason(weekly: Served) -> None:
    noted = Scheduler(weekly.place).tick(SET_UP + timedelta(days=7))
    assert {job.state for job in noted} == {State.CANCELLED}
    assert {job.message for job in noted} == {
        f"no finished run holds decisions of {agent} under its features of today"
        for agent in AGENTS
    }
    assert Scheduler(weekly.place).tick(SET_UP + timedelta(days=7, hours=1)) == []


def test_an_agent_without_a_model_has_nothing_due_and_a_first_model_nothing_of_before(
    served: Served,
) -> None:
    later = datetime(2026, 6, 3, tzinfo=UTC)
    assert Scheduler(served.place).tick(later) == []
    served.serve("gate", later)
    assert Scheduler(served.place).tick(later + timedelta(hours=1)) == []
    [made] = Scheduler(served.place).tick(later + timedelta(days=7))
    assert (made.agent, made.period) == ("gate", "2026-06-08T03:00:00.000Z"), "Mondays by default"


def test_a_schedule_holds_from_when_it_is_set_and_may_be_off(served: Served) -> None:
    served.serve("gate", SET_UP)
    changed = SET_UP + timedelta(days=8)
    set_schedule(served.place, "gate", Schedule(), by="Ada", reason="a test", at=changed)
    assert Scheduler(served.place).tick(changed + timedelta(hours=1)) == []
    off = Schedule(enabled=False)
    set_schedule(served.place, "gate", off, by="Ada", reason="a test", at=changed)
    assert Scheduler(served.place).tick(changed + timedelta(days=30)) == []
    with pytest.raises(ConfigError):
        set_schedule(served.place, "gate", Schedule(cron="x"), by="Ada", reason="x", at=changed)


def test_a_retraining_goes_on_from_what_serves_on_the_runs_that_hold_the_last_days(
    recorded: Served,
) -> None:
    [job] = [one for one in Scheduler(recorded.place).tick(SET_UP + timedelta(days=7))
             if one.agent == "gate"]  # fmt: skip
    given = dict(zip(job.words[3::2], job.words[4::2], strict=False))
    assert job.words[:3] == ("rl", "train", "gate")
    assert given["--run-ids"] == "seen"
    assert given["--from"] == recorded.serving("gate")
    assert given["--last-days"] == "30"
    assert (job.lane, job.by, job.state) == ("training", "darwin", State.QUEUED)


def test_a_period_takes_one_job_whoever_was_faster(served: Served) -> None:
    said = {"agent": "gate", "by": "darwin", "reason": "a test", "at": SET_UP, "period": "2026"}
    with served.place.write() as database:
        assert jobs.enqueue(database, "retrain", ("a",), lane="training", **said) is not None
        assert jobs.enqueue(database, "retrain", ("b",), lane="training", **said) is None
        assert jobs.skip(database, "retrain", **said) is None
        other = said | {"agent": "portfolio"}
        assert jobs.skip(database, "retrain", **other) is not None
        assert jobs.enqueue(database, "retrain", ("b",), lane="training", **other) is None
    assert query(served, "SELECT words FROM jobs WHERE agent_name = 'gate'") == [('["a"]',)]


def test_commands_of_cron_on_two_hosts_make_one_job(recorded: Served) -> None:
    words = ("rl", "schedule", "run", "--if-due", "--now", "2026-01-12T00:00:00Z", "--json")
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "darwin.cli.main", *words], cwd=recorded.folder, text=True,
            env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    made: list[dict[str, object]] = []
    for process in both:
        said, error = process.communicate()
        assert process.returncode == 0, error
        made += json.loads(said)
    assert sorted(str(job["agent"]) for job in made) == sorted(AGENTS)


def test_the_schedule_is_shown_and_set_by_commands(served: Served) -> None:
    served.serve("gate", SET_UP)
    signed = ("--by", "Ada", "--reason", "a test")
    words = ("rl", "schedule", "set", "gate", "--cron", "0 3 * * 0", "--timezone", "Europe/Berlin")
    done = served.say(*words, *signed, "--json")
    told = json.loads(done.stdout)
    assert (told["cron"], told["interval_days"], told["timezone"]) == (
        "0 3 * * 0", None, "Europe/Berlin",
    )  # fmt: skip
    due = datetime.fromisoformat(told["next_due"]).astimezone(ZoneInfo("Europe/Berlin"))
    assert (due.weekday(), due.hour) == (6, 3)
    off = served.say("rl", "schedule", "set", "gate", "--off", *signed)
    assert "it is off" in off.stdout
    shown = json.loads(served.say("rl", "schedule", "show", "gate", "--json").stdout)
    assert (shown["enabled"], shown["cron"], shown["by"]) == (False, "0 3 * * 0", "Ada")
    bad = served.say("rl", "schedule", "set", "gate", "--cron", "x", *signed)
    assert bad.returncode == 2
    assert "cron expression" in bad.stderr
    assert served.say("rl", "schedule", "run").returncode == 2
    nothing = served.say("rl", "schedule", "run", "market", "--json")
    assert nothing.returncode == 2
    assert "no model of market serves" in nothing.stderr


def test_metadata_tells_what_the_events_say_and_nobody_reads_it(weekly: Served) -> None:
    first = weekly.serving("gate")
    second = weekly.serve("gate", SET_UP + timedelta(days=3), "another")
    Scheduler(weekly.place).tick(SET_UP + timedelta(days=7))
    path = weekly.folder / "artifacts" / "rl_models" / "gate" / "metadata.json"
    told = json.loads(path.read_text())
    assert [(one["version"], one["place"]) for one in told["models"]] == [
        (first, "archived"), (second, "serving"),
    ]  # fmt: skip
    assert told["current_version"] == second
    assert told["models"][1]["active_path"].endswith("rl_models/gate/current")
    assert told["models"][0]["deployed_at"].startswith("2026-01-05T12:00:00")
    assert told["last_retrain_time"] is None
    assert told["next_retrain_time"] == "2026-01-18T01:30:00.000Z"
    path.write_text("{}")
    assert weekly.serving("gate") == second
    assert Scheduler(weekly.place).tick(SET_UP + timedelta(days=8)) == []
    assert json.loads(path.read_text()) == told, "who begins to look writes it anew"
    fsck = weekly.say("rl", "models", "fsck", "gate")
    assert "metadata" not in fsck.stdout + fsck.stderr
