"""Population stability index: held against plain loops, simulations and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from darwin.errors import DataError
from darwin.stats.drift import (
    FLOOR,
    MOST_EDGES,
    Band,
    Reference,
    band,
    psi,
    psi_by_chance,
    reference_of,
)

values = st.one_of(
    st.floats(-1e9, 1e9, width=32),
    st.sampled_from([0.0, 1.0, -1.0, 0.5, 1e-30]),
)


@st.composite
def tables(draw, width=None):
    rows = draw(st.integers(1, 60))
    return draw(arrays(np.float64, (rows, width or draw(st.integers(1, 3))), elements=values))


def plain_index(edges, shares, column):
    """One bin after the other, as the book writes it."""
    total = 0.0
    bounds = [-math.inf, *edges, math.inf]
    for at, expected in enumerate(shares):
        inside = [x for x in column if bounds[at] <= x < bounds[at + 1]]
        a, e = max(len(inside) / len(column), FLOOR), max(expected, FLOOR)
        total += (a - e) * math.log(a / e)
    return total


@given(tables())
def test_a_reference_cuts_each_column_into_bins_that_all_hold_rows(rows):
    reference = reference_of(rows)
    assert len(reference.edges) == len(reference.shares) == rows.shape[1]
    for edges, shares, column in zip(*reference, rows.T, strict=True):
        assert len(edges) <= MOST_EDGES
        assert list(edges) == sorted(set(edges))
        assert len(shares) == len(edges) + 1
        assert min(shares) > 0.0
        assert sum(shares) == pytest.approx(1.0, abs=1e-9)
        assert len(shares) == len(set(column)) or len(set(column)) > MOST_EDGES + 1


@given(st.data())
def test_the_index_is_that_of_a_plain_loop(data):
    reference = reference_of(data.draw(tables(width=2)))
    later = data.draw(tables(width=2))
    expected = [
        plain_index(edges, shares, column)
        for edges, shares, column in zip(*reference, later.T, strict=True)
    ]
    assert psi(reference, later) == pytest.approx(expected, abs=1e-12)


@given(tables())
def test_the_rows_of_training_have_not_moved_in_whatever_order(rows):
    reference = reference_of(rows)
    assert psi(reference, rows) == pytest.approx(0.0, abs=1e-12)
    assert psi(reference, np.concatenate([rows, rows])[::-1]) == pytest.approx(0.0, abs=1e-12)


def test_bins_hold_a_tenth_each_where_no_two_values_agree():
    rows = np.random.default_rng(5).normal(size=(1_000, 1))
    (shares,) = reference_of(rows).shares
    assert shares == pytest.approx([0.1] * 10)


def test_a_column_of_few_values_has_a_bin_for_each():
    rows = np.array([[0.0], [0.0], [0.0], [1.0]])
    assert reference_of(rows) == Reference(((0.5,),), ((0.75, 0.25),))
    assert reference_of(np.ones((5, 1))) == Reference(((),), ((1.0,),))


def test_a_value_that_holds_the_last_tenth_and_more_ends_in_the_last_bin():
    rows = np.array([*range(20), *[20] * 30], dtype=float)[:, None]
    ((*edges, last),) = reference_of(rows).edges
    assert (last, edges) == (19.5, [4.5, 9.5, 14.5])


def test_values_next_to_each_other_are_told_apart():
    one = 1.0
    two = np.nextafter(one, 2.0)
    reference = reference_of(np.array([[one], [two]]))
    assert reference.shares == ((0.5, 0.5),)
    assert psi(reference, np.array([[one], [two]])) == pytest.approx(0.0)


def test_the_largest_values_do_not_overflow():
    rows = np.array([[-1.7e308], [1.7e308]])
    assert reference_of(rows).edges == ((0.0,),)


def test_a_shift_of_one_sd_drifts_and_none_is_stable():
    rng = np.random.default_rng(7)
    reference = reference_of(rng.normal(size=(20_000, 2)))
    later = rng.normal(size=(5_000, 2)) + np.array([0.0, 1.0])
    still, moved = psi(reference, later)
    assert (band(still), band(moved)) == (Band.STABLE, Band.DRIFTED)
    # of two normal laws a sd apart the divergence is 1; bins lose a little of it
    assert 0.8 < moved < 1.0


def test_an_empty_bin_counts_as_the_floor():
    reference = Reference(((0.0,),), ((0.0, 1.0),))
    expected = (0.5 - FLOOR) * math.log(0.5 / FLOOR) + (0.5 - 1) * math.log(0.5)
    assert psi(reference, np.array([[-1.0], [1.0]])) == pytest.approx([expected])


@pytest.mark.parametrize(
    ("index", "says"),
    [(0.0, "stable"), (0.0999, "stable"), (0.1, "shifted"), (0.25, "shifted"), (0.2501, "drifted")],
)
def test_the_bands_are_the_usual_ones(index, says):
    assert band(index) == says


def test_chance_alone_follows_the_chi_squared_law_of_many_rows():
    reference = reference_of(np.random.default_rng(3).normal(size=(1_000, 1)))
    (bound,) = psi_by_chance(reference, 5_000, np.random.default_rng(1), level=0.95, draws=20_000)
    assert bound == pytest.approx(stats.chi2.ppf(0.95, 9) / 5_000, rel=0.05)


def test_few_rows_of_the_same_law_stay_below_what_chance_gives():
    rng = np.random.default_rng(11)
    training = rng.normal(size=(20_000, 30))
    reference = reference_of(training)
    bound = psi_by_chance(reference, 40, np.random.default_rng(1), level=0.95)
    above = [psi(reference, rng.normal(size=(40, 30))) > bound for _ in range(40)]
    assert 0.03 < np.mean(above) < 0.07
    assert np.mean(psi(reference, rng.normal(size=(40, 30))) > 0.1) > 0.5  # the bands alone


def test_chance_of_a_column_that_never_varied_is_nothing():
    assert psi_by_chance(Reference(((),), ((1.0,),)), 5, np.random.default_rng(0)) == [0.0]


def test_of_no_rows_nothing_is_said():
    reference = reference_of(np.ones((3, 2)))
    assert np.isnan(psi(reference, np.zeros((0, 2)))).all()
    assert np.isnan(psi_by_chance(reference, 0, np.random.default_rng(0))).all()
    with pytest.raises(DataError, match="no rows"):
        reference_of(np.zeros((0, 2)))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_by_its_place(bad):
    rows = np.ones((4, 3))
    reference = reference_of(rows)
    rows[2, 1] = bad
    for call in (reference_of, lambda r: psi(reference, r)):
        with pytest.raises(DataError, match="not finite") as refused:
            call(rows)
        assert refused.value.where == "row 2, column 1"


@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 4), (2, 2, 2)])
def test_rows_of_another_width_are_refused(shape):
    with pytest.raises(DataError, match="3 columns are wanted"):
        psi(reference_of(np.ones((4, 3))), np.ones(shape))
