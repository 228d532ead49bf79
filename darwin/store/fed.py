"""The bars that a run on paper was fed: kept before it sees them, read when it is made again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np
from sqlalchemy import delete, func, select

from darwin.core.market import Bars, FloatArray, Timeframe
from darwin.errors import IntegrityError
from darwin.store import schema
from darwin.store.db import Database
from darwin.store.rows import add_beside
from darwin.store.runs import Begun, iso_time
from darwin.store.scan import raw_of
from darwin.store.sealed import Sealed, Source

_PRICES = ("open", "high", "low", "close")


def keep_bars(
    database: Database, run: Begun, chunks: Sequence[Sequence[Bars]], at: datetime
) -> None:
    """Keep the bars of some instants, a chunk each, that came at `at`. Raises StorageError."""
    every = [bars for chunk in chunks for bars in chunk if len(bars)]
    each = [(bars, i) for bars in every for i in range(len(bars))]
    columns: dict[str, list[object]] = {
        "symbol": [bars.symbol for bars, _ in each],
        "time": [int(bars.time[i]) for bars, i in each],
        **{name: [float(getattr(bars, name)[i]) for bars, i in each] for name in _PRICES},
        "volume": [_known(float(bars.volume[i])) for bars, i in each],
        "stale": [int(bars.stale is not None and bars.stale[i]) for bars, i in each],
        "at": [iso_time(at)] * len(each),
    }
    with database.write() as connection:
        add_beside(connection, schema.bars, run.run_id, run.number, columns)


def forget_undecided(database: Database, run: Begun) -> int | None:
    """Drop the bars of the newest instant if no fact of it is kept: they are asked for again.

    They were kept when they were fresh, and may be too old to act on by now; every earlier fresh
    one was fed to the end before a later one was kept. Gives the newest instant that stays. Raises
    RecordError where a bar on record was changed.
    """
    table, reached = schema.bars, run.place.reached
    with database.write() as connection:
        with raw_of(connection) as raw:
            for _ in Sealed(Source(raw, database.path), table, run.run_id, run.number).rows():
                pass
        mine = table.c.id.between(*schema.id_range(run.number))
        newest = connection.execute(select(func.max(table.c.time)).where(mine)).scalar()
        if newest is None or (reached is not None and newest <= reached):
            return newest
        connection.execute(delete(table).where(mine, table.c.time == newest, table.c.stale == 0))
        kept: int | None = connection.execute(select(func.max(table.c.time)).where(mine)).scalar()
        return kept


class FedBars:
    """The bars on record of one run. Implements `core.ports.Provider`."""

    def __init__(
        self, database: Database, run_id: str, timeframe: Timeframe, name_of: Callable[[str], str]
    ) -> None:
        """Read nothing yet; a run that is not on record was fed nothing.

        `name_of` says how the bars of a symbol of the config are called.
        """
        self._database, self._run_id, self._timeframe = database, run_id, timeframe
        self._name_of = name_of

    def bars(self, symbol: str) -> Bars:
        """All bars of `symbol`, none if there are none. Raises IntegrityError out of order."""
        symbol = self._name_of(symbol)
        table = schema.bars
        names = ("time", *_PRICES, "volume", "stale")
        query = (
            select(*(table.c[name] for name in names))
            .where(table.c.run_id == self._run_id, table.c.symbol == symbol)
            .order_by(table.c.id)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        time, *prices, volume, came_late = zip(*rows, strict=True) if rows else [()] * len(names)
        opens = np.array(time, dtype=np.int64)
        if (np.diff(opens) <= 0).any():
            raise IntegrityError(
                f"the bars of {symbol} that run '{self._run_id}' was fed are out of order",
                where="table bars",
                mend="put a backup of the database in its place",
            )
        stale = np.array(came_late, dtype=np.bool_)
        o, h, low, c, v = (_floats(column) for column in (*prices, volume))
        return Bars(
            symbol, self._timeframe, opens, o, h, low, c, v, stale=stale if stale.any() else None
        )

    def digest(self, symbol: str) -> str:
        """SHA-256 over all that `bars` returns."""
        bars = self.bars(symbol)
        told = hashlib.sha256(f"{symbol} {self._timeframe.name}".encode())
        late = np.zeros(len(bars), np.bool_) if bars.stale is None else bars.stale
        for column in (bars.time, *(getattr(bars, name) for name in (*_PRICES, "volume")), late):
            told.update(np.ascontiguousarray(column).tobytes())
        return told.hexdigest()

    def source(self, symbol: str) -> str:
        """Where they come from, in words."""
        return "bars that the run was fed, as they are on record"


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _floats(column: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if one is None else one for one in column], dtype=np.float64)
