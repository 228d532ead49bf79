"""A model of a book is read strictly, gives what its trainer gave, and is validated like others."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from darwin.allocation.allocator import allocator_page
from darwin.allocation.market import MARKET_PAGE
from darwin.core.agents import GATE
from darwin.core.rebalance import ALLOCATOR, MARKET, BookState
from darwin.errors import ModelError
from darwin.rl.serving import spec_file, weights_file
from darwin.rl.serving.book_policy import book_policy_for, book_policy_of, page_of, weights_of
from darwin.rl.serving.policy import policy_of
from darwin.rl.serving.spec_file import (
    ARGMAX_Q,
    CATEGORICAL,
    SOFTMAX,
    TANH_SOFTMAX,
    BookTerms,
    HeldOut,
    ModelSpec,
)
from darwin.rl.serving.validation import validate_files
from darwin.rl.training.export import exported, layers_of
from darwin.rl.training.network import Network
from darwin.rl.training.rows import Normaliser

SYMBOLS = ("BTC/USDT", "ETH/USDT", "P001/USDT:SYNTH")
HEADS = [(ALLOCATOR, SOFTMAX), (ALLOCATOR, TANH_SOFTMAX), (MARKET, CATEGORICAL), (MARKET, ARGMAX_Q)]
each_head = pytest.mark.parametrize(("agent", "kind"), HEADS)
Change = Callable[[dict[str, Any]], None]


def made(agent: str, kind: str, *, seed: int = 0, loud: float = 1.0, gain: float = 0.001) -> Any:
    """The files of a model by chance, its network, and rows on which it was tried."""
    page = allocator_page(len(SYMBOLS)) if agent == ALLOCATOR else MARKET_PAGE
    rng, k = np.random.default_rng(seed), len(page.names)
    widths = [k, 32, 32, page.outputs]
    layers = tuple(
        (rng.normal(0, loud / np.sqrt(a), (b, a)).astype(np.float32),
         rng.normal(0, 0.1, b).astype(np.float32))
        for a, b in zip(widths, widths[1:], strict=False)  # noqa: RUF007
    )  # fmt: skip
    network = Network(layers, "relu" if kind in (TANH_SOFTMAX, ARGMAX_Q) else "tanh", kind)
    normaliser = Normaliser(rng.normal(size=k), rng.uniform(0.5, 2.0, k))
    spec = ModelSpec(
        agent=agent, head=kind, layers=layers_of(network, k), threshold=None,
        observation_schema=page.schema, mean=tuple(normaliser.mean.tolist()),
        sd=tuple(normaliser.sd.tolist()), training_end="2024-01-01T00:00:00Z",
        held_out=HeldOut(gain, 0.0),
        book=BookTerms(SYMBOLS if agent == ALLOCATOR else SYMBOLS[:1], "1h", 4),
    )  # fmt: skip
    rows = (normaliser.mean + normaliser.sd * rng.normal(size=(300, k))).astype(np.float32)
    return exported(spec, network, normaliser, rows, book_policy_of), network, normaliser, rows


def read(files: dict[str, bytes]) -> Any:
    return book_policy_of(files[spec_file.FILE], files[weights_file.FILE])


@each_head
def test_what_is_served_is_what_the_network_gives(agent: str, kind: str) -> None:
    files, network, normaliser, rows = made(agent, kind)
    policy = read(files)
    outputs = network.outputs((rows.astype(np.float64) - normaliser.mean) / normaliser.sd)
    served = np.array([policy.outputs(row) for row in rows])
    np.testing.assert_allclose(served, outputs, rtol=0, atol=1e-6 * max(1, np.abs(outputs).max()))
    actions = [policy.advise(row).action for row in rows]
    assert all(policy.page.is_legal(action) for action in actions)
    if agent == ALLOCATOR:
        np.testing.assert_allclose(np.array(actions), weights_of(kind, outputs), atol=2e-9)
    else:
        np.testing.assert_array_equal(np.array(actions)[:, 0], outputs.argmax(axis=1))


def test_the_heads_of_weights_are_a_softmax_of_what_is_cut_off_or_bent() -> None:
    outputs = np.array([[0.0, 1.0, 9.0]])
    cut, bent = np.array([0.0, 1.0, 5.0]), 5.0 * np.tanh([0.0, 1.0, 9.0])
    for kind, inside in ((SOFTMAX, cut), (TANH_SOFTMAX, bent)):
        expected = np.exp(inside) / np.exp(inside).sum()
        np.testing.assert_allclose(weights_of(kind, outputs)[0], expected, atol=1e-9)


@each_head
def test_a_spec_comes_back_as_it_was_written(agent: str, kind: str) -> None:
    files, *_ = made(agent, kind)
    spec = spec_file.read_spec(files[spec_file.FILE])
    assert spec.book is not None and spec.book.every == 4 and spec.book.timeframe == "1h"
    assert spec_file.write_spec(spec) == files[spec_file.FILE]
    assert page_of(spec).schema == spec.observation_schema


@each_head
def test_a_sound_model_passes_validation(agent: str, kind: str) -> None:
    files, *_ = made(agent, kind)
    card = validate_files(agent, files)
    assert card.distinct_actions >= 2 and not card.observe_only


def lacks_its_book(tree: dict[str, Any]) -> None:
    del tree["book"]


def has_one_symbol_twice(tree: dict[str, Any]) -> None:
    tree["book"]["symbols"][0] = tree["book"]["symbols"][1]


def has_another_number_of_symbols(tree: dict[str, Any]) -> None:
    tree["book"]["symbols"].append("SOL/USDT")


def has_no_symbol_at_all(tree: dict[str, Any]) -> None:
    tree["book"]["symbols"] = []


def decides_never(tree: dict[str, Any]) -> None:
    tree["book"]["every"] = 0


def has_a_head_of_codes(tree: dict[str, Any]) -> None:
    tree["head"] = "categorical"


def has_a_threshold(tree: dict[str, Any]) -> None:
    tree["threshold"] = 0.5


def is_no_symbol(tree: dict[str, Any]) -> None:
    tree["book"]["symbols"][0] = "../etc"


def says_more_than_it_may(tree: dict[str, Any]) -> None:
    tree["book"]["leverage"] = 3


@pytest.mark.parametrize(
    "change",
    [
        lacks_its_book, has_one_symbol_twice, has_another_number_of_symbols, has_no_symbol_at_all,
        decides_never, has_a_head_of_codes, has_a_threshold, is_no_symbol, says_more_than_it_may,
    ],
)  # fmt: skip
def test_a_spec_is_refused_that(change: Change) -> None:
    files, *_ = made(ALLOCATOR, SOFTMAX)
    tree = json.loads(files[spec_file.FILE])
    change(tree)
    with pytest.raises(ModelError):
        spec_file.read_spec(json.dumps(tree).encode())


def test_no_model_of_candidates_has_a_book() -> None:
    files, *_ = made(MARKET, CATEGORICAL)
    tree = json.loads(files[spec_file.FILE]) | {"agent": GATE}
    with pytest.raises(ModelError, match="book is no part of a model of gate"):
        spec_file.read_spec(json.dumps(tree).encode())


def test_a_model_of_a_book_judges_no_candidates() -> None:
    files, *_ = made(MARKET, CATEGORICAL)
    with pytest.raises(ModelError, match="judges no candidates"):
        policy_of(files[spec_file.FILE], files[weights_file.FILE])


def test_a_model_is_asked_about_its_own_number_of_assets_alone() -> None:
    files, *_ = made(ALLOCATOR, SOFTMAX)
    pair = files[spec_file.FILE], files[weights_file.FILE]
    assert book_policy_for(allocator_page(3), *pair).page.assets == 3
    for page in (allocator_page(2), MARKET_PAGE):
        with pytest.raises(ModelError, match="wanted"):
            book_policy_for(page, *pair)


def test_a_model_that_always_asks_for_the_same_is_refused() -> None:
    files, *_ = made(ALLOCATOR, SOFTMAX, loud=1e-4)
    with pytest.raises(ModelError, match="whatever it sees"):
        validate_files(ALLOCATOR, files)


def test_a_model_that_lost_to_its_baseline_is_refused() -> None:
    files, *_ = made(ALLOCATOR, SOFTMAX, gain=-0.001)
    with pytest.raises(ModelError, match="its baseline"):
        validate_files(ALLOCATOR, files)


def test_the_model_of_one_agent_is_not_deployed_as_another() -> None:
    files, *_ = made(ALLOCATOR, SOFTMAX)
    with pytest.raises(ModelError, match="deploy it as allocator"):
        validate_files(MARKET, files)


@each_head
def test_what_is_not_finite_gives_no_legal_advice(agent: str, kind: str) -> None:
    files, _, _, rows = made(agent, kind)
    policy = read(files)
    row = rows[0].copy()
    row[3] = np.nan
    assert np.isnan(policy.strangeness(row))
    assert not policy.page.is_legal(policy.advise(row).action)


def test_a_served_observation_is_columns_and_moment() -> None:
    page = allocator_page(3)
    book = BookState((0.2, 0.3, 0.1), 0.9, 1.0)
    moment = page.moment(book)
    assert len(page.market_names) + len(moment) == len(page.names)
    assert moment == pytest.approx((0.2, 0.3, 0.1, 0.4, -0.1))
