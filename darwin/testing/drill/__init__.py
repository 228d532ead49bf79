"""A drill: every way in which agents, models, storage and people can fail, on a real run."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from darwin.config.load import Loaded
from darwin.errors import DarwinError
from darwin.testing.drill.children import Children
from darwin.testing.drill.extremes import extremes
from darwin.testing.drill.held import Held
from darwin.testing.drill.killing import killing
from darwin.testing.drill.misbehaving import misbehaving
from darwin.testing.drill.models import models
from darwin.testing.drill.piece import cut
from darwin.testing.drill.rehearsal import Family, Rehearsal, set_up
from darwin.testing.drill.slow import slow
from darwin.testing.drill.storage import storage
from darwin.testing.drill.storm import storm
from darwin.testing.drill.unpromoted import unpromoted

FAMILIES: Mapping[str, Family] = {
    "unpromoted": unpromoted,
    "misbehaving": misbehaving,
    "slow": slow,
    "models": models,
    "storm": storm,
    "extremes": extremes,
    "storage": storage,
    "kill": killing,
}
"""By name, in the order in which they are told."""

_LONGEST_FIRST = ("misbehaving", "kill", "storage")
_AT_ONCE = 4  # at most: children that wait leave the processor to others


def rehearse(
    loaded: Loaded,
    folder: Path,
    tell: Callable[[str, list[Held]], None],
    families: Collection[str] = FAMILIES,
) -> dict[str, list[Held]]:
    """Rehearse `families` on a piece of the run, below the empty `folder`.

    `tell` hears of each as it is done. Raises ConfigError and DataError as a run does, StorageError
    where the piece does not even run without agents. No child outlives the call.
    """
    children = Children()
    pool = ThreadPoolExecutor(min(_AT_ONCE, (os.cpu_count() or 1) + 1))
    try:
        scene = set_up(folder, cut(loaded, folder / "market"), children)
        order = sorted(families, key=lambda name: name not in _LONGEST_FIRST)
        begun = {pool.submit(_held, FAMILIES[name], scene): name for name in order}
        found = {}
        for done in as_completed(begun):
            found[begun[done]] = done.result()
            tell(begun[done], done.result())
        return {name: found[name] for name in FAMILIES if name in found}
    finally:
        children.end()
        pool.shutdown(cancel_futures=True)


def _held(family: Family, scene: Rehearsal) -> list[Held]:
    """What a family finds; a refusal that it did not ask for is a finding too."""
    held: list[Held] = []
    try:
        held.extend(family(scene))
    except DarwinError as fault:
        held.append(Held("a rehearsal goes through", family.__doc__ or "", str(fault), False))
    return held
