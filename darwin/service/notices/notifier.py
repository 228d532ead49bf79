"""Tells people outside what happened: reads the record on, writes down what is due, sends it.

All that it knows are the rows of `notices`, so that nothing is told twice over a restart and
nothing is lost. What was sent while the process died before it could write that down is sent again
under the same id: whoever takes notices drops one whose id it knows.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from filelock import FileLock, Timeout
from sqlalchemy import Connection, func, select

from darwin.errors import DarwinError
from darwin.service.notices import happenings, telling
from darwin.service.notices.addresses import Addresses
from darwin.service.notices.happenings import Look, Severity
from darwin.service.notices.memory import Due, Held, Memory, grouped
from darwin.service.notices.telling import Manners, Notice
from darwin.service.notices.ways import Message, Way, ways_of
from darwin.service.place import Place
from darwin.service.place import now as wall_clock
from darwin.store import logs
from darwin.store.runs import iso_time
from darwin.store.schema import notices

LOOK_EVERY_S = 5.0
GIVE_UP_AFTER = timedelta(hours=24)
_SENT_AT_ONCE = 20
_log = logging.getLogger("darwin.notices")


class Told(NamedTuple):
    """What came of a look."""

    due: int = 0  # notices that were made
    sent: int = 0
    failed: int = 0
    pending: int = 0  # that wait for a way


class _News(NamedTuple):
    seen: Look
    new: Mapping[str, Held]  # worth telling, by key
    due: list[Notice]


class Notifier:
    """Whoever has one calls `tick` now and then, or lets `go_on` do so in a thread of its own.

    A tick may take as long as the ways let it wait, some seconds each: nobody else should wait
    for it. Any number of processes may do it; one at a time sends.
    """

    def __init__(self, place: Place, ways: Sequence[Way], manners: Manners | None = None) -> None:
        """Nothing is read yet."""
        self._place, self._manners = place, manners or Manners()
        self._ways = {way.name: way for way in ways}
        self._memory = Memory()

    def tick(self, now: datetime) -> Told:
        """Look, write down what is due, send it. Raises StorageError."""
        due = self._look(now)
        lock = FileLock(self._place.artifacts / "notices.lock", timeout=0)
        try:
            with lock:
                sent, failed = self._send(now)
        except Timeout:
            sent = failed = 0  # another process is at it
        pending = {one for name in self._ways for one in self._memory.pending.get(name, {})}
        return Told(due, sent, failed, len(pending))

    def go_on(self, stop: threading.Event, every_s: float = LOOK_EVERY_S) -> None:
        """Tick until told to stop; what fails is logged, and tried again."""
        failing = ""
        while not stop.is_set():
            try:
                self.tick(wall_clock())
                failing = ""
            except (DarwinError, OSError) as fault:
                if str(fault) != failing:  # said once, however long it lasts
                    _log.warning("notices are late: %s", fault)
                failing = str(fault)
            stop.wait(every_s)

    def _look(self, at: datetime) -> int:
        """Read the record on, and write down what is to be told; gives how many notices."""
        with self._place.read() as database, database.read() as connection:
            self._catch_up(connection)
            if self._memory.began and not self._news(connection, at):
                return 0
        with self._place.write() as database, database.write() as connection:
            self._catch_up(connection)  # another notifier may have been quicker
            if not self._memory.began:
                until = happenings.end_of(connection)
                self._note(connection, at, "telling begins", {"what": "began", "until": until})
                return 0
            return self._tell(connection, at)

    def _news(self, connection: Connection, at: datetime) -> _News | None:
        """What is new on record, and what is to be told now; None: neither."""
        seen = happenings.look(connection, self._memory.marks)
        least = self._manners.least.rank
        new = grouped(one for one in seen.found if one.severity.rank >= least)
        due = telling.to_tell(self._memory, new, at, self._manners)
        return _News(seen, new, due) if seen.newer or due else None

    def _tell(self, connection: Connection, at: datetime) -> int:
        news = self._news(connection, at)
        if news is None:
            return 0
        spoken = {key for one in news.due for key in one.keys}
        if news.seen.newer:
            held = {key: one for key, one in news.new.items() if key not in spoken}
            self._note_read(connection, at, news.seen, held)
        for one in news.due:
            self._note_due(connection, at, one)
        return len(news.due)

    def _send(self, at: datetime) -> tuple[int, int]:
        """Send what waits, oldest first, on each way until one fails; gives sent and failed."""
        sent = failed = 0
        with self._place.read() as database, database.read() as connection:
            self._catch_up(connection)
        self._memory.forget(at - self._manners.quiet)
        for name, way in self._ways.items():
            for due in list(self._memory.pending.get(name, {}).values())[:_SENT_AT_ONCE]:
                rests = self._memory.ways.get(name)
                if rests and rests.rests_until and at < rests.rests_until:
                    break
                if at - due.at > GIVE_UP_AFTER:
                    self._answered(at, due, name, "given up", "a day has passed")
                    continue
                answer = way.tell(_message(due), wall_clock())
                self._answered(at, due, name, "sent" if answer.took else "failed", answer.says)
                sent, failed = sent + answer.took, failed + (not answer.took)
                if not answer.took:
                    _log.warning("notice %d is not taken by %s: %s", due.id, name, answer.says)
        return sent, failed

    def _answered(self, at: datetime, due: Due, way: str, what: str, says: str) -> None:
        detail = {"what": what, "of": due.id, "way": way, "answer": says}
        with self._place.write() as database:
            with database.write() as connection:
                sent = what == "sent"
                _append(connection, at, due.key, due.severity, due.text, detail, sent=sent)
            with database.read() as connection:
                self._catch_up(connection)

    def _note_read(
        self, connection: Connection, at: datetime, seen: Look, held: Mapping[str, Held]
    ) -> None:
        text = f"{len(seen.found):,} happenings are read, {len(held):,} subjects wait"
        told = {key: one._asdict() for key, one in held.items()}
        self._note(connection, at, text, {"what": "read", "until": seen.newer, "held": told})

    def _note(
        self, connection: Connection, at: datetime, text: str, detail: Mapping[str, Any]
    ) -> None:
        plain = {**detail, "until": detail["until"].tree()}
        _append(connection, at, detail["what"], Severity.INFO, text, plain)

    def _note_due(self, connection: Connection, at: datetime, one: Notice) -> None:
        detail = {"what": "due", "keys": dict(one.keys), "ways": list(self._ways)}
        _append(connection, at, one.key, one.severity, one.text, detail)

    def _catch_up(self, connection: Connection) -> None:
        """Take the rows that are new; called where all that is seen is committed."""
        newest = connection.execute(select(func.max(notices.c.id))).scalar() or 0
        if newest < self._memory.last:  # another file lies in its place, a backup for example
            self._memory = Memory()
        for row in logs.read(connection, notices, after=self._memory.last):
            self._memory.take(row)


def notifier_of(place: Place, environment: Mapping[str, str]) -> Notifier:
    """One that tells by the ways that the environment names, of what it wants told.

    Without any it writes down what it would have told. Raises ConfigError.
    """
    addresses = Addresses.of(environment)
    return Notifier(place, ways_of(addresses), Manners(least=addresses.least))


def _append(
    connection: Connection, at: datetime, key: str, severity: Severity, text: str,
    detail: Mapping[str, Any], *, sent: bool = False,
) -> None:  # fmt: skip
    logs.append(
        connection, notices, key=key, severity=str(severity), text=text, sent=int(sent),
        detail=json.dumps(detail, sort_keys=True), at=iso_time(at),
    )  # fmt: skip


def _message(due: Due) -> Message:
    return Message(due.mark, due.key, due.severity, due.text, due.times, due.at)
