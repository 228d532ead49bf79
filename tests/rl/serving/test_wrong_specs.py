"""Specs that are refused, each with the sentence that says why."""

from __future__ import annotations

import pytest

from darwin.errors import ModelError
from darwin.rl.agents.pages import PAGES
from tests.rl.serving.forged import (
    SMALL,
    SPEC,
    check,
    edited,
    with_keys,
)


def holding(old: bytes, new: bytes) -> dict[str, bytes]:
    assert old in SMALL[SPEC]
    return SMALL | {SPEC: SMALL[SPEC].replace(old, new, 1)}


def layer(i: int, **values):
    return lambda tree: tree["layers"][i].update(values)


def normaliser(key: str, values):
    return lambda tree: tree["normaliser"].update({key: values})


def referring(edges, shares, column=7):
    """With a reference that is sound but for one column."""
    told = {"edges": [[0.5, 1.5]] * WIDTH, "shares": [[0.5, 0.25, 0.25]] * WIDTH}
    told["edges"][column], told["shares"][column] = edges, shares
    return with_keys(SMALL, reference=told)


WIDTH = len(PAGES["gate"].names)

SPECS = {
    "empty": (SMALL | {SPEC: b""}, "not valid JSON"),
    "a list": (SMALL | {SPEC: b"[]"}, "not a JSON object"),
    "not UTF-8": (SMALL | {SPEC: b"\xff" + SMALL[SPEC]}, "not UTF-8"),
    "UTF-16": (SMALL | {SPEC: SMALL[SPEC].decode().encode("utf-16")}, "not UTF-8"),
    "more behind": (SMALL | {SPEC: SMALL[SPEC] + b"{}"}, "not valid JSON"),
    "too large": (SMALL | {SPEC: SMALL[SPEC] + b" " * (1 << 20)}, "larger than 1 MiB"),
    "nested": (SMALL | {SPEC: b'{"a":' * 100_000}, "nested too deeply"),
    "nested list": (SMALL | {SPEC: b"[" * 1_000_000}, "nested too deeply"),
    "NaN": (holding(b'"threshold": null', b'"threshold": NaN'), "holds NaN"),
    "infinity": (holding(b'"threshold": null', b'"threshold": -Infinity'), "holds -Infinity"),
    "1e999": (holding(b'"threshold": null', b'"threshold": 1e999'), "'1e999', which is too large"),
    "a long integer": (
        holding(b'"threshold": null', b'"threshold": ' + b"9" * 5_000), "which is too large",
    ),
    "a key twice": (holding(b'"threshold": null', b'"head": "categorical", "threshold": null'),
                    "holds the key 'head' twice"),
    "an inner key twice": (holding(b'"mean": [', b'"mean": [], "mean": ['), "'mean' twice"),
    "an unknown key": (with_keys(SMALL, exec="os.system"), "'exec' is unknown"),
    "half a character": (with_keys(SMALL, **{"\ud800": 1}), "is unknown"),
    "an unknown key inside": (edited(SMALL, layer(0, dropout=0.1)), r"'dropout' is unknown"),
    "a missing key": (edited(SMALL, lambda tree: tree.pop("head")), "head is missing"),
    "a missing key inside": (edited(SMALL, lambda tree: tree["layers"][1].pop("in")),
                             r"layers\[1\].in is missing"),
    "another format": (with_keys(SMALL, format=2), "format is 2"),
    "format true": (with_keys(SMALL, format=True), "format is True"),
    "an unknown agent": (with_keys(SMALL, agent="oracle"), "agent is 'oracle'"),
    "an agent that is a list": (with_keys(SMALL, agent=["gate"]), "agent is "),
    "an unknown head": (with_keys(SMALL, head="pickle"), "head is 'pickle'"),
    "a head of fractions": (with_keys(SMALL, head="tanh_gaussian"), "head is tanh_gaussian"),
    "no layers": (with_keys(SMALL, layers=[]), "layers is no list of fitting length"),
    "nine layers": (
        edited(SMALL, lambda tree: tree.update(layers=tree["layers"] * 5)), "no list of fitting",
    ),
    "layers of text": (with_keys(SMALL, layers=["relu"]), r"layers\[0\] is not an object"),
    "a wide layer": (edited(SMALL, layer(0, out=1025)), r"layers\[0\].out is 1025"),
    "a layer of no width": (edited(SMALL, layer(0, out=0)), r"layers\[0\].out is 0"),
    "half a unit": (edited(SMALL, layer(0, out=4.0)), r"layers\[0\].out is 4.0"),
    "an unknown activation": (edited(SMALL, layer(0, activation="gelu")), "activation is 'gelu'"),
    "a broken chain": (edited(SMALL, layer(1, **{"in": 5})), r"layers\[1\].in is 5 where 4 come"),
    "too many outputs": (edited(SMALL, layer(1, out=3)), "layers end in 3"),
    "no probability": (with_keys(SMALL, threshold=1.0), "threshold is no probability"),
    "a threshold of text": (with_keys(SMALL, threshold="0.5"), "threshold is '0.5'"),
    "a threshold that is true": (with_keys(SMALL, threshold=True), "threshold is True"),
    "a negative margin": (with_keys(SMALL, head="argmax_q", threshold=-1), "is no margin"),
    "a short schema": (with_keys(SMALL, observation_schema="ab"), "observation_schema is 'ab'"),
    "a loud schema": (with_keys(SMALL, observation_schema="A" * 64), "observation_schema is 'AAA"),
    "another schema": (with_keys(SMALL, observation_schema="a" * 64), "other observations"),
    "a normaliser of text": (with_keys(SMALL, normaliser="none"), "normaliser is not an object"),
    "an sd of nothing": (edited(SMALL, normaliser("sd", [0.0] * WIDTH)), r"sd\[0\] is 0.0"),
    "a negative sd": (edited(SMALL, normaliser("sd", [1.0] * 50 + [-1])), r"sd\[50\] is -1"),
    "a tiny sd": (edited(SMALL, normaliser("sd", [5e-324] * WIDTH)), r"sd\[0\] is 5e-324"),
    "a huge mean": (edited(SMALL, normaliser("mean", [1e300] * WIDTH)), r"mean\[0\] is 1e\+300"),
    "a mean too few": (edited(SMALL, normaliser("mean", [0.0] * (WIDTH - 1))), "53 means, 54 sds"),
    "a normaliser too short": (
        edited(SMALL, lambda tree: tree.update(normaliser={"mean": [0], "sd": [1]})),
        r"layers\[0\].in is 54 where 1 come",
    ),
    "a mean of text": (edited(SMALL, normaliser("mean", ["0"] * WIDTH)), r"mean\[0\] is '0'"),
    "a long mean": (edited(SMALL, normaliser("mean", [0] * 2_000)), "no list of fitting length"),
    "a date": (with_keys(SMALL, training_end="2024-01-01"), "training_end is '2024-01-01'"),
    "no such day": (with_keys(SMALL, training_end="2024-02-30T00:00:00Z"), "training_end is"),
    "an instant of digits from elsewhere": (
        with_keys(SMALL, training_end="٢٠٢٤-01-01T00:00:00Z"), "training_end is",
    ),
    "no digest": (with_keys(SMALL, data_digest="x" * 64), "data_digest is"),
    "metrics of text": (with_keys(SMALL, metrics={"gain": "good"}), "metrics.gain is 'good'"),
    "nested metrics": (with_keys(SMALL, metrics={"gain": {"r": 1}}), "metrics.gain is"),
    "a metric of no name": (with_keys(SMALL, metrics={"<b>": 1}), "'<b>' is no name"),
    "many metrics": (with_keys(SMALL, metrics={f"m{i}": 1 for i in range(300)}), "no object"),
    "half the evidence": (with_keys(SMALL, held_out={"gain": 1.0}), "held_out.baseline is missing"),
    "evidence of nothing": (with_keys(SMALL, held_out={}), "held_out.gain is missing"),
    "evidence of 0": (with_keys(SMALL, held_out=0), "held_out is not an object"),
    "a reference of 0": (with_keys(SMALL, reference=0), "reference is not an object"),
    "half a reference": (with_keys(SMALL, reference={"edges": []}), "reference.shares is missing"),
    "more than a reference": (
        with_keys(SMALL, reference={"edges": [], "shares": [], "rows": 3}), "'rows' is unknown",
    ),
    "a reference of no column": (
        with_keys(SMALL, reference={"edges": [], "shares": []}), "reference.edges is no list",
    ),
    "a reference of text": (referring("0.5", [0.5, 0.5]), r"reference.edges\[7\] is no list"),
    "an edge of text": (referring(["0"], [0.5, 0.5]), r"reference.edges\[7\]\[0\] is '0'"),
    "an edge that is true": (referring([True], [0.5, 0.5]), r"edges\[7\]\[0\] is True"),
    "a huge edge": (referring([1e300], [0.5, 0.5]), r"edges\[7\]\[0\] is 1e\+300"),
    "ten edges": (referring([*range(10)], [0.1] * 10 + [0.0]), r"edges\[7\] is no list of fitting"),
    "edges that descend": (referring([1, 0], [0.5, 0.25, 0.25]), r"edges\[7\] does not ascend"),
    "an edge twice": (referring([1, 1], [0.5, 0.25, 0.25]), r"edges\[7\] does not ascend"),
    "a share too few": (referring([0, 1], [0.5, 0.5]), r"shares\[7\] has 2 shares beside 2 edges"),
    "a share too many": (referring([], [0.5, 0.5]), r"shares\[7\] has 2 shares beside 0 edges"),
    "no share": (referring([], []), r"shares\[7\] is no list of fitting length"),
    "a negative share": (referring([0], [1.1, -0.1]), r"shares\[7\]\[0\] is 1.1"),
    "shares of more than all": (referring([0], [0.5, 0.500002]), r"shares\[7\] sums to 1.000002"),
    "shares of less than all": (referring([0], [0.5, 0.499998]), r"shares\[7\] sums to 0.999998"),
    "a column too few": (
        with_keys(SMALL, reference={"edges": [[]] * 50, "shares": [[1]] * WIDTH}),
        "reference.edges has 50 columns where the model takes 54",
    ),
    "a column too many": (
        with_keys(SMALL, reference={"edges": [[]] * WIDTH, "shares": [[1]] * 52}),
        "reference.shares has 52 columns where the model takes 54",
    ),
    "worse than its baseline": (
        with_keys(SMALL, held_out={"gain": 0.09, "baseline": 0.1}), "gains 0.09 on held-out data",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "says"), SPECS.values(), ids=list(SPECS))
def test_a_wrong_spec_is_refused_by_name(files, says):
    with pytest.raises(ModelError, match=says) as refused:
        check(files)
    assert refused.value.mend
    assert all(line.isprintable() and len(line) < 400 for line in refused.value.lines())


@pytest.mark.parametrize("last", [0.5, 0.5000009, 0.4999991])
def test_shares_that_sum_to_1_within_what_rounding_takes_are_read(last):
    check(referring([0], [0.5, last]))
