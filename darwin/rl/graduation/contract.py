"""The terms under which a version of an agent is judged, written down before its evidence.

A version that enters observe is entered into: who it is, in which world it is asked, what it must
show, and at which level. Whoever changes the terms begins anew, and pays for it: the level of the
next version is stricter, because a hundred versions without skill would else promote some by luck.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from darwin.config.book import is_of_book
from darwin.core.agents import GATE, META_LEARNER, Model
from darwin.core.candidate import Exits
from darwin.core.market import DAY_MS, HOUR_MS, Timeframe
from darwin.errors import IntegrityError
from darwin.rl.graduation.record import DEPLOYMENT, Act, Kind, record_in
from darwin.store import logs, schema
from darwin.store.runs import iso_time

ALPHA = 0.05
"""Chance that any of all versions of an agent without skill is ever promoted."""
FIRST_SHARE, NEXT_SHARE = 0.2, 0.8
"""The first version spends a fifth of `ALPHA`, each one after it four fifths of the one before."""
BUDGET_MS = 180 * DAY_MS
"""Versions count against each other that entered within so much market time."""
LEAST_BLOCK_MS, LEAST_SIZED_BLOCK_MS = 2 * DAY_MS, 3 * DAY_MS
EMBARGO_MS = 24 * HOUR_MS
"""Bars after the end of a training that are no evidence: what it saw reaches into them."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a version is judged by; changing any of it voids its evidence."""

    agent: str
    version: str
    manifest_sha256: str
    feature_schema: str  # of its page
    action_threshold: float | None
    training_end_ms: int | None  # close of the last bar it was trained on; None: on none
    bar_ms: int
    life_ms: int | None  # the longest bracket; None: one has no time stop
    block_ms: int  # market time of a block
    take_profit_r: Mapping[str, float]  # by playbook: what is more than that counts as that
    call_cost_r: float  # what asking the expert costs
    risk_per_trade: float | None  # fraction of equity that one R is; None: sizes do not say
    alpha: float
    world: str  # SHA-256 of playbooks, costs, decider, timeframe, symbols

    @property
    def model(self) -> Model:
        """Whom it is about."""
        return Model(self.version, self.manifest_sha256)

    @property
    def since_ms(self) -> int:
        """Bars that open before that are no evidence."""
        return -(1 << 62) if self.training_end_ms is None else self.training_end_ms + EMBARGO_MS

    def text(self) -> str:
        """As it is written down: JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 of that text, 64 hex digits."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    @classmethod
    def read(cls, text: str) -> Terms:
        """Read what `text` has written. Raises ValueError for anything else."""
        told = json.loads(text)
        if not isinstance(told, dict) or set(told) != set(cls.__dataclass_fields__):
            raise ValueError("these are no terms of a contract")
        return cls(**told)


@dataclass(frozen=True, slots=True)
class Contract:
    """Terms that a version was entered into, and its number among those on trial."""

    terms: Terms
    scope: str  # deployment, or run:<id>
    number: int  # v, from 1
    entered_ms: int  # bar time from which on its decisions count
    at: datetime  # wall clock, UTC

    @property
    def alpha_v(self) -> float:
        """Chance that this version is ever promoted without skill."""
        return level_of(self.terms.alpha, self.number)

    @property
    def since_ms(self) -> int:
        """Bars that open before that are no evidence under it."""
        return max(self.terms.since_ms, self.entered_ms)


def level_of(alpha: float, number: int) -> float:
    """α·0.2·0.8^(v−1): over all versions together, α."""
    return alpha * FIRST_SHARE * float(NEXT_SHARE ** (number - 1))


def terms_of(
    config: Mapping[str, Any],
    agent: str,
    model: Model,
    *,
    feature_schema: str,
    action_threshold: float | None = None,
    training_end_ms: int | None = None,
    cost_usd_per_call: float = 0.0,
) -> Terms:
    """The terms for `model` of `agent` in a run of `config`, resolved as a run records it.

    `cost_usd_per_call` is what its expert asks.
    """
    bar_ms = Timeframe.parse(config["market"]["timeframe"]).ms
    exits = [playbook["exits"] for playbook in config["playbooks"]]
    stops = [one["time_stop_bars"] for one in exits]
    life = None if None in stops else max(stops) * bar_ms
    least = LEAST_BLOCK_MS if agent in (GATE, META_LEARNER) else LEAST_SIZED_BLOCK_MS
    portfolio = config["portfolio"]
    risk = portfolio["risk_per_trade"] if portfolio["sizing"] == "risk" else None
    return Terms(
        agent=agent,
        version=model.version,
        manifest_sha256=model.sha256,
        feature_schema=feature_schema,
        action_threshold=action_threshold,
        training_end_ms=training_end_ms,
        bar_ms=bar_ms,
        life_ms=life,
        block_ms=max(least, 2 * (life or 0)),
        take_profit_r=_take_profits(config["playbooks"]),
        call_cost_r=cost_usd_per_call / (risk * portfolio["starting_equity_usd"]) if risk else 0.0,
        risk_per_trade=risk,
        alpha=ALPHA,
        world=world_of(config),
    )


def terms_of_book(
    config: Mapping[str, Any],
    model: Model,
    *,
    feature_schema: str,
    training_end_ms: int | None = None,
) -> Terms:
    """The terms for `model` of the agent of a book, in a run of `config` as it was recorded.

    Its unit is the value of the book: what an R is to other agents is all of it here.
    """
    bar_ms = Timeframe.parse(config["market"]["timeframe"]).ms
    life = int(config["allocation"]["every"]) * bar_ms
    return Terms(
        agent=config["allocation"]["agent"],
        version=model.version,
        manifest_sha256=model.sha256,
        feature_schema=feature_schema,
        action_threshold=None,
        training_end_ms=training_end_ms,
        bar_ms=bar_ms,
        life_ms=life,
        block_ms=max(LEAST_SIZED_BLOCK_MS, 2 * life),
        take_profit_r={},
        call_cost_r=0.0,
        risk_per_trade=1.0,
        alpha=ALPHA,
        world=world_of(config),
    )


def world_of(config: Mapping[str, Any]) -> str:
    """SHA-256 of the world that a run of `config` is: its name, its dates and its sizes are none.

    Two runs of one world differ in what their bars bring, not in what is asked of agents.
    """
    if is_of_book(config):
        asked = config["allocation"]
        told = {
            "costs": config["costs"],
            "allocation": {key: asked[key] for key in ("agent", "every")},
        }
    else:
        told = {key: config[key] for key in ("playbooks", "costs", "decider")}
    told |= {key: config["market"][key] for key in ("timeframe", "symbols")}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _take_profits(playbooks: list[Mapping[str, Any]]) -> dict[str, float]:
    """By the names that a run gives its playbooks: one that comes again gets #2, #3."""
    found: dict[str, float] = {}
    seen: dict[str, int] = {}
    for one in playbooks:
        seen[one["name"]] = times = seen.get(one["name"], 0) + 1
        name = one["name"] if times == 1 else f"{one['name']}#{times}"
        exits = one["exits"]
        found[name] = Exits(exits["stop_atr"], exits["target_atr"]).take_profit_r
    return found


