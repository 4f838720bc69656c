"""`curate audit`: links on stdout, one port for a project, a clean end."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.cli.main import app
from curate.web.run import usual_port
from tests.web.world import STARTED_S, Caller, Served, World, make_world, served


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("audit") / "project", 3)


def test_each_annotator_gets_a_link(world: World) -> None:
    with served(world, "--annotator", "anna", "--annotator", "ben") as server:
        assert list(server.links) == ["anna", "ben"]
        for name in server.links:
            assert Caller.through(server, name).get("/api/start")["annotator"] == name


def test_a_project_keeps_its_port_and_a_second_server_takes_another(world: World) -> None:
    with served(world) as first:
        assert first.port == usual_port(world.folder)
        with served(world) as second:
            assert second.port != first.port
            assert Caller.through(second).get("/api/start")["images"] == 3
            code, told = second.interrupt()
            assert code == 0
            assert "not on this project's own" in told
        assert Caller.through(first).get("/api/start")["images"] == 3


def test_ctrl_c_ends_it_cleanly_and_frees_the_port(world: World) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "curate", "-C", str(world.folder), "audit", "--no-open"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    link = process.stdout.readline()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}\n", link)
    process.send_signal(signal.SIGINT)
    rest, told = process.communicate(timeout=STARTED_S)
    assert process.returncode == 0
    assert rest == ""
    assert "Stopped" in told
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", usual_port(world.folder)))


def test_a_taken_port_that_was_asked_for_is_an_error(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        words = ["-C", str(world.folder), "audit", "--no-open", "--port", port]
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert f"cannot listen on port {port}" in done.output


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["--annotator", " "], "annotator", 2),
        (["--annotator", "a\nb"], "annotator", 2),
        (["--manifest", "v0009"], "no manifest", 1),
        (["--manifest", "../.."], "no manifest", 1),
        (["--queue", "nosuch"], "no queue", 2),
    ],
)
def test_what_cannot_be_served_is_said_at_once(
    words: list[str], said: str, code: int, world: World
) -> None:
    done = CliRunner().invoke(app, ["-C", str(world.folder), "audit", "--no-open", *words])
    assert done.exit_code == code
    assert said in done.output
    assert "token" not in done.output


def test_without_images_there_is_nothing_to_audit(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").touch()
    done = CliRunner().invoke(app, ["-C", str(tmp_path), "audit", "--no-open"])
    assert done.exit_code == 1
    assert "there are no images to look at (get some first" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["curate.toml"]


def test_a_killed_server_can_be_started_again(world: World) -> None:
    server = Served(world.folder)
    port = server.port
    server.kill()
    server.start()
    try:
        assert server.port == port
        assert Caller.through(server).get("/api/start")["images"] == 3
    finally:
        server.kill()
