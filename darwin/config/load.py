"""Load a run's config: file, environment and `--set` in one, all faults in one message."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from darwin.config.block import Block
from darwin.config.book import BookConfig, is_of_book
from darwin.config.compare import leaves
from darwin.config.document import Table, flaws, read
from darwin.config.explain import faults_of, text_paths
from darwin.config.faults import Fault, key_path, origin_of, refusal
from darwin.config.faults import Path as KeyPath
from darwin.config.model import RunConfig
from darwin.config.overrides import from_environment, from_options, lay
from darwin.errors import ConfigError

TEXTS = frozenset(text_paths(RunConfig))
BOOK_TEXTS = frozenset(text_paths(BookConfig))
Root = TypeVar("Root", bound=Block)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A config that holds, and where each of its values came from."""

    config: RunConfig
    origins: Mapping[str, str]  # dotted path -> "default", "file", "env" or "--set"
    source: str  # the file it was read from
    marks: Mapping[KeyPath, str]  # what was not set by the file: its path -> variable or "--set"

    def resolved(self) -> dict[str, Any]:
        """Every key with its value, defaults included, as plain JSON values."""
        return self.config.model_dump(mode="json")

    def refuse(self, faults: Sequence[Fault]) -> ConfigError:
        """The one error for `faults` that were found later, by those who take the options."""
        return refusal(faults, self.source, self.marks)


@dataclass(frozen=True, slots=True)
class LoadedBook:
    """The same of the config of a book."""

    config: BookConfig
    origins: Mapping[str, str]
    source: str
    marks: Mapping[KeyPath, str]

    def resolved(self) -> dict[str, Any]:
        """See `Loaded`."""
        return self.config.model_dump(mode="json")


def load_book(
    path: Path, overrides: Sequence[str] = (), environ: Mapping[str, str] = os.environ
) -> LoadedBook:
    """Read the config of a run of a book, as `load_config` reads that of any other run."""
    source = str(path)
    tree = read(path)
    marks = _lay_over(tree, overrides, environ, BOOK_TEXTS)
    if not is_of_book(tree):
        raise ConfigError(
            "the config has no block `allocation`, so it is of no book",
            where=source,
            mend="add one, or run it with `darwin run`",
        )
    config, faults = validate(tree, source, BookConfig)
    if config is None:
        raise refusal(faults, source, marks)
    return LoadedBook(config, MappingProxyType(_origins(config, tree, marks)), source, marks)


def load_either(path: Path, overrides: Sequence[str] = ()) -> Loaded | LoadedBook:
    """Read a config as that of a book where its file has a block `allocation`. Raises ConfigError.

    For those who only look at it; a run takes the one or the other.
    """
    return load_book(path, overrides) if is_of_book(read(path)) else load_config(path, overrides)


def load_resolved_book(tree: Table, source: str) -> LoadedBook:
    """The same of a config that was recorded resolved, as `load_resolved`."""
    config, faults = validate(tree, source, BookConfig)
    if config is None:
        raise refusal(faults, source, {})
    return LoadedBook(config, MappingProxyType({}), source, {})


def load_config(
    path: Path, overrides: Sequence[str] = (), environ: Mapping[str, str] = os.environ
) -> Loaded:
    """Read the config at `path`; `--set` wins over environment, over file, over default.

    Raises ConfigError, which tells every fault there is on three lines.
    """
    source = str(path)
    tree = read(path)
    marks = _lay_over(tree, overrides, environ, TEXTS)
    if is_of_book(tree):
        raise ConfigError(
            "the config has a block `allocation`: it is of a book",
            where=source,
            mend="run it with `darwin allocation run`, judge it with `darwin allocation benchmark`",
        )
    config, faults = validate(tree, source, RunConfig)
    if config is None:
        raise refusal(faults, source, marks)
    return Loaded(config, MappingProxyType(_origins(config, tree, marks)), source, marks)


def validate(tree: Table, source: str, kind: type[Root]) -> tuple[Root | None, list[Fault]]:
    """Make a config of that kind of `tree`, or tell all its faults, one per key."""
    faults = flaws(tree, source)
    root = tree.get("artifacts_dir")
    context = {"artifacts_dir": root} if isinstance(root, str) else None
    config = None
    try:
        config = kind.model_validate(tree, context=context)
    except ValidationError as error:
        faults += faults_of(error.errors(include_url=False), kind, tree)
    one_each = {fault.path: fault for fault in reversed(faults)}
    return (None if faults else config), list(reversed(one_each.values()))


def _lay_over(
    tree: Table, overrides: Sequence[str], environ: Mapping[str, str], texts: frozenset[KeyPath]
) -> dict[KeyPath, str]:
    marks: dict[KeyPath, str] = {}
    for override in (*from_environment(environ), *from_options(overrides)):
        path = lay(tree, override, texts)
        for marked in [marked for marked in marks if marked[: len(path)] == path]:
            del marks[marked]
        marks[path] = override.by
    return marks


def _origins(config: Block, tree: Table, marks: Mapping[KeyPath, str]) -> dict[str, str]:
    return {
        key_path(path): _origin(path, tree, marks)
        for path, _ in leaves(config.model_dump(mode="json"))
    }


def _origin(path: KeyPath, tree: Table, marks: Mapping[KeyPath, str]) -> str:
    node: Any = tree
    for part in path:
        if isinstance(node, dict) and part not in node:
            return "default"
        node = node[part]
    by = origin_of(path, marks)
    if by is None:
        return "file"
    return by if by == "--set" else "env"


def load_resolved(tree: Table, source: str) -> Loaded:
    """Take a config that was recorded resolved; neither environment nor options touch it.

    Raises ConfigError when this version no longer accepts it.
    """
    config, faults = validate(tree, source, RunConfig)
    if config is None:
        raise refusal(faults, source, {})
    return Loaded(config, MappingProxyType({}), source, {})