def enter(
    connection: Connection, terms: Terms, scope: str, entered_ms: int, *, by: str, at: datetime
) -> Contract:
    """Write down that a version is on trial from the bar at `entered_ms` on; gives its contract.

    Where it is on trial at that bar already, under these very terms, that one holds on.
    """
    mine = [
        one
        for one in contracts_in(connection, terms.agent)
        if one.scope == scope and one.terms.model == terms.model and one.entered_ms <= entered_ms
    ]
    if mine and mine[-1].terms == terms and not _ended(connection, mine[-1], entered_ms):
        return mine[-1]
    number = _number(connection, terms, scope, max(entered_ms, terms.since_ms))
    why = f"version {terms.version} enters observe, number {number} of its budget period"
    logs.append(
        connection, schema.contracts, agent_name=terms.agent, version=terms.version,
        manifest_sha256=terms.manifest_sha256, scope=scope, number=number, entered=entered_ms,
        terms=terms.text(), digest=terms.digest, by=by, reason=why, at=iso_time(at),
    )  # fmt: skip
    return Contract(terms, scope, number, entered_ms, at)


def contracts_in(connection: Connection, agent: str) -> list[Contract]:
    """Every contract of an agent, oldest first. Raises RecordError, IntegrityError."""
    rows = logs.sound_rows_in(connection, schema.contracts)
    return [_read(row) for row in rows if row["agent_name"] == agent]


