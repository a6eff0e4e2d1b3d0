"""The site in a real browser: ``python docs/_site/browser.py FOLDER [PICTURES]`` looks at every page as a reader would.

A page must load without errors in the console and without asking any other host; text must be readable in the light and
the dark theme; nothing may be wider than a phone's window; the search must find ``lie_euler``. Needs Chromium
(Debian: chromium) and says so where there is none. With PICTURES, screenshots of some pages are left there.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from websocket import create_connection

NAMES = ("chromium", "chromium-browser", "google-chrome")
DESK, PHONE = (1280, 900), (375, 740)
SHOWN = (
    "index.html", "quickstart.html", "tutorial.html", "api/theory.html", "gallery/index.html", "benchmarks.html",
    "readme.html",
)  # fmt: skip
RESULTS = "document.querySelector('#search-results"
PATIENCE = 60.0
LEAST_CONTRAST = 4.5
"""Of text to its ground (WCAG 2, level AA)."""

CONTRAST = """(() => {
  const light = text => { const [r, g, b] = text.match(/[0-9.]+/g).slice(0, 3).map(Number)
    .map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if (!/, 0\\)$|transparent/.test(c)) return c; } return 'rgb(255, 255, 255)'; };
  let worst = [99, ''];
  const texts = 'article p, article li, article h1, article td, article th, article pre, .xr-wrap *';
  for (const e of document.querySelectorAll(texts)) {
    if (!e.textContent.trim() || !e.offsetParent) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst[0]) worst = [ratio, e.textContent.trim().slice(0, 40)];
  }
  return JSON.stringify([...worst, light(getComputedStyle(document.body).backgroundColor)]); })()"""

WIDE = """JSON.stringify([document.documentElement.scrollWidth, window.innerWidth,
  [...document.querySelectorAll('article *')].filter(e => e.getBoundingClientRect().right > window.innerWidth + 1
    && ![...function* (p) { for (p = p.parentElement; p; p = p.parentElement) yield p; }(e)].some(p =>
      ['auto', 'scroll', 'hidden'].includes(getComputedStyle(p).overflowX)))
    .slice(0, 3).map(e => e.tagName + ': ' + e.textContent.trim().slice(0, 60))])"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves the site and says nothing."""

    def log_message(self, *args: Any) -> None:
        pass


class Page:
    """A tab of the browser, by its debugging protocol."""

    def __init__(self, address: str) -> None:
        self.socket = create_connection(address, timeout=PATIENCE, suppress_origin=True)
        self.numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to one command; what the browser says meanwhile is kept."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is worth."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression[:60]}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, expression: str) -> bool:
        """Whether the expression becomes true within a while."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.value(expression):
                return True
            time.sleep(0.05)
        return False

    def open(self, url: str) -> None:
        """Load a page to its end, events from then on."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        if not self.until(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'"):
            raise RuntimeError(f"{url} did not load")

    def shape(self, size: tuple[int, int]) -> None:
        """The window's size; a narrow one is a phone's."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=size[0], height=size[1], deviceScaleFactor=1, mobile=size == PHONE,
        )  # fmt: skip

    def theme(self, name: str) -> None:
        """What the reader's system prefers, dark or light."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def complaints(self, host: str) -> list[str]:
        """Errors and warnings in the console, exceptions, failed requests, requests to other hosts, since ``open``."""
        found = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
                found.append("console: " + " ".join(str(one.get("value")) for one in params["args"]))
            elif method == "Runtime.exceptionThrown":
                found.append(f"exception: {params['exceptionDetails'].get('exception', {}).get('description')}")
            elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(f"log: {params['entry']['text']} {params['entry'].get('url', '')}")
            elif method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith((host, "data:", "blob:")):
                    found.append(f"asks another host: {url}")
        return found

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


