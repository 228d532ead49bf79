"""The digest of the bars consumed: every number counts, the cutting does not."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from darwin.core.market import Bars, Funding
from darwin.engine.arrivals import arrivals
from darwin.engine.digest import data_digest
from tests.engine.live_runs import fed, whimsical
from tests.engine.worlds import grid_bars, session_over


def markets(seed: int = 1) -> list[Bars]:
    """One with funding, one that begins late, one without volume that ends early."""
    one = grid_bars(80, seed, symbol="A0A/USDT", funding=True)
    two = grid_bars(70, seed + 1, symbol="B0B/USDT", funding=True).slice(30, 70)
    three = grid_bars(40, seed + 2, symbol="C0C/USDT")
    return [one, two, replace(three, volume=np.full(40, np.nan))]


def by_hand(several: list[Bars], reached: int) -> str:
    """The same digest, bar by bar."""
    hashed = hashlib.sha256()
    last = [-(2**62)] * len(several)
    for time in sorted({int(time) for bars in several for time in bars.time}):
        for number, bars in enumerate(several):
            if time > reached or time not in bars.time:
                continue
            row = bars.row(bars.time.tolist().index(time))
            due: list[tuple[int, float]] = []
            if bars.funding is not None:
                pairs = zip(bars.funding.time.tolist(), bars.funding.rate.tolist(), strict=True)
                due = [pair for pair in pairs if last[number] < pair[0] <= time]
            last[number] = time
            hashed.update(struct.pack("<qq5dq", number, *row, len(due)))
            for pair in due:
                hashed.update(struct.pack("<qd", *pair))
    return hashed.hexdigest()


def test_it_is_the_hash_of_the_numbers_one_after_the_other():
    several = markets()
    every = sorted({int(time) for bars in several for time in bars.time})
    for reached in (every[0], every[17], every[60], every[-1]):
        assert data_digest(several, reached) == by_hand(several, reached)


@pytest.mark.parametrize("sizes", [[1], [6, 0, 31], [10_000]])
def test_a_fed_run_hands_it_over_for_the_bars_it_has_seen(sizes):
    several = markets()
    _, journal = fed(whimsical(session_over(*several), 3, 0.2), sizes)
    assert len(journal.batches) > 30
    for batch in journal.batches[::5]:
        assert batch.data_digest == data_digest(several, batch.reached)
        assert batch.bars == sum(int((bars.time <= batch.reached).sum()) for bars in several)


def test_every_number_up_to_the_bar_reached_counts_and_none_beyond():
    several = markets()
    reached = int(several[0].time[50])
    before = data_digest(several, reached)
    for name in ("open", "high", "low", "close", "volume"):
        for bar, counts in ((50, True), (51, False)):
            column = getattr(several[0], name).copy()
            column[bar] = np.nextafter(column[bar], np.inf)
            changed = [replace(several[0], **{name: column}), *several[1:]]
            assert (data_digest(changed, reached) != before) == counts
    paid = several[0].funding
    last = int(np.searchsorted(paid.time, reached, side="right")) - 1
    for stamp, counts in ((last, True), (last + 1, False)):
        rate = paid.rate.copy()
        rate[stamp] = np.nextafter(rate[stamp], np.inf)
        changed = [replace(several[0], funding=Funding(paid.time, rate)), *several[1:]]
        assert (data_digest(changed, reached) != before) == counts
    assert data_digest([several[0], several[2], several[1]], reached) != before


def test_an_unknown_volume_is_the_same_whatever_its_bits():
    several = markets()
    other = np.full(40, -np.nan)
    assert other.tobytes() != several[2].volume.tobytes()
    again = [*several[:2], replace(several[2], volume=other)]
    reached = int(several[2].time[-1])
    assert data_digest(again, reached) == data_digest(several, reached)


@pytest.mark.parametrize("at_once", [1, 2, 7, 1_000])
def test_arrivals_hand_over_every_bar_once_in_the_order_of_time(at_once):
    several = markets()
    cut = list(arrivals(several, at_once))
    for number, bars in enumerate(several):
        assert np.concatenate([chunk[number].time for chunk in cut]).tolist() == bars.time.tolist()
    spans = [np.unique(np.concatenate([bars.time for bars in chunk])) for chunk in cut]
    assert {len(span) for span in spans[:-1]} <= {at_once}
    assert 0 < len(spans[-1]) <= at_once
    assert all(one[-1] < two[0] for one, two in pairwise(spans))


def test_no_bars_arrive_in_no_chunks():
    assert list(arrivals([bars.slice(0, 0) for bars in markets()])) == []
    assert list(arrivals([grid_bars(5, 1).slice(0, 0)])) == []
