"""How well a score tells winners from losers, against scores that are drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.stats.binormal import auc_for_misses, hits, least_auc, separation
from darwin.stats.stylised import auc as measured_auc

SHARES = st.floats(0.02, 0.98)


def test_scores_that_lie_so_far_apart_have_that_auc():
    chance = np.random.default_rng(1)
    score = chance.standard_normal(200_000)
    wanted = np.arange(200_000) % 2 == 0
    assert measured_auc(score + separation(0.65) * wanted, wanted) == pytest.approx(0.65, abs=0.005)


def test_acting_on_the_highest_scores_hits_what_is_said():
    chance = np.random.default_rng(2)
    wanted = chance.random(400_000) < 0.62
    score = chance.standard_normal(len(wanted)) + separation(0.7) * wanted
    acted = score > np.quantile(score, 0.7)
    told = hits(0.30, 0.62, 0.7)
    assert acted[wanted].mean() == pytest.approx(told.wanted, abs=0.005)
    assert acted[~wanted].mean() == pytest.approx(told.unwanted, abs=0.005)


@given(SHARES, SHARES, st.floats(0.5, 0.95))
def test_what_is_hit_makes_up_the_share_that_is_acted_on(rate, wanted, auc):
    told = hits(rate, wanted, auc)
    assert wanted * told.wanted + (1 - wanted) * told.unwanted == pytest.approx(rate, abs=1e-9)
    assert told.wanted >= told.unwanted - 1e-9


def test_a_coin_hits_both_alike():
    assert hits(0.3, 0.62, 0.5) == pytest.approx((0.3, 0.3))


def test_skipping_thirty_percent_and_missing_ten_takes_an_auc_of_about_78():
    assert auc_for_misses(0.30, 0.10, 0.62) == pytest.approx(0.78, abs=0.005)


@given(SHARES, SHARES, st.floats(0.51, 0.95))
def test_the_auc_for_misses_is_the_one_that_misses_so_many(rate, wanted, auc):
    missed = hits(rate, wanted, auc).unwanted
    if 1e-6 < missed < rate and hits(rate, wanted, auc).wanted < 1 - 1e-6:
        assert auc_for_misses(rate, missed, wanted) == pytest.approx(auc, abs=1e-3)


def test_a_coin_is_enough_for_who_acts_on_less_than_may_be_missed():
    assert auc_for_misses(0.05, 0.10, 0.62) == 0.5


def test_no_score_skips_more_than_all_losers_and_no_winner():
    assert math.isnan(auc_for_misses(0.80, 0.10, 0.62))


def test_the_least_auc_is_where_it_begins_to_hold():
    assert least_auc(lambda auc: auc >= 0.6125) == pytest.approx(0.6125, abs=1e-4)
    assert least_auc(lambda auc: True) == 0.5
    assert math.isnan(least_auc(lambda auc: False))


@pytest.mark.parametrize(
    ("rate", "wanted", "auc"),
    [(0.0, 0.5, 0.6), (0.3, 1.0, 0.6), (0.3, 0.5, 0.4), (0.3, 0.5, 1.0), (math.nan, 0.5, 0.6)],
)
def test_what_is_no_share_and_no_auc_is_refused(rate, wanted, auc):
    with pytest.raises(ValueError, match="it lies"):
        hits(rate, wanted, auc)