def check(page: Page, site: Path, host: str, pictures: Path | None) -> list[str]:
    """Everything that is wrong."""
    wrong = []
    for path in sorted(site.rglob("*.html")):
        name = str(path.relative_to(site))
        for theme, size in (("light", DESK), ("dark", DESK), ("light", PHONE)):
            page.shape(size)
            page.theme(theme)
            page.open(host + name)
            wrong += [f"{name} ({theme}): {one}" for one in page.complaints(host)]
            wrong += [f"{name} ({theme}, {size[0]}): {one}" for one in looks(page, theme, size)]
            if pictures and name in SHOWN:
                page.picture(pictures / f"{name.replace('/', '-')[:-5]}-{theme}-{size[0]}.png")
            if name.startswith("source/"):
                break  # code of the repository, all of one form
    return wrong + search(page, host, pictures)


def looks(page: Page, theme: str, size: tuple[int, int]) -> list[str]:
    """What cannot be read on the page that is open."""
    wrong = []
    contrast, text, ground = json.loads(page.value(CONTRAST))
    if contrast < LEAST_CONTRAST:
        wrong.append(f"contrast {contrast:.1f} of {text!r}")
    if (ground < 0.2) != (theme == "dark"):
        wrong.append(f"the ground has luminance {ground:.2f}")
    width, window, causes = json.loads(page.value(WIDE))
    if page.value("document.querySelector('.sphx-glr-footer') && !document.querySelector('article img')"):
        wrong.append("an example without a figure")
    if page.value("[...document.images].some(i => i.complete && !i.naturalWidth)"):
        wrong.append("a picture that does not load")
    if width > window or causes:
        wrong.append(f"{width} px wide in a window of {window}: {causes}")
    return wrong


def search(page: Page, host: str, pictures: Path | None) -> list[str]:
    """The search finds a scheme's page, by what a reader types, and a word that is nowhere not."""
    page.shape(DESK)
    page.theme("light")
    wrong = []
    for word, found in (("lie_euler", True), ("xyzzyplugh", False)):
        page.open(f"{host}search.html?q={word}")
        if not page.until(f"/finished|did not match|found/i.test({RESULTS} p')?.textContent)"):
            wrong.append(f"search for {word} does not end")
        links = json.loads(page.value(f"JSON.stringify([...{RESULTS}').querySelectorAll('a')].map(a => a.href))"))
        if found and not any("api/schemes.html" in link for link in links):
            wrong.append(f"search for {word} finds {links}")
        if not found and links:
            wrong.append(f"search for {word} finds {links}")
        wrong += [f"search: {one}" for one in page.complaints(host)]
        if pictures and found:
            page.picture(pictures / "search.png")
    return wrong


def browse(chromium: str, site: Path, pictures: Path | None) -> list[str]:
    """``check`` with a server for the site and a browser of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"http://127.0.0.1:{server.server_port}/"
    with tempfile.TemporaryDirectory() as profile:
        command = [
            chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
        ]  # fmt: skip
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            page = Page(first_tab(browser))
            return check(page, site, host, pictures)
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()


def first_tab(browser: subprocess.Popen[str]) -> str:
    """The address by which the first tab listens."""
    assert browser.stderr is not None
    for line in browser.stderr:
        if found := re.search(r"DevTools listening on ws://([\w.:]+)/", line):
            threading.Thread(target=browser.stderr.read, daemon=True).start()
            with urlopen(f"http://{found[1]}/json/list", timeout=PATIENCE) as answer:
                tabs = json.load(answer)
            return next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
    raise RuntimeError("the browser did not start")


def main(folder: str, pictures: str | None = None) -> int:
    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        print("fpsolve: SKIPPED: no Chromium (Debian: apt-get install chromium): the site was not opened in a browser")
        return 0
    if pictures:
        Path(pictures).mkdir(parents=True, exist_ok=True)
    site = Path(folder).resolve()
    wrong = browse(chromium, site, Path(pictures) if pictures else None)
    for one in wrong:
        print(f"fpsolve: {one}", file=sys.stderr)
    pages = len(list(site.rglob("*.html")))
    print(f"fpsolve: {pages} pages in a browser, light and dark, at {DESK[0]} and {PHONE[0]} px; {len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
