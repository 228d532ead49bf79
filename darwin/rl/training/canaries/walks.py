"""The training world, walked: each candidate shown as it is, each action paid what it earned.

Rows are marked by their place, random actions are done through the very environments of a
training, and what is seen and paid is compared with a walk in plain Python.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from darwin.core.agents import PASS
from darwin.core.market import FloatArray, IntArray
from darwin.rl.training.canaries.finding import Finding, counted
from darwin.rl.training.canaries.pay import paid
from darwin.rl.training.rows import Normaliser, Rows
from darwin.rl.training.trainer import Job, env_of, world_of

_ROWS = 640  # that are walked
_ENVIRONMENTS = 16
_STRETCH = 128  # orders of an episode on a running account
_CLOSE = 2e-4  # the environment speaks in 32 bits
_LEAST_EQUITY = 1e-6
_MOST_OPEN = 64

_ACCOUNT = ("exposure", "open_positions", "drawdown", "equity_growth")


def world_is_as_recorded(job: Job) -> Finding:
    """Observations, rewards and ends of episodes are those of a walk in plain Python."""
    rows, normaliser = _marked(job.train)
    small = replace(job.recipe, environments=_ENVIRONMENTS)
    marked = replace(job, train=rows, normaliser=normaliser, recipe=small)
    if rows.page.is_continuous:
        return _accounts(marked)
    if job.budget is not None:
        return _budgets(marked)
    return _tables(marked)


def _marked(rows: Rows) -> tuple[Rows, Normaliser]:
    """Some rows whose first column is their place, and a normaliser that moves and scales."""
    some = rows.select(np.arange(min(_ROWS, len(rows))))
    seen = some.observations.copy()
    seen[:, 0] = np.arange(len(some))
    width = seen.shape[1]
    mean, sd = np.linspace(-1.0, 1.0, width), np.linspace(0.5, 2.0, width)
    mean[0], sd[0] = len(some) / 2.0, len(some) / 4.0
    return some.with_observations(seen), Normaliser(mean, sd)


def _place(job: Job, shown: FloatArray) -> IntArray:
    """Which row each environment shows, shape (e,)."""
    told = np.round(shown[:, 0] * job.normaliser.sd[0] + job.normaliser.mean[0])
    place: IntArray = np.clip(told, 0, len(job.train) - 1).astype(np.int64)
    return place


def _unlike(job: Job, shown: FloatArray, at: IntArray, but: tuple[int, ...] = ()) -> int:
    """How many environments show another observation than that of row `at`."""
    own = (job.train.observations[at] - job.normaliser.mean) / job.normaliser.sd
    away = np.abs(shown - own) > _CLOSE * np.maximum(1.0, np.abs(own))
    away[:, list(but)] = False
    return int(np.count_nonzero(away.any(axis=1)))


def _pay(rows: Rows, at: int, action: float, fall: float = 0.0, exposure: float = 0.0) -> float:
    return paid(
        rows.page.name, action, float(rows.r[at]), bool(rows.take[at]),
        float(rows.call_cost_r[at]), fall, exposure,
    )  # fmt: skip


def _tables(job: Job) -> Finding:
    """One candidate, one reward; each pass over the rows shows every one once."""
    rows, rng = job.train, np.random.default_rng(1)
    env = env_of(job, world_of(job))
    shown, met = np.asarray(env.reset()), list[int]()
    seen = wrong = on = 0
    for _ in range(2 * len(rows) // _ENVIRONMENTS):
        at = _place(job, shown)
        met += at.tolist()
        seen += _unlike(job, shown, at)
        codes = rng.integers(0, len(rows.page.actions), _ENVIRONMENTS)
        after, rewards, ended, _ = env.step(codes)
        own = [_pay(rows, *one) for one in zip(at.tolist(), codes.astype(float), strict=True)]
        wrong += int(np.count_nonzero(~(np.abs(rewards - own) <= _CLOSE)))
        on += int(np.count_nonzero(~ended))
        shown = np.asarray(after)
    first = met[: len(rows) // _ENVIRONMENTS * _ENVIRONMENTS]
    return _found(
        [
            (seen, "candidates shown otherwise than they are"),
            (wrong, "actions that are paid something else"),
            (on, "decisions that do not end their episode"),
            (len(first) - len(set(first)), "candidates shown twice in a pass"),
        ],
        len(met),
    )


def _budgets(job: Job) -> Finding:
    """A stretch in the order of time, in which passes beyond the budget are skips."""
    rows, rng, budget = job.train, np.random.default_rng(1), job.budget
    assert budget is not None
    env = env_of(job, world_of(job))
    shown = np.asarray(env.reset())
    stretch = min(budget.stretch, len(rows))
    left = np.full(_ENVIRONMENTS, budget.calls)
    seen = wrong = ends = 0
    before: IntArray | None = None
    for step in range(2 * stretch):
        at = _place(job, shown)
        new = step % stretch == 0
        seen += _unlike(job, shown, at)
        if before is not None and not new:
            seen += int(np.count_nonzero(at != before + 1))
        left[:] = budget.calls if new else left
        codes = rng.integers(0, 2, _ENVIRONMENTS)
        called = (codes == PASS) & (left > 0)
        left -= called
        after, rewards, ended, _ = env.step(codes)
        own = [_pay(rows, *one) for one in zip(at.tolist(), called.astype(float), strict=True)]
        wrong += int(np.count_nonzero(~(np.abs(rewards - own) <= _CLOSE)))
        ends += int(np.count_nonzero(ended != ((step + 1) % stretch == 0)))
        shown, before = np.asarray(after), at
    return _found(
        [
            (seen, "candidates shown otherwise than they are"),
            (wrong, "actions that are paid something else"),
            (ends, "episodes that end elsewhere"),
        ],
        2 * stretch * _ENVIRONMENTS,
    )


class _Account:
    """One running account, order by order."""

    def __init__(self, rows: Rows, at: int) -> None:
        told = dict(zip(rows.page.names, rows.observations[at].tolist(), strict=True))
        self._rows = rows
        self.equity = math.exp(told["equity_growth"])
        self.peak = self.equity / max(1.0 + told["drawdown"], 0.05)
        self.open: list[tuple[int, float, float]] = []  # when settled, its worth, what it gains

    def size(self, at: int, fraction: float) -> float:
        """Open the order at row `at`; gives what is paid for it."""
        rows = self._rows
        full = min(rows.risk / float(rows.stop[at]), rows.most_exposure)
        worth = fraction * full * self.equity
        if len(self.open) == _MOST_OPEN:  # the world has no more room: the oldest is settled early
            oldest = min(self.open)
            self.open.remove(oldest)
            self.equity += oldest[2]
        if fraction > 0.0:
            gain = fraction * full * float(rows.stop[at]) * self.equity * float(rows.r[at])
            self.open.append((int(rows.settled[at]), worth, gain))
        self.equity = max(self.equity, _LEAST_EQUITY)
        return _pay(rows, at, fraction, self.equity / self.peak - 1.0, self.exposure)

    @property
    def exposure(self) -> float:
        """Worth of what is open, over equity."""
        return sum(worth for _, worth, _ in self.open) / self.equity

    def settle(self, now: int) -> None:
        """Close what is known of by `now`, ms UTC."""
        gained = sum(gain for until, _, gain in self.open if until <= now)
        self.open = [one for one in self.open if one[0] > now]
        self.equity = max(self.equity + gained, _LEAST_EQUITY)
        self.peak = max(self.peak, self.equity)

    @property
    def told(self) -> tuple[float, ...]:
        """As `_ACCOUNT` names it."""
        fall = self.equity / self.peak - 1.0
        growth = min(max(math.log(self.equity), -1.0), 1.0)
        return (self.exposure, float(len(self.open)), fall, growth)


def _accounts(job: Job) -> Finding:
    """A stretch of orders in the order of time, on an account that opens and settles them."""
    rows, rng, page = job.train, np.random.default_rng(1), job.train.page
    columns = tuple(page.place(name) for name in _ACCOUNT)
    env = env_of(job, world_of(job))
    shown = np.asarray(env.reset())
    stretch = min(_STRETCH, len(rows))
    accounts: list[_Account] = []
    counts = dict.fromkeys(("seen", "account", "paid", "ends", "last"), 0)
    before: IntArray | None = None
    for step in range(2 * stretch):
        at = _place(job, shown)
        new = step % stretch == 0
        if new:
            accounts = [_Account(rows, one) for one in at.tolist()]
        elif before is not None:
            counts["seen"] += int(np.count_nonzero(at != before + 1))
            for account, one in zip(accounts, at.tolist(), strict=True):
                account.settle(int(rows.decided[one]))
        counts["seen"] += _unlike(job, shown, at, columns)
        own = [account.told for account in accounts]
        counts["account"] += _other_accounts(job, shown, columns, own)
        actions = rng.choice([-1.0, -0.5, 0.0, 0.7, 1.0], (_ENVIRONMENTS, 1))
        after, rewards, ended, infos = env.step(actions)
        due = [
            account.size(one, (float(action) + 1.0) / 2.0)
            for account, one, action in zip(accounts, at.tolist(), actions[:, 0], strict=True)
        ]
        slack = _CLOSE * np.maximum(1.0, np.abs(due))
        counts["paid"] += int(np.count_nonzero(~(np.abs(rewards - due) <= slack)))
        over = (step + 1) % stretch == 0
        counts["ends"] += int(np.count_nonzero(ended != over))
        if over:
            counts["last"] += sum(
                not info.get("TimeLimit.truncated") or "terminal_observation" not in info
                for info in infos
            )
        shown, before = np.asarray(after), at
    words = {
        "seen": "orders shown otherwise than they are",
        "account": "accounts that are not those of a plain walk",
        "paid": "sizes that are paid something else",
        "ends": "episodes that end elsewhere",
        "last": "episodes whose length cut them off and do not say so",
    }
    return _found([(counts[one], said) for one, said in words.items()], 2 * stretch * _ENVIRONMENTS)


def _other_accounts(
    job: Job, shown: FloatArray, columns: tuple[int, ...], own: list[tuple[float, ...]]
) -> int:
    at = list(columns)
    expected = (np.array(own) - job.normaliser.mean[at]) / job.normaliser.sd[at]
    away = np.abs(shown[:, at] - expected) > _CLOSE * np.maximum(1.0, np.abs(expected))
    return int(np.count_nonzero(away.any(axis=1)))


def _found(faults: list[tuple[int, str]], steps: int) -> Finding:
    return counted("world", faults, f"{steps:,} decisions by chance are shown and paid as recorded")
