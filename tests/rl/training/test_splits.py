"""Parts of time share nothing: no outcome of one is open while another decides."""

from __future__ import annotations

import numpy as np
import pytest

from darwin.core.agents import GATE
from darwin.errors import ConfigError
from darwin.rl.training.splits import cuts_of, split
from tests.rl.training.test_worlds import HOUR_MS, made_rows


@pytest.mark.parametrize("embargo_hours", [0, 24])
@pytest.mark.parametrize("test_from", [None, 900 * HOUR_MS])
def test_no_part_reaches_into_the_next(embargo_hours: int, test_from: int | None) -> None:
    rows = made_rows(GATE, n=1500)
    cuts = cuts_of(rows, embargo_hours * HOUR_MS, test_from)
    parts = split(rows, cuts)
    for before, after in ((parts.train, parts.validation), (parts.validation, parts.test)):
        assert before.settled.max() <= after.decided.min() - cuts.embargo_ms
    if test_from is not None:
        assert parts.test.decided.min() == test_from + cuts.embargo_ms
    used = np.concatenate([part.ids for part in parts[:3]])
    assert len(np.unique(used)) == len(used)
    assert len(rows) - len(used) < 60 + 2 * embargo_hours


@pytest.mark.parametrize("test_from", [0, 5000 * HOUR_MS])
def test_a_test_outside_the_rows_is_refused(test_from: int) -> None:
    with pytest.raises(ConfigError, match="no rows are before it, or none after"):
        cuts_of(made_rows(GATE), 0, test_from)


def test_an_embargo_longer_than_a_part_is_refused() -> None:
    rows = made_rows(GATE)
    with pytest.raises(ConfigError, match="no row is left for validation"):
        split(rows, cuts_of(rows, 1000 * HOUR_MS))
