"""What a step looks at of a run's clock: a whole column in a replay, the last part of one live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from darwin.core.market import BoolArray, FloatArray, IntArray


class Series(Protocol):
    """Numbers by instant of the run's clock; a whole array, or the last part of one."""

    def item(self, instant: int, /) -> float:
        """The number at `instant`."""
        ...

    def __getitem__(self, instants: slice, /) -> FloatArray:
        """The numbers at `instants`."""
        ...


class Times(Protocol):
    """Open times by instant."""

    def __getitem__(self, instants: slice, /) -> IntArray:
        """The times of `instants`."""
        ...


class Flags(Protocol):
    """Yes or no by instant."""

    def item(self, instant: int, /) -> Any:
        """Whether it is so at `instant`."""
        ...

    def __getitem__(self, instants: slice, /) -> BoolArray:
        """Whether it is so at `instants`."""
        ...


class Instants(Protocol):
    """As much of a run's clock as a step looks at."""

    @property
    def time(self) -> Times:
        """Open times."""
        ...

    @property
    def close(self) -> Sequence[Series]:
        """Per symbol: the last known close."""
        ...

    @property
    def stale(self) -> Flags | None:
        """Whether the bars came too late to act on; None: they never did."""
        ...
