"""What became of bars that a run on paper was not fed: alerts beside its chain, each told once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from darwin.core.account import BARS_LEFT_OUT, FEED_ALERTS, Alert
from darwin.core.market import IntArray
from darwin.store import schema
from darwin.store.columns import alert_columns
from darwin.store.db import Database
from darwin.store.rows import add_beside

if TYPE_CHECKING:  # it looks into the record too, which looks here
    from darwin.store.runs import Begun

_LEFT_OUT = re.compile(r"(?P<symbol>\S+): (?P<count>[0-9,]+) bars? ")


def left_out(symbol: str, opens: IntArray) -> Alert:
    """Say that the bars of a symbol that open then, at least one, came after their instants."""
    bars = "bar" if len(opens) == 1 else "bars"
    detail = f"{symbol}: {len(opens):,} {bars} up to this one came after the run had gone on"
    return Alert(int(opens[-1]), BARS_LEFT_OUT, "", detail)


def keep_alert(database: Database, run: Begun, alert: Alert) -> bool:
    """Keep it, unless it is on record; whether it is new. Raises StorageError."""
    with database.write() as connection:
        if alert in feed_alerts(connection, run.number):
            return False
        columns = alert_columns([alert])
        add_beside(connection, schema.alerts, run.run_id, run.number, columns)
    return True


def feed_alerts(connection: Connection, number: int) -> list[Alert]:
    """All that run `number` has on record, in the order in which they came up."""
    a = schema.alerts.c
    rows = connection.execute(
        select(a.time, a.kind, a.detail)
        .where(a.id.between(*schema.id_range(number)), a.kind.in_(FEED_ALERTS))
        .order_by(a.id)
    )
    return [Alert(row.time, row.kind, "", row.detail) for row in rows]


class LeftOut:
    """The bars that a run was given too late, as they stand on record."""

    def __init__(self, database: Database, run: Begun) -> None:
        """Read what earlier attempts have told."""
        self.bars = 0  # of all symbols
        self._last: dict[str, int] = {}
        with database.read() as connection:
            for alert in feed_alerts(connection, run.number):
                if found := _LEFT_OUT.match(alert.detail):
                    self.bars += int(found["count"].replace(",", ""))
                    self._last[found["symbol"]] = max(self.last(found["symbol"]), alert.time)

    def last(self, symbol: str) -> int:
        """Open time of the last such bar of a symbol; -1 without any."""
        return self._last.get(symbol, -1)

    def seen(self, symbol: str, opens: Sequence[int] | IntArray) -> int | None:
        """The last bar of a symbol that was fed, of those that open then, or left out."""
        last = max(self.last(symbol), int(opens[-1]) if len(opens) else -1)
        return None if last < 0 else last
