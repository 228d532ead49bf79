"""Bugs as a careless developer would write them, each a changed line of Darwin's own code.

A bug swaps the code of one function for that of its source with one piece replaced, so that whoever
holds the function runs the bug.
"""

from __future__ import annotations

import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from types import FunctionType
from typing import Any, NamedTuple

T = "darwin.rl.training."


class Bug(NamedTuple):
    """What was meant to be `old` and became `new`, and who should notice."""

    says: str
    where: str  # module:function or module:Class.function
    old: str
    new: str
    by: str  # the canary that must sing
    agent: str = "gate"
    calls: bool = False  # whether it shows only under a budget of calls
    seeds: int = 1  # how many networks it takes to show


IN_THE_RUN = (
    Bug("fee sign", "darwin.trading.brackets:net_r",
        "- costs.taker * paid - exit_fee * got", "+ costs.taker * paid + exit_fee * got",
        "outcomes"),
    Bug("slippage in the trader's favour", "darwin.trading.brackets:net_r",
        "entry * (1.0 + side * costs.slip)", "entry * (1.0 - side * costs.slip)", "outcomes"),
    Bug("same-bar fill", "darwin.trading.brackets:resolve",
        "np.where(table.bar + 1 < n, table.bar + 1, -1)", "np.where(table.bar < n, table.bar, -1)",
        "outcomes"),
    Bug("the target wins the bar that touches both", "darwin.trading.brackets:advance",
        "np.where(at_stop, level, goal)", "np.where(at_target, goal, level)", "brackets"),
    Bug("a z-score over the full sample", "darwin.features.windows:window_z",
        "    return z, tail", "    return (x - np.nanmean(x)) / np.nanstd(x), tail", "prefix"),
    Bug("a lag that looks ahead", "darwin.features.windows:lag",
        "return reach[: len(x)], tail",
        "return np.concatenate((x[bars:], x[len(x) - bars :]))[: len(x)], tail", "prefix"),
    Bug("a longer bar is seen before it closed", "darwin.features.evaluate:_Higher.push",
        "known[closed]", "known[np.minimum(closed + 1, len(known) - 1)]", "prefix"),
    Bug("shorts see the market unturned", "darwin.rl.agents.spec:AgentSpec.columns",
        "np.where(self._with_side, table.side[:, None], 1.0)", "np.ones(1)", "observations"),
    Bug("columns in another order", "darwin.rl.agents.spec:AgentSpec._places",
        "[place[name] for name in self.needs]", "[place[name] for name in sorted(self.needs)]",
        "observations"),
    Bug("constant observation", "darwin.rl.agents.spec:AgentSpec.columns",
        "known[:, at] = column.read(table, playbooks)", "known[:, at] = 0.0", "observations"),
    Bug("drawdown with the wrong sign", "darwin.rl.agents.moment:_drawdown",
        "float(moment.account.drawdown)", "-float(moment.account.drawdown)", "observations"),
    Bug("the expert's accuracy knows what is to come", "darwin.engine.settling:Settling.until",
        "at < len(known) and known[at] <= time", "at < min(len(known), self._next + 100)",
        "observations", "meta_learner"),
)  # fmt: skip
"""They are there while bars are replayed, and stand in the journal; each needs a run of its own."""

IN_THE_ROWS = (
    Bug("outcome shifted by one", T + "dataset:_joined",
        "r=np.array([0.0 if fact[10] is None else fact[10] for fact in kept], dtype=np.float64)",
        "r=np.roll([0.0 if fact[10] is None else fact[10] for fact in kept], -1)", "rows"),
    Bug("observations in another order than their rows", T + "dataset:_joined",
        "np.array([fact[11] for fact in kept]", "np.array([fact[11] for fact in first.values()]",
        "rows"),
    Bug("leaked outcome", T + "dataset:_joined",
        "np.array([fact[11] for fact in kept]",
        "np.array([(*fact[11][:-1], fact[10] or 0.0) for fact in kept]", "leak"),
    Bug("everything counts as taken", T + "dataset:_joined",
        "[bool(fact[5]) for fact in kept]", "[fact[5] is not None for fact in kept]", "rows"),
    Bug("decided at the open", T + "dataset:_joined",
        "[fact[2] + fact[12].bar_ms for fact in kept]", "[fact[2] for fact in kept]", "rows"),
    Bug("settled at the entry", T + "dataset:_settled",
        "fact[9] if fact[9] is not None else ", "", "rows"),
    Bug("open brackets count as nothing earned", T + "dataset:_of_run",
        "if open_from is not None and fact.bar_time >= open_from:", "if False:", "rows"),
    Bug("the stop in units of price", T + "dataset:_joined",
        "fact[4] / fact[3] for fact", "fact[4] for fact", "rows"),
)  # fmt: skip
"""They are there while rows are read."""

