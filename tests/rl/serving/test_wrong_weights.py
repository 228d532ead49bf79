"""Files of weights that are refused, each with the sentence that says why."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import load, save

from darwin.errors import ModelError
from darwin.rl.agents.pages import PAGES
from tests.rl.serving.forged import (
    SMALL,
    WEIGHTS,
    check,
    patched,
    put_together,
    reheaded,
    taken_apart,
)

WIDTH = len(PAGES["gate"].names)
FIRST = "layer.0.weight"


def number(value: float) -> bytes:
    return struct.pack("<f", value)


def scaled_tensor(name: str, factor: float) -> dict[str, bytes]:
    tensors = load(SMALL[WEIGHTS])
    tensors[name] = tensors[name] * np.float32(factor)
    return SMALL | {WEIGHTS: save(tensors)}


def retyped(kind: type) -> dict[str, bytes]:
    tensors = load(SMALL[WEIGHTS])
    tensors[FIRST] = tensors[FIRST].astype(kind)
    return SMALL | {WEIGHTS: save(tensors)}


def fewer_probes() -> dict[str, bytes]:
    tensors = load(SMALL[WEIGHTS])
    for name in ("probe.observation", "probe.output"):
        tensors[name] = tensors[name][:15].copy()
    return SMALL | {WEIGHTS: save(tensors)}


def constant() -> dict[str, bytes]:
    tensors = load(SMALL[WEIGHTS])
    tensors["layer.1.weight"] *= np.float32(0)
    tensors["probe.output"][:] = tensors["layer.1.bias"]
    return SMALL | {WEIGHTS: save(tensors)}


HEADER, TENSORS = taken_apart(SMALL[WEIGHTS])


def entry(name: str, **values):
    return lambda header: header[name].update(values)


def with_weights(raw: bytes) -> dict[str, bytes]:
    return SMALL | {WEIGHTS: raw}


def shifted(header):
    start, stop = header["probe.output"]["data_offsets"]
    header["probe.output"]["data_offsets"] = [start - 4, stop - 4]


def swallowed(header):
    header[FIRST]["data_offsets"] = header["probe.observation"]["data_offsets"]


WEIGHTS_FILES = {
    "empty": (with_weights(b""), "no header of fitting length"),
    "seven bytes": (with_weights(SMALL[WEIGHTS][:7]), "no header of fitting length"),
    "a pickle": (with_weights(b"\x80\x04cposix\nsystem\n(S'id'\ntR."), "no header of"),
    "a zip": (with_weights(b"PK\x03\x04" + bytes(200)), "no header of|not valid"),
    "a header beyond the end": (
        with_weights((1 << 40).to_bytes(8, "little") + b"{}"), "no header of fitting length",
    ),
    "the longest header": (with_weights(b"\xff" * 64), "no header of fitting length"),
    "a long header": (
        with_weights(put_together(json.dumps(HEADER).encode() + b" " * 70_000, TENSORS)),
        "no header of fitting length",
    ),
    "a header of noise": (with_weights(put_together(b"\x00" * 64, TENSORS)), "not valid JSON"),
    "a header that is a list": (with_weights(put_together(b"[]", TENSORS)), "not a JSON object"),
    "a tensor twice": (
        with_weights(put_together(
            json.dumps(HEADER).encode().replace(b"{", b'{"layer.0.bias": {}, ', 1), TENSORS)),
        "'layer.0.bias' twice",
    ),
    "too large": (with_weights(SMALL[WEIGHTS] + bytes(8 << 20)), "larger than 8 MiB"),
    "cut short": (with_weights(SMALL[WEIGHTS][:-4]), "bytes of tensors instead of"),
    "a byte more": (with_weights(SMALL[WEIGHTS] + b"\x00"), "bytes of tensors instead of"),
    "metadata": (
        reheaded(SMALL, lambda header: header.update({"__metadata__": {"format": "pt"}})),
        "'__metadata__' is no part of the model",
    ),
    "a tensor missing": (
        reheaded(SMALL, lambda header: header.pop("layer.0.bias")), "'layer.0.bias' is missing",
    ),
    "no probes": (
        reheaded(SMALL, lambda header: header.pop("probe.observation")), "is not 16 to 4,096 rows",
    ),
    "too few probes": (fewer_probes(), "is not 16 to 4,096 rows"),
    "a tensor more": (
        reheaded(SMALL, lambda header: header.update({"layer.2.bias": header["layer.1.bias"]})),
        "'layer.2.bias' is no part of the model",
    ),
    "double precision": (retyped(np.float64), "of type 'F64' instead of F32"),
    "half precision": (retyped(np.float16), "of type 'F16' instead of F32"),
    "a dtype that is a list": (reheaded(SMALL, entry(FIRST, dtype=["F32"])), "is of type"),
    "another shape": (reheaded(SMALL, entry(FIRST, shape=[WIDTH, 4])), r"of shape \[54, 4\]"),
    "a shape of nothing": (reheaded(SMALL, entry(FIRST, shape=[0, WIDTH])), r"of shape \[0, 54\]"),
    "a negative shape": (reheaded(SMALL, entry(FIRST, shape=[-4, -WIDTH])), r"shape \[-4, -54\]"),
    "a shape of floats": (reheaded(SMALL, entry(FIRST, shape=[4.0, 51.0])), r"shape \[4.0, 51"),
    "a shape of true": (reheaded(SMALL, entry("layer.1.weight", shape=[2, True])), "of shape"),
    "probes of true": (
        reheaded(SMALL, entry("probe.observation", shape=[True, WIDTH])), "is not 16 to 4,096 rows",
    ),
    "no shape": (reheaded(SMALL, lambda header: header[FIRST].pop("shape")), "is not described by"),
    "a tensor that is a number": (
        reheaded(SMALL, lambda header: header.update({FIRST: 7})), "is not described by",
    ),
    "one offset": (reheaded(SMALL, entry(FIRST, data_offsets=[0])), "has no two offsets"),
    "offsets of text": (reheaded(SMALL, entry(FIRST, data_offsets=["0", "9"])), "no two offsets"),
    "turned offsets": (
        reheaded(SMALL, entry(FIRST, data_offsets=[864, 0])), "takes -864 bytes",
    ),
    "negative offsets": (
        reheaded(SMALL, entry(FIRST, data_offsets=[-864, 0])), "does not begin where",
    ),
    "overlapping tensors": (reheaded(SMALL, shifted), "does not begin where"),
    "one tensor upon another": (reheaded(SMALL, swallowed), "takes 3,456 bytes"),
    "a weight that is NaN": (patched(SMALL, FIRST, 3, number(np.nan)), f"'{FIRST}' holds NaN"),
    "a probe without end": (
        patched(SMALL, "probe.observation", 0, number(np.inf)), "holds NaN or infinity",
    ),
    "a bias without end": (patched(SMALL, "layer.1.bias", 0, number(np.inf)), "bias' holds NaN"),
    "a huge weight": (patched(SMALL, FIRST, 3, number(3e38)), "more than 1e"),
    "a probe that is NaN": (
        patched(SMALL, "probe.observation", 0, number(np.nan)), "observation' holds NaN",
    ),
    "an output that is NaN": (patched(SMALL, "probe.output", 5, number(np.nan)), "' holds NaN"),
    "a huge output": (patched(SMALL, "probe.output", 5, number(3e38)), "probe row 2"),
    "other weights": (scaled_tensor("layer.0.weight", 1.01), "other outputs than its trainer"),
    "other probes": (scaled_tensor("probe.observation", 1.01), "other outputs than its trainer"),
    "a constant policy": (constant(), "whatever it sees"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "says"), WEIGHTS_FILES.values(), ids=list(WEIGHTS_FILES))
def test_wrong_weights_are_refused_by_name(files, says):
    with pytest.raises(ModelError, match=says) as refused:
        check(files)
    assert refused.value.mend
    assert all(line.isprintable() and len(line) < 400 for line in refused.value.lines())
