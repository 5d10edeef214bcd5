"""A folder served over HTTP by this computer, and what was asked of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Served:
    """Where a folder is served, and the paths that were asked for and found."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.found: list[str] = []


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Serve a folder until the block ends."""

    class Handler(SimpleHTTPRequestHandler):
        wbufsize = 1 << 16  # header and body in one packet

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            if int(code) in (200, 206):
                record.found.append(self.path)

        def log_message(self, *_: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        request_queue_size = 256  # else a burst of connections waits a second

    with Server(("127.0.0.1", 0), Handler) as server:
        record = Served(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield record
        finally:
            server.shutdown()
            thread.join()
