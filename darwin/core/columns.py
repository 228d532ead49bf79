"""Columnar facts: a sequence of named tuples kept as arrays until somebody reads a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

Row = TypeVar("Row", bound=tuple[Any, ...])


class Columns(Sequence[Row], Generic[Row]):
    """Behaves like a tuple of `kind`, stores one array (or sequence) per field."""

    __slots__ = ("_columns", "_kind", "_length")

    def __init__(self, kind: type[Row], *columns: NDArray[Any] | Sequence[Any]) -> None:
        """Take one column per field of `kind`, in its order and all of one length."""
        self._kind, self._columns = kind, columns
        self._length = len(columns[0])
        fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]
        if len(columns) != len(fields) or any(len(c) != self._length for c in columns):
            raise ValueError(f"{kind.__name__} wants {len(fields)} columns of one length")

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Row]:
        make = self._kind._make  # type: ignore[attr-defined]
        plain = (c.tolist() if isinstance(c, np.ndarray) else c for c in self._columns)
        return map(make, zip(*plain, strict=True))

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        """One row, or the rows of a slice."""
        if isinstance(index, slice):
            return Columns(self._kind, *(column[index] for column in self._columns))
        make = self._kind._make  # type: ignore[attr-defined]
        row: Row = make(
            c[index].item() if isinstance(c, np.ndarray) else c[index] for c in self._columns
        )
        return row

    def column(self, name: str) -> NDArray[Any]:
        """The whole column of field `name`."""
        return np.asarray(self._columns[self._kind._fields.index(name)])  # type: ignore[attr-defined]


def column(rows: Sequence[Any], name: str) -> NDArray[Any]:
    """One field of all `rows` as an array, whether they are columnar or plain tuples."""
    if isinstance(rows, Columns):
        return rows.column(name)
    return np.array([getattr(row, name) for row in rows])
