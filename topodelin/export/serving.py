"""Serve an exported folder to a viewer in the browser of the same machine.

Only 127.0.0.1 is bound, and every address begins with a word that nobody can guess: the pages of
other sites, which may ask this machine for anything, cannot find it.

References:
    HTTP range requests, RFC 9110 section 14; cross-origin requests, https://fetch.spec.whatwg.org
"""

import re
import secrets
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from topodelin.export.neuroglancer import BASE

VIEWER = "https://neuroglancer-demo.appspot.com"
BLOCK = 1 << 20
HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "range",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Private-Network": "true",
    "Access-Control-Expose-Headers": "content-range, content-length, accept-ranges",
    "Accept-Ranges": "bytes",
    "Cache-Control": "no-cache",
}


class ExportServer(ThreadingHTTPServer):
    """Serves the files of a folder and, below some names, those of other folders too.

    Args:
        folder: what is served.
        stores: `(name, folder)`: what is not found below `name` is looked for in that folder.
        port: 0 takes a free one.
    """

    daemon_threads = True

    def __init__(
        self, folder: Path, stores: Sequence[tuple[str, Path]] = (), port: int = 0
    ) -> None:
        self.roots = {"": [folder.resolve()]}
        for name, store in stores:
            self.roots[name] = [(folder / name).resolve(), store.resolve()]
        self.word = secrets.token_urlsafe(12)
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def base(self) -> str:
        """URL of the folder."""
        return f"http://127.0.0.1:{self.server_address[1]}/{self.word}"

    @property
    def viewer_url(self) -> str:
        """What to open in the browser."""
        return f"{VIEWER}/#!{self.base}/state.json"

    def find(self, address: str) -> Path | None:
        """The file behind the path of a URL; None where there is none inside the folders."""
        parts = unquote(urlsplit(address).path).split("/")
        if parts[:2] != ["", self.word] or any(part in ("", ".", "..") for part in parts[2:]):
            return None
        if any("\0" in part or "\\" in part for part in parts):
            return None
        within = parts[2:]
        roots = self.roots[""]
        if within and within[0] in self.roots:
            roots, within = self.roots[within[0]], within[1:]
        for root in roots:
            path = root.joinpath(*within).resolve()
            if path.is_relative_to(root) and path.is_file():
                return path
        return None


class Handler(BaseHTTPRequestHandler):
    """Answers GET, HEAD and OPTIONS with files, whole or in part."""

    protocol_version = "HTTP/1.1"
    server: ExportServer

    def do_OPTIONS(self) -> None:
        self._head(HTTPStatus.NO_CONTENT, 0)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        """Thousands of chunks are not news."""

    def _answer(self, *, body: bool) -> None:
        path = self.server.find(self.path)
        if path is None:
            self._head(HTTPStatus.NOT_FOUND, 0)
            return
        if path == self.server.roots[""][0] / "state.json":
            text = path.read_text(encoding="utf-8").replace(BASE, self.server.base)
            self._head(HTTPStatus.OK, len(text.encode()), kind="application/json")
            if body:
                self.wfile.write(text.encode())
            return
        size = path.stat().st_size
        wanted = self.headers.get("Range")
        begin, end = (0, size) if wanted is None else byte_range(wanted, size)
        if begin >= end and size:
            self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0, span=f"bytes */{size}")
            return
        if wanted is None:
            self._head(HTTPStatus.OK, size)
        else:
            span = f"bytes {begin}-{end - 1}/{size}"
            self._head(HTTPStatus.PARTIAL_CONTENT, end - begin, span=span)
        if body:
            self._send(path, begin, end)

    def _send(self, path: Path, begin: int, end: int) -> None:
        with path.open("rb") as file:
            file.seek(begin)
            left = end - begin
            while left > 0 and (block := file.read(min(BLOCK, left))):
                self.wfile.write(block)
                left -= len(block)

    def _head(
        self,
        status: HTTPStatus,
        length: int,
        *,
        kind: str = "application/octet-stream",
        span: str | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if span is not None:
            self.send_header("Content-Range", span)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def byte_range(text: str, size: int) -> tuple[int, int]:
    """Half-open bytes of a `Range` header with one range; empty where it asks for none inside."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", text.strip())
    if found is None or found.groups() == ("", ""):
        return 0, 0
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size
