"""The kill switch: how its variable is read, and that one source is enough."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from darwin.safety.switch import (
    OFF,
    VARIABLE,
    KillSwitch,
    Reading,
    changed,
    disabled_by,
    unreadable,
)


@pytest.mark.parametrize("value", ["1", "true", "yes", "on", "TRUE", "Yes", "oN", " 1 ", "\ton\n"])
def test_what_says_yes_kills_without_a_warning(value):
    said = value.strip().lower()
    assert disabled_by(value) == Reading(True, f"DARWIN_RL_DISABLED is {said}", "")


@pytest.mark.parametrize(
    "value", [None, "", "   ", "\n", "0", "false", "no", "off", "FALSE", "No", "OFF", " 0 "]
)
def test_what_says_no_kills_nothing(value):
    assert disabled_by(value) == Reading(False, "", "") == OFF


@pytest.mark.parametrize(
    "value", ["2", "-1", "01", "maybe", "y", "n", "t", "f", "enabled", "none", "null", "o n", "1.0"]
)
def test_what_is_not_understood_kills_and_says_what_to_mend(value):
    assert disabled_by(value) == Reading(
        True,
        f"DARWIN_RL_DISABLED is {value!r}",
        f"DARWIN_RL_DISABLED is {value!r}, which is neither yes nor no, so no agent acts;"
        " set it to 1 or 0",
    )


def test_a_long_value_is_not_repeated_whole():
    assert disabled_by("x" * 40).why == f"{VARIABLE} is {'x' * 40!r}"
    assert disabled_by("x" * 41).why == f"{VARIABLE} is {'x' * 40 + '…'!r}"


def test_a_source_that_cannot_be_read_kills():
    assert unreadable("artifacts/KILL", "permission denied") == Reading(
        True,
        "artifacts/KILL cannot be read",
        "artifacts/KILL cannot be read (permission denied), so no agent acts;"
        " make it readable or remove it",
    )


SOURCES = [one.name for one in fields(KillSwitch)]


def test_the_sources_are_four():
    assert SOURCES == ["environment", "file", "record", "api"]


@pytest.mark.parametrize("on", range(16))
def test_any_source_is_enough_and_each_is_named(on):
    killing = [name for bit, name in enumerate(SOURCES) if on >> bit & 1]
    switch = KillSwitch(**{name: Reading(True, f"the {name} says so") for name in killing})
    assert switch.killed is bool(killing)
    assert switch.sources == tuple(killing)
    assert switch.why == "; ".join(f"the {name} says so" for name in killing)


def test_a_source_that_gives_no_reason_is_named_all_the_same():
    assert KillSwitch(file=Reading(True), record=Reading(True, "by ada")).why == "file; by ada"


def test_warnings_are_told_source_by_source():
    switch = KillSwitch(
        environment=disabled_by("maybe"), file=Reading(True, "x"), api=unreadable("a", "b")
    )
    assert switch.warnings == (disabled_by("maybe").warning, unreadable("a", "b").warning)
    assert KillSwitch().warnings == ()


def test_a_source_that_is_not_as_it_was_written_kills_and_says_why():
    switch = KillSwitch(record=changed("the record", "row 3"))
    assert switch.killed
    assert switch.why == "the record is not as it was written: row 3"
    (warning,) = switch.warnings
    assert "put a backup of the" in warning


def test_what_was_read_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        KillSwitch().file = Reading(True)
