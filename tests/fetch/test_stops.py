"""What stops a fetch from outside: Ctrl-C, a full disk, another fetch. Nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.bodies import encoded
from tests.fakes.flaky import Corpus
from tests.fakes.misbehaving import Misbehaving
from tests.fetch.command import Said, command, curate, image_files, start
from tests.fetch.runs import Folder, Row

CALM = {"first_fails": 0.0, "dead": 0.0, "corrupt": 0.0, "duplicate": 0.0}


@pytest.fixture
def slow_server() -> Iterator[Misbehaving]:
    with Misbehaving(Corpus(80, **CALM), latency_s=0.05) as running:  # type: ignore[arg-type]
        yield running


def fetch(project: Path, server: Misbehaving, *more: object) -> tuple[object, ...]:
    """The command that fetches the server's corpus, two images at a time."""
    assert server.corpus is not None
    project.mkdir(exist_ok=True)
    urls = project.parent / "list.csv"
    rows = [server.base + server.corpus.path(number) for number in range(server.corpus.n)]
    urls.write_text("\n".join(["url", *rows]))
    source = ("fetch", "--urls", urls, "--allow-host", "127.0.0.1", "--per-host", 2)
    return (*source, "-C", project, *more)


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def end(process: subprocess.Popen[str]) -> Said:
    out, err = process.communicate(timeout=60)
    return Said(process.returncode, out, err)


def rows_of(project: Path) -> list[Row]:
    folder = Folder(project)
    rows = list(folder.rows().values())
    folder.close()
    return rows


class TestInterrupt:
    @pytest.mark.parametrize("as_json", [False, True])
    def test_ctrl_c_records_what_is_finished_and_says_one_line(
        self, tmp_path: Path, slow_server: Misbehaving, as_json: bool
    ) -> None:
        project = tmp_path / "project"
        arguments = fetch(project, slow_server, *(["--json"] if as_json else []))
        process = start(*arguments)
        until(lambda: slow_server.stats.counts.total() >= 25)
        process.send_signal(signal.SIGINT)
        said = end(process)
        assert said.code == 130
        assert said.out == ""
        [line] = said.err.splitlines()
        if as_json:
            assert json.loads(line)["error"]["kind"] == "interrupted"
        else:
            assert line.startswith("curate: stopped (run the same command again")
        n_recorded = sum(row.state == "stored" for row in rows_of(project))
        assert n_recorded >= slow_server.stats.counts.total() - 4 > 15
        assert len([p for p in image_files(project) if p.suffix == ".jpg"]) >= n_recorded
        before = slow_server.stats.counts.total()
        again = curate(*arguments)
        assert again.code == 0, again.err
        assert slow_server.stats.counts.total() - before == 80 - n_recorded
        assert {row.state for row in rows_of(project)} == {"stored"}

    def test_ctrl_c_of_the_whole_terminal_says_no_more_than_that(
        self, tmp_path: Path, slow_server: Misbehaving
    ) -> None:
        process = subprocess.Popen(
            command(*fetch(tmp_path / "project", slow_server)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        until(lambda: slow_server.stats.counts.total() >= 10)
        os.killpg(process.pid, signal.SIGINT)
        said = end(process)
        assert said.code == 130
        assert len(said.err.splitlines()) == 1


class TestTwoAtOnce:
    def test_the_second_fetch_says_who_holds_the_project_and_changes_nothing(
        self, tmp_path: Path, slow_server: Misbehaving
    ) -> None:
        project = tmp_path / "project"
        arguments = fetch(project, slow_server)
        first = start(*arguments)
        until(lambda: slow_server.stats.counts.total() >= 10)
        second = curate(*arguments)
        assert second.code == 6
        [line] = second.err.splitlines()
        assert f"in use by `curate fetch` (process {first.pid}, since " in line
        assert curate("status", "-C", project, "--json").code == 0
        assert end(first).code == 0
        assert slow_server.stats.counts.total() == 80

    def test_a_killed_fetch_holds_nothing(self, tmp_path: Path, slow_server: Misbehaving) -> None:
        project = tmp_path / "project"
        arguments = fetch(project, slow_server)
        first = start(*arguments)
        until(lambda: slow_server.stats.counts.total() >= 10)
        first.kill()
        end(first)
        assert curate(*arguments).code == 0


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no `mount` here")
    if done.returncode:
        pytest.skip(f"mounting a tmpfs is not permitted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
class TestFullDisk:
    @pytest.mark.parametrize("padding", [0, 40_000, 600_000])
    def test_it_says_one_line_and_a_larger_disk_completes_the_run(
        self, tmpfs: Path, padding: int
    ) -> None:
        """Small files fill the disk as catalog, middling ones as images, large ones as parts."""
        project = tmpfs / "project"
        n = 40 if padding else 1500
        # Bytes after the end of a JPEG are benign: files of any size, quick to make.
        files = {f"f{seed}": encoded(seed) + bytes(padding) for seed in range(n)}
        with Misbehaving(files=files) as server:
            project.mkdir()
            urls = tmpfs.parent / "list.csv"
            urls.write_text("\n".join(["url", *(server.url("ok", body=name) for name in files)]))
            arguments = ("fetch", "--urls", urls, "--allow-host", "127.0.0.1", "-C", project)
            full = curate(*arguments)
            assert full.code == 1, full.err
            [line] = full.err.splitlines()
            assert line.startswith("curate: cannot ")
            assert "full" in line or "No space left" in line
            assert curate(*arguments).code == 1
            subprocess.run(["mount", "-o", "remount,size=200m", str(tmpfs)], check=True)
            recorded = [row for row in rows_of(project) if row.state == "stored"]
            assert {p.stem for p in image_files(project)} >= {row.image_id for row in recorded}
            done = curate(*arguments)
            assert done.code == 0, done.err
        assert [row.state for row in rows_of(project)] == ["stored"] * n
        verified = curate("verify", "-C", project, "--json")
        assert (verified.code, verified.document["checked"]) == (0, n), verified.err
