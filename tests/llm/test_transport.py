"""A question ends by its deadline, in a reply or in a failure that says what it may have cost."""

from __future__ import annotations

import threading
from email.utils import formatdate

import pytest

from darwin.deciders.llm.transport import (
    Breaker,
    Cause,
    Failure,
    Model,
    RateLimit,
    Reply,
    Request,
    Server,
)
from darwin.testing.llm_answers import Asked, answer_text, steady
from darwin.testing.llm_envelopes import LENGTH
from darwin.testing.llm_faults import (
    HANG,
    RESET,
    RESET_MIDWAY,
    changed,
    drip,
    drip_body,
    nobody_listens,
    status,
)
from darwin.testing.llm_server import LlmServer
from tests.llm.conftest import ENVIRON, KEY, KINDS, QUESTION, Time, model_of

BUSY = status("503 Service Unavailable")


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_comes_whole_with_its_tokens(server: LlmServer, kind: str) -> None:
    reply = model_of(server, kind).ask(QUESTION, 10)
    asked = server.requests[-1]
    assert isinstance(reply, Reply)
    assert reply.text == steady()(asked)
    assert reply[1:] == (8, -(-len(reply.text) // 4), 1, 1)
    assert (asked.system, asked.user) == (QUESTION.system, QUESTION.user)
    assert asked.headers["authorization"] == f"Bearer {KEY}"


def test_openai_is_asked_for_a_strict_schema(server: LlmServer) -> None:
    model_of(server).ask(QUESTION, 10)
    body = server.requests[-1].body
    told = {"name": "answer", "strict": True, "schema": QUESTION.schema}
    assert body["response_format"] == {"type": "json_schema", "json_schema": told}
    assert body["model"], body["temperature"] == ("gpt-4.1", 0.0)
    assert body["max_tokens"] == 200
    assert not {"tools", "stream", "n"} & set(body)


def test_servers_that_know_less_are_told_less(server: LlmServer) -> None:
    plain = QUESTION._replace(temperature=None)
    model_of(server, structured="json").ask(plain, 10)
    model_of(server, structured="off", limit_key="max_completion_tokens").ask(plain, 10)
    as_json, off = (asked.body for asked in server.requests)
    assert as_json["response_format"] == {"type": "json_object"}
    assert "response_format" not in off
    assert "temperature" not in as_json
    assert off["max_completion_tokens"] == 200
    assert "max_tokens" not in off


def test_anthropic_is_asked_for_its_structured_output(server: LlmServer) -> None:
    model_of(server, "anthropic").ask(QUESTION, 10)
    model_of(server, "anthropic", structured="off").ask(QUESTION, 10)
    told, off = (asked.body for asked in server.requests)
    assert told["output_config"] == {"format": {"type": "json_schema", "schema": QUESTION.schema}}
    assert "output_config" not in off
    assert told["max_tokens"] == 200
    assert not {"tools", "tool_choice"} & set(told)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fault", "billable"),
    [
        (BUSY, 1),
        (status("500 Internal Server Error"), 1),
        (status("429 Too Many Requests"), 0),
        (status("408 Request Timeout"), 0),
        (status("409 Conflict"), 0),
        (RESET, 1),
        (RESET_MIDWAY, 1),
    ],
    ids=str,
)
def test_what_may_pass_is_tried_again(
    server: LlmServer, time: Time, kind: str, fault: object, billable: int
) -> None:
    server.script(fault, fault)  # type: ignore[arg-type]
    reply = model_of(server, kind, sleep=time.sleep).ask(QUESTION, 10)
    assert isinstance(reply, Reply)
    assert (reply.attempts, reply.billable) == (3, 2 * billable + 1)
    assert len(server.requests) == 3
    assert time.slept == [0.5, 1.0]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("400 Bad Request", Cause.REQUEST_REFUSED),
        ("401 Unauthorized", Cause.KEY_REFUSED),
        ("403 Forbidden", Cause.KEY_REFUSED),
        ("404 Not Found", Cause.NOT_FOUND),
        ("422 Unprocessable", Cause.REQUEST_REFUSED),
        ("204 No Content", Cause.ODD_STATUS),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_final_is_asked_once(
    server: LlmServer, time: Time, kind: str, line: str, cause: Cause
) -> None:
    server.script(status(line))
    code = int(line[:3])
    failure = model_of(server, kind, sleep=time.sleep).ask(QUESTION, 10)
    assert failure == Failure(cause, 1, int(code < 300), code)
    assert len(server.requests) == 1
    assert time.slept == []


def test_nobody_is_billed_for_a_connection_that_never_stood() -> None:
    with nobody_listens() as url:
        model = Model(Server(base_url=f"{url}/v1"), environ=ENVIRON, sleep=lambda s: None)
        assert model.ask(QUESTION, 10) == Failure(Cause.NO_CONNECTION, 3, 0)
        assert not model.ask(QUESTION, 10).may_be_billed  # type: ignore[union-attr]


def test_tls_with_who_does_not_speak_it_is_no_connection(server: LlmServer) -> None:
    where = Server(base_url=server.openai_url.replace("http:", "https:"), attempts=1)
    failure = Model(where, environ=ENVIRON).ask(QUESTION, 10)
    assert failure == Failure(Cause.NO_CONNECTION, 1, 0)
    assert server.requests == []


def test_a_name_that_nobody_knows_is_no_connection() -> None:
    where = Server(base_url="https://model.invalid/v1", attempts=1, connect_s=1.0)
    failure = Model(where, environ=ENVIRON).ask(QUESTION, 10)
    assert failure == Failure(Cause.NO_CONNECTION, 1, 0)


@pytest.mark.parametrize("fault", [HANG, drip(0.02), drip_body(0.02)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_the_deadline_ends_whatever_is_still_coming(
    server: LlmServer, kind: str, fault: object
) -> None:
    server.script(fault)  # type: ignore[arg-type]
    failure = model_of(server, kind, silence_s=3600.0).ask(QUESTION, 0.5)
    assert failure == Failure(Cause.DEADLINE, 1, 1)
    assert len(server.requests) == 1


def test_silence_is_tried_again_before_the_deadline(server: LlmServer, time: Time) -> None:
    server.script(HANG)
    reply = model_of(server, silence_s=0.5, sleep=time.sleep).ask(QUESTION, 10)
    assert isinstance(reply, Reply)
    assert (reply.attempts, reply.billable) == (2, 2)


@pytest.mark.parametrize("deadline_s", [0.0, -1.0, float("nan")])
def test_without_time_nothing_is_asked(server: LlmServer, deadline_s: float) -> None:
    assert model_of(server).ask(QUESTION, deadline_s) == Failure(Cause.DEADLINE)
    assert server.requests == []


def test_pauses_count_against_the_deadline(server: LlmServer, time: Time) -> None:
    server.script(*[BUSY] * 10)
    model = model_of(server, attempts=10, clock=time.clock, sleep=time.sleep)
    failure = model.ask(QUESTION, 3.0)
    assert failure == Failure(Cause.SERVER_ERROR, 3, 3, 503)
    assert time.slept == [0.5, 1.0]  # the next, of 2 s, would end after it


NOW = 1_790_000_000


@pytest.mark.parametrize(
    ("retry_after", "pause_s"),
    [
        ("2", 2.0),
        ("0", 0.0),
        ("1.5", 1.5),
        (formatdate(NOW + 4, usegmt=True), 4.0),
        (formatdate(NOW - 4, usegmt=True), 0.0),
        ("-3", 0.5),
        ("soon", 0.5),
        ("nan", 0.5),
        ("1e999", 0.5),
        ("9" * 400, 0.5),
        ("Tue, 99 Foo 2026 99:99:99 GMT", 0.5),
        ("", 0.5),
    ],
)
@pytest.mark.parametrize("line", ["429 Too Many Requests", "503 Service Unavailable"])
def test_retry_after_is_obeyed(
    server: LlmServer, time: Time, line: str, retry_after: str, pause_s: float
) -> None:
    server.script(status(line, retry_after))
    model = model_of(server, clock=time.clock, sleep=time.sleep, wall=lambda: NOW)
    assert isinstance(model.ask(QUESTION, 10), Reply)
    assert time.slept == [pause_s]


@pytest.mark.parametrize("retry_after", ["10", "86400", formatdate(NOW + 3600, usegmt=True)])
def test_a_retry_after_beyond_the_deadline_ends_it_at_once(
    server: LlmServer, time: Time, retry_after: str
) -> None:
    server.script(status("429 Too Many Requests", retry_after))
    model = model_of(server, clock=time.clock, sleep=time.sleep, wall=lambda: NOW)
    assert model.ask(QUESTION, 10) == Failure(Cause.TOO_MANY_REQUESTS, 1, 0, 429)
    assert time.slept == []
    assert len(server.requests) == 1


def test_the_tokens_of_a_useless_reply_are_told(server: LlmServer) -> None:
    server.script(LENGTH)
    failure = model_of(server).ask(QUESTION, 10)
    written = -(-len(steady()(server.requests[-1])) // 4)
    assert failure == Failure(Cause.CUT_OFF, 1, 1, 200, 8, written)
    assert failure.may_be_billed  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("odd", [True, -1, 1.5, "7", None, 10**12, [7]])
def test_counts_that_cannot_be_are_none(server: LlmServer, kind: str, odd: object) -> None:
    name = "prompt_tokens" if kind == "openai" else "input_tokens"
    server.script(changed("odd usage", lambda tree: tree["usage"].update({name: odd})))
    reply = model_of(server, kind).ask(QUESTION, 10)
    assert isinstance(reply, Reply)
    assert reply.input_tokens is None
    assert reply.output_tokens is not None


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_character_ends_in_no_reply(kind: str) -> None:
    with LlmServer(lambda asked: "half \ud800") as server:
        failure = model_of(server, kind).ask(QUESTION, 10)
    assert isinstance(failure, Failure)
    assert failure.cause is Cause.WRONG_ENVELOPE


def test_kept_input_counts_as_input(server: LlmServer) -> None:
    kept = {"cache_creation_input_tokens": 100, "cache_read_input_tokens": 1000}
    server.script(changed("kept", lambda tree: tree["usage"].update(kept)))
    reply = model_of(server, "anthropic").ask(QUESTION, 10)
    assert isinstance(reply, Reply)
    assert reply.input_tokens == 1108


def test_thoughts_are_no_part_of_the_answer(server: LlmServer) -> None:
    thought = {"type": "thinking", "thinking": "take it", "signature": "x"}
    server.script(changed("a thought", lambda tree: tree["content"].insert(0, thought)))
    reply = model_of(server, "anthropic").ask(QUESTION, 10)
    assert isinstance(reply, Reply)
    assert reply.text == steady()(server.requests[-1])


def test_five_failures_in_a_row_keep_the_next_questions_off(server: LlmServer, time: Time) -> None:
    breaker = Breaker(clock=time.clock)
    model = model_of(server, attempts=1, breaker=breaker)
    server.script(*[BUSY] * 6)
    for _ in range(5):
        assert model.ask(QUESTION, 10).cause is Cause.SERVER_ERROR  # type: ignore[union-attr]
    assert model.ask(QUESTION, 10) == Failure(Cause.BREAKER_OPEN)
    time.now += 30.0
    assert model.ask(QUESTION, 10).cause is Cause.SERVER_ERROR  # type: ignore[union-attr]
    assert model.ask(QUESTION, 10) == Failure(Cause.BREAKER_OPEN)
    assert len(server.requests) == 6
    time.now += 60.0
    assert isinstance(model.ask(QUESTION, 10), Reply)
    assert isinstance(model.ask(QUESTION, 10), Reply)


def test_the_rate_limit_waits_within_the_deadline_or_not_at_all(
    server: LlmServer, time: Time
) -> None:
    limit = RateLimit(2, clock=time.clock, sleep=time.sleep)
    model = model_of(server, limit=limit, clock=time.clock, sleep=time.sleep)
    assert [type(model.ask(QUESTION, 10)) for _ in range(2)] == [Reply, Reply]
    assert model.ask(QUESTION, 59) == Failure(Cause.RATE_LIMIT)
    assert time.slept == []
    assert isinstance(model.ask(QUESTION, 61), Reply)
    assert time.slept == [60.0]
    assert len(server.requests) == 3


def test_each_attempt_takes_a_slot_of_the_rate_limit(server: LlmServer, time: Time) -> None:
    limit = RateLimit(2, clock=time.clock, sleep=time.sleep)
    model = model_of(server, limit=limit, clock=time.clock, sleep=time.sleep)
    server.script(*[BUSY] * 3)
    assert model.ask(QUESTION, 30) == Failure(Cause.SERVER_ERROR, 2, 2, 503)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "odd",
    [
        Request("s", "half \ud800", "m", 10),
        Request("s", "u", "m", 0),
        Request("s", "u", "m", 10, float("nan")),
    ],
)
def test_what_cannot_be_sent_is_not_sent(server: LlmServer, odd: Request) -> None:
    assert model_of(server).ask(odd, 10) == Failure(Cause.ODD_REQUEST)
    assert server.requests == []


def test_threads_have_each_their_own_answer() -> None:
    def echo(asked: Asked) -> str:
        return answer_text("skip", reason=asked.user)

    came: dict[int, object] = {}
    with LlmServer(echo) as server:
        model = model_of(server)

        def ask(i: int) -> None:
            came[i] = model.ask(QUESTION._replace(user=f"candidate {i}"), 10)

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for i, reply in came.items():
        assert isinstance(reply, Reply)
        assert reply.text == answer_text("skip", reason=f"candidate {i}")
    assert len(came) == 16
