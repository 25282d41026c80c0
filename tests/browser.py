"""A page in a real browser, where there is one: what a script that runs in it tells of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
_QUIET = ("--headless", "--no-sandbox", "--no-first-run", "--disable-sync", "--disable-background-networking")
_NO_GPU = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-component-update")


def told(folder: Path, html: str, reader: str, width: int = 1280, *, patience_s: float = 300) -> Any:
    """Open a page, run the body of an async function in it, and return what that returns; fails on any complaint."""
    page = folder / "page.html"
    page.write_text(html, encoding="utf-8")
    with _browser(folder / "profile", width, patience_s) as browser:
        browser.ask("Page.navigate", url=page.as_uri())
        browser.until("Page.loadEventFired")
        asked = f"(async () => {{ {reader} }})()"
        answer = browser.ask("Runtime.evaluate", expression=asked, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        assert not browser.complaints, browser.complaints
        return answer["result"].get("value")


class _Browser:
    """Chromium's DevTools protocol over a pair of pipes, at one page: messages are JSON, each with a zero behind it."""

    def __init__(self, requests: int, answers: int) -> None:
        self._requests, self._answers = os.fdopen(requests, "wb"), os.fdopen(answers, "rb")
        self._rest, self._number, self._session = b"", 0, {}
        self._events: list[str] = []
        self.complaints: list[Any] = []

    def open(self, width: int) -> None:
        """A page of some width."""
        target = self.ask("Target.createTarget", url="about:blank")
        self._session = {"sessionId": self.ask("Target.attachToTarget", flatten=True, **target)["sessionId"]}
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> Any:
        """Do something and wait for its result."""
        self._number += 1
        request = {"id": self._number, "method": method, "params": parameters, **self._session}
        self._requests.write(json.dumps(request).encode() + b"\0")
        self._requests.flush()
        while (answer := self._next()).get("id") != self._number:
            pass
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def until(self, event: str) -> None:
        """Wait until something has happened."""
        while event not in self._events:
            self._next()

    def close(self) -> None:
        """Let go of the pipes."""
        with suppress(BrokenPipeError):
            self._requests.close()
        self._answers.close()

    def _next(self) -> Any:
        while b"\0" not in self._rest:
            more = os.read(self._answers.fileno(), 1 << 20)
            assert more, "the browser has ended"
            self._rest += more
        text, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(text)
        if "method" in message:
            self._events.append(message["method"])
            if _complains(message["method"], message["params"]):
                self.complaints.append(message["params"])
        return message


def _complains(event: str, about: Any) -> bool:
    match event:
        case "Runtime.consoleAPICalled":
            return about["type"] in ("error", "warning")
        case "Log.entryAdded":
            return bool(about["entry"]["level"] == "error")
    return event == "Runtime.exceptionThrown"


@contextmanager
def _browser(profile: Path, width: int, patience_s: float) -> Iterator[_Browser]:
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    command = [str(CHROMIUM), *_QUIET, *_NO_GPU, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
    started = ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", *command]
    with subprocess.Popen(started, pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL) as process:
        os.close(theirs_in)
        os.close(theirs_out)
        patience = threading.Timer(patience_s, process.kill)
        patience.start()
        browser = _Browser(ours_out, ours_in)
        try:
            browser.open(width)
            yield browser
        finally:
            patience.cancel()
            process.kill()
            browser.close()
