"""What the rows of `notices` say: how far was read, what was told, and what still waits.

Four kinds of rows, which `detail.what` names:

- `began`: telling begins; what is on record by then is nobody's news any more
- `read`: so much was read since; `held` counts what is not told yet, by its key
- `due`: to be told, by these ways; `keys` are what it speaks of, with how much of each
- `sent`, `failed`, `given up`: what came of number `of` on one way
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import RowMapping

from darwin.service.notices.happenings import Happening, Marks, Severity

FIRST_REST, LONGEST_REST = timedelta(seconds=30), timedelta(hours=1)
"""How long a way is left alone that failed: once, and after many times in a row."""


class Held(NamedTuple):
    """Happenings of one key that were not told yet."""

    times: int
    severity: Severity  # the most urgent of them
    text: str  # of the last of them


class Due(NamedTuple):
    """A notice, as it is to be told."""

    id: int
    mark: str  # names it outside: no other deployment's, nor that of a backup, is called so
    key: str
    severity: Severity
    text: str
    times: int  # that what it speaks of happened
    ways: tuple[str, ...]
    at: datetime


class Way(NamedTuple):
    """How it went on one way, of late."""

    failures: int = 0  # in a row
    rests_until: datetime | None = None


@dataclass
class Memory:
    """The fold. `take` each row once, in order."""

    began: bool = False
    last: int = 0  # number of the last row that was taken
    marks: Marks = field(default_factory=Marks)
    held: dict[str, Held] = field(default_factory=dict)
    told: dict[str, datetime] = field(default_factory=dict)  # by key: when last
    dues: list[Due] = field(default_factory=list)  # of the last hour
    pending: dict[str, dict[int, Due]] = field(default_factory=dict)  # by way and number
    ways: dict[str, Way] = field(default_factory=dict)

    def take(self, row: RowMapping) -> None:
        """Hear of one more row."""
        detail = json.loads(row["detail"])
        at = datetime.fromisoformat(row["at"])
        self.last = row["id"]
        what = detail["what"]
        if what in ("began", "read"):
            self.began = True
            self.marks = self.marks.and_then(Marks.of(detail["until"]))
            for key, told in detail.get("held", {}).items():
                self._hold(key, Held(told["times"], Severity(told["severity"]), told["text"]))
        elif what == "due":
            self._owe(row, detail, at)
        else:
            self._answered(detail, at)

    def _hold(self, key: str, more: Held) -> None:
        before = self.held.get(key)
        if before is None:
            self.held[key] = more
        else:
            severity = max(before.severity, more.severity, key=lambda one: one.rank)
            self.held[key] = Held(before.times + more.times, severity, more.text)

    def _owe(self, row: RowMapping, detail: Mapping[str, Any], at: datetime) -> None:
        mark, times = f"{row['id']}-{row['seal'][:6].hex()}", sum(detail["keys"].values())
        severity, ways = Severity(row["severity"]), tuple(detail["ways"])
        due = Due(row["id"], mark, row["key"], severity, row["text"], times, ways, at)
        for key in detail["keys"]:
            self.held.pop(key, None)
            self.told[key] = at
        self.dues = [one for one in self.dues if one.at > at - timedelta(hours=1)] + [due]
        for way in due.ways:
            self.pending.setdefault(way, {})[due.id] = due

    def _answered(self, detail: Mapping[str, Any], at: datetime) -> None:
        way = self.ways.get(detail["way"], Way())
        if detail["what"] == "failed":
            rest = min(FIRST_REST * 2 ** min(way.failures, 20), LONGEST_REST)
            self.ways[detail["way"]] = Way(way.failures + 1, at + rest)
            return
        self.pending.get(detail["way"], {}).pop(detail["of"], None)
        if detail["what"] == "sent":
            self.ways[detail["way"]] = Way()

    def forget(self, before: datetime) -> None:
        """Let go of when keys were told, where that bears on nothing any more."""
        self.told = {key: at for key, at in self.told.items() if at > before or key in self.held}


def grouped(found: Iterable[Happening]) -> dict[str, Held]:
    """The happenings of each key as one."""
    memory = Memory()
    for one in found:
        memory._hold(one.key, Held(1, one.severity, one.text))
    return memory.held
