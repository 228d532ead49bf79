"""From a run of a book in the making to who watches its agent: trials, promotions, demotions."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from darwin.bootstrap.books import WiredBook
from darwin.config.places import models_dir
from darwin.core.agents import Model
from darwin.rl.graduation.book_promoter import BookPromoter
from darwin.rl.graduation.checklist import State, Validation
from darwin.rl.graduation.contract import Terms, terms_of_book
from darwin.rl.graduation.enacted import Place
from darwin.rl.graduation.judged import validated
from darwin.rl.graduation.promoter import Post
from darwin.rl.graduation.record import scope_of
from darwin.rl.registry.registry import Registry
from darwin.rl.serving.validation import may_do_more_than_watch
from darwin.store.db import Database
from darwin.store.runs import Begun


def book_promoter_of(wired: WiredBook, database: Database, run: Begun) -> BookPromoter:
    """Who watches the agent of `run`. What it says is about that run alone: it is a replay."""
    agent, told = wired.agent, wired.config.allocation
    registry = Registry(models_dir(wired.config, agent), database)
    config: dict[str, Any] = json.loads(run.identity.config_json)
    rule = wired.policies.stand_in is not None

    def terms(model: Model) -> Terms:
        spec = None if rule else wired.policies.served(agent, model).spec
        return terms_of_book(
            config,
            model,
            feature_schema=wired.plan.page.schema,
            training_end_ms=spec.training_end_ms if spec else None,
        )

    def validation(model: Model) -> Validation:
        if rule:
            return Validation(State.MISSING, "it is a rule in the place of a model")
        return validated(registry, agent, model, may_do_more_than_watch)

    place = Place(
        database=database,
        run_id=run.run_id,
        number=run.number,
        scope=scope_of(run.run_id),
        playbooks=(),
        risk_per_trade=1.0,
        now=lambda: datetime.now(UTC),
        held_ms=None,
        take_over=None,
    )
    acts = told.mode in ("active", "auto")
    return BookPromoter(place, {agent: Post(acts, told.mode == "auto", terms, validation)})
