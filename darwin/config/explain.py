"""What pydantic found, in the words of the config: the key, what is wrong, how to mend it."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from darwin.config.faults import NOT_FINITE, Fault, Path, key_path
from darwin.config.values import NUMBER_TAG, TABLE_TAG

_KINDS = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "an object",
    "none_required": "null",
    "string_type": "text in quotes",
    "tuple_type": "a list",
    "frozen_set_type": "a list",
    "set_type": "a list",
    "dataclass_type": "an object",
}
_SIMPLE = {
    "finite_number": NOT_FINITE,
    "string_too_short": ("must not be empty", "write a name"),
    "too_short": ("must not be empty", "write at least one item"),
}
_BOUNDS = {
    "greater_than": ("gt", "must be greater than", "write a number above"),
    "greater_than_equal": ("ge", "must be at least", "write a number of at least"),
    "less_than": ("lt", "must be less than", "write a number below"),
    "less_than_equal": ("le", "must be at most", "write a number of at most"),
}


def faults_of(
    errors: Iterable[ErrorDetails], root: type[BaseModel], tree: Mapping[str, Any]
) -> list[Fault]:
    """Translate pydantic's `errors` about `tree`, which was meant to be a `root`."""
    errors = list(errors)
    deeper = [error["loc"] for error in errors]
    found = [
        _fault(error, root, tree)
        for error in errors
        if error["type"] != "too_short"  # a list is not short of the items that were refused
        or not any(_lies_within(loc, error["loc"]) for loc in deeper)
    ]
    misspelt = {(*fault.path[:-1], fault.mend) for fault in found if fault.what == _UNKNOWN}
    return [
        fault
        for fault in found
        if fault.what != _MISSING or (*fault.path[:-1], _meant(fault.path[-1])) not in misspelt
    ]


def _lies_within(loc: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(loc) > len(outer) and loc[: len(outer)] == outer


_UNKNOWN = "is no key of the config"
_MISSING = "is required"


def _fault(error: ErrorDetails, root: type[BaseModel], tree: Mapping[str, Any]) -> Fault:
    path = tuple(part for part in error["loc"] if part not in (NUMBER_TAG, TABLE_TAG))
    if error["type"] == "extra_forbidden":
        return Fault(path, _UNKNOWN, _suggestion(path, root))
    if error["type"] == "missing":
        return Fault(path, _MISSING, _how_to_add(path, root, tree))
    return Fault(path + error.get("ctx", {}).get("at", ()), *sentence(error))


def sentence(error: ErrorDetails) -> tuple[str, str]:
    """Say what is wrong with a value, and the mend; only numbers and words of ours are echoed."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "fault":
        return context["what"], context["mend"]
    if kind in _KINDS:
        return _joined([error])
    if kind in _BOUNDS:
        bound, words, mend = _BOUNDS[kind]
        return f"{words} {context[bound]:g}, not {error['input']}", f"{mend} {context[bound]:g}"
    if kind == "literal_error":
        choices = context["expected"]
        close = _close(error["input"], re.findall("'([^']*)'", choices))
        return f"must be {choices}", _meant(close) if close else f"write {choices}"
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    message = error["msg"][:1].lower() + error["msg"][1:]
    return f"is refused: {message}", "write what it asks for"


def faults_within(errors: Iterable[ErrorDetails], value: object, path: Path) -> list[Fault]:
    """Translate pydantic's `errors` about the option `value` at `path`, one fault per place.

    Where each member of a union says what it would take, all of it is said.
    """
    places: dict[Path, list[ErrorDetails]] = {}
    for error in errors:
        places.setdefault(_place(error["loc"], value), []).append(error)
    return [Fault(path + place, *_joined(found)) for place, found in places.items()]


def _place(location: Path, value: object) -> Path:
    """Keep of pydantic's `location` what leads through `value`; the rest names union members."""
    place: Path = ()
    for part in location:
        inside_table = isinstance(value, Mapping) and part in value
        inside_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if inside_table or inside_list:
            place, value = (*place, part), value[part]  # type: ignore[index]
    return place


def _joined(errors: list[ErrorDetails]) -> tuple[str, str]:
    refused = [error for error in errors if error["type"] not in _KINDS]
    if refused:
        return sentence(refused[0])
    kinds = " or ".join(dict.fromkeys(_KINDS[error["type"]] for error in errors))
    return f"must be {kinds}, not {shape(errors[0]['input'])}", f"write {kinds}"


def shape(value: object) -> str:
    """Name the JSON kind of a value without showing it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"{value:g}"
    if isinstance(value, str):
        return "text"
    return "an object" if isinstance(value, Mapping) else "a list"


def unknown_option(path: Path, known: Iterable[str]) -> Fault:
    """Say that nothing takes the option at `path`, and which of the `known` ones was meant."""
    names = sorted(known)
    close = _close(path[-1], names)
    return Fault(path, "is no option here", _meant(close) if close else _known(names))


def _suggestion(path: Path, root: type[BaseModel]) -> str:
    places = list(known_paths(root))
    siblings = [str(place[-1]) for place in places if place[:-1] == _shape_of(path[:-1])]
    close = _close(path[-1], siblings)
    if close:
        return _meant(close)
    elsewhere = [place for place in places if place[-1] == path[-1]]
    if elsewhere:
        return _meant(key_path(elsewhere[0]).replace("[0]", "[…]"))
    return _known(siblings)


def _meant(name: str | int) -> str:
    return f"did you mean '{name}'?"


def _known(names: list[str]) -> str:
    return textwrap.shorten(f"known here: {', '.join(names) or 'none'}", 140, placeholder=" …")


def _how_to_add(path: Path, root: type[BaseModel], tree: Mapping[str, Any]) -> str:
    node: Any = tree
    for part in path[:-1]:
        node = node[part]
    siblings = {place[-1] for place in known_paths(root)}
    close = _close(path[-1], [key for key in node if key not in siblings])
    return f"rename {key_path((close,))}" if close else f'add "{path[-1]}"'


def _close(word: object, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(str(word)[:64], list(known), n=1)
    return close[0] if close else None


def known_paths(root: type[BaseModel], path: Path = ()) -> Iterator[Path]:
    """Yield the path of every key that `root` knows; 0 stands for any place in a list."""
    for name, field in root.model_fields.items():
        here = (*path, name)
        yield here
        for block, is_item in _blocks(field.annotation, False):
            yield from known_paths(block, (*here, 0) if is_item else here)


def _blocks(annotation: Any, is_item: bool) -> Iterator[tuple[type[BaseModel], bool]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, is_item
    for argument in get_args(annotation):
        yield from _blocks(argument, is_item or get_origin(annotation) is tuple)


def _shape_of(path: Path) -> Path:
    return tuple(0 if isinstance(part, int) else part for part in path)


def text_paths(root: type[BaseModel], path: Path = ()) -> Iterator[Path]:
    """Yield the paths of the keys of `root` that hold text and nothing else, lists left out."""
    for name, field in root.model_fields.items():
        if set(_types(field.annotation)) - {type(None)} == {str}:
            yield (*path, name)
        for block, is_item in _blocks(field.annotation, False):
            if not is_item:
                yield from text_paths(block, (*path, name))


def _types(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from _types(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for argument in get_args(annotation):
            yield from _types(argument)
    else:
        yield annotation
