from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.run.command import Desk
from tests.service.dashboard.served import Served, prepare
from tests.service.dashboard.visiting import FLAGS, Visitor
from tests.service.http.serving import serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A deployment that is served; what a test changes there it puts back."""
    desk = Desk(tmp_path_factory.mktemp("served"))
    tokens = prepare(desk)
    with serving(desk, "--no-scheduler") as found:
        yield Served(desk, found.url, *tokens)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """One browser for all."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def ada(chromium: Any, served: Served) -> Iterator[Visitor]:
    """Somebody in front of the dashboard who may act; complaints of the browser fail the test."""
    visitor = Visitor(chromium, served.url, served.operator)
    yield visitor
    visitor.leave()
    assert visitor.complaints == []
    assert [url for url in visitor.requests if not url.startswith(served.url + "/")] == []
