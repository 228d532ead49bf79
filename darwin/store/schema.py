"""The tables of Darwin's database, as SQLAlchemy Core sees them.

The file itself is created and changed by the migrations beside this module alone; a test proves
that both say the same. All tables are STRICT, times are open times of bars in ms UTC.

Chained facts (`core.facts.TABLES`) share one sequence per run, in the order of events: `id` is the
run's number and the place in that sequence, `seq` that place alone, `hash` the link of the chain.
Rows beside the chain (`runs`, `run_events`, `checkpoints`, `equity_marks`, `alerts`) carry a
`seal`, a chain of their own over all their columns; so do the logs of the deployment, which belong
to no run. What link and seal are made of stands in `store.chain`.

A column that came with a later schema is marked `since`: it is part of a row's line only where it
says something, so that chains of before it still hold.

SQLite has neither NaN nor a negative zero: a column that may be NULL says here what NULL means,
every other one refuses it, and -0.0 reads back as 0.0 (feature bytes keep theirs).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BLOB,
    INTEGER,
    REAL,
    TEXT,
    CheckConstraint,
    Column,
    Computed,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
    column,
    table,
    text,
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

from darwin.core.agents import AGENTS
from darwin.core.rebalance import ALL_AGENTS, BOOK_AGENTS

VERSION = "0008"
"""The revision this code reads and writes: the newest file in `migrations/versions`."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


SEQ_BITS = 40
"""An id is `number << SEQ_BITS | seq`: the run's number and the place within the run, from 1."""


def id_range(number: int) -> tuple[int, int]:
    """The ids of run `number`: above the first, up to and with the last."""
    return number << SEQ_BITS, (number + 1 << SEQ_BITS) - 1


def _seq() -> Computed:
    """The place alone, which the id holds."""
    return Computed(f"id & {(1 << SEQ_BITS) - 1}", persisted=False)


def _fact(name: str, *items: SchemaItem) -> Table:
    """A table of chained facts."""
    return Table(
        name,
        metadata,
        Column("id", INTEGER, primary_key=True),
        Column("seq", INTEGER, _seq()),
        Column("run_id", TEXT, nullable=False),
        *items,
        Column("hash", BLOB, nullable=False),  # SHA-256
        CheckConstraint("length(hash) = 32", name="hash"),
        sqlite_strict=True,
    )


def _beside(name: str, *items: SchemaItem) -> Table:
    """A table of rows that belong to a run and stand outside its chain; numbered from 1."""
    return Table(
        name,
        metadata,
        Column("id", INTEGER, primary_key=True),
        Column("run_id", TEXT, nullable=False),
        *items,
        Column("seal", BLOB, nullable=False),  # SHA-256
        ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
        CheckConstraint("length(seal) = 32", name="seal"),
        sqlite_strict=True,
    )


def _log(name: str, *items: SchemaItem) -> Table:
    """A log of the deployment: one sealed sequence over all runs, numbered from 1."""
    return Table(
        name,
        metadata,
        Column("id", INTEGER, primary_key=True),
        *items,
        Column("at", TEXT, nullable=False),  # wall clock, ISO 8601 UTC; in no export
        Column("seal", BLOB, nullable=False),  # SHA-256
        CheckConstraint("length(seal) = 32", name="seal"),
        sqlite_strict=True,
    )


def _later(name: str, since: str, kind: type[TypeEngine[Any]] = TEXT) -> Column[Any]:
    """A value that rows of before `since` do not have; NULL where it says nothing."""
    return Column(name, kind, info={"since": since})


def _an_agent(names: tuple[str, ...] = ALL_AGENTS) -> CheckConstraint:
    told = ", ".join(f"'{name}'" for name in sorted(names))
    return CheckConstraint(f"agent_name IN ({told})", name="agent")


def _of_a_candidate() -> ForeignKeyConstraint:
    """The fact is about a candidate that the same run recorded."""
    return ForeignKeyConstraint(
        ["run_id", "candidate_id"], ["candidates.run_id", "candidates.candidate_id"]
    )


