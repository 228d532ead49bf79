"""What questions cost by the price table, as docs/llm.md shows it: `python -m bench.llm_costs`."""

from __future__ import annotations

from darwin.deciders.llm.decider import TYPICAL_TOKENS
from darwin.deciders.llm.prices import AS_OF, knowledge_cutoff, price_of

MODELS = (
    "gpt-5-nano",
    "gpt-5-mini",
    "gpt-5",
    "gpt-4.1-mini",
    "claude-haiku-4-5",
    "claude-sonnet-4-5",
    "claude-opus-4-5",
)


def table() -> str:
    """One row for each model: prices, 1,000 questions of usual length, and its cutoff."""
    read, wrote = TYPICAL_TOKENS
    lines = [
        f"| model ({AS_OF}) | read, USD per million tokens | written | 1,000 questions"
        " | knows until |",
        "| --- | --- | --- | --- | --- |",
    ]
    for model in MODELS:
        price = price_of(model)
        usd = 1000 * (price.cost_usd(read, wrote) or 0.0)
        lines.append(
            f"| `{model}` | {price.in_usd_per_mtok:.2f} | {price.out_usd_per_mtok:.2f}"
            f" | {usd:.2f} USD | {knowledge_cutoff(model)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
