"""Pages from templates: one environment, one way to write numbers, one shell with its answers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import jinja2
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from darwin.core import written
from darwin.rl.registry.registry import Registry
from darwin.service.answers import finite
from darwin.service.auth import NOBODY, Who
from darwin.service.place import Place
from darwin.service.reading import kill_status
from darwin.store.db import Database

HERE = Path(__file__).parent
UPLOT = HERE.parent.parent / "report" / "templates" / "vendor" / "uplot"
STATIC = {
    "desk.css": HERE / "static" / "desk.css",
    "desk.js": HERE / "static" / "desk.js",
    "theme.js": HERE / "static" / "theme.js",
    "mark.svg": HERE / "static" / "mark.svg",
    "htmx.js": HERE / "static" / "vendor" / "htmx" / "htmx.min.js",
    "uplot.js": UPLOT / "uPlot.iife.min.js",
    "uplot.css": UPLOT / "uPlot.min.css",
}
"""What a page may load, by name; all of it is of this package."""
NAV = (
    ("Overview", "/", "o"),
    ("Runs", "/runs", "r"),
    ("Candidates", "/candidates", "c"),
    ("Training", "/training", "t"),
    ("Schedule", "/schedule", "s"),
    ("Dossiers", "/dossiers", "d"),
    ("Acts", "/acts", "a"),
)
DONE = {
    "kill": "All agents are off. It holds over restarts, until somebody lets them go on.",
    "release": "What was switched on by an act is switched off. What the sources say stands above.",
    "promote": "The model that serves may act, with the first stage of the capital.",
    "demote": "No model of this agent may act any more.",
    "stage": "The stage of the capital is set.",
    "rollback": "The version you chose serves.",
    "pin": "The version is kept until it is unpinned.",
    "unpin": "The version is kept by the usual rules again.",
    "train": "The training is in the queue.",
    "retrain": "The retraining is in the queue.",
    "cancel": "The job was taken back, or asked to stop.",
    "schedule": "The schedule holds from now on.",
}
"""What a page says once an act is done, by its name."""
_HEADERS = {"Referrer-Policy": "same-origin"}
"""Without a referrer browsers name no origin with a form, and the service refuses it as foreign."""
_SAID = ("path", "back", "reason")
_CODE = re.compile("`([^`]+)`")


class Sight(Protocol):
    """A deployment as pages look at it; see `darwin.service.reader`."""

    @property
    def place(self) -> Place:
        """Where it lies."""
        ...

    def database(self) -> Database:
        """Its database, to look at."""
        ...

    def registry(self) -> Registry:
        """Its models, to look at."""
        ...


def page(
    request: Request,
    sight: Sight,
    template: str,
    *,
    here: str = "",
    status: int = 200,
    part: str | None = None,
    **told: Any,
) -> HTMLResponse:
    """Write a page, or the `part` of it that a script has asked for."""
    shell = {
        "here": here,
        "nav": NAV,
        "who": who(request),
        "path": own_path(request),
        "kill": None if _keeps_silent(request) else told.get("kill") or kill_status(sight.place),
        "done": DONE.get(request.query_params.get("done", "")),
    }
    name = part if part is not None and by_script(request) else template
    text = _environment().get_template(name).render(told | shell)
    return HTMLResponse(text, status_code=status, headers=_HEADERS)


def _keeps_silent(request: Request) -> bool:
    """Whether nothing may be told yet: looking needs a token here, and none was shown."""
    return bool(request.app.state.served.settings.reading_needs_token) and not who(request).name


def who(request: Request) -> Who:
    """Whoever asks."""
    found = request.scope.get("state", {}).get("who", NOBODY)
    return found if isinstance(found, Who) else NOBODY


def by_script(request: Request) -> bool:
    """Whether a part of a page is asked for, not the page."""
    return request.headers.get("hx-request") == "true"


def own_path(request: Request) -> str:
    """The address of the page that is looked at: of a part of one, that of the page around it."""
    if by_script(request):
        return local(request.headers.get("hx-current-url", "").partition("//")[2].partition("/")[2])
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "done"]
    return request.url.path + (f"?{jinja2.filters.do_urlencode(query)}" if query else "")


def local(path: str) -> str:
    """An address of this service, whatever was given; the first page for what is none."""
    path = "/" + path.lstrip("/\\")
    plain = path.isprintable() and "\\" not in path
    return path if plain else "/"


@cache
def static_url(name: str) -> str:
    """Where a file lies for pages; the address changes with the file."""
    digest = hashlib.sha256(STATIC[name].read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=written.count,
        number=written.number,
        signed=written.signed,
        percent=written.percent,
        when=written.when,
        minute=written.minute,
        ticks=_ticks,
        weights=_weights,
        asked=_asked,
        tojson_attr=_attribute,
    )
    environment.globals.update(static=static_url)
    return environment


def _ticks(text: str) -> Markup:
    """Escape `text`, and show what stands between back-ticks as code."""
    safe = str(escape(text))
    return Markup(_CODE.sub(r"<code>\g<1></code>", safe))  # noqa: S704  escaped just above


def _weights(values: Sequence[float] | None) -> str:
    return "" if values is None else " ".join(f"{one:+.0%}" for one in values)


def _asked(detail: Any) -> str:
    """What an act was asked with, less what stands beside it anyway."""
    if not isinstance(detail, dict):
        return str(detail)
    said = {name: value for name, value in detail.items() if name not in _SAID and value != ""}
    return ", ".join(f"{name} {value}" for name, value in said.items()) or str(detail["path"])


def _attribute(tree: Any) -> str:
    """JSON to stand in an attribute, where it is escaped like any text; NaN becomes null."""
    return json.dumps(finite(tree), allow_nan=False, separators=(",", ":"))
