"""The page of a training: it says what report.json says, opens offline and fits a phone."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from darwin.core.agents import AGENTS, GATE, META_LEARNER, PORTFOLIO
from darwin.engine.report_words import number
from darwin.rl.training.gains import Interval
from tests.report.test_report_browser import Visit
from tests.report.test_report_browser import browser as browser  # noqa: PLC0414  a fixture
from tests.report.test_report_browser import pytestmark as in_a_browser
from tests.report.test_report_files import EVIL, Tags
from tests.rl.training.test_worlds import HOUR_MS, made_rows

if TYPE_CHECKING:
    from darwin.rl.training.course import Course

pytest.importorskip("stable_baselines3")
pytestmark = pytest.mark.slow

PLANTED = "with_side_rsi_balance_14"
CANARIES = [
    {"name": "shuffle", "passed": True, "figure": 0.0012, "told": "nothing where nothing is"},
    {"name": "oracle", "passed": False, "figure": None, "told": "only half of what it could"},
]
TRIALS = {"count": 14, "deflated_sharpe": {"ratio": 0.91, "probability": 0.972}}


def course_of(agent: str, n: int = 1200, effect: float = 1.0) -> Course:
    """A short training on rows whose R hangs on one column."""
    from darwin.rl.training.course import Plan, run_course
    from darwin.rl.training.recipes import recipe_of

    rows, rng = made_rows(agent, n=n), np.random.default_rng(1)
    decided = np.arange(1, n + 1) * 4 * HOUR_MS
    told = effect * np.tanh(rows.observations[:, rows.page.place(PLANTED)])
    rows = replace(
        rows, r=told + rng.normal(0, 0.5, n), decided=decided, settled=decided + HOUR_MS
    )  # fmt: skip
    plan = Plan(recipe_of(agent), timesteps=8192, eval_freq=4096, seeds=2)
    return run_course(rows, plan)


def told_of(course: Course) -> dict[str, Any]:
    """What report.json says of it."""
    from darwin.rl.cli.training_page import tree_of
    from darwin.rl.training.trials import Count

    tree = tree_of(course, Count(4, 2, 0.01), ("spring", "autumn"))
    return json.loads(json.dumps(tree))


def trained(agent: str, n: int = 1200, effect: float = 1.0) -> dict[str, Any]:
    return told_of(course_of(agent, n, effect))


@pytest.fixture(scope="module")
def trees() -> dict[str, dict[str, Any]]:
    every = {agent: trained(agent) for agent in AGENTS}
    every["nothing"] = trained(GATE, effect=0.0)
    every["few"] = trained(META_LEARNER, n=120)
    every["evil"] = copy.deepcopy(every[PORTFOLIO]) | {"runs": [EVIL] * 9, "canaries": CANARIES}
    every["evil"] |= {"trials": TRIALS | {EVIL: EVIL}}
    every["evil"]["rows"]["left_out"] = {EVIL: 7}
    every["evil"]["changes"]["by_symbol"][0]["name"] = "</script><script>alert(2)</script>"
    return every


def page(tree: dict[str, Any]) -> str:
    from darwin.report.training import page as written

    return written(tree)


class Figures(HTMLParser):
    """What a page shows: the numbers of each table and list that has an id, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._rows: dict[str, list[list[float]]] = {}
        self.shown: list[tuple[float | None, str]] = []  # number, and how it is written
        self.text = ""
        self._at, self._open = "", False
        self.feed(html)

    def rows(self, which: str) -> list[list[float]]:
        """The numbers that are known, line by line, of lines that have any."""
        return [row for row in self._rows[which] if row]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag in ("table", "ul") or (tag == "div" and "id" in told):
            self._at = told.get("id") or ""
        if tag in ("tr", "li") and self._at:
            self._rows.setdefault(self._at, []).append([])
        value = told.get("data-v") if tag == "td" else told.get("value") if tag == "data" else None
        if value is not None:
            self._open = True
            self.shown.append((float(value) if value else None, ""))
            if self._at and value:
                self._rows[self._at][-1].append(float(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "data"):
            self._open = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open and self.shown and not self.shown[-1][1]:
            self.shown[-1] = self.shown[-1][0], data.strip()


def figures_in(tree: Any) -> Iterator[float]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list):
        for one in tree:
            yield from figures_in(one)
    elif isinstance(tree, (int, float)):
        yield float(tree)


