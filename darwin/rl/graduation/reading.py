"""From the record to the stream of a contract: decisions and outcomes as they were kept."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from darwin.core.agents import Why
from darwin.core.rebalance import BOOK_AGENTS
from darwin.rl.graduation.book_reading import of_book
from darwin.rl.graduation.contract import Contract, world_of
from darwin.rl.graduation.increments import Entry, Outcome
from darwin.rl.graduation.record import DEPLOYMENT, run_of
from darwin.rl.graduation.told import Source, Told
from darwin.store.queries import ON_PAPER, kind_of_run
from darwin.store.schema import (
    agent_decisions,
    candidates,
    checkpoints,
    decisions_of,
    id_range,
    outcomes,
    runs,
    verdicts,
)


def sources_of(connection: Connection, contract: Contract) -> list[Source]:
    """The runs that a contract is about: of its scope, in its world, oldest first."""
    query = select(runs.c.run_id, runs.c.number, runs.c.config_json).order_by(runs.c.number)
    if contract.scope == DEPLOYMENT:
        query = query.where(kind_of_run() == ON_PAPER)
    else:
        query = query.where(runs.c.run_id == run_of(contract.scope))
    return [
        Source(run_id, number)
        for run_id, number, config in connection.execute(query)
        if world_of(json.loads(config)) == contract.terms.world
    ]


def told_in_order(
    connection: Connection,
    contract: Contract,
    sources: Sequence[Source] | None = None,
    before: Mapping[int, int] | None = None,
) -> list[Told]:
    """What is on record under a contract, in the order in which it was kept.

    Runs that went on side by side are merged by when their facts were acknowledged. `before` leaves
    out what was not known yet: by the number of a run, the id of the first such fact.
    """
    found = sources_of(connection, contract) if sources is None else sources
    if not found:
        return []
    read = of_book if contract.terms.agent in BOOK_AGENTS else _of_run
    parts = [list(read(connection, contract, source)) for source in found]
    if before is not None:
        ends = [before.get(source.number, 0) for source in found]
        parts = [
            [fact for fact in part if fact[0] < end] for part, end in zip(parts, ends, strict=True)
        ]
    if len(parts) == 1:
        parts[0].sort(key=lambda fact: fact[0])
        return [fact[1] for fact in parts[0]]
    merged = []
    for source, part in zip(found, parts, strict=True):
        kept = _Acknowledged(connection, source.number)
        merged += [((kept.at(number), number), told) for number, told in part]
    merged.sort(key=lambda fact: fact[0])
    return [told for _, told in merged]


def too_early(connection: Connection, contract: Contract, sources: Sequence[Source]) -> int:
    """Decisions on bars that are no evidence: training saw them, or no contract was written yet."""
    terms = contract.terms
    table = decisions_of(terms.agent)
    d = table.c
    return sum(
        connection.execute(
            select(func.count())
            .select_from(table)
            .where(d.id.between(*id_range(source.number)), d.agent_name == terms.agent)
            .where(d.model_sha256 == terms.manifest_sha256, d.action.is_not(None))
            .where(d.bar_time < contract.since_ms)
        ).scalar_one()
        for source in sources
    )


def _of_run(
    connection: Connection, contract: Contract, source: Source
) -> Iterator[tuple[int, Told]]:
    """The facts of one run by their ids; an outcome stands at its own."""
    terms = contract.terms
    d, v, o, c = agent_decisions.c, verdicts.c, outcomes.c, candidates.c
    several = len(set(terms.take_profit_r.values())) > 1
    (usual,) = {*terms.take_profit_r.values()} if not several else {0.0}
    columns = [
        d.id, d.candidate_id, d.bar_time, d.action, d.reason, v.take,
        o.id, o.status, o.entry_time, o.exit_time, o.r,
    ]  # fmt: skip
    query = (
        select(*columns, *([c.playbook] if several else []))
        .outerjoin_from(
            agent_decisions,
            verdicts,
            (v.run_id == d.run_id) & (v.candidate_id == d.candidate_id),
        )
        .outerjoin(outcomes, (o.run_id == d.run_id) & (o.candidate_id == d.candidate_id))
        .where(d.id.between(*id_range(source.number)), d.agent_name == terms.agent)
        .where(d.model_sha256 == terms.manifest_sha256, d.action.is_not(None))
        .where(d.bar_time >= contract.since_ms)
    )
    if several:
        query = query.join(candidates, (c.run_id == d.run_id) & (c.candidate_id == d.candidate_id))
    for row in connection.execute(query):
        number, key, bar_time, action, reason, take, settled, status, entered, left, r = row[:11]
        profit = terms.take_profit_r.get(row[11], 0.0) if several else usual
        said = float("nan") if take is None else float(take)
        yield number, (key, Entry(key, bar_time, action, said, profit, reason == Why.AUDIT.value))
        if status in ("resolved", "gapped"):
            known = left if status == "resolved" else entered
            yield settled, (key, Outcome(known, float("nan") if r is None else r))


class _Acknowledged:
    """When the facts of a run were acknowledged."""

    def __init__(self, connection: Connection, number: int) -> None:
        self._base = id_range(number)[0]
        k = checkpoints.c
        rows: Any = connection.execute(
            select(k.facts, k.at).where(k.id.between(*id_range(number))).order_by(k.id)
        ).all()
        self._facts, self._at = [row[0] for row in rows], [row[1] for row in rows]

    def at(self, fact: int) -> str:
        """By the wall clock, ISO 8601 UTC; what no checkpoint covers comes last."""
        place = bisect_left(self._facts, fact - self._base)
        return str(self._at[place]) if place < len(self._at) else "9999"
