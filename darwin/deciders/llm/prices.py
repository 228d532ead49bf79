"""What asking a model costs, and until when it has read.

The tables are of `AS_OF`, written down from the providers' pages, and providers change prices: give
`price_in_usd_per_mtok` and `price_out_usd_per_mtok` where money matters. A name is known if it is
in a table, alone or followed by the date of a snapshot (`gpt-4.1-2025-04-14`,
`claude-sonnet-4-5-20250929`) or by `-latest`. `gpt-5-pro` is therefore not taken for a `gpt-5`, nor
a model of a later number for one of an earlier: those are unknown until somebody writes them down.
The cutoff is the last day of what the training data hold, not of what the model knows reliably: up
to that day it may have read how a market went on.
"""

from __future__ import annotations

import json
import math
import re
from datetime import date
from typing import NamedTuple

from darwin.deciders.llm.question import Request
from darwin.errors import ConfigError

AS_OF = date(2025, 11, 30)
OVERHEAD_TOKENS = 1000  # what a provider adds to a request: roles, the form of the answer
_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8}|latest)")
_MILLION = 1e6


class Price(NamedTuple):
    """USD per million tokens."""

    in_usd_per_mtok: float
    out_usd_per_mtok: float
    cached_usd_per_mtok: float | None = None  # of input that was kept; None: not known

    def cost_usd(self, input_tokens: int | None, output_tokens: int | None) -> float | None:
        """What these tokens cost, nothing taken off for kept input; None: a count is missing."""
        if input_tokens is None or output_tokens is None:
            return None
        usd = input_tokens * self.in_usd_per_mtok + output_tokens * self.out_usd_per_mtok
        return usd / _MILLION

    def most_usd(self, request: Request, attempts: int = 1) -> float:
        """What `request` can cost at most, sent `attempts` times; known before it is sent.

        No token is shorter than a byte of UTF-8, and none is written beyond the request's limit.
        """
        schema = json.dumps(request.schema) if request.schema is not None else ""
        texts = (request.system, request.user, schema)
        read_in = OVERHEAD_TOKENS + sum(len(text.encode("utf-8", "replace")) for text in texts)
        usd = read_in * self.in_usd_per_mtok + request.max_output_tokens * self.out_usd_per_mtok
        return attempts * usd / _MILLION


_PRICES = {
    "gpt-5.1": Price(1.25, 10.0, 0.125),
    "gpt-5": Price(1.25, 10.0, 0.125),
    "gpt-5-mini": Price(0.25, 2.0, 0.025),
    "gpt-5-nano": Price(0.05, 0.40, 0.005),
    "gpt-4.1": Price(2.0, 8.0, 0.50),
    "gpt-4.1-mini": Price(0.40, 1.60, 0.10),
    "gpt-4.1-nano": Price(0.10, 0.40, 0.025),
    "gpt-4o": Price(2.50, 10.0, 1.25),
    "gpt-4o-mini": Price(0.15, 0.60, 0.075),
    "o3": Price(2.0, 8.0, 0.50),
    "o4-mini": Price(1.10, 4.40, 0.275),
    "claude-opus-4-5": Price(5.0, 25.0, 0.50),
    "claude-opus-4-1": Price(15.0, 75.0, 1.50),
    "claude-opus-4": Price(15.0, 75.0, 1.50),
    "claude-sonnet-4-5": Price(3.0, 15.0, 0.30),
    "claude-sonnet-4": Price(3.0, 15.0, 0.30),
    "claude-haiku-4-5": Price(1.0, 5.0, 0.10),
    "claude-3-7-sonnet": Price(3.0, 15.0, 0.30),
    "claude-3-5-haiku": Price(0.80, 4.0, 0.08),
    "claude-3-haiku": Price(0.25, 1.25, 0.03),
}
_CUTOFFS = {
    "gpt-5.1": date(2024, 9, 30),
    "gpt-5": date(2024, 9, 30),
    "gpt-5-mini": date(2024, 5, 31),
    "gpt-5-nano": date(2024, 5, 31),
    "gpt-4.1": date(2024, 6, 1),
    "gpt-4.1-mini": date(2024, 6, 1),
    "gpt-4.1-nano": date(2024, 6, 1),
    "gpt-4o": date(2023, 10, 1),
    "gpt-4o-mini": date(2023, 10, 1),
    "o3": date(2024, 6, 1),
    "o4-mini": date(2024, 6, 1),
    "claude-opus-4-5": date(2025, 8, 31),
    "claude-opus-4-1": date(2025, 3, 31),
    "claude-opus-4": date(2025, 3, 31),
    "claude-sonnet-4-5": date(2025, 7, 31),
    "claude-sonnet-4": date(2025, 3, 31),
    "claude-haiku-4-5": date(2025, 7, 31),
    "claude-3-7-sonnet": date(2024, 11, 30),
    "claude-3-5-haiku": date(2024, 7, 31),
    "claude-3-haiku": date(2023, 8, 31),
}


def price_of(
    model: str,
    price_in_usd_per_mtok: float | None = None,
    price_out_usd_per_mtok: float | None = None,
) -> Price:
    """The price of `model`; what is given replaces what is known.

    Raises ConfigError where something is neither known nor given, or given as no price.
    """
    given = {
        "price_in_usd_per_mtok": price_in_usd_per_mtok,
        "price_out_usd_per_mtok": price_out_usd_per_mtok,
    }
    for name, usd in given.items():
        if usd is not None and not (0.0 <= usd < math.inf):
            raise ConfigError(f"{name} is no price: {usd}", mend="give USD per million tokens")
    read_in, written = price_in_usd_per_mtok, price_out_usd_per_mtok
    if read_in is not None and written is not None:
        return Price(read_in, written)
    known = _PRICES.get(_family(model, _PRICES))
    if known is None:
        raise ConfigError(
            f"the price of the model {model!a} is not known, so no budget can hold",
            where=f"the prices of {AS_OF}",
            mend="set " + " and ".join(name for name, usd in given.items() if usd is None),
        )
    if read_in is not None:
        return Price(read_in, known.out_usd_per_mtok)
    return known if written is None else known._replace(out_usd_per_mtok=written)


def cost_usd(model: str, input_tokens: int | None, output_tokens: int | None) -> float | None:
    """What these tokens of `model` cost by the table; None where price or count is not known."""
    known = _PRICES.get(_family(model, _PRICES))
    return None if known is None else known.cost_usd(input_tokens, output_tokens)


def most_usd(request: Request, attempts: int = 1) -> float:
    """What `request` can cost at most by the table. Raises ConfigError for an unknown model."""
    return price_of(request.model).most_usd(request, attempts)


def knowledge_cutoff(model: str) -> date | None:
    """The last day that the training data of `model` hold; None: not known."""
    return _CUTOFFS.get(_family(model, _CUTOFFS))


def _family(model: str, table: dict[str, Price] | dict[str, date]) -> str:
    """The name in `table` of which `model` is a snapshot; empty: none."""
    if model in table:
        return model
    found = _SNAPSHOT.search(model)
    name = model[: found.start()] if found is not None and found.end() == len(model) else ""
    return name if name in table else ""
