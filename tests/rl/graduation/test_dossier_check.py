"""Holding one tree against another finds the place where they part."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from darwin.rl.graduation.dossier import settled
from darwin.rl.graduation.dossier_check import count_numbers, first_difference

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
rows = st.lists(st.dictionaries(st.sampled_from("abc"), leaves), max_size=3)
trees = st.dictionaries(st.sampled_from("abcd"), leaves | rows, min_size=1)


@settings(max_examples=50)
@given(trees)
def test_a_tree_does_not_differ_from_itself(tree: dict[str, Any]) -> None:
    assert first_difference(tree, copy.deepcopy(tree)) is None


def test_the_path_is_how_one_would_reach_the_place() -> None:
    again = {"a": [{"b": 1.5}, {"b": 2.5}], "c": "x"}
    found = first_difference({"a": [{"b": 1.5}, {"b": 2.0}], "c": "x"}, again)
    assert found is not None
    assert found.said == "a[1].b is 2.0, the record says 2.5"


def test_what_lacks_and_what_is_too_much_is_named() -> None:
    lacking = first_difference({"a": [1]}, {"a": [1, 2]})
    surplus = first_difference({"a": [1], "b": 3}, {"a": [1]})
    assert lacking is not None
    assert surplus is not None
    assert lacking.said == "a[1] is missing from the dossier"
    assert surplus.said == "b is no part of this dossier"


def test_true_is_no_number() -> None:
    assert first_difference({"a": True}, {"a": 1}) is not None
    assert first_difference({"a": 0}, {"a": False}) is not None
    assert count_numbers({"a": [1, 2.5, True, "3", None], "b": {"c": 0}}) == 3


def test_numbers_keep_ten_digits_and_what_cannot_be_said_is_null() -> None:
    tree = settled({"a": 1.0 / 3.0, "b": float("nan"), "c": -0.0, "d": (float("-inf"), 2)})
    assert tree == {"a": 0.3333333333, "b": None, "c": 0.0, "d": [None, 2]}
    assert str(tree["c"]) == "0.0"
