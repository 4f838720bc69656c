"""Whatever a person gets wrong is one line, with the right exit code, and nothing is lost."""

from __future__ import annotations

import json
import shlex
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from curate.catalog.database import APPLICATION_ID
from curate.demo.options import SampleOptions
from curate.demo.server import SampleServer
from tests.cli.unprivileged import curate_unprivileged
from tests.fetch.command import Said, command, curate, environment


@pytest.fixture(scope="module")
def server() -> Iterator[SampleServer]:
    with SampleServer(SampleOptions.faultless(photos_per_class=3, long_edge_px=64)) as made:
        yield made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `in` with one picture, and the project that it was imported into."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "in").mkdir()
    Image.linear_gradient("L").save(folder / "in" / "1.png")
    assert curate("import", folder / "in", "-C", folder / "project").code == 0
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A project that holds something to lose."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "project"


def error_of(said: Said) -> dict[str, str]:
    """The one JSON document on stderr, with exactly the documented keys."""
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    document = json.loads(said.err)
    assert list(document) == ["error"]
    assert list(document["error"]) == ["kind", "message", "hint"]
    assert all(isinstance(value, str) for value in document["error"].values())
    return dict(document["error"])


@dataclass(frozen=True, slots=True)
class Case:
    """One mistake."""

    name: str
    arguments: tuple[str, ...]
    code: int
    kind: str
    says: str


