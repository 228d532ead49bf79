"""What happens, told as it happens: one look at the database a second for all who listen."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool

from darwin.errors import DarwinError
from darwin.service import reading
from darwin.service.reader import Reader
from darwin.service.refusals import Refusal
from darwin.service.told_jobs import told as told_job
from darwin.store import jobs, schema
from darwin.store.db import Database

LISTENERS = 64
"""Who may listen at once."""
LOOK_EVERY_S = 1.0
QUIET_S = 15.0
"""After so long without news a line says that the connection lives."""
_UNREAD = 200  # what one who does not read may fall behind by
_FEW = 50
_LOG = logging.getLogger(__name__)


class Event(NamedTuple):
    """One piece of news."""

    kind: str  # job, alert, kill
    tree: Any

    def text(self) -> str:
        """It as a stream of events has it."""
        return f"event: {self.kind}\ndata: {json.dumps(self.tree)}\n\n"


class Hub:
    """Looks while anybody listens, and tells all of them what is new."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._listeners: set[asyncio.Queue[Event | None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._seen = _Seen()
        self._closed = False

    async def listen(self) -> AsyncIterator[str]:
        """What is, then what comes, as lines of a stream of events. See `admit`."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(_UNREAD)
        self._listeners.add(queue)
        try:
            self._look()
            yield "retry: 3000\n\n"
            for event in await run_in_threadpool(now_told, self._reader):
                yield event.text()
            while not self._closed:
                try:
                    async with asyncio.timeout(QUIET_S):
                        news = await queue.get()
                except TimeoutError:
                    yield ": quiet\n\n"
                    continue
                if news is None:
                    return
                yield news.text()
        finally:
            self._listeners.discard(queue)

    def admit(self) -> None:
        """Raise Refusal where too many listen, or the service is leaving."""
        if self._closed or len(self._listeners) >= LISTENERS:
            raise Refusal(
                503, f"{LISTENERS} are listening already", mend="ask for the pages themselves",
                headers={"Retry-After": "30"},
            )  # fmt: skip

    def close(self) -> None:
        """Let all who listen go. May be called from a signal's handler."""
        self._closed = True
        for queue in list(self._listeners):
            while queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    def _look(self) -> None:
        if self._looking is None or self._looking.done():
            self._seen = _Seen()
            self._looking = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while self._listeners and not self._closed:
            try:
                news = await run_in_threadpool(self._seen.news, self._reader)
            except DarwinError as fault:
                _LOG.warning("nothing could be told: %s", fault.what)
                news = []
            for event in news:
                self._tell(event)
            await asyncio.sleep(LOOK_EVERY_S)

    def _tell(self, event: Event) -> None:
        for queue in list(self._listeners):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:  # it does not read: let it come again
                self._listeners.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)


class _Seen:
    """What was told already."""

    def __init__(self) -> None:
        self._jobs: dict[int, Any] | None = None
        self._alert: int | None = None
        self._killed: Any = None

    def news(self, reader: Reader) -> list[Event]:
        """What is new since the last time; nothing at the first."""
        database = reader.database()
        first = self._jobs is None
        told = {job.id: told_job(job, reader.place) for job in jobs.latest(database, limit=_FEW)}
        found = [
            Event("job", tree) for number, tree in sorted(told.items())
            if (self._jobs or {}).get(number) != tree
        ]  # fmt: skip
        killed = reading.kill_status(reader.place)
        if killed != self._killed:
            found.append(Event("kill", killed))
        newest, alerts = _alerts_after(database, self._alert)
        self._jobs, self._killed, self._alert = told, killed, newest
        return [] if first else found + [Event("alert", alert) for alert in alerts]


def now_told(reader: Reader) -> list[Event]:
    """What holds at the moment: the switch, and the jobs that are not over."""
    running = [job for job in jobs.latest(reader.database(), limit=_FEW) if not job.state.over]
    told = [Event("job", told_job(job, reader.place)) for job in reversed(running)]
    return [Event("kill", reading.kill_status(reader.place)), *told]


def _alerts_after(database: Database, last: int | None) -> tuple[int, list[dict[str, Any]]]:
    table = schema.alerts
    with database.read() as connection:
        newest = connection.execute(select(func.max(table.c.id))).scalar() or 0
    if last is None or newest == last:
        return newest, []
    alerts = reading.alerts(database, limit=_FEW)["alerts"]
    return newest, [one for one in reversed(alerts) if one["id"] > last]
