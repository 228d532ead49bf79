"""weights.safetensors of a deployed model: exactly the tensors its spec promises, and no more.

The header is checked here, to the byte, before the library that reads the file sees it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from darwin.core.market import FloatArray
from darwin.errors import ModelError
from darwin.rl.serving.spec_file import ModelSpec
from darwin.rl.serving.strict_json import quoted, read_object, refusal

FILE = "weights.safetensors"
LARGEST_FILE = 8 << 20
LARGEST_HEADER = 1 << 16
LARGEST_WEIGHT = 1e6
FEWEST_PROBES, MOST_PROBES = 16, 4096
OBSERVATION, OUTPUT = "probe.observation", "probe.output"

_LENGTH_BYTES = 8
_FLOAT32 = "F32"
_FLOAT32_BYTES = 4


class Weights(NamedTuple):
    """What the layers multiply by and add, and rows whose output the trainer has recorded."""

    matrices: tuple[FloatArray, ...]  # (outputs, inputs) each
    biases: tuple[FloatArray, ...]  # (outputs,) each
    observations: NDArray[np.float32]  # (p, columns)
    outputs: NDArray[np.float32]  # (p, outputs): of the last layer, before the head


def write_weights(
    layers: Sequence[tuple[FloatArray, FloatArray]], observations: FloatArray, outputs: FloatArray
) -> bytes:
    """The file of a model: (matrix, bias) of each layer, probe rows and the trainer's outputs."""
    tensors = {OBSERVATION: observations, OUTPUT: outputs}
    for i, (matrix, bias) in enumerate(layers):
        tensors |= {_matrix(i): matrix, _bias(i): bias}
    whole = {name: np.ascontiguousarray(x, dtype=np.float32) for name, x in tensors.items()}
    return bytes(save(whole))


def read_weights(raw: bytes, spec: ModelSpec) -> Weights:
    """Read weights.safetensors as `spec` promises it. Raises ModelError for anything else."""
    if len(raw) > LARGEST_FILE:
        raise refusal(FILE, f"is larger than {LARGEST_FILE >> 20} MiB")
    _refuse_layout(raw, spec)
    try:
        tensors = load(raw)
    except (SafetensorError, ValueError) as error:
        raise refusal(FILE, f"cannot be read: {quoted(str(error))}") from error
    for name, values in tensors.items():
        most = math.inf if name in (OBSERVATION, OUTPUT) else LARGEST_WEIGHT
        if not np.all(np.isfinite(values) & (np.abs(values) <= most)):
            beyond = f", infinity or more than {most:g}" if most < math.inf else " or infinity"
            raise _fault(name, f"holds NaN{beyond}")
    count = range(len(spec.layers))
    return Weights(
        tuple(tensors[_matrix(i)].astype(np.float64) for i in count),
        tuple(tensors[_bias(i)].astype(np.float64) for i in count),
        tensors[OBSERVATION],
        tensors[OUTPUT],
    )


def _matrix(i: int) -> str:
    return f"layer.{i}.weight"


def _bias(i: int) -> str:
    return f"layer.{i}.bias"


def _shapes(spec: ModelSpec, probes: int) -> dict[str, list[int]]:
    """The shape of every tensor there must be."""
    shapes = {OBSERVATION: [probes, spec.width], OUTPUT: [probes, spec.outputs]}
    for i, layer in enumerate(spec.layers):
        shapes |= {_matrix(i): [layer.outputs, layer.inputs], _bias(i): [layer.outputs]}
    return shapes


def _refuse_layout(raw: bytes, spec: ModelSpec) -> None:
    """Raise ModelError unless the promised tensors fill the file without gap or overlap."""
    header, begin = _header(raw)
    shapes = _shapes(spec, _probes(header))
    for name in sorted(header.keys() ^ shapes.keys()):
        raise _fault(name, "is missing" if name in shapes else "is no part of the model")
    spans = sorted(_span(name, header[name], shape) for name, shape in shapes.items())
    filled = 0
    for start, stop, name in spans:
        if start != filled:
            raise _fault(name, "does not begin where the tensor before it ends")
        filled = stop
    if begin + filled != len(raw):
        raise refusal(FILE, f"holds {len(raw) - begin:,} bytes of tensors instead of {filled:,}")


def _header(raw: bytes) -> tuple[dict[str, Any], int]:
    """The header, and where tensors begin."""
    size = int.from_bytes(raw[:_LENGTH_BYTES], "little")
    begin = _LENGTH_BYTES + size
    if len(raw) < _LENGTH_BYTES or size > LARGEST_HEADER or begin > len(raw):
        raise refusal(FILE, "has no header of fitting length")
    return read_object(raw[_LENGTH_BYTES:begin], f"the header of {FILE}"), begin


def _probes(header: Mapping[str, Any]) -> int:
    """How many probe rows there are."""
    entry = header.get(OBSERVATION)
    shape = entry.get("shape") if isinstance(entry, dict) else None
    rows = shape[0] if isinstance(shape, list) and shape else None
    if type(rows) is not int or not (FEWEST_PROBES <= rows <= MOST_PROBES):
        raise _fault(OBSERVATION, f"is not {FEWEST_PROBES} to {MOST_PROBES:,} rows")
    return rows


def _span(name: str, entry: object, shape: list[int]) -> tuple[int, int, str]:
    """Where a tensor lies."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _fault(name, "is not described by dtype, shape and data_offsets")
    if entry["dtype"] != _FLOAT32:
        raise _fault(name, f"is of type {quoted(entry['dtype'])} instead of {_FLOAT32}")
    if entry["shape"] != shape or any(type(length) is not int for length in entry["shape"]):
        raise _fault(name, f"is of shape {quoted(entry['shape'])} instead of {shape}")
    offsets = entry["data_offsets"]
    if not isinstance(offsets, list) or [type(offset) for offset in offsets] != [int, int]:
        raise _fault(name, "has no two offsets")
    start, stop = offsets
    if stop - start != _FLOAT32_BYTES * math.prod(shape):
        raise _fault(name, f"takes {stop - start:,} bytes, which are not those of its shape")
    return start, stop, name


def _fault(tensor: str, what: str) -> ModelError:
    return refusal(f"{FILE}: {quoted(tensor)}", what)