runs = Table(
    "runs",
    metadata,
    Column("run_id", TEXT, primary_key=True),
    Column("number", INTEGER, nullable=False),  # from 1, in the order in which runs were begun
    Column("mode", TEXT, nullable=False),  # replay: all bars at once; feed: one after the other
    Column("config_json", TEXT, nullable=False),  # resolved: defaults, environment, --set
    Column("config_digest", TEXT, nullable=False),
    Column("data_digest", TEXT),  # NULL in a feed: see checkpoints
    Column("code_version", TEXT, nullable=False),  # that it was begun with
    Column("symbols", TEXT, nullable=False),  # JSON array
    Column("feature_names", TEXT, nullable=False),  # JSON array, order of candidates.features
    Column("started_at", TEXT, nullable=False),  # wall clock, ISO 8601 UTC; in no export
    Column("seal", BLOB, nullable=False),
    UniqueConstraint("number"),
    CheckConstraint("mode IN ('replay', 'feed')", name="mode"),
    CheckConstraint("length(seal) = 32", name="seal"),
    sqlite_strict=True,
)

run_events = _beside(
    "run_events",
    Column("kind", TEXT, nullable=False),
    Column("facts", INTEGER, nullable=False),  # how many were acknowledged when it happened
    Column("code_version", TEXT, nullable=False),  # that was running
    Column("detail", TEXT, nullable=False),
    Column("at", TEXT, nullable=False),  # wall clock, ISO 8601 UTC; in no export
    CheckConstraint(
        "kind IN ('begun', 'resumed', 'code accepted', 'waited', 'finished')", name="kind"
    ),
)

checkpoints = _beside(
    "checkpoints",
    Column("facts", INTEGER, nullable=False),  # acknowledged by it: the seq of the last one
    Column("head", BLOB, nullable=False),  # the hash of that one
    Column("reached", INTEGER),  # open time of the last bar it covers whole; NULL: of none
    Column("bars", INTEGER, nullable=False),  # of all symbols, up to there
    Column("data_digest", TEXT),  # of the bars consumed so far; NULL in a replay
    Column("at", TEXT, nullable=False),  # wall clock, ISO 8601 UTC; in no export
    CheckConstraint("length(head) = 32", name="head"),
)

