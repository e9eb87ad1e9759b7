"""A page in a real browser that may read its own file and nothing else, and all that it tried."""

from pathlib import Path
from types import TracebackType

from playwright.sync_api import Browser, Locator, Request, Route


class Visit:
    """An open page; `requests`: addresses it asked for beside its own, `complaints`: errors, and dialogs it opened."""

    def __init__(self, browser: Browser, path: Path, fragment: str = "", javascript: bool = True) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, java_script_enabled=javascript)
        self.context.set_default_timeout(15_000)
        self.page = self.context.new_page()
        self.own = path.absolute().as_uri()
        self.page.route("**/*", self._answer)
        self.page.on("request", self._note)
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.goto(f"{self.own}#{fragment}" if fragment else self.own)

    def _answer(self, route: Route) -> None:
        if route.request.url.partition("#")[0] == self.own:
            route.continue_()
        else:
            route.abort()

    def _note(self, request: Request) -> None:
        if request.url.partition("#")[0] != self.own and not request.url.startswith("data:"):
            self.requests.append(request.url)

    def __enter__(self) -> "Visit":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.context.close()

    def table(self, name: str) -> Locator:
        """A table with its tools."""
        return self.page.locator(f'.table[data-name="{name}"]')

    def column(self, name: str, heading: str) -> list[str]:
        """The cells of a column, as they stand."""
        table = self.table(name)
        titles = [title.strip() for title in table.locator("thead tr:first-child th").all_text_contents()]
        cells = table.locator(f"tbody td:nth-child({titles.index(heading) + 1})")
        return [text.strip() for text in cells.all_text_contents()]

    def open_panel(self, slug: str) -> Locator:
        """The panel of a layout, by its address."""
        self.page.evaluate("slug => { location.hash = slug }", slug)
        panel = self.page.locator("dialog[open]")
        panel.locator("h2", has_text=slug).wait_for()
        return panel
