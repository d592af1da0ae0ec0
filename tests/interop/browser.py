"""A headless Chromium driven over its debugging pipe: open, press, drag, look at the screen."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)
LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 20) for end in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Chromium's debugging pipe is descriptors 3 (commands) and 4 (answers)."""
PATIENCE_S = 20.0
NAVIGATED = "Inspected target navigated"
KEYS = {"ArrowDown": 40, "ArrowUp": 38, "Home": 36, "End": 35, "Escape": 27}


class Browser:
    """One browser with one page and a profile of its own in *profile*."""

    def __init__(self, profile: Path, *, width: int = 1280, height: int = 800) -> None:
        self._number = 0
        self._session = ""
        self.events: list[dict[str, Any]] = []
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        command = [
            sys.executable, "-c", LAUNCH, str(theirs_in), str(theirs_out), PROGRAM, *FLAGS,
            f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._answers = os.fdopen(self._in, "rb")
        self._buffer = b""

    def __enter__(self) -> Browser:
        try:
            targets = self.call("Target.getTargets")["targetInfos"]
            page = next(target["targetId"] for target in targets if target["type"] == "page")
            self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._session = ""
            self.call("Browser.close")
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired, AssertionError):
            self._process.kill()
            self._process.wait()
        finally:
            os.close(self._out)
            self._answers.close()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its result; events on the way are kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if NAVIGATED in answer.get("error", {}).get("message", ""):
                    return self.call(method, **params)  # asked of a page that was just leaving
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            if "method" in answer:
                self.events.append(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = self._answers.raw.read(1 << 16)  # type: ignore[attr-defined]
            assert part, "the browser has gone"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def open(self, url: str) -> None:
        """Go there and wait until the page has loaded."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        self.until(lambda: any(event["method"] == "Page.loadEventFired" for event in self.events), url)

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, true: Callable[[], Any], what: str) -> Any:
        """Wait until *true* is, asking the page (which lets events in) in between."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := true()):
            assert time.monotonic() < deadline, f"waited in vain: {what}"
            self.run("new Promise((done) => setTimeout(done, 20))")
        return found

    def text(self, element: str) -> str:
        """The text of an element by its id."""
        found: str = self.run(f"document.getElementById({json.dumps(element)}).textContent")
        return found

    def press(self, key: str) -> None:
        """A key down and up, wherever the focus is."""
        named = key in KEYS
        code = KEYS.get(key, ord(key.upper()[0]))
        common: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **({} if named else {"text": key}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def drag(self, start: tuple[float, float], *moves: tuple[float, float]) -> None:
        """Hold the left button at *start* and go by *moves*."""
        x, y = start
        self._mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
        for dx, dy in moves:
            x, y = x + dx, y + dy
            self._mouse("mouseMoved", x, y, button="left", buttons=1)
        self._mouse("mouseReleased", x, y, button="left", clickCount=1)

    def wheel(self, at: tuple[float, float], lines: int) -> None:
        """Turn the wheel."""
        self._mouse("mouseWheel", *at, deltaX=0, deltaY=100 * lines)

    def _mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def box(self, element: str) -> tuple[float, float, float, float]:
        """Left, top, width and height of an element by its id, in CSS pixels."""
        left, top, width, height = self.run(
            f"(({{x, y, width, height}}) => [x, y, width, height])"
            f"(document.getElementById({json.dumps(element)}).getBoundingClientRect())"
        )
        return left, top, width, height

    def screen(self, keep: Path | None = None) -> np.ndarray[Any, Any]:
        """What is on the screen: uint8 (height, width, 3)."""
        png = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if keep is not None:
            keep.write_bytes(png)
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))

    def complaints(self) -> list[str]:
        """Errors the page or the browser reported since the last `open`."""
        self.run("1")
        found = [
            event["params"]["exceptionDetails"].get("text", "exception")
            for event in self.events
            if event["method"] == "Runtime.exceptionThrown"
        ]
        return found + [
            event["params"]["entry"]["text"]
            for event in self.events
            if event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error"
        ]

    def pages(self) -> list[str]:
        """Addresses of all tabs."""
        found = self.call("Target.getTargets")["targetInfos"]
        return [target["url"] for target in found if target["type"] == "page"]

    def history(self) -> list[str]:
        """Every address in the page's history."""
        return [entry["url"] for entry in self.call("Page.getNavigationHistory")["entries"]]
