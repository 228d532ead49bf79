"""How far the columns of an observation have moved since training: population stability index."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np

from darwin.core.market import FloatArray
from darwin.errors import DataError

MOST_EDGES = 9
"""Inner edges of a column; ten bins at most."""

FLOOR = 1e-4
"""A share below that counts as that: a bin that is empty on one side must not tell infinity."""

SHIFTED, DRIFTED = 0.10, 0.25
"""The usual bands: below the first stable, above the second drifted, between them shifted."""


class Reference(NamedTuple):
    """How each column was distributed over the rows of training; one entry per column.

    Bin i holds edges[i - 1] <= x < edges[i]; the first and the last are open to the outside.
    """

    edges: tuple[tuple[float, ...], ...]  # ascending, at most MOST_EDGES
    shares: tuple[tuple[float, ...], ...]  # of rows by bin: one more than edges, they sum to 1


class Band(StrEnum):
    """What an index says, in the usual words."""

    STABLE = "stable"
    SHIFTED = "shifted"
    DRIFTED = "drifted"


def band(index: float) -> Band:
    """The band that a population stability index falls into."""
    if index > DRIFTED:
        return Band.DRIFTED
    return Band.STABLE if index < SHIFTED else Band.SHIFTED


def reference_of(columns: FloatArray) -> Reference:
    """Edges and shares of bins of nearly equal frequency, from training rows of shape (n, k).

    No bin is empty, equal values share one, and an edge lies halfway between two values that
    occurred. A column of ten or fewer distinct values has a bin for each. Raises DataError without
    rows, and for a value that is not finite.
    """
    _refuse(columns)
    if len(columns) == 0:
        raise DataError("there are no rows to refer to", mend="hand in the rows of training")
    edges, shares = [], []
    for column in columns.T.astype(np.float64):
        found = _edges(column)
        edges.append(tuple(found.tolist()))
        shares.append(tuple((_counts(found, column) / len(column)).tolist()))
    return Reference(tuple(edges), tuple(shares))


def psi(reference: Reference, columns: FloatArray) -> FloatArray:
    """The population stability index of each column of later rows, (n, k). Returns (k,).

    Σ over bins of (a - e) · ln(a / e), e the share of a bin in training and a that in the rows,
    both at least FLOOR (Siddiqi 2006, Credit Risk Scorecards; Kullback's symmetric divergence of
    two histograms). NaN without rows. Raises DataError for another number of columns, and for a
    value that is not finite.
    """
    width = len(reference.edges)
    _refuse(columns, width)
    if len(columns) == 0:
        return np.full(width, np.nan)
    return np.array([
        _index(np.array(expected), _counts(np.array(edges), column) / len(column))
        for edges, expected, column in zip(
            *reference, columns.T.astype(np.float64), strict=True
        )
    ]).reshape(width)  # fmt: skip


def psi_by_chance(
    reference: Reference,
    rows: int,
    rng: np.random.Generator,
    *,
    level: float = 0.999,
    draws: int = 4_000,
) -> FloatArray:
    """What the index of each column stays below with probability `level` where nothing moved.

    Of `rows` independent rows with the shares of training, simulated `draws` times; returns (k,).
    The index of few rows is large by chance alone, about (bins - 1) / rows on average (Yurdakul
    and Naranjo 2020). NaN without rows.
    """
    if rows < 1:
        return np.full(len(reference.shares), np.nan)
    bounds = []
    for shares in reference.shares:
        expected = np.array(shares)
        drawn = rng.multinomial(rows, expected / expected.sum(), draws) / rows
        bounds.append(np.quantile(_index(expected, drawn), level))
    return np.array(bounds)


def _index(expected: FloatArray, actual: FloatArray) -> FloatArray:
    """Over the last axis."""
    e, a = np.maximum(expected, FLOOR), np.maximum(actual, FLOOR)
    index: FloatArray = np.sum((a - e) * np.log(a / e), axis=-1)
    return index


def _edges(column: FloatArray) -> FloatArray:
    """Where to cut: after the value that completes each tenth of the rows."""
    value, count = np.unique(column, return_counts=True)
    if len(value) <= MOST_EDGES + 1:
        last = np.arange(len(value) - 1)
    else:
        tenths = len(column) * np.arange(1, MOST_EDGES + 1) / (MOST_EDGES + 1)
        last = np.unique(np.searchsorted(np.cumsum(count), tenths))
        last = last[last < len(value) - 1]
    below, above = value[last], value[last + 1]
    halfway = below / 2 + above / 2
    return np.where(halfway > below, halfway, above)


def _counts(edges: FloatArray, column: FloatArray) -> FloatArray:
    where = np.searchsorted(edges, column, side="right")
    return np.bincount(where, minlength=len(edges) + 1).astype(np.float64)


def _refuse(columns: FloatArray, width: int | None = None) -> None:
    if columns.ndim != 2 or (width is not None and columns.shape[1] != width):
        raise DataError(
            f"rows of shape {columns.shape} where {width or 'some'} columns are wanted",
            mend="hand in observations of the model's own page, one row each",
        )
    finite = np.isfinite(columns)
    if not finite.all():
        row, column = np.argwhere(~finite)[0].tolist()
        raise DataError(
            "an observation is not finite",
            where=f"row {row}, column {column}",
            mend="leave such rows out; the door refuses them too",
        )