def contract_in(connection: Connection, agent: str, model: Model, scope: str) -> Contract | None:
    """The one that a version stands under in a scope: the newest."""
    mine = [
        one
        for one in contracts_in(connection, agent)
        if one.scope == scope and one.terms.model == model
    ]
    return mine[-1] if mine else None


def trained_until(connection: Connection, agent: str, model: Model) -> int:
    """Bars that open before that are no evidence of a model, by all contracts it ever stood under.

    Its training saw them, or they follow too soon.
    """
    mine = [one.terms for one in contracts_in(connection, agent) if one.terms.model == model]
    return max((terms.since_ms for terms in mine), default=-(1 << 62))


def _ended(connection: Connection, held: Contract, now_ms: int) -> bool:
    """Whether the version was demoted since it entered: what follows is a new trial."""

    def ends(act: Act) -> bool:
        if act.kind is not Kind.DEMOTED or act.scope != held.scope or act.model != held.terms.model:
            return False
        time = act.detail.get("bar_time")
        return act.at >= held.at if time is None else held.entered_ms < time <= now_ms

    return any(map(ends, record_in(connection, held.terms.agent).acts))


def next_number(connection: Connection, agent: str, *, deployed: bool, since_ms: int) -> int:
    """The number that a version of new terms would have whose decisions count from a bar on.

    The deployment (`deployed`) counts its own trials, replays count those of replays.
    """
    near = _near(connection, agent, deployed, since_ms)
    return 1 + (len(near) if deployed else len({(one.terms.digest, one.number) for one in near}))


def _near(connection: Connection, agent: str, deployed: bool, since_ms: int) -> list[Contract]:
    """Trials of the agent within the budget period."""
    return [
        one
        for one in contracts_in(connection, agent)
        if (one.scope == DEPLOYMENT) == deployed and abs(one.since_ms - since_ms) < BUDGET_MS
    ]


def _number(connection: Connection, terms: Terms, scope: str, since_ms: int) -> int:
    """How many trials of the agent, this one among them, lie within the budget period.

    The deployment counts its own, replays count those of replays. The same version under the same
    terms in another replay is the same trial, unless it was demoted in between.
    """
    deployed = scope == DEPLOYMENT
    if not deployed:
        near = _near(connection, terms.agent, deployed, since_ms)
        here = [one for one in near if one.scope == scope]
        again = [one for one in near if one.terms == terms and one.scope != scope]
        if again and not here:
            return again[0].number
    return next_number(connection, terms.agent, deployed=deployed, since_ms=since_ms)


def _read(row: Mapping[Any, Any]) -> Contract:
    try:
        terms = Terms.read(row["terms"])
        if terms.digest != row["digest"]:
            raise ValueError("its digest is that of other terms")
        at = datetime.fromisoformat(row["at"])
    except (ValueError, TypeError) as fault:
        raise IntegrityError(
            f"row {row['id']:,} of contracts is no contract ({fault})",
            mend="put a backup of the database in its place",
        ) from fault
    return Contract(terms, row["scope"], row["number"], row["entered"], at)