CASES = [
    Case("missing key", ("fetch", "--query", "beach"), 1, "missing_key", "access key"),
    Case("missing list", ("fetch", "--urls", "nowhere.csv"), 1, "source", "nowhere.csv"),
    Case("missing folder", ("fetch", "--folder", "nowhere"), 1, "source", "nowhere"),
    Case("missing import", ("import", "nowhere"), 1, "source", "nowhere"),
    Case("import of nothing", ("import",), 2, "usage", "PATH"),
    Case("no size", ("fetch", "--side", "abc"), 2, "usage", "--side 'abc'"),
    Case("size zero", ("fetch", "--side", "0"), 2, "usage", "--side '0'"),
    Case("no reason", ("fetch", "--retry", "nonsense"), 2, "usage", "'nonsense'"),
    Case("two lists", ("fetch", "--urls", "a", "--folder", "b"), 2, "usage", "--folder"),
    Case("no pair", ("fetch", "--source", "gbif", "--param", "year"), 2, "usage", "--param 'year'"),
    Case("no source", ("fetch", "--source", "nobody"), 2, "usage", "'nobody'"),
    Case("empty query", ("fetch", "--query", ""), 2, "usage", "--query"),
    Case(
        "quota of none",
        ("fetch", "--query", "a", "--class", "", "--per-class", "3"),
        2,
        "usage",
        "--per-class",
    ),
    Case("huge limit", ("fetch", "--limit", "9" * 20), 2, "usage", "--limit"),
    Case("huge quota", ("fetch", "--per-class", "9" * 5000), 2, "usage", "--per-class"),
    Case("huge side", ("fetch", "--side", "9" * 11), 2, "usage", "--side"),
    Case("odd digit", ("fetch", "--side", "²"), 2, "usage", "--side"),
    Case("huge workers", ("fetch", "--workers", "9" * 20), 2, "usage", "--workers"),
    Case("no quota", ("fetch", "--query", "a", "--per-class", "-1"), 2, "usage", "--per-class"),
    Case("no number", ("fetch", "--limit", "many"), 2, "usage", "--limit"),
    Case("no connections", ("fetch", "--connections", "0"), 2, "usage", "--connections"),
    Case("unknown flag", ("fetch", "--bogus"), 2, "usage", "--bogus"),
    Case("unknown command", ("fecth",), 2, "usage", "fecth"),
    Case("two shares", ("balance", "--splits", "0.8,0.2"), 2, "usage", "--splits"),
    Case("shares too large", ("balance", "--splits", "0.8,0.2,0.2"), 2, "usage", "--splits"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_is_one_line_and_changes_nothing(case: Case, project: Path) -> None:
    before = _contents(project)
    arguments = [*case.arguments, "-C", project]
    said = curate(*arguments)
    assert said.code == case.code
    assert (said.out, said.err.count("\n")) == ("", 1), said.err
    assert said.err.startswith("curate: ")
    assert case.says in said.err
    again = curate(*arguments, "--json")
    assert again.code == case.code
    error = error_of(again)
    assert error["kind"] == case.kind
    assert case.says in error["message"] + error["hint"]
    assert _contents(project) == before
    assert curate("fetch", "-C", project).code == 0, "nothing of the mistake is left"


def _contents(project: Path) -> list[str]:
    """All rows of the catalog."""
    with closing(sqlite3.connect(project / "catalog.db")) as db:
        return list(db.iterdump())


def test_without_a_project_there_is_nothing_to_resume(tmp_path: Path) -> None:
    said = curate("fetch", "-C", tmp_path / "new")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        f"curate: there is no project in {tmp_path / 'new'}, which does not exist "
        "(`curate fetch` or `curate import` begins one, and -C DIR names another folder)\n"
    )
    assert not (tmp_path / "new").exists()
    (tmp_path / "curate.toml").touch()
    said = curate("fetch", "-C", tmp_path)
    assert (said.code, said.out) == (2, "")
    assert said.err == "curate: nothing to resume (give --query, --urls, --folder or --archive)\n"


@pytest.mark.parametrize("asked", ["--query beach", "--urls list.csv", "--source gbif"])
def test_a_fetch_that_finds_nothing_to_begin_with_leaves_no_project(
    asked: str, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_text("name,size\na,1\n")
    words = [str(tmp_path / word) if word == "list.csv" else word for word in asked.split()]
    env = environment(gbif_url="http://127.0.0.1:9", fetch_max_wait_s=0)
    there = tmp_path / "there"
    there.mkdir()
    for folder in (there, tmp_path / "new"):
        said = curate("fetch", *words, "-C", folder, env=env)
        assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert list(there.iterdir()) == []
    assert not (tmp_path / "new").exists()
    assert "there is no project" in curate("fetch", "-C", there).err


def test_what_the_guard_denies_is_named_with_the_way_out(
    server: SampleServer, tmp_path: Path
) -> None:
    env = {**environment(unsplash_url=server.url), "UNSPLASH_ACCESS_KEY": server.key}
    asked = ("fetch", "--query", "beach", "-C", tmp_path)
    said = curate(*asked, env=env)
    assert said.code == 1, "nothing was obtained"
    assert "this run: +0 images, 0 duplicates, 3 failed\n" in said.err
    assert "3 denied: 127.0.0.1: loopback address 127.0.0.1; if you trust it" in said.err
    assert "curate fetch --retry denied --allow-host 127.0.0.1\n" in said.err
    assert "no image was obtained: 3 failed as denied" in said.err
    again = curate(*asked, "--allow-host", "127.0.0.1", env=env)
    assert again.code == 0, "the same command, and it works"
    assert "this run: +3 images, 0 duplicates, 0 failed\n" in again.err


def test_a_failure_that_is_tried_again_and_fails_again_is_counted(
    server: SampleServer, tmp_path: Path
) -> None:
    env = {**environment(unsplash_url=server.url), "UNSPLASH_ACCESS_KEY": server.key}
    assert curate("fetch", "--query", "beach", "-C", tmp_path, env=env).code == 1
    again = curate("fetch", "--retry", "denied", "-C", tmp_path, env=env)
    assert "this run: +0 images, 0 duplicates, 3 failed\n" in again.err


def test_a_query_that_finds_nothing_is_named(server: SampleServer, tmp_path: Path) -> None:
    env = {**environment(unsplash_url=server.url), "UNSPLASH_ACCESS_KEY": server.key}
    said = curate("fetch", "--query", "nosuchthing", "-C", tmp_path, env=env)
    assert said.code == 0
    assert "nosuchthing: the source has no candidates\n" in said.err


def test_a_wrong_key_is_one_line(server: SampleServer, project: Path) -> None:
    env = {**environment(unsplash_url=server.url), "UNSPLASH_ACCESS_KEY": "wrong"}
    said = curate("fetch", "--query", "beach", "-C", project, "--json", env=env)
    assert said.code == 1
    assert error_of(said)["kind"] == "missing_key"
    env["UNSPLASH_ACCESS_KEY"] = server.key
    env["CURATE_FETCH_ALLOW_HOSTS"] = "127.0.0.1"
    said = curate("fetch", "--query", "beach", "-C", project, "--json", env=env)
    assert (said.code, said.document["classes"]) == (0, {"beach": 3})
    assert "machine learning" in json.loads(said.err)["note"]


def test_an_api_that_cannot_be_reached_is_one_line(project: Path) -> None:
    env = environment(gbif_url="http://127.0.0.1:9", fetch_max_wait_s=0)
    said = curate("fetch", "--source", "gbif", "-C", project, "--json", env=env)
    assert said.code == 1
    assert error_of(said)["kind"] == "source"


def test_a_list_without_a_url_column_names_the_columns_there_are(project: Path) -> None:
    listed = project.parent / "list.csv"
    listed.write_text("name,size\na,1\n")
    said = curate("fetch", "--urls", listed, "-C", project, "--json")
    assert said.code == 1
    error = error_of(said)
    assert "name, size" in error["message"]
    assert "--url-column" in error["hint"]
    said = curate("fetch", "--urls", listed, "--url-column", "link", "-C", project, "--json")
    assert (said.code, "'link'" in error_of(said)["message"]) == (1, True)
    assert curate("fetch", "-C", project).code == 0


TOML = {
    "broken": ("[fetch\n", "not valid TOML"),
    "unknown key": ("[fetch]\ntrys = 1\n", "trys"),
    "unknown section": ("[fetcher]\n", "fetcher"),
    "wrong type": ('[fetch]\ntries = "many"\n', "tries"),
    "not text": ("\x00", "curate.toml"),
}


@pytest.mark.parametrize("name", TOML)
@pytest.mark.parametrize("command", ["status", "fetch", "verify", "balance", "plan", "doctor"])
def test_settings_that_cannot_be_used_are_one_line(name: str, command: str, tmp_path: Path) -> None:
    text, says = TOML[name]
    (tmp_path / "curate.toml").write_text(text)
    said = curate(command, "-C", tmp_path, "--json")
    assert said.code == 1
    error = error_of(said)
    assert error["kind"] == "config"
    assert says in error["message"]
    assert not (tmp_path / "catalog.db").exists()


def test_a_variable_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    said = curate("fetch", "-C", tmp_path, "--json", env=environment(fetch_tries="many"))
    assert said.code == 1
    assert "CURATE_FETCH_TRIES" in error_of(said)["message"]


def _newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE future (x)")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 999")
    connection.close()


def _garbage(path: Path) -> None:
    path.write_bytes(b"not a database at all " * 500)


def _other(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (x)")
    connection.close()


@pytest.mark.parametrize("command", ["status", "fetch", "verify", "balance", "plan"])
@pytest.mark.parametrize(
    ("make", "kind"),
    [(_newer, "catalog_too_new"), (_garbage, "catalog"), (_other, "catalog")],
)
def test_a_catalog_that_is_not_ours_is_one_line_and_left_as_it_is(
    command: str, make: Callable[[Path], None], kind: str, tmp_path: Path
) -> None:
    make(tmp_path / "catalog.db")
    before = (tmp_path / "catalog.db").read_bytes()
    said = curate(command, "-C", tmp_path, "--json")
    assert said.code == 1
    error = error_of(said)
    assert error["kind"] == kind
    assert error["hint"]
    assert (tmp_path / "catalog.db").read_bytes() == before
    shutil.move(tmp_path / "catalog.db", tmp_path / "moved.db")
    assert error_of(curate("status", "-C", tmp_path, "--json"))["kind"] == "no_project"


@pytest.mark.parametrize(
    "command", ["status", "fetch", "verify", "balance", "plan", "init", "doctor"]
)
def test_a_file_in_the_place_of_the_project_is_one_line(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    said = curate(command, "-C", tmp_path / "file", "--json")
    assert said.code == 2
    assert "not a folder" in error_of(said)["message"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("command", ["fetch", "init", "verify --repair"])
def test_a_project_that_cannot_be_written_is_one_line(command: str, project: Path) -> None:
    project.chmod(0o555)
    said = curate_unprivileged(*command.split(), "-C", project, "--json")
    project.chmod(0o755)
    assert said.code == 1
    assert "ermission" in error_of(said)["message"]
    assert curate("fetch", "-C", project).code == 0


def test_a_project_that_can_only_be_read_can_be_looked_at(project: Path) -> None:
    expected = curate("status", "-C", project, "--json").document
    project.chmod(0o555)
    said = curate_unprivileged("status", "-C", project, "--json")
    checked = curate_unprivileged("verify", "-C", project, "--json")
    project.chmod(0o755)
    assert said.document == expected
    assert (checked.code, checked.document["checked"]) == (0, 1)


def test_a_second_fetch_at_the_same_time_is_refused_with_the_name_of_the_first(
    project: Path,
) -> None:
    from curate.catalog.database import writer_lock

    with writer_lock(project, "fetch"):
        for arguments in (("fetch",), ("import", project.parent / "in"), ("verify", "--repair")):
            said = curate(*arguments, "-C", project, "--json")
            assert said.code == 6
            error = error_of(said)
            assert (error["kind"], "`curate fetch`" in error["message"]) == ("locked", True)
        assert curate("status", "-C", project).code == 0
        assert curate("verify", "-C", project).code == 0
    assert curate("fetch", "-C", project).code == 0


def test_what_waits_for_another_try_says_why_and_where(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("url\nhttp://127.0.0.1:9/a.jpg\nhttp://127.0.0.1:9/b.jpg\n")
    env = environment(fetch_max_wait_s=0, fetch_backoff_s=300, fetch_backoff_cap_s=600)
    asked = ("--urls", tmp_path / "list.csv", "--allow-host", "127.0.0.1")
    said = curate("fetch", *asked, "-C", tmp_path / "new", env=env)
    assert said.code == 4
    assert "2 candidates are due for another try after " in said.err
    assert " (connect 2: 127.0.0.1): run `curate fetch` then\n" in said.err
    assert f" {time.strftime('%Z')} (" in said.err


def test_hosts_that_fail_are_named_with_their_counts(tmp_path: Path) -> None:
    hosts = ["127.0.0.2", "127.0.0.1", "127.0.0.1", "127.0.0.3", "127.0.0.4", "127.0.0.5"]
    rows = [f"http://{host}:9/{number}.jpg\n" for number, host in enumerate(hosts)]
    (tmp_path / "list.csv").write_text("url\n" + "".join(rows))
    env = environment(fetch_max_wait_s=0, fetch_backoff_s=300, fetch_backoff_cap_s=600)
    asked = ("--urls", tmp_path / "list.csv", "--allow-host", "127.0.0.0/8")
    said = curate("fetch", *asked, "-C", tmp_path / "new", env=env)
    assert "6 candidates are due" in said.err
    assert " (connect 6: 127.0.0.1 2, 127.0.0.2 1, 127.0.0.3 1 and 2 more): run" in said.err


def test_a_zip_is_told_where_it_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "birds.zip").write_bytes(b"PK\x03\x04")
    said = curate("import", tmp_path / "birds.zip", "-C", tmp_path / "new", "--json")
    assert said.code == 1
    assert "`curate fetch --archive`" in error_of(said)["hint"]


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_bug(closed: str, project: Path) -> None:
    words = shlex.join(command("status", "-C", project))
    done = subprocess.run(["/bin/sh", "-c", f"{words} {closed}"], env=environment(), check=False)
    assert done.returncode == 0
    assert not (project / "curate-error.log").exists()
