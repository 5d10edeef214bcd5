"""Open a run in neuroglancer, in a real browser without a window, and take a picture.

    python benchmarks/see_neuroglancer.py RUN -o picture.png --python PYTHON

Runs in an environment with the package `neuroglancer`, which brings the viewer's page; PYTHON is
the interpreter that has topodelin. `topodelin export neuroglancer RUN --serve` serves the run as it
does for a user; nothing is fetched from outside this machine. The picture is taken once everything
in view is drawn. Printed are the layers, the errors of the page, and what it reads at the centre.
"""

import argparse
import asyncio
import base64
import importlib
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

BROWSER = "chromium"
FLAGS = (
    "--headless=new", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--remote-debugging-port=0",
)  # fmt: skip


class Browser:
    """A page of a browser without a window, steered through its DevTools protocol."""

    def __init__(self, url: str, size: tuple[int, int]) -> None:
        self.url, self.size, self.messages = url, size, []
        self._number = 0

    async def __aenter__(self) -> "Browser":
        from tornado.websocket import websocket_connect

        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        window = f"--window-size={self.size[0]},{self.size[1]}"
        words = [BROWSER, *FLAGS, window, f"--user-data-dir={self.profile.name}", "about:blank"]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ports = Path(self.profile.name) / "DevToolsActivePort"
        while not ports.exists() or not ports.read_text().strip():
            await asyncio.sleep(0.1)
        port = ports.read_text().split()[0]
        pages = json.loads(urlopen(f"http://127.0.0.1:{port}/json").read())
        page = next(page for page in pages if page["type"] == "page")
        self.socket = await websocket_connect(
            page["webSocketDebuggerUrl"], max_message_size=1 << 28
        )
        await self.call("Runtime.enable")
        await self.call("Log.enable")
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=self.size[0], height=self.size[1], deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        await self.call("Page.navigate", url=self.url)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.socket.close()
        self.process.terminate()
        self.process.wait(10)
        self.profile.cleanup()

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        await self.socket.write_message(
            json.dumps({"id": self._number, "method": method, "params": parameters})
        )
        while True:
            answer = json.loads(str(await self.socket.read_message()))
            if answer.get("id") == self._number:
                return answer.get("result", answer)
            if answer.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.messages.append(json.dumps(answer["params"])[:600])

    async def value(self, expression: str) -> Any:
        """What a line of JavaScript gives."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer.get("result", {}).get("value")

    async def picture(self) -> bytes:
        answer = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])


async def look(url: str, output: Path, size: tuple[int, int], seconds: float) -> None:
    """Wait until everything in view is drawn, then write the picture."""
    async with Browser(url, size) as page:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(0.5)
            if await page.value("!!window.viewer && viewer.isReady()"):
                break
        await asyncio.sleep(3)
        ready = await page.value("viewer.isReady()")
        layers = await page.value(
            "JSON.stringify(viewer.layerManager.managedLayers.map(l => [l.name, l.isReady()]))"
        )
        print(f"drawn: {ready}; layers: {layers}")
        position = "JSON.stringify(Array.from(viewer.navigationState.position.value))"
        print("at", await page.value(position))
        print("\n".join(page.messages) or "no errors")
        output.write_bytes(await page.picture())


def served_state(server: subprocess.Popen[str]) -> dict[str, Any]:
    """The state of the run, from the address that the export prints."""
    for line in server.stdout or ():
        print(line, end="")
        if found := re.match(r"next: open \S+#!(\S+)", line):
            return json.loads(urlopen(found.group(1)).read())
    raise SystemExit("the export did not print an address")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("neuroglancer.png"))
    parser.add_argument("--python", default=sys.executable, help="interpreter with topodelin")
    parser.add_argument("--image", help="handed to the export")
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 800))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--state", default="{}", help="JSON merged into the state")
    given = parser.parse_args()
    words = [given.python, "-m", "topodelin", "export", "neuroglancer", str(given.run), "--serve"]
    words += ["--image", given.image] if given.image else []
    neuroglancer = importlib.import_module("neuroglancer")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            viewer = neuroglancer.Viewer()
            viewer.set_state(served_state(server) | json.loads(given.state))
            url = viewer.get_viewer_url()
            asyncio.run(look(url, given.output, tuple(given.size), given.seconds))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
