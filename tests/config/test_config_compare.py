"""Digests and differences of resolved configs."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from darwin.config.compare import differences, digest
from tests.config.config_samples import FULL, changed, keys, without

TREES = st.sampled_from(
    [FULL]
    + [without(path) for path in keys()]
    + [changed(path, value) for path in keys() for value in (None, 1, 1.0, True, [], {})]
)


def test_name_and_place_of_a_run_do_not_change_what_it_does() -> None:
    other = FULL | {"run_id": "other", "artifacts_dir": "/elsewhere"}
    assert digest(other) == digest(FULL)
    assert differences(FULL, other) == []


def test_the_order_of_keys_does_not_matter() -> None:
    assert digest(dict(reversed(FULL.items()))) == digest(FULL)


def test_differences_are_named_by_their_paths() -> None:
    other = changed(("playbooks", 0, "exits", "stop_atr"), 1.5)
    other["market"]["edge"] = 0.3
    del other["limits"]["max_orders_per_day"]
    assert differences(FULL, other) == [
        "market.edge", "limits.max_orders_per_day", "playbooks[0].exits.stop_atr",
    ]  # fmt: skip


def test_true_and_one_are_different() -> None:
    a, b = changed(("rl", "enabled"), True), changed(("rl", "enabled"), 1)
    assert differences(a, b) == ["rl.enabled"]


@settings(deadline=None)
@given(TREES, TREES)
def test_digests_agree_exactly_where_nothing_differs(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert (digest(a) == digest(b)) == (differences(a, b) == [])
