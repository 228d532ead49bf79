"""From a run in the making to who watches its agents: their trials, promotions and demotions."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from darwin.bootstrap import Wired
from darwin.bootstrap.agents import Agents, named_agents
from darwin.config.model import RunConfig
from darwin.config.places import models_dir
from darwin.config.rl import AgentConfig
from darwin.core.agents import Model
from darwin.rl.agents.pages import PAGES
from darwin.rl.graduation.checklist import State, Validation
from darwin.rl.graduation.contract import Terms, terms_of
from darwin.rl.graduation.dwell import market_time_held
from darwin.rl.graduation.enacted import Place
from darwin.rl.graduation.judged import validated
from darwin.rl.graduation.promoter import Post, Promoter
from darwin.rl.graduation.record import BY_ITSELF, DEPLOYMENT, scope_of
from darwin.rl.registry.deploy import take_over
from darwin.rl.registry.registry import Registry
from darwin.rl.serving.validation import may_do_more_than_watch
from darwin.store.db import Database
from darwin.store.runs import Begun


def promoter_of(config: RunConfig, wired: Wired, database: Database, run: Begun) -> Promoter | None:
    """Who watches the agents of `run`; None where it has none.

    On paper what it says is about the deployment. In a replay, and in a run that is fed the bars
    of a file, it is about that run alone: whoever chose the bars has seen them.
    """
    if wired.agents is None:
        return None
    on_paper = config.on_paper
    portfolio = config.portfolio
    registries = {
        name: Registry(models_dir(config, name), database) for name in named_agents(config)
    }

    def held_ms(agent: str, model: Model, since: datetime) -> int:
        with database.read() as connection:
            return market_time_held(connection, agent, model.sha256, since)

    def graduate(agent: str) -> None:
        why = "the challenger has graduated"
        take_over(registries[agent], agent, by=BY_ITSELF, reason=why, now=datetime.now(UTC))

    place = Place(
        database=database,
        run_id=run.run_id,
        number=run.number,
        scope=DEPLOYMENT if on_paper else scope_of(run.run_id),
        tells=run.identity.mode == "replay",
        playbooks=wired.playbooks,
        risk_per_trade=portfolio.risk_per_trade if portfolio.sizing == "risk" else None,
        now=lambda: datetime.now(UTC),
        held_ms=held_ms if on_paper else None,
        take_over=graduate if on_paper else None,
    )
    cost = float(getattr(wired.session.decider, "cost_usd_per_call", 0.0))
    told = json.loads(run.identity.config_json)
    posts = {
        name: _post(name, agent, wired.agents, registries[name], told, cost)
        for name, agent in named_agents(config).items()
    }
    return Promoter(place, posts)


def _post(
    name: str,
    agent: AgentConfig,
    agents: Agents,
    registry: Registry,
    config: dict[str, object],
    cost_usd_per_call: float,
) -> Post:
    page = PAGES[name]

    def terms(model: Model) -> Terms:
        spec = None if agents.policies.stand_in(name) else agents.policies.served(name, model).spec
        return terms_of(
            config,
            name,
            model,
            feature_schema=page.schema,
            action_threshold=spec.threshold if spec else None,
            training_end_ms=spec.training_end_ms if spec else None,
            cost_usd_per_call=cost_usd_per_call,
        )

    def validation(model: Model) -> Validation:
        if agents.policies.stand_in(name):
            return Validation(State.MISSING, "it is a rule in the place of a model")
        return validated(registry, name, model, may_do_more_than_watch)

    acts = agent.mode in ("active", "auto")
    return Post(acts, agent.mode == "auto", terms, validation)
