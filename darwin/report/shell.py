"""The shell of a page: one self-contained file whose style, script and plots are inlined."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from darwin.engine import report_words as words

TEMPLATES = Path(__file__).parent / "templates"
UPLOT = TEMPLATES / "vendor" / "uplot"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def render(template: str, folder: Path, plots: dict[str, Any], **told: Any) -> str:
    """Write a page from `template` in `folder`, which extends `shell.html.j2`.

    `plots` are those that the script draws, by name. All that was told is escaped, but for what
    `own` vouches for.
    """
    shell = {
        "css": _inline(TEMPLATES / "report.css"),
        "js": _inline(TEMPLATES / "report.js"),
        "uplot_css": _inline(UPLOT / "uPlot.min.css"),
        "uplot_js": _inline(UPLOT / "uPlot.iife.min.js"),
        "uplot_licence": _inline(UPLOT / "LICENSE"),
    }
    page = _environment(folder).get_template(template)
    return page.render(shell=shell, island=_island(plots), **told)


def own(text: str) -> Markup:
    """Vouch for text that holds nothing from outside: files of the package, numbers, SVG."""
    return Markup(text)  # noqa: S704


def _environment(folder: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        usd=words.usd,
        percent=words.percent,
        number=words.number,
        price=_price,
        stamp=_stamp,
        whole_dates=_whole_dates,
        counted=words.count,
    )
    return environment


def _island(data: dict[str, Any]) -> Markup:
    """JSON that no HTML parser can mistake for markup."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return own(text)


def _inline(path: Path) -> Markup:
    return own(path.read_text("utf-8"))


def _whole_dates(text: str) -> Markup:
    """Escape `text` and keep its dates from breaking at their hyphens."""
    return own(_DATE.sub(r'<span class="nb">\g<0></span>', str(escape(text))))


def _price(value: float) -> str:
    """A price with six significant digits, thousands apart."""
    return f"{value:,.6g}" if 1e-4 < abs(value) < 1e6 else f"{value:,.0f}" if value else "0"


def _stamp(iso: str | None) -> str:
    """An ISO time to the minute, as people read it."""
    return words.MISSING if iso is None else iso[:10] + " " + iso[11:16]
