"""spec.json of a deployed model: what its weights mean. Read strictly, written canonically."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from darwin.allocation.allocator import MOST_ASSETS
from darwin.allocation.market import MARKET_PAGE
from darwin.core.market import SYMBOL
from darwin.core.rebalance import ALL_AGENTS, ALLOCATOR
from darwin.errors import ModelError
from darwin.rl.agents.pages import PAGES
from darwin.rl.serving.fields import Fields, instant
from darwin.rl.serving.strict_json import read_object, refusal
from darwin.stats.drift import MOST_EDGES, Reference

FILE = "spec.json"
FORMAT = 1
LARGEST_FILE = 1 << 20
MOST_LAYERS = 8
WIDEST = 1024
MOST_EVERY = 100_000
"""Bars from one decision of a book to the next."""
_TIMEFRAME = re.compile(r"[1-9][0-9]{0,3}[mhdw]")
MOST_METRICS = 256
SMALLEST_SD, LARGEST_SCALE = 1e-9, 1e9
"""Bounds of the normaliser; with those of the weights no sum of a forward pass can overflow."""
LARGEST_EDGE = 11 * LARGEST_SCALE  # rows of training lie within ten sd of their mean
SUM_OF_SHARES = 1e-6
"""How far the shares of a column may be from 1 together."""

CATEGORICAL, ARGMAX_Q = "categorical", "argmax_q"
CLIPPED_GAUSSIAN, TANH_GAUSSIAN = "clipped_gaussian", "tanh_gaussian"
SOFTMAX, TANH_SOFTMAX = "softmax", "tanh_softmax"
HEADS_OF_CODES = (CATEGORICAL, ARGMAX_Q)
HEADS_OF_FRACTIONS = (CLIPPED_GAUSSIAN, TANH_GAUSSIAN)
HEADS_OF_WEIGHTS = (SOFTMAX, TANH_SOFTMAX)
TANH, RELU, LINEAR = "tanh", "relu", "linear"
ACTIVATIONS = (TANH, RELU, LINEAR)


@dataclass(frozen=True, slots=True)
class Layer:
    """activation(W·x + b), W of shape (outputs, inputs)."""

    inputs: int
    outputs: int
    activation: str  # one of ACTIVATIONS


class HeldOut(NamedTuple):
    """What model and baseline gained on data that training never saw, in the same unit."""

    gain: float
    baseline: float


class BookTerms(NamedTuple):
    """What an agent of a book was trained on, and must be served on."""

    symbols: tuple[str, ...]
    timeframe: str
    every: int  # bars from one decision to the next


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """All that spec.json says."""

    agent: str
    head: str  # one of HEADS_OF_CODES or HEADS_OF_FRACTIONS
    layers: tuple[Layer, ...]
    threshold: float | None  # see `heads`
    observation_schema: str  # of the page it was trained on, 64 hex digits
    mean: tuple[float, ...]  # of each column over the rows of training
    sd: tuple[float, ...]
    training_end: str | None = None  # close of the last bar trained on, as 2024-05-01T00:00:00Z
    data_digest: str | None = None
    config_digest: str | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    held_out: HeldOut | None = None
    reference: Reference | None = None  # how the rows of training were distributed
    book: BookTerms | None = None  # of agents of a book, and of no others

    @property
    def width(self) -> int:
        """Columns of an observation."""
        return len(self.mean)

    @property
    def outputs(self) -> int:
        """Numbers that the last layer gives to the head."""
        return self.layers[-1].outputs

    @property
    def training_end_ms(self) -> int | None:
        """When training ended, ms UTC."""
        if self.training_end is None:
            return None
        return int(instant(self.training_end).timestamp()) * 1000


def write_spec(spec: ModelSpec) -> bytes:
    """The file that `read_spec` reads back as `spec`. Raises ModelError where it would refuse."""
    tree = {
        "format": FORMAT,
        "agent": spec.agent,
        "head": spec.head,
        "layers": [
            {"in": layer.inputs, "out": layer.outputs, "activation": layer.activation}
            for layer in spec.layers
        ],
        "threshold": spec.threshold,
        "observation_schema": spec.observation_schema,
        "normaliser": {"mean": spec.mean, "sd": spec.sd},
        "training_end": spec.training_end,
        "data_digest": spec.data_digest,
        "config_digest": spec.config_digest,
        "metrics": dict(spec.metrics),
        "held_out": None if spec.held_out is None else spec.held_out._asdict(),
        "reference": None if spec.reference is None else spec.reference._asdict(),
    }
    if spec.book is not None:
        tree["book"] = spec.book._asdict()
    raw = json.dumps(tree, sort_keys=True, indent=1).encode() + b"\n"
    read_spec(raw)
    return raw


def read_spec(raw: bytes) -> ModelSpec:
    """Read spec.json. Raises ModelError naming the key at fault, and how to mend it."""
    if len(raw) > LARGEST_FILE:
        raise refusal(FILE, f"is larger than {LARGEST_FILE >> 20} MiB", "is it the right file?")
    tree = Fields(read_object(raw, FILE), _KEYS, FILE, may_lack=("reference", "book"))
    tree.whole("format", FORMAT, FORMAT)
    normaliser = tree.table("normaliser", ("mean", "sd"))
    spec = ModelSpec(
        agent=tree.one_of("agent", ALL_AGENTS),
        head=tree.one_of("head", HEADS_OF_CODES + HEADS_OF_FRACTIONS + HEADS_OF_WEIGHTS),
        layers=tuple(
            Layer(
                layer.whole("in", 1, WIDEST),
                layer.whole("out", 1, WIDEST),
                layer.one_of("activation", ACTIVATIONS),
            )
            for layer in tree.tables("layers", ("in", "out", "activation"), MOST_LAYERS)
        ),
        threshold=tree.optional("threshold", tree.number),
        observation_schema=tree.digest("observation_schema"),
        mean=normaliser.numbers("mean", -LARGEST_SCALE, LARGEST_SCALE, WIDEST),
        sd=normaliser.numbers("sd", SMALLEST_SD, LARGEST_SCALE, WIDEST),
        training_end=tree.optional("training_end", tree.instant),
        data_digest=tree.optional("data_digest", tree.digest),
        config_digest=tree.optional("config_digest", tree.digest),
        metrics=tree.metrics("metrics", MOST_METRICS),
        held_out=tree.optional("held_out", lambda key: _held_out(tree.table(key, HeldOut._fields))),
        reference=tree.optional(
            "reference", lambda key: _reference(tree.table(key, Reference._fields))
        ),
        book=tree.optional("book", lambda key: _book(tree.table(key, BookTerms._fields))),
    )
    _refuse_contradictions(spec)
    return spec


def _held_out(table: Fields) -> HeldOut:
    return HeldOut(table.number("gain"), table.number("baseline"))


def _reference(table: Fields) -> Reference:
    return Reference(
        table.lists_of_numbers("edges", -LARGEST_EDGE, LARGEST_EDGE, (0, MOST_EDGES), WIDEST),
        table.lists_of_numbers("shares", 0.0, 1.0, (1, MOST_EDGES + 1), WIDEST),
    )


def _book(table: Fields) -> BookTerms:
    symbols = table.texts("symbols", SYMBOL, MOST_ASSETS)
    if len(set(symbols)) < len(symbols):
        raise _fault("book.symbols", "names one twice", "write each once")
    return BookTerms(
        symbols, table.one_text("timeframe", _TIMEFRAME), table.whole("every", 1, MOST_EVERY)
    )


_KEYS = (
    "format", "agent", "head", "layers", "threshold", "observation_schema", "normaliser",
    "training_end", "data_digest", "config_digest", "metrics", "held_out", "reference",
    "book",
)  # fmt: skip


def _refuse_contradictions(spec: ModelSpec) -> None:
    """Raise ModelError where the parts of a spec do not fit each other, or not its agent."""
    heads, outputs = _heads_and_outputs(spec)
    if spec.head not in heads:
        raise _fault("head", f"is {spec.head} for {spec.agent}", f"use {' or '.join(heads)}")
    if len(spec.sd) != len(spec.mean):
        raise _fault("normaliser", f"has {len(spec.mean)} means, {len(spec.sd)} sds", "pair them")
    width = spec.width
    for i, layer in enumerate(spec.layers):
        if layer.inputs != width:
            raise _fault(f"layers[{i}].in", f"is {layer.inputs} where {width} come", "chain them")
        width = layer.outputs
    if width != outputs:
        raise _fault("layers", f"end in {width}", f"{spec.agent} has {outputs} outputs")
    _refuse_threshold(spec)
    if spec.reference is not None:
        _refuse_reference(spec.reference, spec.width)


def _heads_and_outputs(spec: ModelSpec) -> tuple[tuple[str, ...], int]:
    """What the agent of a spec may end in."""
    if (spec.book is None) != (spec.agent in PAGES):
        what, mend = ("is missing", "write it") if spec.book is None else ("is no", "leave it out")
        raise _fault("book", f"{what} part of a model of {spec.agent}", mend)
    if spec.book is None:
        page = PAGES[spec.agent]
        return HEADS_OF_FRACTIONS if page.is_continuous else HEADS_OF_CODES, page.outputs
    if spec.agent == ALLOCATOR:
        return HEADS_OF_WEIGHTS, len(spec.book.symbols) + 1
    if len(spec.book.symbols) != 1:
        raise _fault("book.symbols", f"are {len(spec.book.symbols)}", "a market agent has one")
    return HEADS_OF_CODES, MARKET_PAGE.outputs


def _refuse_threshold(spec: ModelSpec) -> None:
    if spec.threshold is None:
        return
    if spec.head in HEADS_OF_FRACTIONS + HEADS_OF_WEIGHTS:
        raise _fault("threshold", "means nothing for fractions", "write null")
    if spec.head == CATEGORICAL and not (0.0 < spec.threshold < 1.0):
        raise _fault("threshold", "is no probability", "write a number between 0 and 1, or null")
    if spec.head == ARGMAX_Q and not (spec.threshold >= 0.0):
        raise _fault("threshold", "is no margin", "write 0 or more, or null")


def _refuse_reference(reference: Reference, width: int) -> None:
    for key, told in reference._asdict().items():
        if len(told) != width:
            what = f"has {len(told)} columns where the model takes {width}"
            raise _fault(f"reference.{key}", what, "write a list for each column")
    for i, (edges, shares) in enumerate(zip(*reference, strict=True)):
        if any(not (low < high) for low, high in pairwise(edges)):
            what = "does not ascend"
            raise _fault(f"reference.edges[{i}]", what, "write each edge once, in order")
        if len(shares) != len(edges) + 1:
            what = f"has {len(shares)} shares beside {len(edges)} edges"
            raise _fault(f"reference.shares[{i}]", what, "write one more share than edges")
        if not (abs(sum(shares) - 1.0) <= SUM_OF_SHARES):
            what = f"sums to {sum(shares):.9g}"
            raise _fault(f"reference.shares[{i}]", what, "write shares of all rows, 1 together")


def _fault(key: str, what: str, mend: str) -> ModelError:
    return refusal(f"{FILE}: {key}", what, mend)
