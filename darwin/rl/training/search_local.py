"""Try recipes out in processes of this machine, each with one thread."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import NamedTuple, Self

from darwin.rl.training.recipes import Recipe
from darwin.rl.training.search import Ended, GivenUpError, Looked, Lost, News, Task, evaluate

FAULTS = (ArithmeticError, ValueError, RuntimeError, MemoryError)
"""What a recipe that cannot be computed raises: numbers that run away, memory that ends."""

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _Worker(NamedTuple):
    process: SpawnProcess
    line: Connection


class LocalEngine:
    """Worker processes that live as long as the search; one that dies is replaced."""

    def __init__(self, task: Task, jobs: int) -> None:
        self.slots, self._task = jobs, task
        self._idle: list[_Worker] = []
        self._busy: dict[int, _Worker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        workers = [*self._idle, *self._busy.values()]
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()

    def give(self, number: int, recipe: Recipe) -> None:
        """Let an idle worker try it, or a new one."""
        worker = self._idle.pop() if self._idle else self._hired()
        self._busy[number] = worker
        with suppress(OSError):  # it died idle: `wait` finds its line closed
            worker.line.send((number, recipe))

    def wait(self, timeout_s: float) -> list[News]:
        """What workers tell; one whose line is closed is lost."""
        by_line = {worker.line: number for number, worker in self._busy.items()}
        heard: list[News] = []
        for line in wait(list(by_line), timeout_s):
            assert isinstance(line, Connection)
            number = by_line[line]
            try:
                news: News = line.recv()
            except (EOFError, OSError):
                worker = self._busy.pop(number)
                worker.process.join()
                heard.append(Lost(number, f"its process ended with {worker.process.exitcode}"))
                continue
            if isinstance(news, Ended):
                self._idle.append(self._busy.pop(number))
            heard.append(news)
        return heard

    def answer(self, number: int, go_on: bool) -> None:
        """Send it to the worker that looked."""
        with suppress(OSError):  # it died looking: `wait` finds its line closed
            self._busy[number].line.send(go_on)

    def _hired(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        mine, its = context.Pipe()
        process = context.Process(target=_work, args=(its, self._task), daemon=True)
        with _one_thread():
            process.start()
        its.close()
        return _Worker(process, mine)


def _work(line: Connection, task: Task) -> None:
    """Try what comes until the line is closed. Whoever hired it stops it, and it ends with them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, which tells every process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, ConnectionError):
        while True:
            number, recipe = line.recv()
            line.send(_tried(line, task, number, recipe))


def _tried(line: Connection, task: Task, number: int, recipe: Recipe) -> Ended:
    def look(span: int, gain: float) -> bool:
        line.send(Looked(number, span, gain))
        go_on: bool = line.recv()
        return go_on

    where = f"process {os.getpid()}"
    try:
        return Ended(number, evaluate(task, recipe, look), where)
    except GivenUpError:
        return Ended(number, where=where)
    except FAULTS as fault:
        return Ended(number, where=where, fault=f"{type(fault).__name__}: {fault}")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """What is started within computes with one thread; that is read when numpy is imported."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
