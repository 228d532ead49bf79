"""What may be asked for on pages: every act with its name, what it asks and how it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from darwin.errors import ConfigError
from darwin.service.acts import Signed
from darwin.service.dashboard import asks, deeds
from darwin.service.dashboard.asks import Ask, Given
from darwin.service.dashboard.render import Sight
from darwin.service.place import Place


class Act(NamedTuple):
    """An act by name: how the record calls it, what it asks, how it is done."""

    called: str
    about: tuple[str, ...]  # what it must be told: agent, version, job
    ask: Callable[[Sight, Given], Ask]
    do: Callable[[Place, Given, Signed], str | None]  # gives where to go on, if not back


ACTS = {
    "kill": Act("kill on", (), asks.kill, deeds.kill),
    "release": Act("kill off", (), asks.release, deeds.release),
    "promote": Act("promote", ("agent",), asks.promote, deeds.promote),
    "demote": Act("demote", ("agent",), asks.demote, deeds.demote),
    "stage": Act("stage", ("agent",), asks.stage, deeds.stage),
    "rollback": Act("rollback", ("agent", "version"), asks.rollback, deeds.rollback),
    "pin": Act("pin", ("agent", "version"), asks.pin, deeds.pin),
    "unpin": Act("unpin", ("agent", "version"), asks.unpin, deeds.unpin),
    "cancel": Act("cancel", ("job",), asks.cancel, deeds.cancel),
    "retrain": Act("retrain", ("agent",), asks.retrain, deeds.retrain),
    "schedule": Act("schedule", ("agent",), asks.schedule, deeds.schedule),
    "train": Act("train", ("agent", "run"), asks.train, deeds.train),
}
"""By the name that addresses have."""


def act_of(name: str, given: Given) -> Act:
    """The act of that name. Raises ConfigError for none, or one that lacks what it is about."""
    act = ACTS.get(name)
    if act is None:
        raise ConfigError(f"nothing is called {ascii(name)[:40]} here", mend="open the first page")
    for field in act.about:
        if not given.get(field):
            raise ConfigError(f"nothing says which {field} is meant", where=field)
    return act
