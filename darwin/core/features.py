"""A feature frame: named float64 columns over bars, computed only when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from darwin.core.market import Bars, FloatArray, IntArray


class FeatureFrame(Protocol):
    """Named columns over the bars of one symbol, aligned with them row by row.

    A key is a name with its parameters joined by underscores: `close`, `atr_14`,
    `donchian_high_20`. The value at row t depends on bars 0..t alone; rows that are still warming
    up are NaN. `version` fixes names, order and arithmetic of the catalog.
    """

    @property
    def version(self) -> str:
        """The catalog version, for example `1-9f2c…`."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, key: str) -> FloatArray:
        """The whole column `key`, shape (n,). An unknown key raises ConfigError."""
        ...

    def take(self, keys: Sequence[str], rows: IntArray) -> FloatArray:
        """Values of `keys` at `rows`, shape (len(rows), len(keys)).

        Columns are computed one at a time and not kept, so that memory does not grow with keys.
        """
        ...


class FeatureStream(Protocol):
    """Features of one symbol's bars as they arrive, bit for bit those of a whole frame."""

    def push(self, bars: Bars) -> FeatureFrame:
        """Take the next bars, one or many, each once and in order: the frame of just these."""
        ...
