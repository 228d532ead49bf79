"""The files of a run: whole or absent, byte for byte the same, and nothing in them is believed."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from darwin.cli.report_files import EQUITY, METRICS, PAGE, TRADES, write_report
from darwin.cli.report_page import TRADES_SHOWN, page
from darwin.engine.report import Report, report
from darwin.engine.report_curves import POINTS, curves, thin
from darwin.engine.result import SafetyEvent
from darwin.errors import StorageError
from darwin.report.files import write_text
from darwin.report.shell import TEMPLATES
from darwin.report.svg import curve_svg
from darwin.testing.builders import Setup, make_bars, make_result

EVIL = "<img src=x onerror=alert(1)>"


def evil_report() -> Report:
    result = make_result(
        make_bars(600, symbol="</script><script>alert(2)</script>"),
        playbooks=('"><b onmouseover=alert(3)>',),
        flags=("<svg onload=alert(4)>",),
        safety_events=[SafetyEvent(1_704_500_000_000, "halted", "<iframe src=//e.vil>")],
    )
    return report(result, EVIL, digests={result.symbols[0]: "<i>"}, notes=("<u>note</u>",))


class Tags(HTMLParser):
    """Collects what a browser would build elements from."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_all_four_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    write_report(tmp_path / "run", report(make_result(), "x"))
    assert {f.name for f in (tmp_path / "run").iterdir()} == {METRICS, TRADES, EQUITY, PAGE}


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report(tmp_path / name, report(make_result(), "x"))
    for name in (METRICS, TRADES, EQUITY, PAGE):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_csv_gives_every_float_back_exactly(tmp_path: Path) -> None:
    result = make_result()
    write_report(tmp_path, report(result, "x"))
    with (tmp_path / TRADES).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["r"]) for row in rows] == [trade.r for trade in result.trades]
    with (tmp_path / EQUITY).open(newline="") as file:
        assert [float(row["equity"]) for row in csv.DictReader(file)] == list(result.equity.equity)


def test_metrics_json_is_json_as_the_standard_has_it(tmp_path: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    write_report(tmp_path, report(make_result(make_bars(40)), "x"))
    json.loads((tmp_path / METRICS).read_text("utf-8"), parse_constant=refuse)


def test_a_folder_that_refuses_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write metrics\.json"):
        write_text(tmp_path / "file" / METRICS, "{}")
    (tmp_path / METRICS).mkdir()
    with pytest.raises(StorageError):
        write_text(tmp_path / METRICS, "{}")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["file", METRICS]


def test_what_comes_from_outside_builds_no_element() -> None:
    plain = Tags(page(report(make_result(make_bars(600)), "x")))
    evil = Tags(page(evil_report()))
    assert not {"img", "b", "iframe", "i", "u"} & set(evil.tags)
    assert evil.tags.count("script") == plain.tags.count("script") == 3
    assert not [name for name, _ in evil.attributes if name.startswith("on")]


def test_the_page_names_no_address_to_fetch_from() -> None:
    html = page(report(make_result(), "x"))
    fetching = [
        value
        for name, value in Tags(html).attributes
        if name in ("src", "href", "action", "data") and value and not value.startswith("#")
    ]
    assert fetching == ["data:,"]
    style = html[html.index("<style>") : html.index("</style>", html.rindex("<style>"))]
    assert "url(" not in style and "@import" not in style
    assert "default-src 'none'; style-src 'unsafe-inline'" in html


def test_the_page_of_a_long_run_stays_small() -> None:
    made = report(make_result(make_bars(70_000), setup=Setup(every_bars=30)), "x")
    html = page(made)
    assert len(made.result.trades) > TRADES_SHOWN
    assert f"The newest {TRADES_SHOWN} of {len(made.result.trades):,} trades" in html
    assert len(html.encode()) < 1_500_000


def test_draws_that_lose_everything_leave_the_log_scale_at_its_bottom() -> None:
    x = list(range(0, 864_000, 86_400))
    own = {"name": "run", "label": "This run", "values": [100.0 * 2**n for n in range(10)]}
    plot = {"x": x, "series": [own], "band": [[-50.0] * 10, [200.0] * 10]}
    svg = curve_svg(plot, log=True, unit="", label="Equity")
    heights = [float(y) for y in re.findall(r"[ML]\d+\.\d (-?\d+\.\d)", svg)]
    assert 0 < min(heights) < max(heights) < 280
    assert "nan" not in svg


def test_a_thinned_curve_keeps_every_extreme() -> None:
    rng = np.random.default_rng(0)
    many = np.cumsum(rng.normal(size=(3, 50_000)), axis=1)
    many[1, 33_333], many[2, 12_345] = 1e6, -1e6
    kept = thin(many)
    assert kept[0] == 0 and kept[-1] == 49_999 and len(kept) <= POINTS + 2
    assert np.all(many[:, kept].max(axis=1) == many.max(axis=1))
    assert np.all(many[:, kept].min(axis=1) == many.min(axis=1))


def test_the_curves_drawn_start_and_end_where_the_run_does() -> None:
    made = report(make_result(make_bars(5000)), "x")
    drawn = curves(made)["equity"]
    own = made.result.equity.equity
    assert drawn["series"][0]["values"][-1] == pytest.approx(own[-1], rel=1e-5)
    assert drawn["x"][0] * 1000 == made.sampling.time[0]
    assert {len(one["values"]) for one in drawn["series"]} == {len(drawn["x"])}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_the_contrast_that_wcag_aa_asks_for(theme: str) -> None:
    css = (TEMPLATES / "report.css").read_text("utf-8")
    block = re.search(
        r":root \{(.*?)\}" if theme == "light" else r':root\[data-theme="dark"\] \{(.*?)\}',
        css,
        re.DOTALL,
    )
    assert block is not None
    colour = dict(re.findall(r"--(\w+): (#\w{6})", block[1]))
    for text in ("ink", "muted", "accent", "loss"):
        for ground in ("paper", "surface"):
            assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)
    for line in ("quiet", "faint", "accent"):
        assert contrast(colour[line], colour["paper"]) >= 3, line
    assert contrast(colour["ink"], colour["warn"]) >= 4.5


def contrast(a: str, b: str) -> float:
    """Contrast ratio of two colours, WCAG 2.2."""
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_writing_figures_alone_imports_no_template_engine() -> None:
    code = (
        "import sys, darwin.cli.report_files, darwin.engine.report\n"
        "sys.exit('jinja2' in sys.modules or 'markupsafe' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_charting_library_comes_with_its_licence() -> None:
    html = page(report(make_result(), "x"))
    assert (TEMPLATES / "vendor" / "uplot" / "LICENSE").read_text("utf-8") in html
