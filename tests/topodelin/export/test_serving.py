"""The server: files of the export and of the run's stores, and nothing else."""

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from topodelin.export.neuroglancer import BASE
from topodelin.export.serving import ExportServer, byte_range


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ExportServer]:
    out, store = tmp_path / "out", tmp_path / "größe.zarr"
    (out / "image").mkdir(parents=True)
    (store / "0" / "ä").mkdir(parents=True)
    (out / "state.json").write_text(json.dumps({"source": f"zarr://{BASE}/image"}))
    (out / "image" / ".zattrs").write_text("ours")
    (store / ".zattrs").write_text("theirs")
    (store / "0" / "ä" / "1").write_bytes(bytes(range(100)))
    (tmp_path / "secret").write_text("secret")
    (store / "link").symlink_to(tmp_path / "secret")
    with ExportServer(out, [("image", store)]) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(
    server: ExportServer, path: str, method: str = "GET", word: str | None = None, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.request(method, f"/{word or server.word}/{path}", headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, {name.lower(): value for name, value in answer.getheaders()}


def test_the_description_of_the_export_hides_that_of_the_store(server: ExportServer) -> None:
    assert ask(server, "image/.zattrs")[:2] == (200, b"ours")
    assert ask(server, "image/0/%C3%A4/1")[1] == bytes(range(100))


def test_the_state_names_the_address_that_it_is_served_at(server: ExportServer) -> None:
    status, body, headers = ask(server, "state.json")
    assert status == 200 and json.loads(body) == {"source": f"zarr://{server.base}/image"}
    assert server.base.startswith("http://127.0.0.1:")
    assert server.viewer_url.endswith(f"/#!{server.base}/state.json")
    assert headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("text", "part", "span"),
    [
        ("bytes=10-19", bytes(range(10, 20)), "bytes 10-19/100"),
        ("bytes=95-", bytes(range(95, 100)), "bytes 95-99/100"),
        ("bytes=-3", bytes(range(97, 100)), "bytes 97-99/100"),
        ("bytes=90-500", bytes(range(90, 100)), "bytes 90-99/100"),
    ],
)
def test_parts_of_files_are_sent(server: ExportServer, text: str, part: bytes, span: str) -> None:
    status, body, headers = ask(server, "image/0/%C3%A4/1", Range=text)
    assert (status, body, headers["content-range"]) == (206, part, span)


@pytest.mark.parametrize("text", ["bytes=100-", "bytes=7-3", "bytes=-", "bytes=0-1,5-6", "words=1"])
def test_a_part_that_is_not_there_is_refused(server: ExportServer, text: str) -> None:
    status, body, headers = ask(server, "image/0/%C3%A4/1", Range=text)
    assert (status, body, headers["content-range"]) == (416, b"", "bytes */100")


@pytest.mark.parametrize(
    "path",
    ["../secret", "image/../../secret", "%2e%2e/secret", "image/%2e%2e%2f%2e%2e%2fsecret", "link",
     "image/link", "image//.zattrs", "image/0", "", "image/0%00",
     "image\\..\\..\\secret", "absent"],
)  # fmt: skip
def test_nothing_outside_the_folders_is_found(server: ExportServer, path: str) -> None:
    status, body, _ = ask(server, path)
    assert (status, body) == (404, b"")


def test_without_the_word_nothing_is_found(server: ExportServer) -> None:
    assert ask(server, "state.json", word="guess")[0] == 404


def test_a_browser_may_ask_first_and_look_at_heads(server: ExportServer) -> None:
    status, body, headers = ask(server, "state.json", "OPTIONS")
    assert (status, body) == (204, b"") and "range" in headers["access-control-allow-headers"]
    status, body, headers = ask(server, "image/0/%C3%A4/1", "HEAD")
    assert (status, body, headers["content-length"]) == (200, b"", "100")


def test_only_this_machine_is_answered(server: ExportServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_an_empty_file_has_no_part() -> None:
    assert byte_range("bytes=0-", 0) == (0, 0)
