"""A headless Chromium driven over the WebDriver protocol, with nothing but the standard library."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE, wait_until

ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
OWN = ("file:", "data:", "blob:", "about:", "chrome:", "devtools:")


ABSENT = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
needs_browser = pytest.mark.skipif(
    bool(ABSENT),
    reason=f"pages in a browser: no {' and no '.join(ABSENT)} on PATH (Debian: apt-get install chromium chromium-driver)",
)


class Browser:
    """One window. Scripts are bodies of functions; their `return` value comes back as plain data."""

    def __init__(self, port: int, folder: Path) -> None:
        self._root = f"http://127.0.0.1:{port}"
        options = {
            "binary": shutil.which("chromium"),
            "args": [*ARGUMENTS, f"--user-data-dir={folder / 'profile'}"],
            "prefs": {
                "download.default_directory": str(folder / "downloads"),
                "download.prompt_for_download": False,
                # A script's click is no user's: without this a second download is refused.
                "profile.default_content_setting_values.automatic_downloads": 1,
            },
        }
        options["perfLoggingPrefs"] = {"enableNetwork": True, "enablePage": False}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{answer['sessionId']}"
        self.downloads = folder / "downloads"
        self.address = ""

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._root + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from error

    def open(self, url: str) -> None:
        self._call("POST", f"{self._session}/url", {"url": url})
        self.address = url

    def run(self, script: str, *arguments: Any) -> Any:
        return self._call("POST", f"{self._session}/execute/sync", {"script": script, "args": list(arguments)})

    def command(self, name: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self._call("POST", f"{self._session}/goog/cdp/execute", {"cmd": name, "params": parameters})

    def size(self, width: int, height: int, mobile: bool = False) -> None:
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile
        )

    def theme(self, name: str) -> None:
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What came since the last call: `browser` is the console, `performance` the DevTools events."""
        return self._call("POST", f"{self._session}/se/log", {"type": kind})

    def complaints(self) -> list[str]:
        """Warnings and errors on the console since the last call."""
        return [entry["message"] for entry in self.log("browser") if entry["level"] in ("WARNING", "SEVERE")]

    def requests(self) -> list[str]:
        """Addresses asked for since the last call that are not part of the page itself."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(OWN)]

    def until(self, script: str, *arguments: Any) -> Any:
        """Wait until a script returns something true; returns it."""
        return wait_until(lambda: self.run(script, *arguments), script)

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._call("GET", f"{self._session}/screenshot")))

    def close(self) -> None:
        self._call("DELETE", self._session)


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser that keeps its profile and its downloads below `folder`, and is gone afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "downloads").mkdir(parents=True)
    server = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:

        def ready() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
            return False

        wait_until(ready, "chromedriver listens")
        browser = Browser(port, folder)
        try:
            yield browser
        finally:
            browser.close()
    finally:
        server.terminate()
        server.wait(PATIENCE)
