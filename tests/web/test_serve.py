"""The scoring endpoint under good, broken, huge and hostile uploads, over real connections."""

from __future__ import annotations

import io
import json
import socket
import statistics
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.assist.made import classifier, saved
from tests.fetch.command import command, curate

NOTES = {"curate.classes": '["red", "green", "blue", ""]', "curate.exclusive": "true"}
WEIGHTS = np.hstack([20 * np.eye(3), np.zeros((3, 1))])
BOUNDARY = "cut-here"
MAX_MEGABYTES = 2


def picture(kind: str = "PNG", size: tuple[int, int] = (64, 48)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (250, 10, 10)).save(file, kind)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and has no such pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def multipart(data: bytes, field: str = "file", name: str = "photo.jpg") -> bytes:
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    )
    return head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


NOISY = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISY).save(file, "JPEG")
    return file.getvalue()


UPLOADS: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "png": (lambda: multipart(picture()), 200, ""),
    "jpeg": (lambda: multipart(jpeg()), 200, ""),
    "webp": (lambda: multipart(picture("WEBP")), 200, ""),
    "gif, whatever its name": (lambda: multipart(picture("GIF"), name="../../x.exe"), 200, ""),
    "half a jpeg": (lambda: multipart(jpeg()[:4000]), 422, "corrupt"),
    "half a png": (lambda: multipart(picture()[:60]), 422, "corrupt"),
    "text": (lambda: multipart(b"hello"), 415, "not_an_image"),
    "a page": (lambda: multipart(b"<!DOCTYPE html><html></html>"), 415, "html"),
    "nothing": (lambda: multipart(b""), 422, "empty"),
    "a bomb": (lambda: multipart(png_header(60_000, 60_000)), 413, "too_many_pixels"),
    "no such pixels": (lambda: multipart(png_header(500, 500)), 422, "corrupt"),
    "too many bytes": (lambda: multipart(bytes(3 * 1024 * 1024)), 413, "too_big"),
    "far too many bytes": (lambda: multipart(bytes(12 * 1024 * 1024)), 413, "too_big"),
    "another field": (lambda: multipart(picture(), field="image"), 400, "request"),
    "no multipart": (lambda: b"{}", 400, "request"),
    "an end too early": (lambda: multipart(picture())[:-12], 400, "request"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """URL and process id of `curate serve` with a model of colours."""
    folder = tmp_path_factory.mktemp("serve")
    model = saved(classifier(notes=NOTES, weights=WEIGHTS), folder / "head.onnx")
    process = subprocess.Popen(
        command(
            "serve", "--model", model, "--port", 0, "--preset", "unit", "--json",
            "--max-megabytes", MAX_MEGABYTES,
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    lines = ""
    while "}" not in lines:
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        lines += line
    url = json.loads(lines)["url"]
    wait_for(url)
    yield url, process.pid
    process.terminate()
    process.communicate(timeout=20)


def wait_for(url: str) -> None:
    for _ in range(100):
        try:
            ask(f"{url}health")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server does not answer")


def ask(url: str, body: bytes | None = None) -> tuple[int, Any, Any]:
    """Status, headers and body of an answer; the body as JSON where it is."""
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"} if body else {}
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, read(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, read(error)


def read(answer: Any) -> Any:
    data = answer.read()
    return json.loads(data) if "json" in answer.headers["content-type"] else data.decode()


@pytest.mark.parametrize(("make", "status", "kind"), UPLOADS.values(), ids=list(UPLOADS))
def test_each_upload_has_its_status(
    server: tuple[str, int], make: Callable[[], bytes], status: int, kind: str
) -> None:
    found, _, said = ask(f"{server[0]}scorefile/", make())
    assert found == status, said
    if status == 200:
        assert list(said) == sorted(said, key=lambda name: -said[name])
        assert set(said) == {"red", "green", "blue"}
    else:
        assert said["error"]["kind"] == kind
        assert said["error"]["message"]


def test_a_red_picture_is_red(server: tuple[str, int]) -> None:
    _, _, said = ask(f"{server[0]}scorefile/", multipart(picture()))
    assert next(iter(said)) == "red"
    assert said["red"] > 0.99


def test_health_pages_and_openapi_need_no_network(server: tuple[str, int]) -> None:
    url = server[0]
    status, _, health = ask(f"{url}health")
    assert (status, health["status"], health["classes"]) == (200, "ok", 3)
    _, _, described = ask(f"{url}openapi.json")
    assert set(described["paths"]) == {"/scorefile/", "/health"}
    assert {"200", "413", "415", "422"} <= set(
        described["paths"]["/scorefile/"]["post"]["responses"]
    )
    for page in ("", "docs", "static/score.js", "static/docs.js", "static/score.css"):
        status, headers, text = ask(f"{url}{page}")
        assert status == 200
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "http://" not in text
        assert "https://" not in text
    assert ask(f"{url}static/../serve.py")[0] == 404


def test_a_body_that_is_never_announced_is_bounded(server: tuple[str, int]) -> None:
    host, port = server[0].removeprefix("http://").strip("/").split(":")
    with socket.create_connection((host, int(port))) as at:
        at.settimeout(30)
        at.sendall(
            b"POST /scorefile/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: multipart/form-data; boundary=cut-here\r\n\r\n"
        )
        piece = multipart(bytes(512 * 1024))[:-16]
        for _ in range(10):
            at.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        at.sendall(b"0\r\n\r\n")
        assert b" 413 " in at.recv(1000)


def peak_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) / 1024


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_two_hundred_at_once(server: tuple[str, int], capsys: pytest.CaptureFixture[str]) -> None:
    url, pid = server
    before = peak_mb(pid)
    every = list(UPLOADS.values())
    wanted = [every[at % len(every)] for at in range(200)]
    bodies = {make: make() for make, _, _ in every}

    def one(upload: tuple[Callable[[], bytes], int, str]) -> tuple[int, int, float]:
        began = time.perf_counter()
        status, _, _ = ask(f"{url}scorefile/", bodies[upload[0]])
        return status, upload[1], time.perf_counter() - began

    with ThreadPoolExecutor(200) as pool:
        found = list(pool.map(one, wanted))
    assert [status for status, _, _ in found] == [status for _, status, _ in found]
    took = sorted(1000 * seconds for _, _, seconds in found)
    cuts = statistics.quantiles(took, n=100)
    grown = peak_mb(pid) - before
    with capsys.disabled():
        said = ", ".join(f"p{at} {cuts[at - 1]:.0f} ms" for at in (50, 90, 99))
        sys.stdout.write(f"\n200 at once: {said}; memory +{grown:.0f} over {before:.0f} MB\n")
    assert grown < 400
    assert ask(f"{url}health")[0] == 200


def test_a_port_that_is_taken_is_said_in_a_line(tmp_path: Path) -> None:
    model = saved(classifier(notes=NOTES, weights=WEIGHTS), tmp_path / "head.onnx")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = curate("serve", "--model", model, "--port", port)
    assert said.code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in said.err
    assert said.err.count("\n") == 1


def test_a_model_that_cannot_be_used_is_said_in_a_line(tmp_path: Path) -> None:
    said = curate("serve", "--model", tmp_path / "none.onnx", "--port", 0)
    assert said.code == 1
    assert "is not there" in said.err
