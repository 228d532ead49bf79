"""No key of the config is there for show: each is read by the code that it claims to steer."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import darwin
from darwin.config.explain import known_paths
from darwin.config.faults import key_path
from darwin.config.load import load_config
from darwin.config.model import RunConfig
from tests.config.config_samples import FULL, keys

PACKAGE = Path(darwin.__file__).parent


def trees(inside: bool) -> Iterator[ast.Module]:
    """The sources of the config room, or those of all others."""
    for file in PACKAGE.rglob("*.py"):
        is_config = file.is_relative_to(PACKAGE / "config") or file.name == "config.py"
        if is_config == inside:
            yield ast.parse(file.read_text(encoding="utf-8"))


def attributes_read(node: ast.AST) -> set[str]:
    return {
        part.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Load)
    }


def keys_read() -> set[str]:
    """Names read outside the config, directly or by a function of the config that is used there."""
    used: set[str] = set()
    for tree in trees(inside=False):
        used |= attributes_read(tree)
        used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    answers = [
        attributes_read(node)
        for tree in trees(inside=True)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name in used
    ]
    return used.union(*answers)


def test_every_config_key_is_read_somewhere() -> None:
    read = keys_read()
    steering = list(known_paths(RunConfig))
    assert len(steering) > 80
    assert " ".join(key_path(path) for path in steering if path[-1] not in read) == ""


def test_the_full_config_of_these_tests_is_full() -> None:
    free = {"BTC/USDT", "lookback", "buffer_atr", "min_adx", "sides", "volume"}
    known = {tuple(0 if isinstance(part, int) else part for part in path) for path in keys(FULL)}
    assert {path for path in known if path[-1] not in free} == set(known_paths(RunConfig))


@pytest.mark.parametrize("file", sorted((PACKAGE.parent / "configs").glob("*.json")))
def test_every_shipped_config_holds(file: Path) -> None:
    assert load_config(file, (), {}).config.rl.enabled
