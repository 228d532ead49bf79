"""Damaged files: refused, or read as exactly what they say; nothing else ever comes of them."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load

from darwin.errors import ModelError
from darwin.rl.serving.policy import policy_of
from darwin.rl.serving.spec_file import read_spec, write_spec
from tests.rl.serving.forged import SMALL, SPEC, WEIGHTS, check, taken_apart

TREE = json.loads(SMALL[SPEC])
MAY_LACK = {"reference": None}  # specs of before it had none
PROBES = load(SMALL[WEIGHTS])["probe.observation"]
ADVICE = [policy_of(SMALL[SPEC], SMALL[WEIGHTS]).outputs(row) for row in PROBES]

cuts = st.tuples(
    st.integers(0, len(SMALL[SPEC])), st.integers(0, 40), st.binary(max_size=12) | st.sampled_from(
        [b"NaN", b"1e999", b"null", b"true", b"[]", b"{}", b'"', b"-", b"0", b",", b"\\ud800"]
    ),
)  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=4,
)


def read_or_none(spec: bytes):
    try:
        return read_spec(spec)
    except ModelError as refused:
        assert refused.mend and refused.lines()
        return None


@settings(max_examples=250, deadline=None)
@given(st.lists(cuts, min_size=1, max_size=3))
@example([(0, 0, b"\xef\xbb\xbf")])
@example([(len(SMALL[SPEC]), 0, b"\x00")])
def test_a_spec_with_other_bytes_is_refused_or_says_what_is_read(edits):
    raw = SMALL[SPEC]
    for at, gone, new in edits:
        raw = raw[:at] + new + raw[at + gone :]
    spec = read_or_none(raw)
    if spec is not None:
        assert json.loads(write_spec(spec)) == MAY_LACK | json.loads(raw)


def places(node: Any, path: tuple = ()) -> list[tuple]:
    inner = node.items() if isinstance(node, dict) else enumerate(node)
    found = []
    for key, value in inner:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += places(value, (*path, key))[:12]
    return found


@settings(max_examples=150, deadline=None)
@given(path=st.sampled_from(places(TREE)), value=values)
def test_any_value_anywhere_is_refused_or_says_what_is_read(path, value):
    tree = copy.deepcopy(TREE)
    node = tree
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    raw = json.dumps(tree).encode()
    spec = read_or_none(raw)
    if spec is not None:
        assert json.loads(write_spec(spec)) == MAY_LACK | tree


@given(st.binary(max_size=400))
def test_noise_is_no_model(noise):
    for files in ({SPEC: noise}, {WEIGHTS: noise}):
        with pytest.raises(ModelError):
            check(SMALL | files)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 8), st.binary(max_size=8)), min_size=1)
)
def test_a_header_with_other_bytes_is_refused_or_changes_nothing(edits):
    raw = SMALL[WEIGHTS]
    for at, gone, new in edits:
        raw = raw[:at] + new + raw[at + gone :]
    try:
        check(SMALL | {WEIGHTS: raw})
    except ModelError:
        return
    policy = policy_of(SMALL[SPEC], raw)
    for row, before in zip(PROBES, ADVICE, strict=True):
        np.testing.assert_allclose(policy.outputs(row), before, atol=3e-6)


def bit_flips(content: bytes, some: int, begin: int = 0, end: int | None = None) -> list[bytes]:
    """The file with one bit of the bytes from `begin` to `end` turned, by chance, `some` times."""
    bits = np.arange(8 * begin, 8 * (len(content) if end is None else end))
    flipped = []
    for bit in np.random.default_rng(11).permutation(bits)[:some].tolist():
        raw = bytearray(content)
        raw[bit // 8] ^= 1 << bit % 8
        flipped.append(bytes(raw))
    return flipped


@pytest.mark.slow
def test_a_turned_bit_of_the_weights_is_refused_or_moves_no_output():
    whole = SMALL[WEIGHTS]
    tensors_at = len(whole) - len(taken_apart(whole)[1])
    damaged = [
        *bit_flips(whole, 64, end=8),
        *bit_flips(whole, 700, begin=8, end=tensors_at),
        *bit_flips(whole, 900, begin=tensors_at),
    ]
    refused = 0
    for raw in damaged:
        try:
            check(SMALL | {WEIGHTS: raw})
        except ModelError:
            refused += 1
            continue
        policy = policy_of(SMALL[SPEC], raw)
        given_now = np.array([policy.outputs(row) for row in load(raw)["probe.observation"]])
        assert np.abs(given_now - np.array(ADVICE)).max() < 3e-6
    assert refused > 1_000


@pytest.mark.slow
def test_a_turned_bit_of_the_spec_is_refused_or_read_as_it_stands():
    refused = 0
    for raw in bit_flips(SMALL[SPEC], some=1_000):
        try:
            card = check(SMALL | {SPEC: raw})
        except ModelError:
            refused += 1
            continue
        assert json.loads(write_spec(card.spec)) == json.loads(raw)
    assert refused > 700
