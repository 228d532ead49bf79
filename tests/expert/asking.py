"""Runs whose expert is a model of the local server, as their user makes them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from darwin.testing.llm_server import LlmServer
from tests.run.command import Desk, clean_environment

NO_KEYS = dict.fromkeys(
    ("OPENAI_API_KEY", "OPENAI_API_KEY_FILE", "ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY_FILE"), ""
)
BROKEN_KEYS = NO_KEYS | {"OPENAI_API_KEY": "sk-one", "OPENAI_API_KEY_FILE": "another"}
"""A key that cannot be told: whoever wants to ask, even a server of this machine, is refused."""

BUSY = {
    "market": {"bars": 700},
    "portfolio": {"risk_per_trade": 0.0025, "positions_per_symbol": 50, "max_positions": None},
    "limits": {"max_orders_per_bar": None, "max_orders_per_day": None},
}
"""Some 60 candidates that all get as far as the expert."""


def llm(server: LlmServer | None, **options: Any) -> dict[str, Any]:
    """A `decider` block."""
    return {
        "provider": "llm",
        "model": "rehearsal",
        "base_url": None if server is None else server.openai_url,
        "price_in_usd_per_mtok": 0.25,
        "price_out_usd_per_mtok": 2.0,
        "requests_per_minute": None,
        "max_attempts": 1,
        "timeout_s": 20,
    } | options


def config(
    desk: Desk, server: LlmServer | None, *, name: str = "config.json", **changes: Any
) -> str:
    """Write the config of a busy run; `decider` in `changes` are options."""
    decider = llm(server, **changes.pop("decider", {}))
    return desk.config(name, **{**BUSY, **changes, "decider": decider})


def run(
    desk: Desk, file: str = "config.json", *words: str, code: int = 0, **environment: str
) -> str:
    """Run it without a key, to end with `code`; gives what was said on stderr."""
    done = desk.darwin("run", file, *words, **(NO_KEYS | environment))
    assert done.returncode == code, done.stderr
    return done.stderr


def named(run_id: str) -> tuple[str, str]:
    return "--set", f"run_id={run_id}"


def calls(desk: Desk, run_id: str = "small") -> dict[str, int]:
    """How many rows of each kind the log has of a run."""
    return dict(
        desk.ask(f"SELECT kind, count(*) FROM llm_calls WHERE run_id = '{run_id}' GROUP BY kind")
    )


def flags(desk: Desk, run_id: str = "small") -> list[tuple[str, ...]]:
    """The risk flags of each verdict, in the order in which it was given."""
    rows = desk.ask(f"SELECT risk_flags FROM verdicts WHERE run_id = '{run_id}' ORDER BY id")
    return [tuple(json.loads(text)) for (text,) in rows]


def export(desk: Desk, run_id: str, *only: str) -> str:
    words = ("--only", ",".join(only)) if only else ()
    done = desk.darwin("ledger", "export", run_id, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def begin(desk: Desk, *words: str) -> subprocess.Popen[str]:
    """Start `darwin run` with these words, without waiting for it."""
    return subprocess.Popen(
        [sys.executable, "-m", "darwin.cli.main", "run", *words],
        cwd=desk.folder,
        env=clean_environment(**NO_KEYS),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def killed(desk: Desk, when: Callable[[], bool], *words: str) -> bool:
    """Kill a run as soon as `when` holds; False: it ended before."""
    process = begin(desk, *words)
    while process.poll() is None:
        if when():
            process.kill()
            break
        time.sleep(0.005)
    process.communicate()
    return process.returncode < 0
