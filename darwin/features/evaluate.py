"""Evaluates keys chunk by chunk; between chunks only the carries of their formulas are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darwin.core.market import FloatArray
from darwin.errors import ConfigError
from darwin.features.formula import HIGHER_SOURCES, SOURCES, Formula, formula, higher
from darwin.features.higher import OpenBucket, fold

Columns: TypeAlias = Mapping[str, NDArray[Any]]


class _Step(NamedTuple):
    key: str
    formula: Formula
    spent: tuple[str, ...]  # columns that nothing after this step needs


class Evaluator:
    """One pass over bars of one symbol, in order; a fresh one starts at their beginning."""

    def __init__(
        self, keys: Sequence[str], bar_ms: int, sources: Collection[str] = SOURCES
    ) -> None:
        """Plan the keys over bars of `bar_ms`. Raises ConfigError for a key that means nothing."""
        self._keys = tuple(dict.fromkeys(keys))
        plan = _formulas(self._keys, sources)
        self._steps = _steps(plan, self._keys)
        self._carries: dict[str, Any] = {}
        needed = {*self._keys}.union(*(found.inputs for found in plan.values()))
        over: dict[int, list[str]] = {}
        for factor, key in filter(None, map(higher, sorted(needed))):
            over.setdefault(factor, []).append(key)
        self._higher = [_Higher(names, bar_ms, factor) for factor, names in over.items()]

    def push(self, sources: Columns) -> dict[str, FloatArray]:
        """Columns of the keys for the next chunk of n ≥ 1 bars, from its source columns (n,)."""
        columns = dict(sources)
        for longer in self._higher:
            columns.update(longer.push(sources))
        carries = self._carries
        for key, step, spent in self._steps:
            arrays = [columns[name] for name in step.inputs]
            if step.remembers:
                columns[key], carries[key] = step.function(*arrays, carries.get(key))
            else:
                columns[key] = step.function(*arrays)
            for name in spent:
                del columns[name]
        return {key: columns[key] for key in self._keys}


class _Higher:
    """The keys asked of one longer timeframe, as each base bar knows them."""

    def __init__(self, keys: Sequence[str], bar_ms: int, factor: int) -> None:
        self._bar_ms = bar_ms
        self._factor = factor
        self._inner = Evaluator(keys, factor * bar_ms, HIGHER_SOURCES)
        self._open: OpenBucket | None = None
        self._latest = dict.fromkeys(keys, np.full(1, np.nan))

    def push(self, sources: Columns) -> dict[str, FloatArray]:
        """Columns `x<factor>_<key>` for a chunk of base bars: the last closed bar's values."""
        folded, closed, self._open = fold(sources, self._open, self._bar_ms, self._factor)
        fresh = self._inner.push(folded) if len(folded["close"]) else {}
        columns = {}
        for key, latest in self._latest.items():
            known = np.concatenate((latest, fresh[key])) if fresh else latest
            columns[f"x{self._factor}_{key}"] = known[closed]
            self._latest[key] = known[-1:].copy()
        return columns


def _formulas(keys: Iterable[str], sources: Collection[str]) -> dict[str, Formula]:
    """Every formula that the keys rest on, each after its inputs."""
    ordered: dict[str, Formula] = {}

    def visit(key: str) -> None:
        if key in ordered or key in sources or higher(key) is not None:
            return
        if key in SOURCES:
            raise ConfigError(
                f"bars of a longer timeframe have no '{key}'",
                mend=f"use keys that rest on {', '.join(sources)}",
            )
        found = formula(key)
        for name in found.inputs:
            visit(name)
        ordered[key] = found

    for key in keys:
        visit(key)
    return ordered


def _steps(plan: dict[str, Formula], keys: Sequence[str]) -> list[_Step]:
    """The plan with each column let go after its last use, the asked-for ones never."""
    last_use: dict[str, str] = {}
    for key, found in plan.items():
        for name in found.inputs:
            last_use[name] = key
    spent: dict[str, list[str]] = {}
    for name, key in last_use.items():
        if name in plan and name not in keys:
            spent.setdefault(key, []).append(name)
    return [_Step(key, found, tuple(spent.get(key, ()))) for key, found in plan.items()]
