"""Chromium without a window, driven over the pipe of its DevTools protocol: no driver and no package is needed."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
KEYS = {"Tab": 9, "Enter": 13, "Space": 32}
TEXTS = {"Enter": "\r", "Space": " "}


class Page:
    """A page that was opened. errors: What the console has shown as an error, and exceptions of scripts."""

    def __init__(self, send: Any, receive: Any) -> None:
        self._send, self._receive, self._number = send, receive, 0
        self.session: str | None = None
        self.errors: list[str] = []
        self._seen: list[str] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command, and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self.session is not None:
            message["sessionId"] = self.session
        self._send(message)
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def wait_for(self, event: str) -> None:
        while event not in self._seen:
            self._note(self._receive())
        self._seen.remove(event)

    def _note(self, message: dict[str, Any]) -> None:
        method, params = message.get("method", ""), message.get("params", {})
        self._seen.append(method)
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"]))
        if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(json.dumps(params["args"]))
        if method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(json.dumps(params["entry"]))

    def open(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")

    def run(self, script: str) -> Any:
        """The value of an expression."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_until(self, script: str, *, seconds: float = 20.0) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"after {seconds} seconds it is not true: {script}"
            time.sleep(0.05)

    def press(self, key: str) -> None:
        """Press and release a key."""
        code = KEYS[key]
        event = {"key": TEXTS.get(key, key), "code": key, "windowsVirtualKeyCode": code}
        down = event | ({"text": TEXTS[key]} if key in TEXTS else {})
        self.call("Input.dispatchKeyEvent", type="keyDown", **down)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)
        self.run("new Promise(resolve => setTimeout(resolve, 60))")

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def show(self, *, width: int, dark: bool = False, height: int = 900, media: str = "screen") -> None:
        """Set the size of the window, the theme, and whether it is printed."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[theme])

    def screenshot(self, path: Path, *, full: bool = True) -> None:
        """Write a picture of the page."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=full)
        path.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def open_page(path: Path) -> Iterator[Page]:
    """Open a file in Chromium; the test is skipped if there is none."""
    with open_url(path.resolve().as_uri(), path.parent / ".browser") as page:
        yield page


@contextmanager
def open_url(url: str, profile: Path) -> Iterator[Page]:
    """Open an address in Chromium; the test is skipped if there is none.

    profile (Path): Folder that the browser may write to. It is removed.
    """
    browser = next((found for name in NAMES if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the PATH")
    (read_in, write_in), (read_out, write_out) = os.pipe(), os.pipe()
    options = "--headless --no-sandbox --disable-gpu --disable-extensions --remote-debugging-pipe --user-data-dir="
    command = f'exec "{browser}" {options}"{profile}" 3<&{read_in} 4>&{write_out}'
    process = subprocess.Popen(
        ["bash", "-c", command], pass_fds=(read_in, write_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(read_in)
    os.close(write_out)
    with os.fdopen(read_out, "rb") as answers, os.fdopen(write_in, "wb") as commands:
        page = Page(lambda message: _send(commands, message), lambda: _receive(answers))
        try:
            page.open(url)
            yield page
        finally:
            process.terminate()
            process.wait(timeout=30)
            shutil.rmtree(profile, ignore_errors=True)


def _send(pipe: Any, message: dict[str, Any]) -> None:
    pipe.write(json.dumps(message).encode() + b"\0")
    pipe.flush()


def _receive(pipe: Any) -> dict[str, Any]:
    data = bytearray()
    while (byte := pipe.read(1)) != b"\0":
        assert byte, "the browser has ended"
        data += byte
    return json.loads(data)