@pytest.mark.parametrize("name", [*AGENTS, "nothing", "few"])
def test_the_page_shows_the_figures_of_the_json_and_no_others(
    name: str, trees: dict[str, dict[str, Any]]
) -> None:
    tree = trees[name]
    found = Figures(page(tree))
    known = set(figures_in(tree))
    if name == PORTFOLIO:  # a mean size is told as the share that is left
        known |= {1.0 - one for one in known}
    assert len(found.shown) > 200
    for value, text in found.shown:
        if value is None:
            assert text == "n/a"
            continue
        assert value in known
        digits = (
            text.replace("\N{MINUS SIGN}", "-").replace(",", "").replace("\N{NO-BREAK SPACE}", "")
        )
        said = float(digits.rstrip("%"))
        decimals = len(digits.rstrip("%").partition(".")[2])
        shown = value * 100 if digits.endswith("%") else value
        assert said == pytest.approx(shown, abs=0.501 * 10.0**-decimals), text
    shown = [[row["fall"], row["spread"]] for row in tree["importance"]["columns"][:20]]
    assert found.rows("columns") == shown

    def told(rows: list[dict[str, Any]], *keys: str) -> list[list[float]]:
        return [[row[key] for key in keys if row[key] is not None] for row in rows]

    assert found.rows("choices") == told(
        tree["changes"]["choices"], "candidates", "share", "expert_takes", "mean_r", "total_r",
        "earned_r", "gain_r",
    )  # fmt: skip
    worth = () if name == PORTFOLIO else ("leaving_r", "leaving_r_error")
    assert found.rows("tenths") == told(
        tree["calibration"], "low", "high", *worth, "mean_r", "mean_r_error", "candidates", "days"
    )
    for part in ("best_calls", "costliest_mistakes"):
        for call in tree["changes"][part]:
            assert call["candidate_id"] in found.text
    learned = tree["test"]["learned_gain_r"]
    assert number(learned["value"], 4, sign=True) + "\N{NO-BREAK SPACE}R" in found.text
    assert number(tree["changes"]["gain_r"], 1, sign=True) + "\N{NO-BREAK SPACE}R" in found.text
    for digest in ("data_digest", "plan_digest", "observation_schema", "model_sha256"):
        assert tree[digest] in found.text
    assert found.text.count("\N{MINUS SIGN}") + found.text.count("+") > 20


@pytest.mark.parametrize("agent", AGENTS)
def test_the_column_that_was_planted_matters_most(
    agent: str, trees: dict[str, dict[str, Any]]
) -> None:
    told = trees[agent]["importance"]
    first, *others = told["columns"]
    assert first["name"] == PLANTED and first["beyond_spread"]
    assert all(one["fall"] < first["fall"] / 3 for one in others)
    assert sum(one["beyond_spread"] for one in others) <= 4, "one in forty of 55, by chance"
    assert told["kinds"][0]["name"] == "rsi_balance"
    assert "It hangs most on rsi balance: " in page(trees[agent])


def test_gains_of_seeds_and_of_their_middle_half_agree(trees: dict[str, dict[str, Any]]) -> None:
    for tree in (trees[agent] for agent in AGENTS):
        alone = [one["learned_gain_r"]["value"] for one in tree["seeds_alone"]]
        assert alone == tree["of_seeds"]
        middle = tree["interquartile_mean"]
        assert middle["learned_gain_r"]["value"] == pytest.approx(np.mean(alone))
        for gain in ("learned_gain_r", "over_baseline_r"):
            of_each = [one[gain] for one in tree["seeds_alone"]]
            assert middle[gain]["low"] < middle[gain]["value"] < middle[gain]["high"]
            widest = max(one["high"] - one["low"] for one in of_each)
            assert middle[gain]["high"] - middle[gain]["low"] <= widest * 1.0001
            assert tree["test"][gain]["low"] < tree["test"][gain]["value"]


def test_where_nothing_was_learned_the_page_says_so_at_the_top(
    trees: dict[str, dict[str, Any]],
) -> None:
    html = page(trees["nothing"])
    top = html[html.index('<section id="verdict"') : html.index('<section id="figures"')]
    assert "Nothing learnable found: the learned gain is " in top
    text = Figures(top).text
    assert "No model is handed over; the registry stays as it was." in text
    assert "the registry, where it only watches" in Figures(page(trees[GATE])).text


