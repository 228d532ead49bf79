"""What the door would have shown an agent in a run that it took no part in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from darwin.bootstrap.experts import by_record
from darwin.bootstrap.recorded import rewire
from darwin.bootstrap.remade import require_models
from darwin.core.agents import Model
from darwin.core.candidate import id_text
from darwin.core.facts import Facts
from darwin.core.ports import Page, Policy
from darwin.engine.consult import Terms
from darwin.engine.seat import AgentTerms
from darwin.store.acts import journaled
from darwin.store.db import Database
from darwin.store.journal import Journal
from darwin.store.runs import find_begun


def observations(
    database: Database, run_id: str, page: Page, artifacts_dir: str
) -> dict[bytes, bytes]:
    """By candidate id, what the agent of `page` would have seen: float32 bytes.

    The run is made again from its bars and journaled inputs with that agent at the door, without a
    model, so that nothing stands but the baseline. Every other fact is compared with the record.
    Raises IntegrityError, naming the first that comes out otherwise, DataError where the bars are
    not what they were, ModelError where a model of another agent is not to be had.
    """
    run = find_begun(database, run_id)
    _, wired = rewire(run, artifacts_dir, database)
    wired = by_record(wired, database, run_id)
    session, others = wired.session, wired.session.agents
    if wired.agents is not None:
        require_models(wired.agents.policies, database, run)
    guest = AgentTerms(page)
    agents = (
        Terms((guest,), _NoModels())
        if others is None
        else replace(others, agents=(*others.agents, guest))
    )
    seated = replace(session, agents=agents, recorded_features=run.identity.feature_names)
    kept = Journal(database, run, wired.playbooks, only_compare=True)
    beside = _Beside(kept, page.name, run.identity.feature_names)
    seated.run(None, beside, journaled(database, run))
    kept.finish()
    return beside.seen


class _Beside:
    """Hands on all facts but those of one agent, of which it keeps what was seen."""

    def __init__(self, journal: Journal, agent: str, features: tuple[str, ...]) -> None:
        self.seen: dict[bytes, bytes] = {}
        self._journal, self._agent, self._features = journal, agent, features

    def due(self) -> bool:
        return self._journal.due()

    def append(self, facts: Facts) -> None:
        table, agent = facts.candidates, self._agent
        for one in facts.decisions:
            if one.agent == agent:
                told = id_text(table.id[one.row - facts.first_row])
                self.seen[told.encode()] = one.observation
        columns = np.array([table.feature_names.index(name) for name in self._features], np.intp)
        self._journal.append(
            replace(
                facts,
                candidates=replace(
                    table, feature_names=self._features, features=table.features[:, columns]
                ),
                decisions=[one for one in facts.decisions if one.agent != agent],
            )
        )


class _NoModels:
    """Where no model is to be asked, none is to be had."""

    def policy(self, agent: str, model: Model) -> Policy:
        raise AssertionError(f"{agent} has no model in this run")
