"""An expert that is a model, from outside: asked once, kept for good, told again for nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench import llm_costs
from darwin.bootstrap import refuse_bad_options
from darwin.bootstrap.observing import observations
from darwin.config.load import load_config
from darwin.core.decision import NO_ANSWER
from darwin.errors import ConfigError
from darwin.rl.agents.pages import PAGES
from darwin.store.db import connect_readonly
from darwin.testing.llm_server import LlmServer
from tests.conftest import ROOT
from tests.expert.asking import BROKEN_KEYS, NO_KEYS, calls, config, export, flags, named, run
from tests.run.command import Desk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model():
    with LlmServer() as running:
        yield running


@pytest.fixture(scope="module")
def asked(model: LlmServer, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The run `one`, at the end of which the model was asked about more than 300 candidates."""
    desk = Desk(tmp_path_factory.mktemp("asked"))
    config(desk, model, run_id="one", market={"bars": 3000})
    run(desk)
    return desk


@pytest.fixture
def quiet(model: LlmServer):
    """Nobody asks while the test lasts."""
    before = len(model.requests)
    yield
    assert len(model.requests) == before


def test_each_verdict_has_its_prompt_its_tokens_its_cost_and_its_latency(
    asked: Desk, model: LlmServer
) -> None:
    rows = asked.ask(
        "SELECT take, confidence, prompt_sha256, input_tokens, output_tokens, cost_usd, latency_us"
        " FROM verdicts WHERE run_id = 'one'"
    )
    assert len(rows) >= 300
    assert len(model.requests) == len(rows)
    for take, confidence, prompt, read, wrote, usd, latency in rows:
        assert take in (0, 1) and 0.5 <= confidence <= 1
        assert re.fullmatch("[0-9a-f]{64}", prompt)
        assert read > 500 and wrote > 10 and latency > 0
        assert usd == pytest.approx((0.25 * read + 2.0 * wrote) / 1e6)
    assert 0.3 < sum(row[0] for row in rows) / len(rows) < 0.7
    assert calls(asked, "one") == {"charged": len(rows), "answered": len(rows)}
    spent = asked.metrics("one")["expert"]["model"]
    assert spent["spent_usd"] == pytest.approx(sum(row[5] for row in rows))
    assert (spent["requests_sent"], spent["from_record"], spent["failed"]) == (len(rows), 0, 0)
    assert spent["input_tokens"] == sum(row[3] for row in rows)


def test_what_was_sent_is_what_the_log_has(asked: Desk, model: LlmServer) -> None:
    rows = asked.ask("SELECT text FROM llm_calls WHERE run_id = 'one' AND kind = 'charged'")
    logged = [json.loads(text) for (text,) in rows]
    assert [one["user"] for one in logged] == [one.user for one in model.requests[: len(rows)]]
    assert {one["system"] for one in logged} == {model.requests[0].system}
    answers = asked.ask("SELECT text FROM llm_calls WHERE run_id = 'one' AND kind = 'answered'")
    assert [text for (text,) in answers] == [
        model.answer(one) for one in model.requests[: len(rows)]
    ]


def test_its_own_record_grows_in_what_it_is_shown(asked: Desk, model: LlmServer) -> None:
    known = [
        [int(n) for n in re.findall(r"verdicts with a known outcome: (\d+)", one.user)]
        for one in model.requests[:300]
    ]
    assert known[0] == []
    assert max(known[-1]) > 50
    assert "earlier: take" in model.requests[299].user
    assert '<flags>"thin volume"</flags>' in "".join(one.user for one in model.requests[:300])


@pytest.mark.usefixtures("quiet")
def test_a_second_run_asks_nothing_and_exports_the_same(asked: Desk) -> None:
    run(asked, "config.json", *named("two"))
    assert export(asked, "two") == export(asked, "one")
    count = len(flags(asked, "one"))
    assert calls(asked, "two") == {"answered": count}
    told = asked.metrics("two")["expert"]
    assert told["model"]["spent_usd"] == 0.0
    assert (told["model"]["requests_sent"], told["model"]["from_record"]) == (0, count)
    assert told["cost_usd"] == asked.metrics("one")["expert"]["cost_usd"] > 0
    latencies = asked.ask("SELECT run_id, sum(latency_us) FROM verdicts GROUP BY run_id")
    assert len({total for _, total in latencies}) == 1


@pytest.mark.sweep
def test_a_run_fed_bar_by_bar_is_asked_about_the_same(desk: Desk, server: LlmServer) -> None:
    config(desk, server)
    run(desk, "config.json", "--feed")
    count = len(server.requests)
    assert count == len(flags(desk)) > 20
    run(desk, "config.json", *named("replayed"))
    assert len(server.requests) == count
    assert export(desk, "replayed") == export(desk, "small")


@pytest.mark.usefixtures("quiet")
def test_the_recorded_expert_says_the_same(asked: Desk) -> None:
    decider = '{"provider": "recorded", "run_id": "one"}'
    run(asked, "config.json", *named("told"), "--set", f"decider={decider}")
    assert export(asked, "told") == export(asked, "one")


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "words",
    [
        ("replay", "one"),
        ("verify", "one"),
        ("report", "one"),
        ("run", "config.json"),
        ("runs", "show", "one"),
    ],
    ids=lambda words: words[0],
)
def test_what_is_finished_needs_no_key_and_asks_nobody(asked: Desk, words: tuple[str, ...]) -> None:
    done = asked.darwin(*words, **BROKEN_KEYS)
    assert done.returncode == 0, done.stderr


def test_the_report_says_what_the_model_cost(asked: Desk) -> None:
    page = (asked.run_dir("one") / "report.html").read_text()
    assert "rehearsal" in page
    assert "requests sent" in page
    verdict = " ".join(asked.metrics("one")["verdict"])
    assert f"{len(flags(asked, 'one')):,} questions" in verdict


