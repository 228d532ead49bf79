"""What a network looks at: how far its learned gain falls where one column tells nothing.

A column is shuffled among the rows of the test, so that it keeps its values and loses what they are
about (Breiman 2001). Columns that only together mean something are shuffled together. Those that
say the same cover for each other: what is given here is what the network would miss, not what the
market holds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darwin.core.market import FloatArray, IntArray
from darwin.rl.serving.spec_file import TANH
from darwin.rl.training.gains import learned_gain
from darwin.rl.training.network import Network, decided
from darwin.rl.training.rows import Rows
from darwin.stats.intervals import student_quantile

PERMUTATIONS = 10
MOST_ROWS = 6000
"""Of more, every so many-th is looked at: an hour would be spent on the third decimal."""
_SEED = 20_260_101
_TOGETHER = ("playbook_", "symbol_")  # how columns begin that are one choice of several
_CYCLE = ("_sin", "_cos")  # how columns end that are one place on a circle
_SPAN = re.compile(r"^(with_side_)?(x\d+_)?|(_\d+)+$")  # side, timeframe and lengths in a name


class Importance(NamedTuple):
    """Of one column, or of several that are shuffled together."""

    name: str
    columns: tuple[str, ...]
    fall: float  # of the learned gain, R per decision, mean over permutations
    spread: float  # standard deviation of that over permutations
    beyond_spread: bool


def sample(n: int) -> IntArray:
    """Places of at most `MOST_ROWS` of n rows, evenly over them."""
    return np.arange(n)[:: -(-n // MOST_ROWS)] if n else np.arange(0)


def importance(
    rows: Rows,
    seen: NDArray[np.float32],
    network: Network,
    threshold: float | None,
    groups: Mapping[str, Sequence[int]],
    permutations: int = PERMUTATIONS,
) -> list[Importance]:
    """Shuffle `groups` of columns of `seen`, the standardised rows, shape (n, k), one by one.

    Greatest fall first. The same orders serve for all groups. If a column tells nothing, the order
    it had is one more order by chance: `beyond_spread` says that the fall is more than 39 of 40
    such would be, by Student's t (a single column; of many some are, by chance). At least ten
    permutations.
    """
    page, n = rows.page, len(rows)
    rng = np.random.default_rng(_SEED)
    orders = [rng.permutation(n) for _ in range(permutations)]
    x = seen.astype(np.float64)
    matrix, bias = (one.astype(np.float64) for one in network.layers[0])
    first = x @ matrix.T + bias  # of which a shuffled column changes only its own part
    before = learned_gain(rows, decided(page, network.head, _rest(network, first), threshold))
    most = student_quantile(0.975, permutations - 1) * math.sqrt(1.0 + 1.0 / permutations)
    found = []
    for name, places in groups.items():
        mine, falls = list(places), np.empty(permutations)
        for at, order in enumerate(orders):
            changed = x[order][:, mine] - x[:, mine]
            given = _rest(network, first + changed @ matrix[:, mine].T)
            actions = decided(page, network.head, given, threshold)
            falls[at] = before - learned_gain(rows, actions)
        fall, spread = float(falls.mean()), float(falls.std(ddof=1))
        columns = tuple(page.names[place] for place in places)
        found.append(Importance(name, columns, fall, spread, fall > most * spread))
    return sorted(found, key=_greatest_first)


def by_kind(
    rows: Rows,
    seen: NDArray[np.float32],
    network: Network,
    threshold: float | None,
    columns: Sequence[Importance],
) -> list[Importance]:
    """The same for all columns of one kind at once; what `columns` tells already is taken over."""
    names = rows.page.names
    known = {one.columns: one for one in columns}
    groups = kinds(names)
    told = {kind: tuple(names[at] for at in places) for kind, places in groups.items()}
    new = {kind: places for kind, places in groups.items() if told[kind] not in known}
    old = [known[told[kind]]._replace(name=kind) for kind in groups if kind not in new]
    found = importance(rows, seen, network, threshold, new) if new else []
    return sorted([*old, *found], key=_greatest_first)


def kinds(names: Sequence[str]) -> dict[str, list[int]]:
    """Where the columns stand that measure one thing, over whatever bars, by what they measure."""
    groups: dict[str, list[int]] = {}
    for called, places in together(names).items():
        groups.setdefault(_SPAN.sub("", called), []).extend(places)
    return groups


def together(names: Sequence[str]) -> dict[str, list[int]]:
    """Where the columns stand that are shuffled together, by what they are called then."""
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        whole = next((start for start in _TOGETHER if name.startswith(start)), None)
        turns = next((end for end in _CYCLE if name.endswith(end)), None)
        called = whole.rstrip("_") if whole else name.removesuffix(turns) if turns else name
        groups.setdefault(called, []).append(place)
    return groups


def _greatest_first(one: Importance) -> tuple[float, str]:
    return -one.fall, one.name


def _rest(network: Network, first: FloatArray) -> FloatArray:
    """What the last layer gives, (n, outputs), where the first one holds `first`, (n, width)."""
    x = first
    for matrix, bias in network.layers[1:]:
        x = np.tanh(x) if network.activation == TANH else np.maximum(x, 0.0)
        x = x @ matrix.T.astype(np.float64) + bias
    return x
