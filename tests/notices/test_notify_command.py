"""`darwin notify`, as somebody with a cron table uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.notices.desk import Desk
from tests.notices.receiver import Receiver
from tests.run.command import clean_environment


def darwin(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "darwin.cli.main", "notify", *words],
        cwd=folder, env=clean_environment(PYTHONPATH=path, **environment), capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip


def test_cron_tells_what_happened_between_two_looks(tmp_path: Path, hook: Receiver) -> None:
    desk = Desk(tmp_path / "artifacts")
    desk.place.make()
    once, where = ("run", "--once", "--json"), {"DARWIN_WEBHOOK_URL": hook.url}
    told = [json.loads(darwin(tmp_path, *once, **where).stdout)]
    desk.kill()
    told += [json.loads(darwin(tmp_path, *once, **where).stdout) for _ in range(2)]
    assert [(one["due"], one["sent"]) for one in told] == [(0, 0), (1, 1), (0, 0)]
    listed = json.loads(darwin(tmp_path, "list", "--json").stdout)
    assert [one["ways"] for one in listed] == [
        {"webhook": {"answer": "sent", "says": "HTTP 204", "tries": 1}}
    ]


def test_a_trial_notice_says_who_takes_it(tmp_path: Path, hook: Receiver) -> None:
    hook.script.append(403)
    done = darwin(tmp_path, "test", DARWIN_WEBHOOK_URL=hook.url)
    assert (done.returncode, done.stdout) == (3, "webhook: NOT TAKEN (HTTP 403)\n")
    done = darwin(tmp_path, "test", DARWIN_WEBHOOK_URL=hook.url)
    assert (done.returncode, done.stdout) == (0, "webhook: taken (HTTP 204)\n")
    assert "s3cret" not in done.stdout + done.stderr


def test_without_an_address_it_says_what_to_set(tmp_path: Path) -> None:
    done = darwin(tmp_path, "run", "--once")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error: nobody is to be told anything"


def test_without_a_database_it_makes_none(tmp_path: Path, hook: Receiver) -> None:
    done = darwin(tmp_path, "run", "--once", DARWIN_WEBHOOK_URL=hook.url)
    assert done.returncode == 4
    assert not (tmp_path / "artifacts").exists()
