"""What agents see: the same bits by every way, in any currency, whichever way the market goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from darwin.core.candidate import LONG, SHORT, CandidateTable
from darwin.core.market import Bars
from darwin.errors import ConfigError
from darwin.features.catalog import NAMES
from darwin.features.pipeline import Frame
from darwin.rl.agents.columns import FeatureColumn, MomentColumn, is_directional
from darwin.rl.agents.pages import PAGES
from darwin.rl.agents.spec import AgentSpec
from darwin.testing.builders import make_bars, make_result
from tests.rl.agents.sights import PLAYBOOKS, arriving, market, replayed, with_side

GATE = PAGES["gate"]
every_page = pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))


@pytest.fixture(scope="module")
def table() -> CandidateTable:
    found = replayed(market())
    assert len(found) > 100
    assert set(found.side) == {LONG, SHORT}
    assert set(found.playbook) == set(range(len(PLAYBOOKS)))
    return found


def same_bits(one, other) -> bool:
    assert one.dtype == other.dtype == np.float32
    return one.shape == other.shape and one.tobytes() == other.tobytes()


@every_page
def test_a_row_alone_has_the_bits_it_has_among_many(page, table):
    whole = page.columns(table, PLAYBOOKS)
    assert whole.shape == (len(table), len(page.names) - len(page.moments))
    assert np.isfinite(whole).all()
    for row in range(len(table)):
        alone = page.columns(table.select(np.array([row])), PLAYBOOKS)
        assert same_bits(alone, whole[row : row + 1])


@pytest.mark.slow
def test_bars_that_arrive_one_by_one_show_the_bits_of_a_replay(table):
    alone = arriving(market())
    assert [one.id[0] for one in alone] == table.id.tolist()
    for page in PAGES.values():
        whole = page.columns(table, PLAYBOOKS)
        assert same_bits(np.concatenate([page.columns(one, PLAYBOOKS) for one in alone]), whole)


def test_no_candidate_gives_no_row(table):
    nobody = table.select(np.empty(0, dtype=np.int64))
    for playbooks in (PLAYBOOKS, ()):
        assert GATE.columns(nobody, playbooks).shape == (0, len(NAMES) + 4)


@every_page
@pytest.mark.parametrize("factor", [2.0**-30, 8.0, 2.0**40])
def test_no_column_changes_when_prices_or_volumes_are_doubled(page, table, factor):
    bars = market()
    dear = replace(
        bars,
        **{name: getattr(bars, name) * factor for name in ("open", "high", "low", "close")},
        volume=bars.volume * factor,
    )
    assert same_bits(page.columns(replayed(dear), PLAYBOOKS), page.columns(table, PLAYBOOKS))


def mirrored(bars: Bars) -> Bars:
    """Upside down: every price becomes its reciprocal."""
    top = 100.0 * 100.0
    return replace(
        bars, open=top / bars.open, high=top / bars.low, low=top / bars.high, close=top / bars.close
    )


def with_gaps(bars: Bars, size: float) -> Bars:
    """The same bars, opened a little away from the close before."""
    opens = bars.open * np.exp(np.random.default_rng(1).normal(0.0, size, len(bars)))
    return replace(
        bars, open=opens, high=np.maximum(bars.high, opens), low=np.minimum(bars.low, opens)
    )


def seen_everywhere(bars: Bars, side: int) -> np.ndarray:
    rows = np.arange(380, len(bars))
    some = make_result(bars).candidates.select(np.zeros(len(rows), dtype=np.int64))
    full = replace(some, features=Frame(bars).take(NAMES, rows), feature_names=NAMES)
    return GATE.columns(with_side(full, side), ("breakout",))


def test_a_short_in_the_mirrored_market_sees_what_a_long_saw():
    # small steps, so that what is measured in money mirrors as what is measured in logarithms
    bars = with_gaps(make_bars(2_000, seed=3, volatility=0.0002), 0.0001)
    long, short = seen_everywhere(bars, LONG), seen_everywhere(mirrored(bars), SHORT)
    for at, name in enumerate(GATE.names[: long.shape[1]]):
        if name == "side":
            assert_array_equal(long[:, at], -short[:, at])
        else:
            assert_allclose(long[:, at], short[:, at], rtol=0.02, atol=0.02, err_msg=name)
        if name.startswith("with_side_"):
            assert np.abs(long[:, at]).mean() > 0.05, f"{name} says nothing here"


def test_a_directional_column_is_the_feature_times_the_side(table):
    columns = GATE.columns(table, PLAYBOOKS)
    at = GATE.place("with_side_x4_rsi_balance_14")
    feature = table.features[:, NAMES.index("x4_rsi_balance_14")]
    assert_array_equal(columns[:, at], (feature * table.side).astype(np.float32))
    assert sum(name.startswith("with_side_") for name in GATE.names) == 30


@pytest.mark.parametrize(
    ("feature", "directional"),
    [
        ("return_in_vol_24", True), ("x24_ema_slope_10_3", True), ("channel_place_55", True),
        ("range_in_atr", False), ("trend_strength_14", False), ("volume_trend_24", False),
        ("hour_sin", False), ("vol_z_24_168", False),
    ],
)  # fmt: skip
def test_features_that_say_up_or_down_are_known_by_their_name(feature, directional):
    assert is_directional(feature) is directional
    assert FeatureColumn(feature).meaning.startswith("side * ") is directional


def test_a_playbook_is_known_by_its_base_name_and_an_outsider_by_none(table):
    columns = GATE.columns(table, PLAYBOOKS)
    flags = columns[:, [GATE.place(f"playbook_{name}") for name in PLAYBOOKS[:3]]]
    told = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 0, 0]])
    assert_array_equal(flags, told[table.playbook])
    assert_array_equal(columns[:, GATE.place("side")], table.side)


def test_the_portfolio_agent_sees_how_far_the_stop_is_and_what_can_be_won(table):
    page = PAGES["portfolio"]
    columns = page.columns(table, PLAYBOOKS)
    ratio = columns[:, page.place("reward_risk")]
    assert_allclose(ratio, np.array([2.0, 10.0, 1.5, 1.2, 2.0])[table.playbook], rtol=1e-6)
    stop = columns[:, page.place("stop_percent")]
    assert_allclose(stop, 100 * table.stop_distance / table.close, rtol=1e-6)


def test_a_feature_that_the_run_does_not_record_is_asked_for_by_name(table):
    without = replace(table, features=table.features[:, 1:], feature_names=table.feature_names[1:])
    with pytest.raises(ConfigError, match=NAMES[0]):
        GATE.columns(without, PLAYBOOKS)
    bare = replace(table, features=np.empty((len(table), 0)), feature_names=())
    with pytest.raises(ConfigError, match=NAMES[0]):
        GATE.columns(bare, PLAYBOOKS)


def test_features_are_found_by_name_wherever_they_stand(table):
    turned = replace(
        table,
        features=np.column_stack([table.features[:, ::-1], np.full(len(table), np.nan)]),
        feature_names=(*table.feature_names[::-1], "atr_14"),
    )
    assert same_bits(GATE.columns(turned, PLAYBOOKS), GATE.columns(table, PLAYBOOKS))


def test_what_32_bits_cannot_hold_comes_out_infinite_for_the_door_to_refuse(table):
    features = table.features.copy()
    features[0, 0] = 1e300
    columns = GATE.columns(replace(table, features=features), PLAYBOOKS)
    assert np.isinf(columns[0, 0])


@every_page
def test_pages_need_the_features_they_show_and_name_each_column_once(page):
    assert page.needs == NAMES
    assert len(set(page.names)) == len(page.names)
    assert [page.place(name) for name in page.names] == list(range(len(page.names)))


def test_a_column_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ConfigError, match="no column 'confidence'"):
        GATE.place("confidence")


def changed(page: AgentSpec, at: int, **changes: str) -> AgentSpec:
    moments = list(page.moments)
    moments[at] = replace(moments[at], **changes)
    return replace(page, moments=tuple(moments))


@every_page
def test_the_schema_changes_with_name_order_and_meaning(page):
    others = [
        changed(page, 0, name="exposed"),
        changed(page, 0, meaning="gross exposure over equity"),
        replace(page, moments=page.moments[::-1]),
        replace(page, features=page.features[::-1]),
        replace(page, features=page.features[:-1]),
        replace(page, setup=page.setup[1:]),
    ]
    schemas = {page.schema, *(other.schema for other in others)}
    assert len(schemas) == len(others) + 1
    assert all(len(schema) == 64 and int(schema, 16) for schema in schemas)


@every_page
def test_the_schema_changes_with_nothing_else(page):
    first = page.moments[0]
    read_otherwise = MomentColumn(first.name, first.meaning, lambda moment: 0.0)
    other = replace(
        page, actions=("a",), baseline=0.0, rival="nobody", departure_rate=0.5,
        moments=(read_otherwise, *page.moments[1:]),
    )  # fmt: skip
    assert other.schema == page.schema


def test_the_schema_changes_when_the_catalog_computes_a_feature_otherwise(monkeypatch):
    def schema() -> str:
        return replace(GATE).schema

    before = schema()
    assert before == GATE.schema
    monkeypatch.setattr("darwin.features.catalog.REVISION", 99)
    assert schema() != before
    monkeypatch.undo()
    monkeypatch.setattr("darwin.rl.agents.columns.expand", lambda key: f"{key} of last year")
    assert schema() != before
    monkeypatch.undo()
    monkeypatch.setattr("darwin.rl.agents.columns.DIRECTIONAL", ("gap_in_atr",))
    assert schema() != before


def test_agents_that_see_other_things_have_other_schemas():
    assert len({page.schema for page in PAGES.values()}) == len(PAGES)
