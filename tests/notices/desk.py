"""A deployment in which things happen, as its commands and runs would write them down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from darwin.core.account import Alert
from darwin.service.notices.happenings import Severity
from darwin.service.notices.notifier import Notifier
from darwin.service.notices.telling import Manners
from darwin.service.notices.ways import Way, Webhook
from darwin.service.place import Place
from darwin.store import jobs, kill_log, schema
from darwin.store.columns import alert_columns
from darwin.store.rows import add_beside
from darwin.store.runs import begin_run
from tests.store.conftest import identity

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass
class Desk:
    """The deployment below `folder`, and its clock."""

    folder: Path
    at: datetime = START

    @property
    def place(self) -> Place:
        return Place(str(self.folder))

    def wait(self, **long: float) -> None:
        self.at += timedelta(**long)

    def kill(self, reason: str = "odd orders") -> None:
        with self.place.write() as database:
            kill_log.switch_on(database, by="Ada", reason=reason, at=self.at)

    def alert(self, *kinds: str, run: str = "paper-1", mode: str = "paper") -> None:
        """Let a run raise alerts; it is begun where it is new."""
        with self.place.write() as database:
            one = identity(
                run,
                mode="feed" if mode == "paper" else mode,
                config_json=json.dumps({"mode": mode, "run_id": run}),
            )
            begun = begin_run(database, one, at=self.at, resume=True)
            raised = [Alert(1_700_000_000_000, kind, "gate", "as it is") for kind in kinds]
            with database.write() as connection:
                columns = alert_columns(raised)
                add_beside(connection, schema.alerts, run, begun.number, columns)

    def fail_a_job(self) -> None:
        with self.place.write() as database:
            words = ("rl", "train", "gate")
            job = jobs.enqueue(
                database, "train", words, lane="training", agent="gate", by="Ada", reason="new",
                at=self.at,
            )  # fmt: skip
            assert job is not None
            jobs.claim(database, job.id, "w", self.at)
            jobs.finish(
                database, job.id, "w", jobs.State.FAILED, self.at, exit_code=3, message="no rows"
            )

    def notifier(self, *ways: Way, least: str = "warning", **manners: Any) -> Notifier:
        """As a process that has just been started has it."""
        return Notifier(self.place, ways, Manners(least=Severity(least), **manners))

    def rows(self) -> Sequence[Any]:
        with self.place.read() as database, database.read() as connection:
            return connection.execute(select(schema.notices).order_by(schema.notices.c.id)).all()


def webhook(url: str, secret: str | None = None) -> Webhook:
    return Webhook(url, secret)
