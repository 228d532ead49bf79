"""Where zips from elsewhere are tried out: commands in a folder, and a watch on what they start."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from darwin.cli.rl_models import models
from darwin.errors import DarwinError
from darwin.rl.agents.pages import PAGES

WATCH = """
    import mmap, os, sys

    with open(os.environ["PYTHONWATCHED"], "r+b") as file:
        page = mmap.mmap(file.fileno(), 0)  # written to without a file or a system call
    page.seek(page.find(bytes(1)))

    def watch(event, words):
        seen = f"{event} {words}" if event not in ("import", "exec") else event
        if "canary" in seen:
            page.write(f"{seen[:200]}\\n".encode()[: page.size() - page.tell()])

    page.write(b"watching\\n")
    sys.addaudithook(watch)
"""
"""A sitecustomize for interpreters that the tests start: it notes all that is done to a canary."""


class Lab:
    """Commands in a folder of their own; what they start is watched from inside."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.canary = folder, folder / "canary"
        self._log = folder / "watched.log"
        self._log.write_bytes(bytes(1 << 16))
        site = folder / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(textwrap.dedent(WATCH))
        monkeypatch.setenv("PYTHONPATH", str(site))
        monkeypatch.setenv("PYTHONWATCHED", str(self._log))

    @property
    def watched(self) -> list[str]:
        """What interpreters did to the canary, each after a line that it is watched."""
        return self._log.read_bytes().rstrip(b"\0").decode().splitlines()

    def file(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def normaliser(self, agent: str = "gate", seed: int = 3) -> dict[str, list[float]]:
        rng, width = np.random.default_rng(seed), len(PAGES[agent].names)
        return {
            "mean": rng.normal(0.0, 5.0, width).tolist(),
            "sd": rng.uniform(0.01, 30.0, width).tolist(),
        }

    def say(self, *words: str, code: int = 0) -> str:
        """What `darwin rl models` prints; `code` is how it is to end."""
        done = CliRunner().invoke(models, words, standalone_mode=False)
        if code:
            assert isinstance(done.exception, DarwinError), (done.output, done.exception)
            assert done.exception.exit_code == code, done.exception
            assert len(done.exception.lines()) <= 3
            return str(done.exception)
        assert done.exception is None, (done.output, done.exception)
        return done.stdout

    def ask(self, *words: str) -> Any:
        return json.loads(self.say(*words, "--json"))

    def bring(self, raw: bytes, agent: str, algo: str, *words: str, code: int = 0) -> Any:
        """Import a zip; gives what was printed, or why it was refused."""
        given = (
            "import", agent, self.file("model.zip", raw), "--algo", algo, "-o", "made",
            *(words or ("--no-normaliser",)),
        )  # fmt: skip
        return self.say(*given, code=code) if code else self.ask(*given)
