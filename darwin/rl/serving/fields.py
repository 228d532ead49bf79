"""Reads the fields of an object of spec.json, each as the kind it must be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from darwin.errors import ModelError
from darwin.rl.serving.strict_json import quoted, refusal

_DIGEST = re.compile(r"[0-9a-f]{64}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_METRIC = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,63}")
_Value = TypeVar("_Value")


def instant(text: str) -> datetime:
    """Read 2024-05-01T00:00:00Z. Raises ValueError for anything else."""
    if not _INSTANT.fullmatch(text):
        raise ValueError("no instant")
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


class Fields:
    """An object that has exactly the keys it should. Every reader raises ModelError."""

    def __init__(
        self,
        tree: object,
        keys: Sequence[str],
        file: str,
        path: str = "",
        may_lack: Sequence[str] = (),
    ) -> None:
        """Take `tree`, found at `path` (empty, or ending in a dot) of `file`.

        Those of `keys` that it `may_lack` read as null where they are missing.
        """
        self._file, self._path = file, path
        if not isinstance(tree, dict):
            raise self.fault("", "is not an object", f"write one with {', '.join(keys)}")
        for key in sorted(tree.keys() - set(keys)):
            raise self.fault(quoted(key), "is unknown", f"known: {', '.join(keys)}")
        for key in keys:
            if key not in tree and key not in may_lack:
                raise self.fault(key, "is missing", f"needed: {', '.join(keys)}")
        self._tree: dict[str, Any] = dict.fromkeys(may_lack) | tree

    def fault(self, key: str, what: str, mend: str) -> ModelError:
        """Say what is wrong with the value of `key`."""
        path = f"{self._path}{key}".removesuffix(".")
        return refusal(f"{self._file}: {path}", what, mend)

    def optional(self, key: str, read: Callable[[str], _Value]) -> _Value | None:
        """What `read` makes of the value, None for null."""
        return None if self._tree[key] is None else read(key)

    def one_of(self, key: str, words: Sequence[str]) -> str:
        """One of `words`."""
        value = self._tree[key]
        if not (isinstance(value, str) and value in words):
            raise self.fault(key, f"is {quoted(value)}", f"write one of {', '.join(words)}")
        return value

    def whole(self, key: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self._tree[key]
        if type(value) is not int or not (low <= value <= high):
            raise self.fault(
                key, f"is {quoted(value)}", f"write a whole number from {low} to {high}"
            )
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        return self._number(self._tree[key], key)

    def numbers(self, key: str, low: float, high: float, most: int) -> tuple[float, ...]:
        """A list of 1 to `most` numbers from `low` to `high`."""
        return self._numbers(self._list(self._tree[key], key, 1, most), key, low, high)

    def lists_of_numbers(
        self, key: str, low: float, high: float, lengths: tuple[int, int], most: int
    ) -> tuple[tuple[float, ...], ...]:
        """A list of 1 to `most` lists, each of numbers from `low` to `high`.

        `lengths` are the fewest and the most numbers of each.
        """
        found = []
        for i, values in enumerate(self._list(self._tree[key], key, 1, most)):
            inner = f"{key}[{i}]"
            found.append(self._numbers(self._list(values, inner, *lengths), inner, low, high))
        return tuple(found)

    def one_text(self, key: str, pattern: re.Pattern[str]) -> str:
        """A text that `pattern` matches as a whole."""
        return self._text(self._tree[key], key, pattern)

    def texts(self, key: str, pattern: re.Pattern[str], most: int) -> tuple[str, ...]:
        """A list of 1 to `most` such texts."""
        values = self._list(self._tree[key], key, 1, most)
        return tuple(self._text(value, f"{key}[{i}]", pattern) for i, value in enumerate(values))

    def digest(self, key: str) -> str:
        """A SHA-256 as 64 lower-case hex digits."""
        value = self._tree[key]
        if not (isinstance(value, str) and _DIGEST.fullmatch(value)):
            raise self.fault(key, f"is {quoted(value)}", "write a SHA-256 as 64 hex digits")
        return value

    def instant(self, key: str) -> str:
        """An instant, as text."""
        value = self._tree[key]
        try:
            instant(value if isinstance(value, str) else "")
        except ValueError as error:
            raise self.fault(
                key, f"is {quoted(value)}", "write it in UTC, as in 2024-05-01T00:00:00Z"
            ) from error
        return str(value)

    def metrics(self, key: str, most: int) -> dict[str, float | None]:
        """An object of at most `most` names with a finite number or null each."""
        value = self._tree[key]
        if not isinstance(value, dict) or len(value) > most:
            raise self.fault(key, "is no object of numbers", f"write one of at most {most} names")
        for name in value:
            if not _METRIC.fullmatch(name):
                mend = "write up to 64 letters, digits and _./-"
                raise self.fault(f"{key}.{quoted(name)}", "is no name", mend)
        return {
            name: None if number is None else self._number(number, f"{key}.{name}")
            for name, number in value.items()
        }

    def table(self, key: str, keys: Sequence[str]) -> Fields:
        """An object with `keys`."""
        return Fields(self._tree[key], keys, self._file, f"{self._path}{key}.")

    def tables(self, key: str, keys: Sequence[str], most: int) -> Iterator[Fields]:
        """The objects of a list of 1 to `most`, each with `keys`."""
        for i, value in enumerate(self._list(self._tree[key], key, 1, most)):
            yield Fields(value, keys, self._file, f"{self._path}{key}[{i}].")

    def _list(self, value: object, key: str, least: int, most: int) -> list[Any]:
        if not (isinstance(value, list) and least <= len(value) <= most):
            raise self.fault(key, "is no list of fitting length", f"write one of {least} to {most}")
        return value

    def _text(self, value: object, key: str, pattern: re.Pattern[str]) -> str:
        if not (isinstance(value, str) and pattern.fullmatch(value)):
            raise self.fault(key, f"is {quoted(value)}", f"write it as {pattern.pattern}")
        return value

    def _numbers(
        self, values: Sequence[object], key: str, low: float, high: float
    ) -> tuple[float, ...]:
        read = tuple(self._number(value, f"{key}[{i}]") for i, value in enumerate(values))
        for i, value in enumerate(read):
            if not (low <= value <= high):
                raise self.fault(
                    f"{key}[{i}]", f"is {value!r}", f"write a number from {low:g} to {high:g}"
                )
        return read

    def _number(self, value: object, key: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fault(key, f"is {quoted(value)}", "write a number")
        return float(value)