def test_a_gain_that_is_clear_at_95_percent_and_not_at_99_hands_nothing_over() -> None:
    course = course_of(GATE)
    assert course.learned and course.test.decisive.low > 0.0
    down = course.test.learned.low - 1e-4
    narrow, wide = (
        Interval(*(bound - down for bound in one))
        for one in (course.test.learned, course.test.decisive)
    )
    assert wide.low < 0.0 < narrow.low
    unsure = replace(course, test=course.test._replace(learned=narrow, decisive=wide))
    tree = told_of(unsure)
    assert not tree["learned"]
    assert tree["verdict"].startswith("Nothing learnable found: the learned gain is ")
    for level, one in (("99 % interval", wide), ("95 %:", narrow)):
        assert f"{level} {one.low:+.4f} to {one.high:+.4f}" in tree["verdict"]
    assert (tree["test"]["learned_gain_99_r"]["low"], tree["test"]["learned_gain_r"]["low"]) == (
        wide.low, narrow.low,
    )  # fmt: skip
    assert "No model is handed over" in page(tree)


def test_a_test_too_short_for_an_interval_is_told_as_such(trees: dict[str, dict[str, Any]]) -> None:
    assert trees["few"]["test"]["learned_gain_r"]["low"] is None
    assert not trees["few"]["learned"]
    text = Figures(page(trees["few"])).text
    assert "too short for an interval" in text and "no interval" in text


def test_canaries_and_trials_are_shown_where_there_are_any(
    trees: dict[str, dict[str, Any]],
) -> None:
    plain, full = page(trees[PORTFOLIO]), page(trees["evil"])
    assert 'id="canaries"' not in plain and 'id="canaries"' in full
    assert trees[PORTFOLIO]["trials"]["told"] in plain
    text = Figures(full).text
    assert "The canary “oracle” failed: only half of what it could" in text
    assert "rely on none of these figures" in text and "goes to the registry" not in text
    assert "deflated sharpe: probability" in text and "0.972" in text
    assert "failed" not in Figures(page(trees[PORTFOLIO] | {"canaries": CANARIES[:1]})).text


def test_what_comes_from_outside_builds_no_element(trees: dict[str, dict[str, Any]]) -> None:
    plain, evil = Tags(page(trees[PORTFOLIO])), Tags(page(trees["evil"]))
    assert not {"img", "iframe"} & set(evil.tags)
    assert evil.tags.count("script") == plain.tags.count("script") == 3
    assert not [name for name, _ in evil.attributes if name.startswith("on")]


def test_the_same_training_writes_the_same_bytes(
    trees: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    from darwin.rl.cli.training_files import FIGURES, PAGE, write_training

    for name, tree in (("a", trees[GATE]), ("b", trained(GATE))):
        write_training(tmp_path / name, tree)
    for name in (FIGURES, PAGE):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert {one.name for one in (tmp_path / "a").iterdir()} == {FIGURES, PAGE}
    whole = (tmp_path / "a" / PAGE).read_text("utf-8")
    assert whole == page(json.loads((tmp_path / "a" / FIGURES).read_text("utf-8")))
    assert not re.search(r"20[2-9]\d-", whole), "the rows are of 1970, and no clock is read"


@pytest.fixture(scope="module")
def files(
    trees: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("trainings")
    for name, tree in trees.items():
        (folder / f"{name}.html").write_text(page(tree), "utf-8")
    return {name: folder / f"{name}.html" for name in trees}


@in_a_browser[1]
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("name", [GATE, META_LEARNER, "few", "evil"])
def test_a_training_report_opens_offline_and_fits(
    browser: Any, files: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    size = {"width": width, "height": 900}
    with Visit(browser, files[name], viewport=size, color_scheme=scheme) as visit:
        assert visit.requests == [files[name].as_uri()]
        assert visit.complaints == []
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        assert visit.page.locator(".plot.on canvas").count() == 2
        ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (int(ground[4:].split(",")[0]) > 128) == (scheme == "light")
        for one in visit.page.locator(".forest .figure, .forest .name").all()[:40]:
            box = one.bounding_box()
            assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width


@in_a_browser[1]
def test_the_curves_tell_what_is_under_the_cursor(browser: Any, files: dict[str, Path]) -> None:
    with Visit(browser, files[GATE], viewport={"width": 1400, "height": 900}) as visit:
        visit.page.locator("[data-plot=gain] .live .u-over").hover()
        said = visit.page.inner_text("[data-plot=gain] .readout")
        assert " steps" in said and "seed 0 " in said and "supervised learner " in said
        assert visit.complaints == []
        visit.page.emulate_media(media="print")
        assert visit.page.locator("[data-plot=gain] .static svg").is_visible()
