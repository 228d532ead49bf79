"""The fold of the events: what serves, what challenges, and which record contradicts itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.core.agents import Model
from darwin.errors import IntegrityError
from darwin.rl.registry.events import Kind, ModelEvent
from darwin.rl.registry.versions import Place, fold
from tests.rl.registry.shop import NOW


def told(text: str, agent: str = "gate") -> list[ModelEvent]:
    """Events from "deployed a, archived b", an hour apart."""
    words = [one.split() for one in text.split(",")] if text else []
    return [
        ModelEvent(
            agent, Kind(kind), Model(name, name * 64), name, "Ada", "", NOW + timedelta(hours=i)
        )
        for i, (kind, name) in enumerate(words)
    ]


def places(text: str) -> dict[str, str]:
    return {one.name: str(one.place) for one in fold("gate", told(text)).versions}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", {}),
        ("deployed a", {"a": "serving"}),
        ("deployed a, deployed b", {"a": "archived", "b": "serving"}),
        ("deployed a, deployed b, archived a", {"a": "archived", "b": "serving"}),
        ("adopted a, adopted b", {"a": "serving", "b": "archived"}),
        ("deployed a, adopted b", {"a": "serving", "b": "archived"}),
        ("deployed a, challenging b", {"a": "serving", "b": "challenging"}),
        ("challenging a, adopted b", {"a": "challenging", "b": "serving"}),
        (
            "deployed a, challenging b, challenging c",
            {"a": "serving", "b": "archived", "c": "challenging"},
        ),
        ("deployed a, challenging b, deployed b", {"a": "archived", "b": "serving"}),
        ("deployed a, challenging b, withdrawn b", {"a": "serving", "b": "archived"}),
        ("deployed a, challenging b, rolled_back b", {"a": "archived", "b": "serving"}),
        ("deployed a, deployed b, rolled_back a", {"a": "serving", "b": "archived"}),
        ("deployed a, deployed b, removed a", {"a": "removed", "b": "serving"}),
    ],
)
def test_the_events_say_where_each_version_stands(text, expected):
    assert places(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "rolled_back a",
        "archived a",
        "removed a",
        "withdrawn a",
        "pinned a",
        "unpinned a",
        "deployed a, deployed a",
        "deployed a, adopted a",
        "deployed a, challenging a",
        "deployed a, archived a",
        "deployed a, removed a",
        "deployed a, withdrawn a",
        "deployed a, rolled_back a",
        "deployed a, challenging b, archived b",
        "deployed a, challenging b, removed b",
        "deployed a, deployed b, deployed a",
        "deployed a, deployed b, challenging a",
        "deployed a, deployed b, removed a, rolled_back a",
        "deployed a, deployed b, removed a, pinned a",
        "deployed a, deployed b, removed a, deployed a",
    ],
)
def test_a_record_that_contradicts_itself_is_refused(text):
    before = text.rpartition(",")[0]
    fold("gate", told(before))
    with pytest.raises(IntegrityError, match="contradicts itself"):
        fold("gate", told(text))


def test_a_version_keeps_its_digests():
    events = told("deployed a, deployed b, rolled_back a")
    for other in (
        events[2]._replace(model=Model("a", "c" * 64)),
        events[2]._replace(zip_sha256="other"),
    ):
        with pytest.raises(IntegrityError, match="another digest"):
            fold("gate", [*events[:2], other])


def test_agents_are_folded_apart():
    events = [*told("deployed a"), *told("deployed a, deployed b", "portfolio")]
    assert fold("gate", events).serving == Model("a", "a" * 64)
    assert fold("portfolio", events).serving == Model("b", "b" * 64)
    assert fold("meta_learner", events).versions == ()


def test_a_pin_stays_wherever_the_version_goes():
    shelf = fold("gate", told("deployed a, pinned a, deployed b, archived a, rolled_back a"))
    assert [one.pinned for one in shelf.versions] == [True, False]
    shelf = fold("gate", told("deployed a, pinned a, deployed b, unpinned a"))
    assert [one.pinned for one in shelf.versions] == [False, False]


def test_a_version_stands_where_it_is_since_the_event_that_put_it_there():
    shelf = fold("gate", told("deployed a, deployed b, archived a, pinned a, pinned b"))
    assert [one.since - NOW for one in shelf.versions] == [timedelta(hours=1)] * 2


@given(st.lists(st.tuples(st.sampled_from(list(Kind)), st.sampled_from("abcd")), max_size=30))
def test_no_record_lets_two_serve_or_two_challenge(steps):
    events = []
    for kind, name in steps:
        more = [*events, *told(f"{kind} {name}")]
        try:
            shelf = fold("gate", more)
        except IntegrityError:
            continue
        events = more
        stand = [one.place for one in shelf.versions]
        assert stand.count(Place.SERVING) == any(
            event.kind in (Kind.DEPLOYED, Kind.ADOPTED, Kind.ROLLED_BACK) for event in events
        )
        assert stand.count(Place.CHALLENGING) <= 1
