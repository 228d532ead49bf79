"""Feature frames: over a whole history for the replay, over bars as they arrive for live.

Both run the same `Evaluator`. The replay feeds it the history in chunks that fit the processor's
cache; since every formula gives the same bits for any chunks, nobody can tell, and memory does not
grow with the number of keys.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from darwin.core.market import Bars, FloatArray, IntArray, Timeframe
from darwin.errors import ConfigError
from darwin.features.catalog import VERSION
from darwin.features.evaluate import Columns, Evaluator

CHUNK_BARS = 1 << 15
KEPT_COLUMNS = 8  # of those asked for one by one; a column of 500,000 bars takes 4 MB
_OF_THE_BAR = ("open", "high", "low", "close", "volume")


class Frame:
    """The `FeatureFrame` of a whole history."""

    def __init__(self, bars: Bars, keys: Sequence[str] = ()) -> None:
        """Frame `bars`; `keys` are columns that will be asked for and are computed together.

        Nothing is computed before it is asked for, but a wrong key raises ConfigError here.
        """
        self._bars = bars
        self._together = tuple(dict.fromkeys(keys))
        self._evaluator(self._together)
        self._kept: OrderedDict[str, FloatArray] = OrderedDict()

    @property
    def version(self) -> str:
        """The catalog version."""
        return VERSION

    def __len__(self) -> int:
        return len(self._bars)

    def __getitem__(self, key: str) -> FloatArray:
        """The whole column `key`, shape (n,), NaN while it warms up; read-only.

        The keys given to the constructor and the last few others asked for are kept.
        """
        if key in _OF_THE_BAR:
            column: FloatArray = getattr(self._bars, key)
            return column
        if key not in self._kept:
            keys = self._together if key in self._together else (key,)
            self._kept.update(self._whole(keys))
        self._kept.move_to_end(key)
        while len(self._kept) > max(KEPT_COLUMNS, len(self._together)):
            self._kept.popitem(last=False)
        return self._kept[key]

    def take(self, keys: Sequence[str], rows: IntArray) -> FloatArray:
        """Values of `keys` at `rows` (any order), shape (len(rows), len(keys)).

        All keys are computed in one pass, chunk by chunk, and not kept.
        """
        values = np.empty((len(rows), len(keys)))
        order = np.argsort(rows, kind="stable")
        sorted_rows = rows[order]
        if len(rows) and not (sorted_rows[0] >= 0 and sorted_rows[-1] < len(self)):
            raise IndexError(f"rows {sorted_rows[0]}..{sorted_rows[-1]} of {len(self)} bars")
        stop = int(sorted_rows[-1]) + 1 if len(rows) else 0
        for start, columns in self._chunks(keys, stop):
            begin, end = np.searchsorted(sorted_rows, (start, start + CHUNK_BARS))
            here = order[begin:end]
            for j, key in enumerate(keys):
                values[here, j] = columns[key][rows[here] - start]
        return values

    def _whole(self, keys: Sequence[str]) -> dict[str, FloatArray]:
        whole = {key: np.empty(len(self)) for key in keys}
        for start, columns in self._chunks(keys, len(self)):
            for key, column in whole.items():
                column[start : start + CHUNK_BARS] = columns[key]
        for column in whole.values():
            column.setflags(write=False)
        return whole

    def _chunks(self, keys: Sequence[str], stop: int) -> Iterator[tuple[int, Columns]]:
        """Evaluate `keys` from the beginning to row `stop`: (first row, columns) per chunk."""
        evaluator = self._evaluator(keys)
        for start in range(0, stop, CHUNK_BARS):
            yield start, evaluator.push(_sources(self._bars.slice(start, start + CHUNK_BARS)))

    def _evaluator(self, keys: Sequence[str]) -> Evaluator:
        return Evaluator(keys, self._bars.timeframe.ms)


class Part:
    """The `FeatureFrame` of the bars that just arrived, with the columns its stream was asked."""

    def __init__(self, columns: Mapping[str, FloatArray], bars: int) -> None:
        self._columns = columns
        self._bars = bars

    @property
    def version(self) -> str:
        """The catalog version."""
        return VERSION

    def __len__(self) -> int:
        return self._bars

    def __getitem__(self, key: str) -> FloatArray:
        """The column `key` over these bars, shape (n,)."""
        if key not in self._columns:
            raise ConfigError(
                f"this stream does not compute '{key}'", mend="name it when the stream is made"
            )
        return self._columns[key]

    def take(self, keys: Sequence[str], rows: IntArray) -> FloatArray:
        """Values of `keys` at `rows` of these bars, shape (len(rows), len(keys))."""
        values = np.empty((len(rows), len(keys)))
        for j, key in enumerate(keys):
            values[:, j] = self[key][rows]
        return values


class Stream:
    """Features of bars as they arrive; between two pushes it keeps the carries alone."""

    def __init__(self, timeframe: Timeframe, keys: Sequence[str]) -> None:
        """Start before the first bar. Raises ConfigError for a key that means nothing."""
        self._keys = tuple(keys)
        self._evaluator = Evaluator(self._keys, timeframe.ms)

    def push(self, bars: Bars) -> Part:
        """Take the next bars, one or many, each once and in order, and tell their features."""
        if len(bars) == 0:
            return Part({key: np.empty(0) for key in self._keys}, 0)
        return Part(self._evaluator.push(_sources(bars)), len(bars))


def _sources(bars: Bars) -> Columns:
    """The columns that every formula rests on."""
    return {
        "open": bars.open,
        "high": bars.high,
        "low": bars.low,
        "close": bars.close,
        "volume": bars.volume,
        "close_time": bars.time + bars.timeframe.ms,
    }
