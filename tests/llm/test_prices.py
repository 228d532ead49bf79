"""No price is taken from a namesake, and no request costs more than was said before."""

from __future__ import annotations

import math
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.deciders.llm import prices
from darwin.deciders.llm.parse import SCHEMA
from darwin.deciders.llm.prices import Price, cost_usd, knowledge_cutoff, most_usd, price_of
from darwin.deciders.llm.transport import Reply, Request
from darwin.errors import ConfigError
from darwin.testing.llm_server import LlmServer
from tests.llm.conftest import KINDS, QUESTION, model_of


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4.1", "gpt-4.1"),
        ("gpt-4.1-2025-04-14", "gpt-4.1"),
        ("gpt-4.1-mini-2025-04-14", "gpt-4.1-mini"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
    ],
)
def test_a_snapshot_costs_what_its_family_costs(model: str, family: str) -> None:
    assert price_of(model) == price_of(family)
    assert knowledge_cutoff(model) == knowledge_cutoff(family) is not None


@pytest.mark.parametrize(
    "model",
    ["gpt-5-pro", "gpt-5.9", "gpt-4.1-2025", "gpt-4o-audio-preview", "claude-sonnet-4-9", "claude",
     "openai/gpt-4o", "GPT-4o", "", "gpt-4o\n", "gpt-4o-20250101\n", "-latest"],
)  # fmt: skip
def test_a_namesake_is_unknown(model: str) -> None:
    assert knowledge_cutoff(model) is None
    assert cost_usd(model, 1, 1) is None
    with pytest.raises(ConfigError) as caught:
        price_of(model)
    assert caught.value.exit_code == 2
    assert "price_in_usd_per_mtok and price_out_usd_per_mtok" in caught.value.mend


def test_what_is_given_replaces_what_is_known() -> None:
    assert price_of("mine", 1.0, 2.0) == Price(1.0, 2.0)
    assert price_of("local", 0.0, 0.0).cost_usd(10**6, 10**6) == 0.0
    known = price_of("gpt-4.1")
    assert price_of("gpt-4.1", None, 9.0) == known._replace(out_usd_per_mtok=9.0)
    assert price_of("gpt-4.1", 9.0) == Price(9.0, known.out_usd_per_mtok)
    with pytest.raises(ConfigError, match="mine") as caught:
        price_of("mine", 1.0)
    assert caught.value.mend == "set price_out_usd_per_mtok"


@pytest.mark.parametrize("usd", [-1.0, math.nan, math.inf])
def test_what_is_no_price_is_refused(usd: float) -> None:
    with pytest.raises(ConfigError, match="price_out_usd_per_mtok"):
        price_of("gpt-4.1", None, usd)


def test_a_million_tokens_cost_the_price() -> None:
    assert cost_usd("gpt-4.1", 1_000_000, 0) == 2.0
    assert cost_usd("gpt-4.1", 0, 1_000_000) == 8.0
    assert cost_usd("gpt-4.1", None, 5) is None
    assert cost_usd("gpt-4.1", 5, None) is None


def test_every_price_has_a_cutoff_before_the_day_of_the_tables() -> None:
    assert prices._PRICES.keys() == prices._CUTOFFS.keys()
    for model, price in prices._PRICES.items():
        cutoff = knowledge_cutoff(model)
        assert date(2023, 1, 1) < cutoff < prices.AS_OF  # type: ignore[operator]
        assert 0 < price.in_usd_per_mtok < price.out_usd_per_mtok
        assert price.cached_usd_per_mtok < price.in_usd_per_mtok  # type: ignore[operator]


@given(st.text(max_size=50), st.text(max_size=50), st.integers(1, 500), st.integers(1, 5))
def test_the_most_is_no_less_than_a_token_for_each_byte(
    system: str, user: str, most: int, attempts: int
) -> None:
    system, user = system * 200, user * 200  # more than what is added for the unknown
    request = Request(system, user, "gpt-4.1", most, schema=SCHEMA)
    read_in = len((system + user).encode()) + len(str(SCHEMA))
    cost = cost_usd("gpt-4.1", read_in, most)
    assert most_usd(request, attempts) >= attempts * cost  # type: ignore[operator]
    assert most_usd(request, attempts) == pytest.approx(attempts * most_usd(request))


@pytest.mark.parametrize("kind", KINDS)
def test_no_reply_costs_more_than_was_said_before(server: LlmServer, kind: str) -> None:
    reply = model_of(server, kind).ask(QUESTION, 10)
    assert isinstance(reply, Reply)
    cost = cost_usd(QUESTION.model, reply.input_tokens, reply.output_tokens)
    assert 0.0 < cost <= most_usd(QUESTION)  # type: ignore[operator]
