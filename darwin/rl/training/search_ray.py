"""Try recipes out on the machines of a Ray cluster. Each needs this version of Darwin installed."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import Any, NamedTuple, Self

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from darwin.errors import ConfigError
from darwin.rl.training.recipes import Recipe
from darwin.rl.training.search import Ended, GivenUpError, Looked, Lost, News, Task, evaluate
from darwin.rl.training.search_local import FAULTS

PATIENCE_S = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Errand(NamedTuple):
    """One try of one trial."""

    number: int
    attempt: int


class RayEngine:
    """One task of one CPU for each trial, spread over the nodes; rows are sent to a node once.

    Without an address a cluster is started on this machine. A task is never tried again by Ray:
    what is lost is told, and whoever searches decides.
    """

    def __init__(self, task: Task, jobs: int | None, address: str | None) -> None:
        self._task, self._address = task, address
        self.slots = jobs or 0
        self._under_way: dict[Any, _Errand] = {}
        self._attempts: dict[int, int] = {}

    def __enter__(self) -> Self:
        """Join or start the cluster. Raises ConfigError where that fails."""
        with ExitStack() as stack:
            stack.enter_context(redirect_stdout(sys.stderr))  # Ray tells of dead nodes there
            stack.callback(ray.shutdown)
            with _own_signals():
                _join(self._address, self.slots or None)
            cpus = int(ray.cluster_resources().get("CPU", 0))
            if not cpus:
                raise ConfigError(
                    "the cluster has no CPU", where="--ray-address", mend="add a node"
                )
            self._left = stack.pop_all()
        self.slots = self.slots or cpus
        here = ray.get_runtime_context().get_node_id()
        self._board: Any = (
            ray.remote(_Board)
            .options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(here, False))
            .remote()
        )
        self._rows = ray.put(self._task)
        self._looks = self._board.looks.remote()
        on_gpu = self._task.plan.device != "cpu"
        self._errand = ray.remote(_tried).options(
            num_cpus=1, num_gpus=int(on_gpu), max_retries=0, scheduling_strategy="SPREAD"
        )
        return self

    def __exit__(self, *fault: object) -> None:
        for ref in self._under_way:
            ray.cancel(ref, force=True)
        self._left.close()

    def give(self, number: int, recipe: Recipe) -> None:
        """Hand it to the cluster; it waits there until a CPU is free."""
        errand = _Errand(number, self._attempts.get(number, 0) + 1)
        self._attempts[number] = errand.attempt
        ref = self._errand.remote(self._rows, self._board, errand, recipe)
        self._under_way[ref] = errand

    def wait(self, timeout_s: float) -> list[News]:
        """What tasks tell; one whose process or node is gone is lost."""
        all_of_them = [*self._under_way, self._looks]
        ready, _ = ray.wait(all_of_them, num_returns=1, timeout=timeout_s, fetch_local=True)
        heard: list[News] = []
        for ref in ready:
            if ref == self._looks:
                heard += self._seen(ray.get(ref))
                self._looks = self._board.looks.remote()
                continue
            errand = self._under_way.pop(ref)
            try:
                heard.append(ray.get(ref))
            except RayError as fault:
                heard.append(Lost(errand.number, str(fault).splitlines()[0]))
        return heard

    def answer(self, number: int, go_on: bool) -> None:
        """Tell the task, through the board."""
        self._board.answer.remote(_Errand(number, self._attempts[number]), go_on)

    def _seen(self, looks: list[tuple[_Errand, int, float]]) -> list[Looked]:
        """Looks of tasks that are under way; one that was lost may have looked before."""
        now = set(self._under_way.values())
        return [Looked(one.number, span, gain) for one, span, gain in looks if one in now]


class _Board:
    """Where tasks put up what they saw, and read whether they go on. Lives beside the search."""

    def __init__(self) -> None:
        self._looks: asyncio.Queue[tuple[_Errand, int, float]] = asyncio.Queue()
        self._answers: dict[_Errand, asyncio.Future[bool]] = {}

    async def look(self, errand: _Errand, span: int, gain: float) -> bool:
        """Put up a look, and wait for its answer."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._answers[errand] = answer
        await self._looks.put((errand, span, gain))
        return await answer

    async def looks(self) -> list[tuple[_Errand, int, float]]:
        """What was put up since; waits for the first."""
        found = [await self._looks.get()]
        while not self._looks.empty():
            found.append(self._looks.get_nowait())
        return found

    async def answer(self, errand: _Errand, go_on: bool) -> None:
        """Let whoever looked go on, or give up."""
        answer = self._answers.pop(errand, None)
        if answer is not None and not answer.done():
            answer.set_result(go_on)


def _tried(task: Task, board: Any, errand: _Errand, recipe: Recipe) -> Ended:
    def look(span: int, gain: float) -> bool:
        go_on: bool = ray.get(board.look.remote(errand, span, gain))
        return go_on

    number, where = errand.number, f"node {ray.get_runtime_context().get_node_id()}"
    try:
        return Ended(number, evaluate(task, recipe, look), where)
    except GivenUpError:
        return Ended(number, where=where)
    except FAULTS as fault:
        return Ended(number, where=where, fault=f"{type(fault).__name__}: {fault}")


def _join(address: str | None, cpus: int | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    size: dict[str, Any] = {"num_cpus": cpus} if address is None else {}
    if address is not None and address != "auto":
        _check_answers(address)
    try:
        ray.init(
            address=address or "local", include_dashboard=False, log_to_driver=False,
            logging_level=logging.ERROR, **size,
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError) as fault:
        raise ConfigError(
            f"no Ray cluster can be joined: {str(fault).splitlines()[0]}",
            where="--ray-address" if address else "--engine ray",
            mend="start one with `ray start --head`, or leave --ray-address out",
        ) from fault


def _check_answers(address: str) -> None:
    """Raise ConfigError where nobody listens: Ray itself would try for many minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), PATIENCE_S).close()
    except (OSError, ValueError, OverflowError) as fault:
        raise ConfigError(
            f"nothing answers at this address: {fault}",
            where=f"--ray-address {address}",
            mend="write auto, or HOST:PORT as `ray start --head` told it",
        ) from fault


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the handlers of this process: Ray brings one of its own for SIGTERM."""
    before = [(number, signal.getsignal(number)) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
