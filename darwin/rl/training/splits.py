"""Training, validation and test: one after the other in time, with nothing shared between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from darwin.core.market import IntArray
from darwin.errors import ConfigError
from darwin.rl.training.rows import Rows

SHARES = (0.6, 0.2)
"""Of the decisions: for training, for validation; the rest is for the test."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where a split cuts time, ms UTC, and how long nothing is decided after a cut."""

    validation_from: int
    test_from: int
    embargo_ms: int


class Split(NamedTuple):
    """Three sets of rows; no outcome of one is open while another decides."""

    train: Rows
    validation: Rows
    test: Rows
    cuts: Cuts


def cuts_of(
    rows: Rows, embargo_ms: int, test_from: int | None = None, seen_until: int | None = None
) -> Cuts:
    """Cut by shares of decisions, or give the test all from `test_from` on, ms UTC.

    Before `test_from` a quarter goes to validation. What a model that is gone on from has
    `seen_until` is for training alone: of what came after, one half is for validation, the other
    for the test. Raises ConfigError where a part would be empty.
    """
    decided = rows.decided
    if test_from is None:
        if len(decided) < 5:
            raise _too_few(len(decided))
        first, second = np.cumsum(SHARES)
        cuts = Cuts(_at(decided, first), _at(decided, second), embargo_ms)
    else:
        before = decided[decided < test_from]
        if not 0 < len(before) < len(decided):
            raise ConfigError(
                "the test begins where no rows are before it, or none after",
                where="--test-from",
                mend="choose a day within the runs",
            )
        cuts = Cuts(_at(before, SHARES[0] / sum(SHARES)), test_from, embargo_ms)
    return cuts if seen_until is None else _beyond(seen_until, cuts, decided, test_from)


def _beyond(seen_until: int, cuts: Cuts, decided: IntArray, test_from: int | None) -> Cuts:
    """Cuts that leave to validation and test only what is new to the model."""
    if cuts.validation_from > seen_until:
        return cuts
    new = decided[decided > seen_until]
    if test_from is not None:
        new = new[new < test_from]
        if len(new) < 2 and test_from < decided[-1]:
            raise ConfigError(
                "before this day the version has seen all rows: nothing new is left to choose by",
                where="--test-from",
                mend="name a later day, or leave it out: what is new is shared by itself",
            )
    if len(new) < 2:
        raise ConfigError(
            "the version has seen all of these rows: there would be nothing new to judge it by",
            where="--from",
            mend="name runs that go on after the last row that it was trained or tested on",
        )
    begin = seen_until + 1
    return Cuts(begin, _at(new, 0.5) if test_from is None else test_from, cuts.embargo_ms)


def split(rows: Rows, cuts: Cuts) -> Split:
    """Cut rows in three. Raises ConfigError where one part is empty.

    *Purged*: a row whose bracket is still open at a cut belongs to neither side. *Embargo*: after a
    cut the next part begins that much later (López de Prado 2018, chapter 7).
    """
    decided, settled = rows.decided, rows.settled
    train = (decided < cuts.validation_from) & (settled <= cuts.validation_from)
    validation = (
        (decided >= cuts.validation_from + cuts.embargo_ms)
        & (decided < cuts.test_from)
        & (settled <= cuts.test_from)
    )
    test = decided >= cuts.test_from + cuts.embargo_ms
    for name, which in (("training", train), ("validation", validation), ("test", test)):
        if not which.any():
            raise ConfigError(
                f"no row is left for {name}",
                where=f"{len(rows)} rows",
                mend="name more or longer runs",
            )
    return Split(rows.select(train), rows.select(validation), rows.select(test), cuts)


def _at(decided: IntArray, share: float) -> int:
    return int(decided[min(int(share * len(decided)), len(decided) - 1)])


def _too_few(n: int) -> ConfigError:
    return ConfigError(
        f"{n} rows cannot be cut in three", where="--run-ids", mend="name more or longer runs"
    )