def test_why_names_the_model_the_prompt_and_the_tokens(asked: Desk) -> None:
    [(candidate, prompt, read)] = asked.ask(
        "SELECT candidate_id, prompt_sha256, input_tokens FROM verdicts LIMIT 1"
    )
    said = asked.darwin("why", candidate, "--run", "one")
    assert f"model rehearsal, prompt {prompt[:12]}, {read:,} tokens in" in " ".join(
        said.stdout.split()
    )
    told = json.loads(asked.darwin("why", candidate, "--run", "one", "--json").stdout)
    assert told["verdict"]["call"]["model"] == "rehearsal"


@pytest.mark.parametrize(
    "environment, says",
    [(NO_KEYS, "no key for the server of the model"), (BROKEN_KEYS, "are both set")],
)
def test_without_a_key_no_bar_is_walked(desk: Desk, environment: dict[str, str], says: str) -> None:
    config(desk, None)
    done = desk.darwin("run", "config.json", **environment)
    assert done.returncode == 2
    assert says in done.stderr
    assert "mend: " in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert desk.ask("SELECT count(*) FROM runs") == [(0,)]  # there is nothing to resume


def test_only_a_run_may_ask(desk: Desk, server: LlmServer) -> None:
    config(desk, server)
    done = desk.darwin("benchmark", "config.json", **NO_KEYS)
    assert done.returncode == 3
    assert "a model is asked by `darwin run` alone" in done.stderr
    assert server.requests == []


@pytest.mark.parametrize(
    "options, says",
    [
        ({"price_in_usd_per_mtok": None}, "the price of the model 'rehearsal' is not known"),
        ({"kind": "gemini"}, "decider.kind must be"),
        ({"base_url": "http://api.example.com/v1"}, "decider.base_url must be https"),
        ({"base_url": "nowhere"}, "decider.base_url must be like"),
        ({"max_attempts": 0}, "decider.max_attempts must lie"),
        ({"notes": "x" * 2_001}, "decider.notes must have at most 2,000 characters"),
        ({"temperature": 3.0}, "decider.temperature must lie in 0..2"),
        ({"modle": "x"}, "did you mean"),
        ({"desk": "x"}, "decider.desk is no option"),
        ({"budget_usd": -1}, "decider.budget_usd must lie"),
    ],
    ids=lambda case: next(iter(case), "") if isinstance(case, dict) else "",
)
def test_what_no_model_can_be_asked_with_is_refused(
    options: dict[str, object], says: str, desk: Desk, server: LlmServer
) -> None:
    file = desk.folder / config(desk, server, decider=options)
    with pytest.raises(ConfigError) as refused:
        refuse_bad_options(load_config(file, (), {}))
    told = refused.value.lines()
    assert says in " ".join(told)
    assert len(told) <= 3


def test_a_refusal_is_an_exit_before_anything_is_asked(desk: Desk, server: LlmServer) -> None:
    config(desk, server, decider={"price_in_usd_per_mtok": None})
    done = desk.darwin("run", "config.json", **NO_KEYS)
    assert done.returncode == 2
    assert "mend: set price_in_usd_per_mtok" in done.stderr
    assert server.requests == []


@pytest.mark.usefixtures("quiet")
def test_what_an_agent_would_have_seen_is_made_again_without_asking(
    asked: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(asked.folder)
    with connect_readonly(Path("artifacts/rl_state/agent_state.sqlite")) as database:
        seen = observations(database, "one", PAGES["meta_learner"], "artifacts")
    assert len(seen) == len(flags(asked, "one"))


def test_a_failure_is_final_in_its_run_and_asked_again_in_the_next(
    desk: Desk, server: LlmServer
) -> None:
    says = server.answer
    server.answer = lambda one: "no" if len(server.requests) % 3 == 0 else says(one)
    config(desk, server, run_id="one")
    run(desk)
    failed = [one for one in flags(desk, "one") if one == (f"{NO_ANSWER}malformed: not json",)]
    assert len(failed) == len(server.requests) // 3 > 5
    assert calls(desk, "one")["failed"] == len(failed)
    assert desk.darwin("replay", "one").returncode == 0
    server.answer = says
    before = len(server.requests)
    run(desk, "config.json", *named("two"))
    assert len(server.requests) - before >= len(failed)
    assert not any(one and one[0].startswith(NO_ANSWER) for one in flags(desk, "two"))


def test_the_example_of_the_page_runs_as_it_stands(desk: Desk, server: LlmServer) -> None:
    page = (ROOT / "docs" / "llm.md").read_text("utf-8")
    [example] = re.findall(r"^```json\n(.*?)^```$", page, re.M | re.S)
    port = server.url.rpartition(":")[2]
    (desk.folder / "llm.json").write_text(example.replace("8123", port))
    run(desk, "llm.json")
    count = len(server.requests)
    run(desk, "llm.json", *named("again"))
    assert len(server.requests) == count > 20
    assert export(desk, "again") == export(desk, "with-a-model")
    for (sql,) in [re.findall(r"^```sql\n(.*?)^```$", page, re.M | re.S)]:
        for query in sql.split(";")[:-1]:
            assert desk.ask(query)


def test_the_table_of_costs_is_what_its_command_says() -> None:
    assert llm_costs.table() in (ROOT / "docs" / "llm.md").read_text("utf-8")


def test_both_protocols_are_spoken(desk: Desk, server: LlmServer) -> None:
    config(desk, server, decider={"kind": "anthropic", "base_url": server.url})
    run(desk)
    assert {one.path for one in server.requests} == {"/v1/messages"}
    assert not any(one and one[0].startswith(NO_ANSWER) for one in flags(desk))
