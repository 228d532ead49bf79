"""A venue that refuses a run on paper: the end of a new one, a warning and patience for others."""

from __future__ import annotations

import json

import pytest

from darwin.cli.venue_trouble import REFUSALS, Trouble
from darwin.core.market import Bars
from darwin.errors import RefusedError, UnreachableError
from darwin.testing.klines_server import KlinesServer
from tests.run.command import Desk
from tests.run.papers import BEGUN, FOREVER, HOUR_MS, Start, paper, wait_for
from tests.run.waiting import until


def refused(wait_s: float | None = None) -> RefusedError:
    fault = RefusedError("host refused with HTTP 418", mend="wait")
    fault.wait_s = wait_s
    return fault


def trouble(poll_s: float = 5.0) -> tuple[Trouble, list[str], list[tuple[str, str]]]:
    said: list[str] = []
    kept: list[tuple[str, str]] = []
    one = Trouble(poll_s, said.append, lambda _: None, lambda *words: kept.append(words))
    return one, said, kept


def test_a_run_without_bars_ends_after_a_few_refusals_but_not_for_an_outage() -> None:
    one, said, kept = trouble()
    for _ in range(3 * REFUSALS):
        one.meet(UnreachableError("no answer"), has_bars=False)
    for _ in range(REFUSALS - 1):
        one.meet(refused(), has_bars=False)
    with pytest.raises(RefusedError, match="418"):
        one.meet(refused(), has_bars=False)
    assert len(said) == 1
    assert kept == []  # a run of which nothing is on record can be taken back


def test_a_run_without_bars_ends_at_once_where_it_is_banned() -> None:
    with pytest.raises(RefusedError):
        trouble()[0].meet(refused(120.0), has_bars=False)


def test_a_run_with_bars_asks_more_and_more_seldom_and_says_so_once() -> None:
    one, said, kept = trouble()
    waits = []
    for _ in range(7):
        one.meet(refused(), has_bars=True)
        waits.append(one.wait_s)
    assert waits == [5, 10, 20, 40, 60, 60, 60]
    assert one.state == "refused"
    assert len(said) == len(kept) == 1
    one.meet(refused(600.0), has_bars=True)
    assert one.wait_s == 600.0
    one.end()
    assert (one.state, one.wait_s, said[1]) == ("", 5.0, "the venue answers again")


def test_a_venue_that_is_away_and_busy_is_left_alone_as_long_as_it_says() -> None:
    one, _, kept = trouble()
    busy = UnreachableError("no answer")
    busy.wait_s = 90.0
    one.meet(busy, has_bars=True)
    assert (one.state, one.wait_s) == ("unreachable", 90.0)
    assert [kind for kind, _ in kept] == ["venue away"]


@pytest.mark.slow
@pytest.mark.parametrize("word", ["404", "302"])
def test_a_new_run_is_refused_with_one_error_and_its_name_is_free(
    desk: Desk, markets: list[Bars], word: str
) -> None:
    with KlinesServer(markets, start_bar=BEGUN) as server:
        paper(desk, server, FOREVER)
        server.faults += [word] * 500
        done = desk.darwin("run", "paper.json")
        assert done.returncode == 3, done.stderr
        assert f"refused with HTTP {word}" in done.stderr
        assert "check the base URL" in done.stderr
        assert len(done.stderr.splitlines()) == 3, done.stderr
        assert desk.ask("SELECT count(*) FROM runs") == [(0,)]


@pytest.mark.slow
def test_a_run_with_bars_says_that_it_is_refused_and_goes_on_afterwards(
    desk: Desk, start: Start, markets: list[Bars]
) -> None:
    opens = markets[0].time
    path = desk.run_dir("paper") / "heartbeat.json"
    with KlinesServer(markets, start_bar=BEGUN) as server:
        paper(desk, server, FOREVER)
        process = start()
        wait_for(desk, process, int(opens[BEGUN - 1]))
        server.faults += ["403"] * 8
        until(
            lambda: json.loads(path.read_text())["state"] == "refused", what="a heartbeat 'refused'"
        )
        server.now_ms = int(opens[BEGUN]) + HOUR_MS + 1_000
        until(
            lambda: json.loads(path.read_text())["state"] == "waiting", what="a heartbeat 'waiting'"
        )
        wait_for(desk, process, int(opens[BEGUN]))
        process.terminate()
        said = process.communicate()[1]
        assert process.returncode == 143
    assert said.count("refused with HTTP 403") == 1
    assert "the venue answers again" in said
    kept = desk.ask("SELECT time, kind FROM alerts WHERE kind LIKE 'venue%'")
    assert kept == [(int(opens[BEGUN - 1]), "venue refuses")]
    assert desk.darwin("verify", "paper").returncode == 0
