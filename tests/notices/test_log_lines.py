"""Logs as machines gather them, and what never stands in one."""

from __future__ import annotations

import json
import logging
import logging.config
from pathlib import Path

import pytest

from darwin.cli.logs import log_to
from darwin.rl.cli.log_lines import formatter
from darwin.service.log_config import log_config
from tests.run.agents import rules
from tests.run.command import Desk


def test_a_run_writes_one_object_a_line_where_that_is_asked_for(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    config = desk.config(market={"bars": 700}, rl=rules())
    done = desk.darwin("run", config, DARWIN_LOG_FORMAT="json")
    assert done.returncode == 0, done.stderr
    for file in (desk.run_dir() / "run.log", desk.folder / "logs" / "darwin.log"):
        lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        assert [set(one) for one in lines] == [
            {"time", "level", "logger", "message", "run_id"} for _ in lines
        ]
        assert {one["run_id"] for one in lines} == {"small"}
        assert lines[0]["level"] == "INFO"
        assert lines[0]["message"].startswith("run small begins")


@pytest.mark.parametrize("told", ["", "text", "JASON"])
def test_lines_are_text_where_json_is_not_asked_for(
    told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARWIN_LOG_FORMAT", told)
    log = log_to(tmp_path / "a.log")
    log.warning("RL gate: version %s is not adopted: %s", "1", "too old")
    log_to()
    (line,) = (tmp_path / "a.log").read_text().splitlines()
    assert line.endswith("Z WARNING RL gate: version 1 is not adopted: too old")


def lines_of(told: str, *, fault: bool = False) -> list[str]:
    record = logging.LogRecord("darwin", logging.WARNING, __file__, 1, told, None, None)
    if fault:
        try:
            raise ValueError("in the end")
        except ValueError as caught:
            record.exc_info = (type(caught), caught, caught.__traceback__)
    return formatter("json").format(record).splitlines()


def test_who_it_is_about_stands_beside_the_message() -> None:
    (line,) = lines_of("run paper-1 alert: RL meta_learner: breaker opened at noon")
    tree = json.loads(line)
    assert (tree["run_id"], tree["agent"]) == ("paper-1", "meta_learner")
    assert " RL " in line
    assert "agent" not in json.loads(*lines_of("run x: RL somebody: nothing known"))


def test_what_holds_line_breaks_stays_on_one_line() -> None:
    (line,) = lines_of('first\nsecond {"level": "FAKE"}', fault=True)
    tree = json.loads(line)
    assert tree["message"].count("\n") == 1
    assert tree["fault"].endswith("ValueError: in the end")


def test_no_token_of_an_address_reaches_a_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARWIN_LOG_FORMAT", "json")
    monkeypatch.setattr(logging.root, "handlers", list(logging.root.handlers))
    logging.config.dictConfig(log_config(requests=True))
    request = ("127.0.0.1:9", "GET", "/api/v1/runs?token=darwin_s3cret", "1.1", 200)
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', *request)
    logging.getLogger("uvicorn.error").info("started")
    logging.config.dictConfig(log_config())
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', *request)
    log_to()
    said = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    assert said == ['127.0.0.1:9 - "GET /api/v1/runs HTTP/1.1" 200', "started"]
