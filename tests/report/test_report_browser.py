"""The report in a real browser: offline, without overflow or complaint, in both themes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from darwin.cli.report_files import PAGE, write_report
from darwin.engine.report import report
from darwin.testing.builders import make_bars, make_result
from tests.report.test_report_files import EVIL, evil_report
from tests.report.test_report_recording import AT_NOON, HEAD, RESUMED, RunEvent, made
from tests.report.test_twins_report import beside_panel, usual_report

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    long_names = [f"LONGNAME{n}/USDT:SYNTH" for n in range(8)]
    reports = {
        "usual": report(make_result(make_bars(3000), playbooks=("breakout", "pullback")), "usual"),
        "evil": evil_report(),
        "empty": report(make_result(make_bars(60)), "r" * 64),
        "disturbed": made(RESUMED, RunEvent("waited", 9, AT_NOON, "1.2 s for the database")),
        "twins": beside_panel(usual_report()),
        "many": report(
            make_result(*[make_bars(300, symbol=s, seed=n) for n, s in enumerate(long_names)]), "m"
        ),
    }
    for name, one in reports.items():
        write_report(folder / name, one)
    return {name: folder / name / PAGE for name in reports}


class Visit:
    """One page opened at one size, with all it asked for and complained about."""

    def __init__(self, browser: sync_api.Browser, path: Path, **context: object) -> None:
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append("dialog " + dialog.message))
        self.page.goto(path.as_uri())

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("name", ["usual", "evil", "empty", "many", "disturbed", "twins"])
def test_a_report_opens_offline_and_fits(
    browser: sync_api.Browser, pages: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    size = {"width": width, "height": 900}
    with Visit(browser, pages[name], viewport=size, color_scheme=scheme) as visit:
        assert visit.requests == [pages[name].as_uri()]
        assert visit.complaints == []
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        plots = visit.page.locator(".plot.on canvas").count()
        assert plots == (3 if name == "twins" else 2)
        ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (int(ground[4:].split(",")[0]) > 128) == (scheme == "light")


def test_a_run_called_like_markup_is_shown_as_text(
    browser: sync_api.Browser, pages: dict[str, Path]
) -> None:
    with Visit(browser, pages["evil"]) as visit:
        assert visit.page.inner_text("h1") == EVIL
        assert EVIL in visit.page.title()


def test_the_theme_button_goes_round(browser: sync_api.Browser, pages: dict[str, Path]) -> None:
    with Visit(browser, pages["usual"], color_scheme="light") as visit:
        grounds = []
        for _ in range(3):
            visit.page.click("#theme")
            grounds.append(visit.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert grounds[0] == grounds[2] != grounds[1]
        assert visit.complaints == []


def test_a_header_sorts_its_column_both_ways(
    browser: sync_api.Browser, pages: dict[str, Path]
) -> None:
    with Visit(browser, pages["usual"]) as visit:
        column = (
            "[...document.querySelectorAll('.sortable tbody tr')].map(r => +r.cells[1].dataset.v)"
        )
        press = visit.page.locator(".sortable th button").nth(1)
        press.focus()
        visit.page.keyboard.press("Enter")
        values = visit.page.evaluate(column)
        assert len(values) > 100 and values == sorted(values, reverse=True)
        press.click()
        assert visit.page.evaluate(column) == sorted(values)


def test_the_plot_tells_what_is_under_the_cursor_and_changes_its_scale(
    browser: sync_api.Browser, pages: dict[str, Path]
) -> None:
    with Visit(browser, pages["usual"], viewport={"width": 1400, "height": 900}) as visit:
        plot = visit.page.locator("#equity .live .u-over")
        plot.hover()
        said = visit.page.inner_text("#equity .readout")
        assert said.startswith("2024-") and "This run" in said and "draws" in said
        for scale in ("log", "linear"):
            visit.page.click(f"[data-scale={scale}]")
            assert visit.page.get_attribute(f"[data-scale={scale}]", "aria-pressed") == "true"
            assert visit.page.locator("#equity canvas").count() == 1
        assert visit.complaints == []


def test_what_agents_added_is_told_in_dollars_and_cents(
    browser: sync_api.Browser, pages: dict[str, Path]
) -> None:
    with Visit(browser, pages["twins"], viewport={"width": 1400, "height": 900}) as visit:
        visit.page.locator("[data-plot=added] .live .u-over").hover()
        said = visit.page.inner_text("[data-plot=added] .readout")
        assert re.search(r"Gate alone \+\d+\.\d\d USD", said)
        assert "All agents together" in said
        assert visit.complaints == []


def test_without_script_and_on_paper_the_static_plots_stand_in(
    browser: sync_api.Browser, pages: dict[str, Path]
) -> None:
    with Visit(browser, pages["usual"], java_script_enabled=False) as visit:
        assert visit.page.locator("#equity .static svg").is_visible()
    with Visit(browser, pages["usual"]) as visit:
        assert not visit.page.locator("#equity .static svg").is_visible()
        visit.page.emulate_media(media="print")
        assert visit.page.locator("#equity .static svg").is_visible()
        assert not visit.page.locator("#equity .live").is_visible()


@pytest.mark.parametrize("media", ["screen", "print"])
def test_the_chain_a_report_rests_on_can_be_read_whole(
    browser: sync_api.Browser, pages: dict[str, Path], media: str
) -> None:
    with Visit(browser, pages["disturbed"], viewport={"width": 1400, "height": 900}) as visit:
        visit.page.emulate_media(media=media)
        section = visit.page.locator("#recording")
        assert HEAD in section.inner_text() and "1.2 s for the database" in section.inner_text()
        for table in section.locator(".scroll").all():
            assert table.evaluate("e => e.scrollWidth <= e.clientWidth")
        assert visit.page.locator("#verdict").get_by_text("taken up again once").is_visible()
