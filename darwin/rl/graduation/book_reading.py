"""From the record of books to the stream of a contract: rebalances, and what came of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, select

from darwin.core.book_facts import Held, Rebalanced
from darwin.core.candidate import id_text
from darwin.rl.graduation.contract import Contract
from darwin.rl.graduation.increments import Entry, Outcome
from darwin.rl.graduation.told import Source, Told
from darwin.store.book_columns import as_numbers
from darwin.store.schema import holdings, id_range, rebalances


def of_book(
    connection: Connection, contract: Contract, source: Source
) -> Iterator[tuple[int, Told]]:
    """The facts of one run of a book by their ids; what came of a rebalance stands at its own."""
    r, h, terms = rebalances.c, holdings.c, contract.terms
    same = (h.run_id == r.run_id) & (h.agent_name == r.agent_name)
    same &= (h.role == r.role) & (h.rebalance_id == r.rebalance_id)
    query = (
        select(
            r.id, r.rebalance_id, r.bar_time, r.advised_weights,
            h.id, h.known_time, h.advised_return, h.baseline_returns, h.asset_returns,
        )
        .outerjoin_from(rebalances, holdings, same)
        .where(r.id.between(*id_range(source.number)), r.agent_name == terms.agent)
        .where(r.model_sha256 == terms.manifest_sha256, r.action.is_not(None))
        .where(r.bar_time >= contract.since_ms)
    )  # fmt: skip
    for (
        number,
        key,
        bar_time,
        weights,
        settled,
        known,
        advised,
        against,
        assets,
    ) in connection.execute(query):
        yield number, (key, entry_of(key, bar_time, as_numbers(weights).tolist()))
        if settled is not None:
            others, moved = as_numbers(against).tolist(), as_numbers(assets).tolist()
            yield settled, (key, Outcome(known, advised, tuple(others), tuple(moved)))


def entry_of(key: str, bar_time: int, weights: Sequence[float]) -> Entry:
    """A rebalance as a stream takes it."""
    return Entry(key, bar_time, sum(map(abs, weights)), float("nan"), 0.0, False, tuple(weights))


def told_of(one: Rebalanced) -> Entry | None:
    """The same of one that was just decided; None without advice."""
    if one.advised is None:
        return None
    return entry_of(id_text(one.at.id), one.at.bar_time, one.advised)


def outcome_of(one: Held) -> Outcome:
    """What came of it."""
    return Outcome(one.known_time, one.advised_return, one.baseline_returns, one.asset_returns)
