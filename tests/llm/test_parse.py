"""An answer is understood as a whole or not at all."""

from __future__ import annotations

import json
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.deciders.llm.parse import SCHEMA, Answer, Fault, parse_answer
from tests.llm.answers import GOOD, MALFORMED, TAKE, but, plainly_acceptable, swapped

_FUZZED = 10_000
_PIECES = (
    "{", "}", "[", "]", '"', ",", ":", "\\", "\\u", "\\ud83d", "\\n", "\n", "\0", "\ud800", " ",
    "NaN", "-Infinity", "1e999", "1", "-", "0", "e", ".", "true", "null", "take", "skip", "```",
    '"action"', '"size": 1', "[[", "{}", "\ufeff", "\u2028", "\x7f", "é", "\U0001f680",
)  # fmt: skip


def test_an_answer_is_what_it_says() -> None:
    assert parse_answer(TAKE) == Answer(True, 0.8, 0.5, ("thin volume",), "trend and volume agree")
    assert parse_answer(but(action="skip"))[0] is False
    assert parse_answer(f" \r\n\t{TAKE}\n ") == parse_answer(TAKE)


def test_the_bounds_belong_to_it() -> None:
    longest = but(confidence=1, quality=0, risk_flags=["x" * 60] * 8, reason="é" * 600)
    assert parse_answer(longest) == Answer(True, 1.0, 0.0, ("x" * 60,) * 8, "é" * 600)
    nothing = parse_answer(but(risk_flags=[], reason=""))
    assert nothing == Answer(True, 0.8, 0.5, (), "")
    assert isinstance(parse_answer(TAKE + " " * (16 * 1024 - len(TAKE))), Answer)
    negative_zero = parse_answer(swapped("0.8", "-0.0"))
    assert isinstance(negative_zero, Answer)
    assert str(negative_zero.confidence) == "0.0"


@pytest.mark.parametrize("name", MALFORMED)
def test_whatever_else_is_a_fault_that_is_counted(name: str) -> None:
    text, fault = MALFORMED[name]
    assert parse_answer(text) is fault
    assert not plainly_acceptable(text)


def test_every_fault_is_among_them() -> None:
    assert {fault for _, fault in MALFORMED.values()} == set(Fault)


def test_the_schema_that_servers_are_told_names_the_same_keys() -> None:
    assert sorted(SCHEMA["required"]) == sorted(SCHEMA["properties"]) == sorted(GOOD)  # type: ignore[call-overload]
    assert SCHEMA["additionalProperties"] is False


def test_of_10_000_mangled_answers_those_stand_that_a_plain_reading_accepts() -> None:
    chance = random.Random(20260101)
    accepted = 0
    for _ in range(_FUZZED):
        text = _mangled(
            chance, json.dumps(_some_answer(chance), ensure_ascii=chance.random() < 0.5)
        )
        came = parse_answer(text)
        assert isinstance(came, Answer) == plainly_acceptable(text), repr(text)
        accepted += isinstance(came, Answer)
    assert _FUZZED // 20 < accepted < _FUZZED // 2  # both kinds are among them


def _some_answer(chance: random.Random) -> dict[str, object]:
    numbers = [0, 1, 0.5, -0.0, 1.0, 1e-9, 1.5, -1, True, None, "0.5"]
    whole: dict[str, object] = {
        "action": chance.choice(["take", "skip", "take", "skip", "hold"]),
        "confidence": chance.choice([*numbers, 0.7, 0.7, 0.7, 0.7]),
        "quality": chance.choice([0, 1, 0.25, 0.5, 0.9, 0.9, 2]),
        "risk_flags": ["thin"] * chance.randint(0, 9),
        "reason": chance.choice(
            ["fine", "fine", "", _noise(chance), "x" * chance.randint(590, 610)]
        ),
    }
    keys = list(whole)
    chance.shuffle(keys)
    return {key: whole[key] for key in keys}


def _noise(chance: random.Random) -> str:
    return "".join(chance.choices(string.printable + "é\ud800", k=chance.randint(0, 20)))


def _mangled(chance: random.Random, text: str) -> str:
    for _ in range(chance.choice([0, 0, 1, 1, 1, 2, 3])):
        at = chance.randint(0, len(text))
        upto = at + chance.choice([0, 0, 1, 1, 2, 9])
        text = text[:at] + chance.choice((*_PIECES, "", text[at : at + 12] * 2)) + text[upto:]
    return text


@given(st.text(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([*GOOD, "size"]) | st.text(max_size=3), inner, max_size=6
    ),
).map(json.dumps))  # fmt: skip
def test_no_text_makes_it_fall_over(text: str) -> None:
    assert isinstance(parse_answer(text), Answer) == plainly_acceptable(text)
