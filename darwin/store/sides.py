"""One recorded run as a comparison reads it: each candidate with all that became of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, func, select

from darwin.core.agents import Role
from darwin.core.decision import Reason
from darwin.errors import IntegrityError, RecordError
from darwin.store import schema
from darwin.store.db import Database
from darwin.store.experts import Expert, expert_of
from darwin.store.queries import require_run
from darwin.store.runs import Begun, Standing, standing_of
from darwin.store.sound_rows import SoundRows
from darwin.store.told import Answer, Course, Key, Said, Told, Trade


class Served(NamedTuple):
    """A model that was asked in a run."""

    agent_name: str
    model_version: str
    model_sha256: str
    decisions: int
    followed: int  # how many of them entered the size of an order


@dataclass(frozen=True, slots=True)
class Side:
    """A run, as far as it is kept."""

    run: Begun
    config: Mapping[str, Any]  # resolved
    since: int | None  # the UTC day of its first bar, ms; None: no day is marked
    earned_usd: float  # by its account: the last equity that is marked, less the starting one
    expert: Expert
    expert_cost_usd: float
    models: tuple[Served, ...]  # that served, by agent and version
    candidates: Mapping[Key, Told]  # in the order of events

    @property
    def run_id(self) -> str:
        """Its name."""
        return self.run.run_id

    @property
    def finished(self) -> bool:
        """Whether all of it is kept."""
        return self.run.standing is Standing.FINISHED

    @property
    def data_digest(self) -> str | None:
        """Of its bars; a feed's is of another make than a replay's."""
        return self.run.place.data_digest or self.run.identity.data_digest

    @property
    def trades(self) -> list[Trade]:
        """Its closed positions."""
        return [told.trade for told in self.candidates.values() if told.trade is not None]


def side_of(database: Database, run_id: str) -> Side:
    """Read a run in one state of the file.

    Raises ConfigError for an unknown one; IntegrityError, naming the row where there is one, where
    facts are missing or contradict each other. Whether a value was changed is not looked into.
    """
    with database.read() as connection, _named(database, run_id):
        run = standing_of(connection, require_run(connection, database, run_id))
        return _Reading(connection, run).side()


@contextmanager
def _named(database: Database, run_id: str) -> Iterator[None]:
    """Let every error of a record say where it stands, and what helps."""
    try:
        yield
    except IntegrityError as found:
        found.where = str(database.path)
        found.mend = f"`darwin verify {run_id}` names the first bad row; put a backup in its place"
        raise


class _Reading:
    """The tables of one run, folded by candidate."""

    def __init__(self, connection: Connection, run: Begun) -> None:
        self._connection, self._run = connection, run
        self._rows = SoundRows(connection, run)
        self._known: set[str] = set()

    def side(self) -> Side:
        """Read all of it."""
        self._rows.require_all()
        config = json.loads(self._run.identity.config_json)
        since, equity = self._account()
        start = config.get("portfolio", {}).get("starting_equity_usd", 0.0)
        asked = select(func.coalesce(func.sum(schema.verdicts.c.cost_usd), 0.0))
        return Side(
            run=self._run,
            config=config,
            since=since,
            earned_usd=0.0 if equity is None else equity - start,
            expert=expert_of(self._connection, self._run, config),
            expert_cost_usd=float(
                self._connection.execute(asked.where(self._mine(schema.verdicts))).scalar_one()
            ),
            models=self._models(),
            candidates=self._candidates(),
        )

    def _mine(self, table: Table) -> ColumnElement[bool]:
        return table.c.id.between(*schema.id_range(self._run.number))

    def _account(self) -> tuple[int | None, float | None]:
        """The first day that is marked, and the last equity."""
        marks = schema.equity_marks
        query = select(marks.c.day, marks.c.equity_usd).where(self._mine(marks))
        rows = self._connection.execute(query.order_by(marks.c.id)).all()
        if not rows:
            return None, None
        try:
            since = datetime.fromisoformat(rows[0].day).replace(tzinfo=UTC)
        except ValueError as fault:
            raise RecordError("is of no day", table=marks.name, seq=1) from fault
        return int(since.timestamp() * 1000), rows[-1].equity_usd

    def _models(self) -> tuple[Served, ...]:
        told = schema.agent_decisions
        model = (told.c.agent_name, told.c.model_version, told.c.model_sha256)
        rows = self._connection.execute(
            select(*model, func.count(), func.sum(told.c.followed))
            .where(self._mine(told), told.c.role == Role.SERVING, model[1].is_not(None))
            .group_by(*model)
            .order_by(*model)
        )
        return tuple(Served(*row) for row in rows)

    def _candidates(self) -> dict[Key, Told]:
        rows = self._rows.of(schema.candidates, "candidate_id", *_OF_A_CANDIDATE)
        self._known.update(row.candidate_id for row in rows)
        answers, courses, said = self._answers(), self._courses(), self._said()
        orders, cancelled = self._orders()
        entered, trades = self._trades()
        width = 8 * len(self._run.identity.feature_names)
        found: dict[Key, Told] = {}
        for row in rows:
            number, who, key, bracket = row.id, row.candidate_id, Key(*row[2:6]), tuple(row[10:])
            ending, trade = (row.stage, row.reason), trades.get(who)
            if row.reason is None:
                if who not in orders:
                    raise self._bad(number, who, "never had its order")
                ending = (_TAKEN, _TAKEN) if who in entered else ("entry", cancelled.get(who))
            if ending[1] is None and self._run.standing is Standing.FINISHED:
                raise self._bad(number, who, "never had its ending")
            if len(row.features) != width:
                raise self._bad(number, who, "has another number of features")
            if key in found:
                raise self._bad(number, who, f"repeats {found[key].candidate_id}")
            if trade is not None and trade.side != key.side:
                raise self._bad(number, who, "was traded on its other side")
            found[key] = Told(
                who, row.close, bracket, row.features, ending[0], ending[1] or "open",
                answers.get(who), said.get(who, {}), orders.get(who), trade,
                *courses.get(who, (None, None)),
            )  # fmt: skip
        return found

    def _bad(self, number: int, candidate_id: str, what: str) -> RecordError:
        return self._rows.bad(schema.candidates, number, candidate_id, what)

    def _answers(self) -> dict[str, Answer]:
        names = ("take", "confidence", "quality", "risk_flags")
        rows = self._rows.about(self._known, schema.verdicts, *names)
        return {row[1]: Answer(bool(row[2]), *row[3:]) for row in rows}

    def _orders(self) -> tuple[dict[str, str], dict[str, str]]:
        """What clipped the orders that went out, and why some of them were cancelled."""
        rows = self._rows.about(self._known, schema.orders, "kind", "clipped_by", "reason")
        return (
            {row.candidate_id: row.clipped_by for row in rows if row.kind == "submitted"},
            {row.candidate_id: row.reason for row in rows if row.kind == "cancelled"},
        )

    def _courses(self) -> dict[str, tuple[Course, float | None]]:
        rows = self._rows.about(self._known, schema.outcomes, *Course._fields, "r")
        return {row[1]: (Course(*row[2:-1]), row[-1]) for row in rows}

    def _said(self) -> dict[str, dict[str, Said]]:
        """What the agents that served said of each candidate."""
        names = ("role", "agent_name", *Said._fields)
        found: dict[str, dict[str, Said]] = {}
        for row in self._rows.about(self._known, schema.agent_decisions, *names):
            if row[2] == Role.SERVING:
                found.setdefault(row[1], {})[row[3]] = Said(*row[4:])
        return found

    def _trades(self) -> tuple[dict[str, Any], dict[str, Trade]]:
        """The entries by candidate, and the trades of those that were left again."""
        table = schema.fills
        entries: dict[str, Any] = {}
        trades: dict[str, Trade] = {}
        for row in self._rows.about(self._known, table, *_OF_A_FILL):
            who = row.candidate_id
            entry = entries.get(who)
            if not (0.0 < row.units < math.inf and 0.0 < row.price < math.inf):
                raise self._rows.bad(table, row.id, who, "has no sound units or price")
            if row.kind == "entry":
                entries[who] = row
            elif entry is None or (entry.units, entry.side) != (row.units, row.side):
                raise self._rows.bad(table, row.id, who, "closes what was never opened")
            else:
                trades[who] = _settled(entry, row)
        return entries, trades


_OF_A_CANDIDATE = (
    *Key._fields, "close", "features", "stage", "reason", "stop_distance", "target_distance",
    "time_stop_bars", "trail_activation_r", "trail_distance", "anchor",
)  # fmt: skip
_OF_A_FILL = (
    "kind", "side", "time", "units", "price", "mid_price", "fee_usd", "funding_usd", "reason",
)  # fmt: skip


_TAKEN = Reason.TAKEN.text


def _settled(entry: Any, exit_: Any) -> Trade:
    """A closed position, settled as the ledger does it (`trading.ledger.close`)."""
    side = 1 if entry.side == "long" else -1
    moved = side * entry.units * (exit_.price - entry.price)
    fees = entry.fee_usd + exit_.fee_usd
    return Trade(
        entry.side, entry.units, entry.time, entry.mid_price, entry.price, exit_.time,
        exit_.mid_price, exit_.price, exit_.reason, fees, exit_.funding_usd,
        moved - fees - exit_.funding_usd,
    )  # fmt: skip
