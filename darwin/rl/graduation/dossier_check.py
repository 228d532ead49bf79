"""Hold a dossier against one that was made again: the first thing that differs, by its path."""

from __future__ import annotations

from typing import Any, NamedTuple

MODEL_FILES = "model_files"
VALIDATED = "model validated"


class Difference(NamedTuple):
    """What a dossier says at a place, and what the record says; None where it says nothing."""

    path: str  # as one would reach it: blocks[3].skill_r
    written: Any
    again: Any

    @property
    def said(self) -> str:
        """In words."""
        if self.written is MISSING:
            return f"{self.path} is missing from the dossier"
        if self.again is MISSING:
            return f"{self.path} is no part of this dossier"
        return f"{self.path} is {_shown(self.written)}, the record says {_shown(self.again)}"


MISSING = object()
"""Stands for what is not there."""


def first_difference(written: Any, again: Any, path: str = "") -> Difference | None:
    """Where a tree first differs from the one made again, in the order of the latter."""
    if isinstance(again, dict) and isinstance(written, dict):
        every = [*again, *(key for key in written if key not in again)]
        pairs = [(f".{key}", written.get(key, MISSING), again.get(key, MISSING)) for key in every]
    elif isinstance(again, list) and isinstance(written, list):
        longest = max(len(again), len(written))
        pairs = [(f"[{at}]", _at(written, at), _at(again, at)) for at in range(longest)]
    else:
        return None if _same(written, again) else Difference(path.lstrip("."), written, again)
    found = (first_difference(one, other, path + step) for step, one, other in pairs)
    return next((one for one in found if one is not None), None)


def count_numbers(tree: Any) -> int:
    """How many numbers a tree holds."""
    if isinstance(tree, dict):
        return sum(map(count_numbers, tree.values()))
    if isinstance(tree, list):
        return sum(map(count_numbers, tree))
    return int(isinstance(tree, (int, float)) and not isinstance(tree, bool))


def without_model(written: dict[str, Any], again: dict[str, Any]) -> dict[str, Any]:
    """The tree made again, with what follows from files of a model that are gone taken as written.

    Only where they were to be had when the dossier was written.
    """
    conditions = [
        then if one["name"] == VALIDATED and _is_named(then, VALIDATED) else one
        for one, then in zip(
            again["conditions"],
            _list(written, "conditions", len(again["conditions"])),
            strict=False,
        )
    ]
    taken = {key: written.get(key, MISSING) for key in (MODEL_FILES, "overall")}
    return again | taken | {"conditions": conditions}


def _list(tree: dict[str, Any], key: str, length: int) -> list[Any]:
    found = tree.get(key)
    some = found if isinstance(found, list) else []
    return [*some, *[None] * length][:length]


def _is_named(value: Any, name: str) -> bool:
    return isinstance(value, dict) and value.get("name") == name


def _at(values: list[Any], at: int) -> Any:
    return values[at] if at < len(values) else MISSING


def _same(written: Any, again: Any) -> bool:
    if isinstance(written, bool) or isinstance(again, bool):
        return written is again
    return bool(written == again)


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else f"{value}"
    if isinstance(value, (dict, list)):
        text = "a table" if isinstance(value, dict) else "a list"
    return text if len(text) <= 80 else f"{text[:79]}…"
