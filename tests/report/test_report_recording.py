"""What a report says of its own making: who vouches for the figures, and what disturbed the run."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from darwin.bootstrap import wire
from darwin.cli.making import identify
from darwin.cli.report_files import EQUITY, METRICS, PAGE, TRADES
from darwin.cli.report_page import page
from darwin.cli.summary import summary_lines
from darwin.config.load import load_config
from darwin.config.places import state_db_path
from darwin.core.provenance import Provenance, RunEvent
from darwin.engine.report import Report, report
from darwin.store.db import connect
from darwin.store.journal import Journal
from darwin.store.runs import begin_run
from darwin.testing.builders import make_bars, make_result
from tests.report.test_report_files import EVIL, Tags
from tests.run.command import Desk

HEAD, CONFIG, BARS = "1a" * 32, "2b" * 32, "3c" * 32
AT_NOON = 1_704_456_000_000  # 2024-01-05 12:00 UTC
BEGUN = RunEvent("begun", 0, None, "")
RESUMED = RunEvent("resumed", 4_000, AT_NOON, "")


def made(*events: RunEvent, mode: str = "replay") -> Report:
    provenance = Provenance(mode, CONFIG, BARS, "0.1.0+abc", 12_345, HEAD, (BEGUN, *events))
    return report(make_result(make_bars(600)), "one", provenance=provenance)


def recording_of(html: str) -> str:
    """The section as text."""
    start = html.index('<section id="recording"')
    cut = re.sub(r"<[^>]+>", " ", html[start : html.index("</section>", start)])
    return " ".join(cut.split())


def verdict_of(html: str) -> str:
    start = html.index('<section id="verdict"')
    return html[start : html.index("</section>", start)]


def test_the_page_says_what_the_run_was_made_of_and_how_to_check_it() -> None:
    told = recording_of(page(made()))
    for part in (HEAD, CONFIG, BARS, "0.1.0+abc", "12,345", "as a replay"):
        assert part in told
    assert "darwin verify one" in told and "darwin replay one" in told
    assert "as a feed" in recording_of(page(made(mode="feed")))


def test_a_run_made_in_one_go_says_so_and_nothing_more() -> None:
    html = page(made())
    assert "made in one go" in recording_of(html)
    assert "taken up again" not in verdict_of(html) + "".join(summary_lines(made().metrics))


def test_every_disturbance_is_shown_with_where_the_run_stood() -> None:
    waited = RunEvent("waited", 2_000, AT_NOON - 7_200_000, "1.2 s for the database")
    told = recording_of(page(made(RESUMED, waited)))
    assert "made in one go" not in told
    assert "waited 2,000 2024-01-05 10:00 1.2 s for the database resumed 4,000" in told
    assert "resumed 4,000 2024-01-05 12:00" in told


def test_a_run_taken_up_before_its_first_checkpoint_is_at_no_bar() -> None:
    event = RunEvent("resumed", 0, None, "")
    assert "resumed 0 none yet" in recording_of(page(made(event)))
    assert "nothing had been kept by then" in verdict_of(page(made(event)))


@pytest.mark.parametrize(
    "events, words",
    [
        ([RESUMED], "interrupted and taken up again once; all that had been kept came out"),
        ([RESUMED, RESUMED], "interrupted and taken up again 2 times; all that"),
        (
            [RunEvent("code accepted", 4_000, AT_NOON, "in place of 0.0.9"), RESUMED],
            "taken up again once, with other code accepted on the way; all that",
        ),
    ],
)
def test_a_run_taken_up_again_says_so_in_one_sentence_beside_the_verdict(
    events: list[RunEvent], words: str
) -> None:
    disturbed = made(*events)
    assert words in verdict_of(page(disturbed))
    assert sum(words in line for line in summary_lines(disturbed.metrics)) == 1
    assert disturbed.metrics["verdict"] == made().metrics["verdict"]


def test_waiting_for_the_database_is_no_interruption() -> None:
    waited = made(RunEvent("waited", 2_000, AT_NOON, "1.2 s for the database"))
    assert "interrupted" not in verdict_of(page(waited)) + "".join(summary_lines(waited.metrics))


def test_the_summary_ends_with_how_much_is_kept_and_the_head_of_the_chain() -> None:
    assert summary_lines(made().metrics)[-1] == f"  12,345 facts, head {HEAD[:12]}"


def test_figures_that_nobody_recorded_claim_no_record() -> None:
    bare = report(make_result(make_bars(600)), "one")
    told = recording_of(page(bare))
    assert "This run was not recorded" in told and "darwin verify" not in told
    assert not [line for line in summary_lines(bare.metrics) if " head " in line]


def test_what_the_database_tells_builds_no_element() -> None:
    event = RunEvent(EVIL, 1, AT_NOON, EVIL)
    evil = Provenance(EVIL, EVIL, EVIL, EVIL, 1, EVIL, (event._replace(kind="waited"),))
    html = page(report(make_result(make_bars(600)), EVIL, provenance=evil))
    assert "img" not in Tags(html).tags
    assert recording_of(html).count("&lt;img") == 8


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, Desk]:
    """The same run made by itself in two places."""
    desks = Desk(tmp_path_factory.mktemp("left")), Desk(tmp_path_factory.mktemp("right"))
    for desk in desks:
        done = desk.darwin("run", desk.config())
        assert done.returncode == 0, done.stderr
    return desks


@pytest.mark.slow
@pytest.mark.parametrize("name", [METRICS, TRADES, EQUITY, PAGE, "manifest.json", "config.json"])
def test_runs_that_nobody_disturbed_leave_the_same_bytes(
    twins: tuple[Desk, Desk], name: str
) -> None:
    left, right = (desk.run_dir() / name for desk in twins)
    assert left.read_bytes() == right.read_bytes()


@pytest.mark.slow
def test_page_manifest_and_terminal_name_the_same_chain(twins: tuple[Desk, Desk]) -> None:
    desk = twins[0]
    kept = desk.metrics()["run"]
    manifest = json.loads((desk.run_dir() / "manifest.json").read_text())
    told = recording_of((desk.run_dir() / PAGE).read_text("utf-8"))
    assert manifest["head"] == kept["head"] and manifest["facts"] == kept["facts"] > 1_000
    assert kept["head"] in told and f"{kept['facts']:,}" in told
    again = desk.darwin("run", "config.json", "--set", "run_id=again")
    chain = desk.metrics("again")["run"]
    assert f"  {chain['facts']:,} facts, head {chain['head'][:12]}\n" in again.stdout


@pytest.mark.slow
def test_a_run_that_was_left_and_taken_up_says_so_on_the_page_and_the_terminal(
    tmp_path: Path, twins: tuple[Desk, Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path)
    monkeypatch.chdir(tmp_path)
    facts = leave_unfinished(desk.config())
    done = desk.darwin("run", "config.json", "--resume")
    assert done.returncode == 0, done.stderr
    (resume,) = desk.metrics()["run"]["resumes"]
    assert resume["kind"] == "resumed" and resume["facts"] == facts
    assert "interrupted and taken up again once; all that had been kept" in done.stdout
    html = (desk.run_dir() / PAGE).read_text("utf-8")
    assert "taken up again once" in verdict_of(html)
    assert f"resumed {facts:,} {resume['reached'][:10]}" in recording_of(html)
    undisturbed = twins[0].metrics()
    undisturbed["run"]["resumes"] = [resume]
    assert desk.metrics() == undisturbed


def leave_unfinished(config: str) -> int:
    """Make the run of `config` but for its end, as one killed just before; gives its facts."""
    loaded = load_config(Path(config), ())
    wired = wire(loaded)
    with connect(state_db_path(loaded.config)) as database:
        run = begin_run(database, identify(loaded, wired, "replay"), at=datetime.now(UTC))
        journal = Journal(database, run, wired.playbooks)
        wired.session.run(journal=journal)
        return journal.place.facts