IN_TRAINING = (
    Bug("the call is paid to the account", "darwin.rl.agents.gate:reward",
        "- after.call_cost_r", "+ after.call_cost_r", "rewards"),
    Bug("a pass earns what the expert skips", "darwin.rl.agents.gate:reward",
        "np.where(after.take, after.r, 0.0)", "after.r", "rewards"),
    Bug("reward of the wrong action", T + "rows:Rows.rewards",
        "float(code)", "float(len(page.actions) - 1 - code)", "rewards"),
    Bug("overrides the wrong way round", "darwin.rl.agents.meta_learner:reward",
        "np.where(action == TO_SKIP, False, after.take)",
        "np.where(action == TO_SKIP, True, after.take)", "rewards", "meta_learner"),
    Bug("a fall is a reward", "darwin.rl.agents.portfolio:reward",
        "-np.asarray(after.drawdown)", "np.asarray(after.drawdown)", "rewards", "portfolio"),
    Bug("no purge", T + "splits:split",
        "(decided < cuts.validation_from) & (settled <= cuts.validation_from)",
        "decided < cuts.validation_from", "split"),
    Bug("no embargo", T + "splits:split",
        "cuts.validation_from + cuts.embargo_ms", "cuts.validation_from", "split"),
    Bug("validation among the rows of training", T + "splits:split",
        "decided >= cuts.validation_from + cuts.embargo_ms", "decided > 0", "split"),
    Bug("the best look is that of the test", T + "course:run_course",
        "known, parts.validation, normaliser, plan", "known, parts.test, normaliser, plan",
        "split"),
    Bug("full-sample normalisation", T + "course:prepare",
        "known, normaliser = without_strange(parts.train)",
        "(known, _), normaliser = without_strange(parts.train), Normaliser.of(rows)",
        "normaliser"),
    Bug("divided by the variance", T + "rows:Normaliser.__call__",
        "/ self.sd", "/ self.sd**2", "normaliser"),
    Bug("paid for the next candidate", T + "worlds:TableWorld.step",
        "rewards = self._rewards[self._at,", "self._at = self._draw()\n"
        "    rewards = self._rewards[self._at,", "world"),
    Bug("the same candidates again and again", T + "worlds:TableWorld._draw",
        "self._deck[: self.size], self._deck[self.size :]", "self._deck[: self.size], self._deck",
        "world"),
    Bug("rewards clipped to one R", T + "vec_env:ReplayVecEnv.step_wait",
        "moved.rewards.astype", "np.clip(moved.rewards, -1.0, 1.0).astype", "world"),
    Bug("half of all sizes are nothing", T + "vec_env:in_own_unit",
        "(np.clip(flat, -1.0, 1.0) + 1.0) / 2.0", "np.clip(flat, 0.0, 1.0)", "world", "portfolio"),
    Bug("positions are closed at once", T + "worlds:AccountWorld._settle",
        "self._until <= self._rows.decided[self._at][:, None]", "self._held > 0.0", "world",
        "portfolio"),
    Bug("the peak is forgotten", T + "worlds:AccountWorld._settle",
        "np.maximum(self._peak, self._equity)", "self._equity", "world", "portfolio"),
    Bug("calls without end", T + "worlds:BudgetWorld.step",
        "self._left - called", "self._left", "world", calls=True),
    Bug("discount over episode ends", T + "vec_env:ReplayVecEnv.step_wait",
        "moved.ended, infos", "np.zeros_like(moved.ended), infos", "episode ends"),
    Bug("the next episode follows on the last", T + "vec_env:ReplayVecEnv.step_wait",
        "moved.last[i]", "moved.observations[i]", "episode ends", "portfolio"),
    Bug("a cut-off episode counts as over", T + "vec_env:ReplayVecEnv.step_wait",
        "if self._truncates and", "if not self._truncates and", "episode ends", "portfolio"),
    Bug("nothing is learned", T + "trainer:_built",
        "recipe.learning_rate * max(left, 0.02)", "0.0 * left", "oracle"),
    Bug("the mean of weights stays where it began", T + "network:averaged",
        "(1.0 - weight) * v", "(1.0 - weight) * w", "oracle"),
    Bug("the rival earns nothing", T + "gains:rivals",
        "rows.rewards[mine] @ share", "0.0", "shuffle"),
    Bug("the threshold is the test's", T + "course:run_course",
        "threshold_of(network, parts.validation, normaliser, rate)",
        "threshold_of(network, parts.test, normaliser, rate)", "threshold"),
    Bug("the network sees nothing", T + "network:Network.outputs",
        "x: FloatArray = seen.astype(np.float64)", "x: FloatArray = 0.0 * seen", "oracle"),
    Bug("merging loses the last layer", T + "export:merged",
        "axis=1) * share", "axis=1) * np.float32(0.0)", "constant policy", seeds=2),
)  # fmt: skip
"""They are there while a training goes on."""

UNSEEN = (
    Bug("the worst look is kept", T + "trainer:_Watch.evaluate",
        "found.learned_gain > self.best[1].learned_gain",
        "found.learned_gain < self.best[1].learned_gain", ""),
    Bug("intervals half as wide", T + "gains:interval_of",
        "half = student_quantile", "half = 0.5 * student_quantile", ""),
)  # fmt: skip
"""No canary notices these; tests of gains and of the trainer have to."""


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Have the bug in the code within."""
    function = _function(bug.where)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(bug.old) == 1, f"{bug.says}: {source.count(bug.old)} places for it"
    lines = source.replace(bug.old, bug.new).splitlines()
    while not lines[0].startswith("def "):
        del lines[0]  # decorators stay as they are
    scope = dict(function.__globals__)
    code = compile("from __future__ import annotations\n" + "\n".join(lines), bug.where, "exec")
    exec(code, scope)
    right, function.__code__ = function.__code__, scope[function.__name__].__code__
    try:
        yield
    finally:
        function.__code__ = right


def _function(where: str) -> FunctionType:
    module, _, path = where.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = inspect.getattr_static(found, name)
    if isinstance(found, cached_property):
        found = found.func
    if isinstance(found, classmethod | staticmethod):
        found = found.__func__
    assert isinstance(found, FunctionType)
    return found
