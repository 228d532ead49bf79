"""How the dashboard looks and behaves: its width, themes and keys, and without script."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.service.dashboard.served import Served
from tests.service.dashboard.visiting import Visitor

pytestmark = pytest.mark.slow
PAGES = {
    "overview": "/", "agent": "/agents/meta_learner", "book": "/agents/market", "runs": "/runs",
    "run": "/runs/small", "candidates": "/candidates", "training": "/training",
    "schedule": "/schedule", "acts": "/acts", "alerts": "/alerts", "dossiers": "/dossiers",
    "ask": "/ask/kill", "login": "/login", "fault": "/runs/nobody",
}  # fmt: skip
NARROW, WIDE = {"width": 400, "height": 860}, {"width": 1400, "height": 900}
SHOTS = os.environ.get("DARWIN_TEST_SHOTS")
"""A folder to keep pictures of all pages in, to be looked at."""


def pictured(visitor: Visitor, name: str) -> None:
    if SHOTS:
        visitor.page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def test_no_page_is_wider_than_a_phone(chromium: Any, served: Served) -> None:
    visitor = Visitor(chromium, served.url, served.operator, viewport=NARROW)
    for name, path in PAGES.items():
        page = visitor.open(path)
        assert visitor.overflow() <= 0, name
        box = page.locator("#kill a").bounding_box()
        assert box is not None
        assert box["height"] >= 44, name  # a thumb finds it
        assert box["y"] + box["height"] <= NARROW["height"], name
    visitor.leave()
    assert visitor.complaints == []
    assert [url for url in visitor.requests if not url.startswith(served.url + "/")] == []


@pytest.mark.sweep
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["400", "1400"])
def test_every_page_is_readable_in_both_themes(
    chromium: Any, served: Served, scheme: str, size: dict[str, int]
) -> None:
    visitor = Visitor(chromium, served.url, served.operator, viewport=size, color_scheme=scheme)
    for name, path in PAGES.items():
        page = visitor.open(path)
        page.wait_for_timeout(150)
        pictured(visitor, f"{name}-{size['width']}-{scheme}")
        assert visitor.overflow() <= 0, name
        assert page.evaluate(CONTRAST) == [], name
    visitor.leave()
    assert visitor.complaints == []


CONTRAST = """() => {
  const channel = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = element => {
    for (let one = element; one; one = one.parentElement) {
      const found = parse(getComputedStyle(one).backgroundColor);
      if (found.length === 3 || found[3] > 0.9) return found;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    const unseen = "svg, .uplot, dialog:not([open]), .skip, .hide, option, script";
    if (!own || one.closest(unseen)) continue;
    const ink = light(parse(getComputedStyle(one).color)), paper = light(ground(one));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    const name = `${one.tagName}.${one.className} ${one.textContent.trim().slice(0, 20)}`;
    if (ratio < 4.5) faint.push(`${name} ${ratio.toFixed(2)}`);
  }
  return faint;
}"""
"""What has less than 4.5 to 1, which WCAG's AA asks of text."""


def test_keys_lead_to_pages_and_the_theme_is_kept(ada: Visitor) -> None:
    page = ada.open("/acts")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("t")
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/schedule")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.keyboard.press("?")
    assert page.locator("#keys[open]").is_visible()


def test_an_act_works_without_script_on_a_page_of_its_own(chromium: Any, served: Served) -> None:
    plain = Visitor(chromium, served.url, served.operator, java_script_enabled=False)
    page = plain.open("/agents/gate")
    page.locator("#models").get_by_role("link", name="Pin").first.click()
    page.locator("input[name=reason]").fill("kept for the audit")
    page.get_by_role("button", name="Pin").click()
    assert plain.text("p.done") == "The version is kept until it is unpinned."
    assert any(one["pinned"] for one in served.tree("rl", "models", "list", "gate"))
    page.get_by_role("link", name="Unpin").first.click()
    page.locator("input[name=reason]").fill("no longer")
    page.get_by_role("button", name="Unpin").click()
    assert not any(one["pinned"] for one in served.tree("rl", "models", "list", "gate"))
    plain.leave()
