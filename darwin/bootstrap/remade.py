"""Whether what a run has recorded of its agents can be made again, before anything is."""

from __future__ import annotations

from sqlalchemy import Table, select

from darwin.core.agents import Model, Why
from darwin.core.ports import AnyPolicies
from darwin.errors import ModelError, StorageError
from darwin.store.db import Database
from darwin.store.runs import Begun
from darwin.store.schema import agent_decisions, id_range

_NOT_READ = (Why.KILLED, Why.DISABLED, Why.NO_MODEL, Why.BREAKER_OPEN)
"""Rulings for which no model is read."""


def require_models(
    policies: AnyPolicies, database: Database, run: Begun, table: Table = agent_decisions
) -> None:
    """Raise ModelError unless all models that a run was decided with are as they were then.

    `table` is where its decisions are kept: of a run of a book `rebalances`.

    To resume a run, and to replay it, is to make its decisions again. Says how to go on.
    """
    d = table.c
    with database.read() as connection:
        asked = connection.execute(
            select(d.agent_name, d.model_version, d.model_sha256)
            .where(d.id.between(*id_range(run.number)), d.model_sha256.is_not(None))
            .where(d.reason.not_in([str(why) for why in _NOT_READ]))
            .distinct()
        ).all()
    for agent, version, sha256 in asked:
        try:
            policies.policy(agent, Model(version, sha256))
        except (ModelError, StorageError) as fault:
            raise ModelError(
                f"decisions of run '{run.run_id}' were made with version {version} of {agent}, and"
                f" cannot be made again: {fault.what}",
                where=fault.where,
                mend="bring that version back from a copy, or begin the run under another run_id"
                if not version.startswith("rule.")
                else fault.mend,
            ) from fault
