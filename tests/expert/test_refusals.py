"""A wrong key, address or model stops the run with nothing skipped for it; what passes does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from darwin.testing.llm_answers import Asked
from darwin.testing.llm_faults import (
    RESET,
    WRONG_CONTENT_TYPE,
    ServerFault,
    nobody_listens,
    status,
)
from darwin.testing.llm_server import LlmServer
from tests.expert.asking import NO_KEYS, calls, config, export, flags, run
from tests.run.command import Desk

pytestmark = pytest.mark.slow

CANARY = "sk-canary-5e4d3c2b1a0f"
SETTLED = "SELECT kind, text, usd FROM llm_calls WHERE run_id = 'small' ORDER BY id"


def refused(desk: Desk, file: str, *words: str, code: int = 2, **environment: str) -> str:
    """What a run says that stops: three lines after its checkpoints."""
    done = desk.darwin("run", file, *words, **(NO_KEYS | environment))
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    lines = done.stderr[done.stderr.index("error: ") :].splitlines()
    assert [line.partition(":")[0].strip() for line in lines] == ["error", "at", "mend"]
    return "\n".join(lines)


def plain(tmp_path: Path, server: LlmServer, **changes: object) -> str:
    """The export of a run that was right from the start, in a deployment of its own."""
    desk = Desk(tmp_path / "plain")
    desk.folder.mkdir()
    run(desk, config(desk, server, **changes))
    return export(desk, "small")


def only_with(key: str, says: Callable[[Asked], str | ServerFault]) -> Callable[[Asked], object]:
    def answer(asked: Asked) -> str | ServerFault:
        if asked.headers.get("authorization") == f"Bearer {key}":
            return says(asked)
        return status(f"401 {asked.headers.get('authorization', 'nobody')}")

    return answer


def test_a_refused_key_stops_the_run_and_the_right_one_ends_it_as_if_it_had_been_there(
    desk: Desk, server: LlmServer, tmp_path: Path
) -> None:
    right = plain(tmp_path, server)
    before = len(server.requests)
    server.answer = only_with("sk-right", server.answer)  # type: ignore[assignment]
    file = config(desk, server)
    said = refused(desk, file, OPENAI_API_KEY=CANARY)
    assert "refuses the key (HTTP 401)" in said
    assert "OPENAI_API_KEY" in said
    assert "then run it again: no fact of the run is kept, answers and charges are" in said
    assert len(server.requests) == before + 1
    assert [(kind, usd) for kind, _, usd in desk.ask(SETTLED)][1:] == [("failed", 0.0)]
    run(desk, file, OPENAI_API_KEY="sk-right")
    assert export(desk, "small") == right
    told = desk.metrics()["expert"]["model"]
    assert told["failed"] == 0
    assert told["requests_sent"] == len(server.requests) - before == told["answered"] + 1
    assert desk.darwin("verify", "small").returncode == 0
    written = [path for path in desk.folder.rglob("*") if path.is_file()]
    assert [path for path in written if CANARY.encode() in path.read_bytes()] == []
    assert CANARY not in said


@pytest.mark.sweep
def test_a_key_that_is_refused_later_stops_it_too_and_nothing_is_skipped(
    desk: Desk, server: LlmServer, tmp_path: Path
) -> None:
    right = plain(tmp_path, server)
    says, before = server.answer, len(server.requests)
    server.answer = lambda one: (
        says(one) if len(server.requests) - before <= 12 else status("403 Forbidden")
    )
    file = config(desk, server)
    said = refused(desk, file)
    assert "(HTTP 403)" in said
    assert "--resume" in said or "run it again" in said
    assert calls(desk) == {"charged": 13, "answered": 12, "failed": 1}
    server.answer = says
    begun = desk.ask("SELECT count(*) FROM runs") == [(1,)]
    run(desk, file, *(["--resume"] if begun else []))
    assert export(desk, "small") == right
    assert desk.darwin("replay", "small").returncode == 0


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (status("404 Not Found"), "no model 'rehearsal' (HTTP 404)"),
        (status("302 Found", location="http://127.0.0.1:9/"), "its protocol (HTTP 302)"),
        (status("400 Bad Request"), "refuses what it is asked (HTTP 400)"),
        (WRONG_CONTENT_TYPE, "does not speak its protocol (HTTP 200)"),
    ],
    ids=str,
)
def test_what_is_not_the_server_that_was_meant_stops_at_the_first_question(
    desk: Desk, server: LlmServer, fault: ServerFault, says: str
) -> None:
    server.script(fault)
    file = config(desk, server)
    said = refused(desk, file)
    assert says in said
    assert "decider" in said
    assert (len(server.requests), desk.ask("SELECT count(*) FROM runs")) == (1, [(0,)])
    run(desk, file)
    assert desk.metrics()["expert"]["model"]["failed"] == 0


@pytest.mark.sweep
def test_a_mended_address_and_model_may_have_the_name_of_the_run(
    desk: Desk, server: LlmServer, tmp_path: Path
) -> None:
    wrong = {"base_url": server.url}  # without /v1 there is nothing
    assert "mostly ends in /v1" in refused(desk, config(desk, server, decider=wrong))
    with nobody_listens() as url:
        file = config(desk, server, decider={"base_url": f"{url}/v1"})
        said = refused(desk, file, code=3)
    assert "start the server there" in said
    run(desk, config(desk, server))
    assert export(desk, "small") == plain(tmp_path, server)


@pytest.mark.sweep
def test_fed_bar_by_bar_it_stops_as_well(desk: Desk, server: LlmServer) -> None:
    server.script(status("401 Unauthorized"))
    file = config(desk, server)
    said = refused(desk, file, "--feed")
    begun = desk.ask("SELECT count(*) FROM runs") == [(1,)]
    assert ("--resume" in said) == begun
    run(desk, file, "--feed", *(["--resume"] if begun else []))
    assert desk.metrics()["expert"]["model"]["failed"] == 0


@pytest.mark.sweep
def test_taken_up_without_its_server_it_skips_nothing(desk: Desk, server: LlmServer) -> None:
    says = server.answer
    server.answer = lambda one: says(one) if len(server.requests) <= 12 else status("404 Not Found")
    file = config(desk, server)
    refused(desk, file)
    kept = ["--resume"] if desk.ask("SELECT count(*) FROM runs") == [(1,)] else []
    url, before = server.url, calls(desk)
    server.close()
    refused(desk, file, *kept, code=3)
    assert calls(desk)["answered"] == before["answered"] == 12
    with LlmServer(says, port=int(url.rpartition(":")[2])):
        run(desk, file, *kept)
    assert desk.metrics()["expert"]["model"]["failed"] == 0


@pytest.mark.parametrize(
    "fault",
    [status("500 Internal Server Error"), status("429 Too Many Requests", "3600"), RESET],
    ids=str,
)
def test_what_passes_is_a_skip_even_at_the_first_question(
    desk: Desk, server: LlmServer, fault: ServerFault
) -> None:
    server.script(fault)
    run(desk, config(desk, server))
    assert sum(one[0].startswith("no answer") for one in flags(desk) if one) == 1


@pytest.mark.sweep
def test_a_refusal_counts_against_the_budget(desk: Desk, server: LlmServer) -> None:
    file = config(desk, server, decider={"budget_calls": 5})
    for _ in range(3):
        server.script(status("401 Unauthorized"))
        refused(desk, file)
    run(desk, file)
    assert len(server.requests) == calls(desk)["charged"] == 5
    assert calls(desk)["answered"] == 2


def test_a_run_whose_model_never_answered_says_so_and_is_exit_3(
    desk: Desk, server: LlmServer
) -> None:
    server.answer = lambda one: "I would take it"
    file = config(desk, server)
    for _ in range(2):  # made, and then found finished
        said = run(desk, file, code=3)
        lines = said[said.index("error: ") :].splitlines()
        assert f"answered none of {len(flags(desk))} questions" in lines[0]
        assert "malformed: not json" in lines[0]
        assert "report.html" in lines[1]
        assert "another run_id" in lines[2]
    assert desk.metrics()["verdict"][0].startswith("THE EXPERT NEVER ANSWERED")
    assert "THE EXPERT NEVER ANSWERED" in (desk.run_dir() / "report.html").read_text()
    detail = desk.ask("SELECT detail FROM alerts WHERE kind = 'expert silent'")[0][0]
    assert "no answer to the last 5 questions; the last time: malformed: not json" in detail
