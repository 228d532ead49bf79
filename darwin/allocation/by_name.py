"""Answers that can be read both ways: `decision.leverage` and `decision["leverage"]`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class ByName(Mapping[str, Any]):
    """A frozen dataclass whose fields are also the keys of a mapping, in their order."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        if name not in self._names():
            raise KeyError(f"no {name!r} here; there are {', '.join(self._names())}")
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def _names(self) -> tuple[str, ...]:
        return tuple(getattr(self, "__dataclass_fields__", ()))
