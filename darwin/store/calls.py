"""What models were asked, before it is sent, and what came of it: `llm_calls`, folded.

The log is accounts, audit and cache in one. A row `charged` stands before every request that
leaves; one row `answered` or `failed` ends the matter for its run and candidate. (One `failed` that
stopped the run ends the requests alone: the question is put again when the run goes on.) An answer
serves every run that would send the same request, the first one of it for good: it costs them
nothing, and each of them writes down that it took it. A failure belongs to its run alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from darwin.core.candidate import id_text
from darwin.core.expert import Asked, Expense
from darwin.store import logs
from darwin.store.db import Database
from darwin.store.expense import ANSWERED, CHARGED, FAILED, STOPPED, About, Accounts, Budget
from darwin.store.runs import iso_time
from darwin.store.schema import llm_calls


class Question(NamedTuple):
    """What a run puts to a model about one candidate."""

    run_id: str
    candidate_id: int
    sha256: str  # of the text
    text: str  # all that is sent, as canonical JSON
    model: str

    @property
    def about(self) -> About:
        """Run and candidate, as the log names them."""
        return self.run_id, id_text(self.candidate_id)


class End(NamedTuple):
    """How a question ended, and what its requests cost together."""

    answer: str | None  # None: it failed
    failure: str = ""  # why, on one line; what was answered instead may follow on others
    input_tokens: int | None = None
    output_tokens: int | None = None
    usd: float = 0.0
    latency_us: int | None = None


class Calls:
    """The log of one database as it grows; each row is held against its seal once."""

    def __init__(self, database: Database) -> None:
        """Read nothing yet."""
        self._database, self._tail = database, logs.Tail(llm_calls)
        self._accounts = Accounts()
        self._first: dict[str, Asked] = {}  # by request: what it was first answered
        self._ended: dict[About, Asked] = {}
        self._put_off: set[About] = set()

    def refresh(self) -> None:
        """Read what was appended since. Raises RecordError where a row was changed."""
        with self._database.read() as connection:
            self._read(connection)

    def ended(self, about: About) -> Asked | None:
        """How the question about a candidate of a run ended, as far as was read."""
        return self._ended.get(about)

    def is_put_off(self, about: About) -> bool:
        """Whether the run was stopped at the question about a candidate, as far as was read."""
        return about in self._put_off

    def answer(self, request_sha256: str) -> Asked | None:
        """What a request was answered when it was first sent, as far as was read."""
        return self._first.get(request_sha256)

    def spent(self, run_id: str) -> Expense:
        """What a run has spent, and how its questions ended, as far as was read."""
        return self._accounts.of(run_id)

    def left_open_usd(self, about: About) -> float:
        """What requests about a candidate cost at most of which nothing is known."""
        return self._accounts.left_open_usd(about) or 0.0

    def charge(self, question: Question, usd: float, budget: Budget, at: datetime) -> bool:
        """Write down that a request leaves now, which costs `usd` at most; whether it may.

        Where the budget does not allow it nothing is written. It is committed on return.
        """
        with self._database.write() as connection:
            self._read(connection)
            if not self._accounts.allow(question.run_id, iso_time(at)[:10], usd, budget):
                return False
            again = self._accounts.left_open_usd(question.about) is not None
            text = "" if again else question.text
            self._append(connection, CHARGED, question, at, text=text, usd=usd)
        return True

    def end(self, question: Question, end: End, at: datetime) -> Asked:
        """Keep how a question ended; gives it as everybody is told of it from now on.

        Where another process was answered the same request before, that answer stands.
        """
        kind, text = (FAILED, end.failure) if end.answer is None else (ANSWERED, end.answer)
        told = end._asdict()
        measured = {name: told[name] for name in ("input_tokens", "output_tokens", "latency_us")}
        with self._database.write() as connection:
            self._read(connection)
            self._append(connection, kind, question, at, text=text, usd=end.usd, **measured)
        return self._ended[question.about]

    def stop(self, question: Question, why: str, usd: float, at: datetime) -> None:
        """Keep that requests about it were refused and stop the run, and that they cost `usd`.

        The question stays open: whoever takes the run up puts it again.
        """
        with self._database.write() as connection:
            self._read(connection)
            self._append(connection, FAILED, question, at, text=f"{STOPPED}{why}", usd=usd)

    def _append(
        self, connection: Connection, kind: str, question: Question, at: datetime, **told: object
    ) -> None:
        run_id, candidate_id = question.about
        row: dict[str, object] = {
            "kind": kind,
            "run_id": run_id,
            "candidate_id": candidate_id,
            "request_sha256": question.sha256,
            "model": question.model,
            "input_tokens": None,
            "output_tokens": None,
            "latency_us": None,
            "at": iso_time(at),
        }
        logs.append(connection, llm_calls, **row | told)
        self._read(connection)

    def _read(self, connection: Connection) -> None:
        for row in logs.newer_in(connection, self._tail):
            self._fold(row)

    def _fold(self, row: Mapping[str, Any]) -> None:
        about = row["run_id"], row["candidate_id"]
        stops = row["kind"] == FAILED and row["text"].startswith(STOPPED)
        sent = self._accounts.fold(about, row["kind"], row["usd"], row["at"][:10], stops=stops)
        if stops:
            self._put_off.add(about)
        if row["kind"] == CHARGED or stops:
            return
        asked = _asked(row, sent=sent)
        if row["kind"] == ANSWERED:
            asked = self._first.setdefault(row["request_sha256"], asked)
        self._ended[about] = asked


def _asked(row: Mapping[str, Any], *, sent: bool) -> Asked:
    """Read a row that ends a question."""
    answered = row["kind"] == ANSWERED
    return Asked(
        row["request_sha256"],
        row["text"] if answered else None,
        "" if answered else row["text"].partition("\n")[0],
        sent,
        row["input_tokens"],
        row["output_tokens"],
        row["usd"],
        row["latency_us"],
    )