acts = Table(
    "acts",
    metadata,
    Column("id", INTEGER, primary_key=True),
    Column("run_id", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("by", TEXT, nullable=False),
    Column("reason", TEXT, nullable=False),
    Column("at", TEXT, nullable=False),  # wall clock, ISO 8601 UTC; in no export
    Column("seal", BLOB, nullable=False),
    ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
    CheckConstraint("kind IN ('release')", name="kind"),
    CheckConstraint("length(seal) = 32", name="seal"),
    sqlite_strict=True,
)
"""What persons asked of a run; it takes effect where `inputs` has it."""

inputs = _fact(
    "inputs",
    Column("kind", TEXT, nullable=False),
    Column("candidate_id", TEXT, nullable=False),  # the first one decided under it
    Column("time", INTEGER, nullable=False),  # of that candidate's bar
    Column("by", TEXT, nullable=False),
    Column("reason", TEXT, nullable=False),
    _later("agent_name", "0003"),  # NULL: it is about the account, or all agents
    _later("detail", "0003"),  # of a standing: JSON, see core.agents.Standing
    ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
)

candidates = _fact(
    "candidates",
    Column("candidate_id", TEXT, nullable=False),  # 16 hex digits
    Column("symbol", TEXT, nullable=False),
    Column("playbook", TEXT, nullable=False),
    Column("side", TEXT, nullable=False),
    Column("bar_time", INTEGER, nullable=False),
    Column("close", REAL, nullable=False),
    Column("stop_distance", REAL, nullable=False),  # price units, like all distances
    Column("target_distance", REAL),  # NULL: no target
    Column("time_stop_bars", INTEGER),  # NULL: no time stop
    Column("trail_activation_r", REAL),  # NULL: no trailing stop
    Column("trail_distance", REAL),  # NULL: no trailing stop
    Column("anchor", TEXT, nullable=False),  # what the distances are measured from
    Column("stage", TEXT),  # where in the funnel its decision ended it
    Column("reason", TEXT),  # and why; both NULL: an order went out, see the view `endings`
    Column("feature_version", TEXT, nullable=False),
    Column("features", BLOB, nullable=False),  # float64 little-endian
    ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
    UniqueConstraint("run_id", "candidate_id"),
    Index("ix_candidates_ending", "run_id", "stage", "reason"),
    CheckConstraint("length(candidate_id) = 16", name="id"),
    CheckConstraint("side IN ('long', 'short')", name="side"),
    CheckConstraint("anchor IN ('signal', 'fill')", name="anchor"),
    CheckConstraint("length(features) % 8 = 0", name="features"),
    CheckConstraint("(stage IS NULL) = (reason IS NULL)", name="ending"),
)

verdicts = _fact(
    "verdicts",
    Column("candidate_id", TEXT, nullable=False),
    Column("take", INTEGER, nullable=False),  # 0 or 1
    Column("confidence", REAL, nullable=False),
    Column("quality", REAL, nullable=False),
    Column("risk_flags", TEXT, nullable=False),  # JSON array of strings
    Column("cost_usd", REAL, nullable=False),
    _later("prompt_sha256", "0006"),  # of the request a model was asked with; NULL: none was
    _later("input_tokens", "0006", INTEGER),  # that the model read; NULL: it did not say
    _later("output_tokens", "0006", INTEGER),  # that it wrote
    Column("latency_us", INTEGER),  # of the answer, wall clock; in no hash and no export
    _of_a_candidate(),
    UniqueConstraint("run_id", "candidate_id"),
    CheckConstraint("take IN (0, 1)", name="take"),
    CheckConstraint("confidence BETWEEN 0 AND 1 AND quality BETWEEN 0 AND 1", name="share"),
)

orders = _fact(
    "orders",
    Column("candidate_id", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),  # a cancellation is a fact of its own
    Column("symbol", TEXT, nullable=False),
    Column("side", TEXT, nullable=False),
    Column("time", INTEGER, nullable=False),  # submitted: the signal's bar; cancelled: that bar
    Column("units", REAL, nullable=False),
    Column("price", REAL, nullable=False),  # the signal's close, from which the size was reckoned
    Column("clipped_by", TEXT, nullable=False),  # '' where nothing cut the full size
    Column("reason", TEXT),  # why cancelled; NULL on a submission
    _of_a_candidate(),
    UniqueConstraint("run_id", "candidate_id", "kind"),
    CheckConstraint("kind IN ('submitted', 'cancelled')", name="kind"),
    CheckConstraint("side IN ('long', 'short')", name="side"),
    CheckConstraint("(kind = 'cancelled') = (reason IS NOT NULL)", name="reason"),
)

fills = _fact(
    "fills",
    Column("candidate_id", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("symbol", TEXT, nullable=False),
    Column("side", TEXT, nullable=False),  # of the position, not of the transaction
    Column("time", INTEGER, nullable=False),
    Column("phase", INTEGER, nullable=False),  # 0 open, 1 intrabar, 2 mark, 3 decide
    Column("units", REAL, nullable=False),
    Column("price", REAL, nullable=False),  # with half-spread and slippage
    Column("mid_price", REAL, nullable=False),  # without them
    Column("fee_usd", REAL, nullable=False),
    Column("funding_usd", REAL, nullable=False),
    Column("stop_price", REAL),  # the initial stop; NULL on an exit
    Column("reason", TEXT),  # why it left; NULL on an entry
    _of_a_candidate(),
    UniqueConstraint("run_id", "candidate_id", "kind"),
    CheckConstraint("kind IN ('entry', 'exit')", name="kind"),
    CheckConstraint("side IN ('long', 'short')", name="side"),
    CheckConstraint(
        "(kind = 'exit') = (reason IS NOT NULL) AND (kind = 'entry') = (stop_price IS NOT NULL)",
        name="exit",
    ),
)

outcomes = _fact(
    "outcomes",
    Column("candidate_id", TEXT, nullable=False),
    Column("status", TEXT, nullable=False),
    Column("entry_time", INTEGER),  # NULL: no next bar; also set where it gapped
    Column("entry_price", REAL),  # mid prices; NULL: not entered
    Column("stop_price", REAL),
    Column("target_price", REAL),  # NULL: no target, or not entered
    Column("exit_time", INTEGER),  # NULL, like all below: not resolved
    Column("exit_price", REAL),
    Column("exit_phase", INTEGER),
    Column("exit_reason", TEXT),
    Column("ambiguous", INTEGER, nullable=False),  # 1: that bar touched stop and target
    Column("funding", REAL),  # paid per unit between entry and exit, in quote currency
    Column("r", REAL),  # net of all costs
    _of_a_candidate(),
    UniqueConstraint("run_id", "candidate_id"),
    CheckConstraint("status IN ('resolved', 'gapped', 'unresolved')", name="status"),
    CheckConstraint("ambiguous IN (0, 1)", name="ambiguous"),
    CheckConstraint(
        "(status = 'resolved') = (r IS NOT NULL)"
        " AND (status = 'resolved') = (exit_time IS NOT NULL)"
        " AND (status = 'resolved') = (exit_price IS NOT NULL)"
        " AND (status = 'resolved') = (exit_reason IS NOT NULL)",
        name="resolved",
    ),
)

equity_marks = _beside(
    "equity_marks",
    Column("day", TEXT, nullable=False),  # UTC, YYYY-MM-DD
    Column("time", INTEGER, nullable=False),  # the day's last bar, marked at its close
    Column("equity_usd", REAL, nullable=False),
    Column("exposure_usd", REAL, nullable=False),
    Column("positions", INTEGER, nullable=False),
    UniqueConstraint("run_id", "day"),
)

bars = _beside(
    "bars",
    Column("symbol", TEXT, nullable=False),
    Column("time", INTEGER, nullable=False),  # open time
    Column("open", REAL, nullable=False),
    Column("high", REAL, nullable=False),
    Column("low", REAL, nullable=False),
    Column("close", REAL, nullable=False),
    Column("volume", REAL),  # NULL: the venue does not say
    Column("stale", INTEGER, nullable=False),  # 1: it came too late to act on
    Column("at", TEXT, nullable=False),  # when it came: wall clock, ISO 8601 UTC; in no export
    UniqueConstraint("run_id", "symbol", "time"),
    CheckConstraint("stale IN (0, 1)", name="stale"),
)
"""The bars that a run on paper was fed, kept before it saw them."""

safety_events = _fact(
    "safety_events",
    Column("time", INTEGER, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("detail", TEXT, nullable=False),
    _later("agent_name", "0003"),  # NULL: it is about the account
    ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
    Index("ix_safety_events_run_id", "run_id"),
)

agent_decisions = _fact(
    "agent_decisions",
    Column("candidate_id", TEXT, nullable=False),
    Column("agent_name", TEXT, nullable=False),
    Column("role", TEXT, nullable=False),
    Column("bar_time", INTEGER, nullable=False),  # of the candidate
    Column("mode", TEXT, nullable=False),  # effective: the stricter of config and record
    Column("action", REAL),  # in the agent's own unit; NULL: no sound advice, no evidence
    Column("probability", REAL),  # of that action; NULL also where actions are continuous
    Column("baseline_action", REAL, nullable=False),  # what stands without the agent
    Column("final_action", REAL, nullable=False),  # the fraction of the order it left, 0..1
    Column("followed", INTEGER, nullable=False),  # 1: the advice entered the size
    Column("reason", TEXT, nullable=False),  # core.agents.Why
    Column("model_version", TEXT),  # NULL, like the digest: there was no model
    Column("model_sha256", TEXT),  # of its MANIFEST.json
    Column("feature_schema", TEXT, nullable=False),
    Column("observation", BLOB, nullable=False),  # float32 little-endian
    Column("latency_us", INTEGER),  # of the inference, wall clock; in no hash and no export
    Column("prev_hash", BLOB, nullable=False),  # the hash of the fact before
    _of_a_candidate(),
    UniqueConstraint("run_id", "agent_name", "role", "candidate_id"),
    _an_agent(AGENTS),
    CheckConstraint("role IN ('serving', 'challenger')", name="role"),
    CheckConstraint("mode IN ('observe', 'active')", name="mode"),
    CheckConstraint("final_action BETWEEN 0 AND 1", name="share"),
    CheckConstraint("probability IS NULL OR probability BETWEEN 0 AND 1", name="probability"),
    CheckConstraint("followed IN (0, 1)", name="followed"),
    CheckConstraint("length(observation) % 4 = 0", name="observation"),
)

rebalances = _fact(
    "rebalances",
    Column("rebalance_id", TEXT, nullable=False),  # 16 hex digits
    Column("agent_name", TEXT, nullable=False),
    Column("role", TEXT, nullable=False),
    Column("bar_time", INTEGER, nullable=False),  # at whose close it is decided
    Column("mode", TEXT, nullable=False),
    Column("action", BLOB),  # float64 little-endian; NULL: no sound advice, no evidence
    Column("probability", REAL),  # of that action; NULL also where actions are continuous
    Column("advised_weights", BLOB),  # like all weights float64 little-endian, in order of symbols
    Column("baseline_weights", BLOB, nullable=False),  # what stands without the agent
    Column("final_weights", BLOB, nullable=False),  # what the book trades to at the next open
    Column("limited_by", TEXT, nullable=False),  # '' where no limit cut what was to stand
    Column("followed", INTEGER, nullable=False),
    Column("reason", TEXT, nullable=False),  # core.agents.Why
    Column("model_version", TEXT),
    Column("model_sha256", TEXT),
    Column("feature_schema", TEXT, nullable=False),
    Column("observation", BLOB, nullable=False),  # float32 little-endian
    Column("latency_us", INTEGER),  # of the inference, wall clock; in no hash and no export
    Column("prev_hash", BLOB, nullable=False),
    ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
    UniqueConstraint("run_id", "agent_name", "role", "rebalance_id"),
    _an_agent(BOOK_AGENTS),
    CheckConstraint("length(rebalance_id) = 16", name="id"),
    CheckConstraint("role IN ('serving', 'challenger')", name="role"),
    CheckConstraint("mode IN ('observe', 'active')", name="mode"),
    CheckConstraint("probability IS NULL OR probability BETWEEN 0 AND 1", name="probability"),
    CheckConstraint("followed IN (0, 1)", name="followed"),
    CheckConstraint("(action IS NULL) = (advised_weights IS NULL)", name="advice"),
    CheckConstraint(
        "length(baseline_weights) % 8 = 0 AND length(final_weights) = length(baseline_weights)",
        name="weights",
    ),
    CheckConstraint("length(observation) % 4 = 0", name="observation"),
)
"""What agents of a book advised, and what stood."""

holdings = _fact(
    "holdings",
    Column("rebalance_id", TEXT, nullable=False),
    Column("agent_name", TEXT, nullable=False),
    Column("role", TEXT, nullable=False),
    Column("known_time", INTEGER, nullable=False),  # the bar at whose close it was over
    Column("advised_return", REAL, nullable=False),  # net, of a book that always does what it says
    Column("baseline_returns", BLOB, nullable=False),  # net, float64 little-endian
    Column("asset_returns", BLOB, nullable=False),  # after funding, float64 little-endian
    Column("book_return", REAL),  # net; NULL, like the two below, beside the serving model
    Column("turnover", REAL),
    Column("cost", REAL),
    ForeignKeyConstraint(
        ["run_id", "agent_name", "role", "rebalance_id"],
        [
            "rebalances.run_id", "rebalances.agent_name", "rebalances.role",
            "rebalances.rebalance_id",
        ],
    ),
    UniqueConstraint("run_id", "agent_name", "role", "rebalance_id"),
    CheckConstraint("length(asset_returns) % 8 = 0", name="returns"),
)  # fmt: skip
"""What came of a rebalance, once its holding was over."""

alerts = _beside(
    "alerts",
    Column("time", INTEGER, nullable=False),  # of the bar at which it came up
    Column("kind", TEXT, nullable=False),
    Column("agent_name", TEXT),  # NULL: it is about the run
    Column("detail", TEXT, nullable=False),
)

model_events = _log(
    "model_events",
    Column("agent_name", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("version", TEXT, nullable=False),
    Column("manifest_sha256", TEXT, nullable=False),  # of MANIFEST.json, 64 hex digits
    Column("zip_sha256", TEXT, nullable=False),  # of model.zip
    Column("by", TEXT, nullable=False),
    Column("reason", TEXT, nullable=False),
    _an_agent(),
    CheckConstraint(
        "kind IN ('deployed', 'adopted', 'challenging', 'rolled_back', 'withdrawn', 'pinned',"
        " 'unpinned', 'archived', 'removed')",
        name="kind",
    ),
)
"""What became of model versions; which one serves is their fold."""

graduation_events = _log(
    "graduation_events",
    Column("agent_name", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("version", TEXT, nullable=False),
    Column("manifest_sha256", TEXT, nullable=False),
    Column("scope", TEXT, nullable=False),  # deployment, or run:<id>
    Column("by", TEXT, nullable=False),
    Column("reason", TEXT, nullable=False),
    Column("override", INTEGER, nullable=False),  # 1: without the evidence it wants
    _later("detail", "0005"),  # JSON: what it rests on, and the market time of it; NULL: nothing
    _an_agent(),
    CheckConstraint("kind IN ('promoted', 'demoted')", name="kind"),
    CheckConstraint("override IN (0, 1)", name="override"),
)

rollout_events = _log(
    "rollout_events",
    Column("agent_name", TEXT, nullable=False),
    Column("stage", REAL, nullable=False),  # share of capital from here on
    Column("by", TEXT, nullable=False),
    Column("reason", TEXT, nullable=False),
    Column("override", INTEGER, nullable=False),  # 1: a stage was skipped, or its dwell
    _later("scope", "0005"),  # run:<id>; NULL: the deployment
    _later("detail", "0005"),  # JSON: what it rests on, and the market time of it; NULL: nothing
    _later("max_position_usd", "0008", REAL),  # no position above it; NULL: as the config has it
    _an_agent(),
    CheckConstraint("stage BETWEEN 0 AND 1", name="stage"),
    CheckConstraint("override IN (0, 1)", name="override"),
)

contracts = _log(
    "contracts",
    Column("agent_name", TEXT, nullable=False),
    Column("version", TEXT, nullable=False),
    Column("manifest_sha256", TEXT, nullable=False),
    Column("scope", TEXT, nullable=False),  # deployment, or run:<id>
    Column("number", INTEGER, nullable=False),  # of the versions on trial in the budget period
    Column("entered", INTEGER, nullable=False),  # bar time at which it was entered into, ms UTC
    Column("terms", TEXT, nullable=False),  # JSON: see darwin.rl.graduation.contract
    Column("digest", TEXT, nullable=False),  # SHA-256 of the terms, 64 hex digits
    Column("by", TEXT, nullable=False),
    Column("reason", TEXT, nullable=False),
    _an_agent(),
    CheckConstraint("number >= 1", name="number"),
)
"""The terms under which versions are judged, written down before their evidence."""

llm_calls = _log(
    "llm_calls",
    Column("kind", TEXT, nullable=False),
    Column("run_id", TEXT, nullable=False),
    Column("candidate_id", TEXT, nullable=False),  # 16 hex digits
    Column("request_sha256", TEXT, nullable=False),  # of the text below of its first charge
    Column("model", TEXT, nullable=False),
    Column("text", TEXT, nullable=False),  # charged: the request; answered: the answer; failed: why
    Column("input_tokens", INTEGER),  # NULL, like those below: not known, or not the place to say
    Column("output_tokens", INTEGER),
    Column("usd", REAL, nullable=False),  # charged: what it costs at most; then: what it cost
    Column("latency_us", INTEGER),
    CheckConstraint("kind IN ('charged', 'answered', 'failed')", name="kind"),
    CheckConstraint("length(request_sha256) = 64", name="request"),
)
"""What models were asked, before it was sent, and what came of it: audit, accounts and cache."""

kill_events = _log(
    "kill_events",
    Column("kind", TEXT, nullable=False),
    Column("by", TEXT, nullable=False),
    Column("reason", TEXT, nullable=False),
    CheckConstraint("kind IN ('on', 'off')", name="kind"),
)

trials = _log(
    "trials",
    Column("agent_name", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),  # seed: of a training; search: of a search
    Column("finished", INTEGER, nullable=False),  # 0: it was stopped after a look at validation
    Column("data_digest", TEXT, nullable=False),  # of all rows, 64 hex digits
    Column("plan_digest", TEXT, nullable=False),  # of all that it was asked to do, 64 hex digits
    Column("algo", TEXT, nullable=False),
    Column("seed", INTEGER, nullable=False),
    Column("timesteps", INTEGER, nullable=False),  # decisions that it learned from
    Column("rows_from", INTEGER, nullable=False),  # its first decision
    Column("test_from", INTEGER, nullable=False),  # from here on held out
    Column("rows_until", INTEGER, nullable=False),  # its last outcome
    Column("gain_r", REAL, nullable=False),  # learned gain per decision on validation, its best
    Column("sharpe", REAL),  # of that gain per day on validation; NULL: stopped, or not to be said
    Column("by", TEXT, nullable=False),
    _an_agent(),
    CheckConstraint("kind IN ('seed', 'search')", name="kind"),
    CheckConstraint("finished IN (0, 1)", name="finished"),
)
"""Networks that were trained, and so looked at: what a Sharpe ratio is deflated by."""

tokens = _log(
    "tokens",
    Column("kind", TEXT, nullable=False),
    Column("name", TEXT, nullable=False),  # whom it was given to
    Column("role", TEXT, nullable=False),
    Column("sha256", TEXT, nullable=False),  # of the token, 64 hex digits; itself it is nowhere
    Column("by", TEXT, nullable=False),
    CheckConstraint("kind IN ('created', 'revoked')", name="kind"),
    CheckConstraint("role IN ('viewer', 'operator')", name="role"),
    CheckConstraint("length(sha256) = 64", name="sha256"),
)
"""Who may look and act through the service."""

service_acts = _log(
    "service_acts",
    Column("act", TEXT, nullable=False),  # as the log names it: kill on, promote, train ...
    Column("by", TEXT, nullable=False),  # the token's name
    Column("role", TEXT, nullable=False),  # of the token; '' where there was none
    Column("reason", TEXT, nullable=False),
    Column("detail", TEXT, nullable=False),  # JSON: what was asked, without secrets
    Column("status", INTEGER, nullable=False),  # of the HTTP answer
    CheckConstraint("status BETWEEN 100 AND 599", name="status"),
)
"""Every act that was asked of the service, done or refused."""

schedule_events = _log(
    "schedule_events",
    Column("agent_name", TEXT, nullable=False),
    Column("enabled", INTEGER, nullable=False),
    Column("cron", TEXT),  # NULL: every interval_days
    Column("interval_days", INTEGER),  # NULL: by cron
    Column("timezone", TEXT, nullable=False),  # IANA name: its wall clock is meant
    Column("last_days", REAL, nullable=False),  # of market time that a retraining learns from
    Column("timesteps", INTEGER, nullable=False),  # and for how long
    Column("by", TEXT, nullable=False),
    Column("reason", TEXT, nullable=False),
    _an_agent(),
    CheckConstraint("enabled IN (0, 1)", name="enabled"),
    CheckConstraint("(cron IS NULL) <> (interval_days IS NULL)", name="pace"),
    CheckConstraint("interval_days IS NULL OR interval_days BETWEEN 1 AND 366", name="interval"),
)
"""When an agent is to be trained anew; of one agent the newest row holds."""

notices = _log(
    "notices",
    Column("key", TEXT, nullable=False),  # what it is about: one key is told once in a while
    Column("severity", TEXT, nullable=False),
    Column("text", TEXT, nullable=False),
    Column("sent", INTEGER, nullable=False),  # 1: somebody took it
    Column("detail", TEXT, nullable=False),  # JSON: by which ways, with what answer; no address
    CheckConstraint("severity IN ('info', 'warning', 'critical')", name="severity"),
    CheckConstraint("sent IN (0, 1)", name="sent"),
)
"""What was told to people outside."""

jobs = Table(
    "jobs",
    metadata,
    Column("id", INTEGER, primary_key=True),
    Column("kind", TEXT, nullable=False),
    Column("lane", TEXT, nullable=False),  # one job of a lane runs at a time
    Column("agent_name", TEXT),  # NULL: it is about none
    Column("period", TEXT),  # the due time it was scheduled for, ISO 8601 UTC; NULL: by a person
    Column("words", TEXT, nullable=False),  # JSON array: the command, without `darwin`
    Column("by", TEXT, nullable=False),
    Column("reason", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("queued_at", TEXT, nullable=False),  # like all its times wall clock, ISO 8601 UTC
    Column("started_at", TEXT),
    Column("ended_at", TEXT),
    Column("worker", TEXT),  # who holds it: host, process and a number drawn by chance
    Column("lease_until", TEXT),  # without a heartbeat before that it counts as dead
    Column("attempts", INTEGER, nullable=False),  # how often it was begun
    Column("stop", INTEGER, nullable=False),  # 1: a person asked it to stop
    Column("progress", TEXT, nullable=False),  # JSON: see darwin.core.progress
    Column("exit_code", INTEGER),
    Column("message", TEXT, nullable=False),  # what came of it, in a line
    UniqueConstraint("kind", "agent_name", "period"),
    CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="state"),
    CheckConstraint("stop IN (0, 1)", name="stop"),
    CheckConstraint("(state = 'running') <= (worker IS NOT NULL)", name="worker"),
    Index("ix_jobs_lane", "lane", unique=True, sqlite_where=text("state = 'running'")),
    sqlite_strict=True,
)
"""Work of the service: state, not facts. What a job leaves behind are facts of the logs above."""

VIEWS = {
    "endings": """
        SELECT c.run_id, c.candidate_id,
               CASE WHEN c.reason IS NOT NULL THEN c.stage
                    WHEN o.reason IS NOT NULL THEN 'entry'
                    WHEN f.id IS NOT NULL THEN 'taken' END AS stage,
               CASE WHEN c.reason IS NOT NULL THEN c.reason
                    WHEN o.reason IS NOT NULL THEN o.reason
                    WHEN f.id IS NOT NULL THEN 'taken' END AS reason
        FROM candidates AS c
        LEFT JOIN orders AS o ON c.reason IS NULL AND o.run_id = c.run_id
             AND o.candidate_id = c.candidate_id AND o.kind = 'cancelled'
        LEFT JOIN fills AS f ON c.reason IS NULL AND f.run_id = c.run_id
             AND f.candidate_id = c.candidate_id AND f.kind = 'entry'
    """,
    "decisions_with_outcomes": """
        SELECT d.run_id, d.seq, d.agent_name, d.role, d.candidate_id, d.bar_time, d.mode, d.action,
               d.probability, d.baseline_action, d.final_action, d.followed, d.reason,
               d.model_version, v.take, o.status, o.exit_time, o.r
        FROM agent_decisions AS d
        LEFT JOIN verdicts AS v ON v.run_id = d.run_id AND v.candidate_id = d.candidate_id
        LEFT JOIN outcomes AS o ON o.run_id = d.run_id AND o.candidate_id = d.candidate_id
    """,
    "run_states": """
        SELECT r.run_id, r.mode, r.started_at,
               CASE WHEN e.id IS NULL THEN 'running' ELSE 'finished' END AS status,
               e.at AS finished_at,
               coalesce(c.facts, 0) AS facts, c.reached, coalesce(c.bars, 0) AS bars,
               coalesce(c.data_digest, r.data_digest) AS data_digest
        FROM runs AS r
        LEFT JOIN run_events AS e ON e.run_id = r.run_id AND e.kind = 'finished'
             AND e.id BETWEEN (r.number << 40) AND ((r.number + 1) << 40) - 1
        LEFT JOIN checkpoints AS c ON c.id =
             (SELECT max(id) FROM checkpoints
              WHERE id BETWEEN (r.number << 40) AND ((r.number + 1) << 40) - 1)
    """,
}
"""Folds of the facts: how each candidate ended (NULL: not yet), how far each run has come."""

endings = table("endings", *map(column, ("run_id", "candidate_id", "stage", "reason")))
run_states = table(
    "run_states",
    *map(column, ("run_id", "mode", "started_at", "status", "finished_at")),
    *map(column, ("facts", "reached", "bars", "data_digest")),
)

FACTS = {one.name: one for one in (
    inputs, candidates, verdicts, orders, fills, outcomes, safety_events, agent_decisions,
    rebalances, holdings,
)}  # fmt: skip
"""The chained tables, by name, in the order of `core.facts.TABLES`."""


def decisions_of(agent: str) -> Table:
    """Where consultations of an agent are kept; what they have in common is called alike."""
    return rebalances if agent in BOOK_AGENTS else agent_decisions


BESIDE = {one.name: one for one in (run_events, checkpoints, equity_marks, alerts, bars)}
"""The sealed tables of a run, by name."""

LOGS = {one.name: one for one in (
    model_events, graduation_events, rollout_events, contracts, kill_events, trials, llm_calls,
    tokens, service_acts, schedule_events, notices,
)}  # fmt: skip
"""The sealed logs of the deployment, by name."""
