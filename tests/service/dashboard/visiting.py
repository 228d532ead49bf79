"""A person in front of the dashboard: a browser that keeps what it asked for and complained of."""

from __future__ import annotations

from typing import Any

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
COOKIE = "darwin_token"
_CELLS = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"


class Visitor:
    """One window; `token` signs it in from the start."""

    def __init__(self, chromium: Any, url: str, token: str | None = None, **context: Any) -> None:
        context.setdefault("viewport", {"width": 1400, "height": 900})
        self.url, self.context = url, chromium.new_context(**context)
        if token is not None:
            self.context.add_cookies([{"name": COOKIE, "value": token, "url": url}])
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: Any) -> None:
        if "status of 4" not in message.text:  # a refusal is an answer
            self.complaints.append(message.text)

    def open(self, path: str) -> Any:
        """Go to a page of the dashboard."""
        self.page.goto(self.url + path)
        return self.page

    def rows(self, selector: str) -> list[list[str]]:
        """The cells of the rows of a table's body, as they read."""
        found: list[list[str]] = self.page.locator(f"{selector} tbody tr").evaluate_all(_CELLS)
        return found

    def text(self, selector: str) -> str:
        """What stands there."""
        return str(self.page.locator(selector).first.inner_text()).strip()

    def confirm(self, reason: str, button: str) -> None:
        """Say why in the dialog that is open, and press its button."""
        dialog = self.page.locator("#ask[open]")
        dialog.locator("input[name=reason]").fill(reason)
        dialog.get_by_role("button", name=button).click()

    def overflow(self) -> int:
        """By how much the page is wider than the window."""
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(wider))

    def leave(self) -> None:
        """Close the window."""
        self.context.close()
