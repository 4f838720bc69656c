"""What the commands answer: documented keys, help in words, and nothing written by looking."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from curate.cli.tables import human_bytes, human_seconds
from curate.config import CONFIG_NAME, template
from curate.demo.options import SampleOptions
from curate.demo.server import SampleServer
from curate.records import Reason
from tests.fetch.command import Said, curate, environment

COMMANDS = ("fetch", "import", "plan", "status", "verify", "balance", "init", "doctor", "demo")


@dataclass(frozen=True, slots=True)
class Made:
    """A project that was fetched through the command line."""

    folder: Path
    server: SampleServer
    env: dict[str, str]
    fetched: Said

    def run(self, *arguments: object) -> Said:
        return curate(*arguments, "-C", self.folder, "--json", env=self.env)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    options = SampleOptions.faultless(
        photos_per_class=30,
        several_share=0.0,
        gone_share=0.2,
        html_share=0.1,
        duplicate_share=0.1,
        long_edge_px=96,
    )
    with SampleServer(options) as server:
        env = {
            **environment(
                unsplash_url=server.url,
                gbif_url=server.url,
                fetch_allow_hosts="127.0.0.1",
            ),
            "UNSPLASH_ACCESS_KEY": server.key,
        }
        folder = tmp_path_factory.mktemp("commands") / "project"
        queries = ("--query", "beach", "--query", "city")
        fetched = curate("fetch", *queries, "-C", folder, "--json", env=env)
        yield Made(folder, server, env, fetched)


N = (int,)
STATUS: dict[str, Any] = {
    "candidates": {
        "total": N,
        "stored": N,
        "duplicate": N,
        "pending": N,
        "retrying": N,
        "failed": {str: N},
        "skipped": {str: N},
    },
    "images": {"kept": N, "excluded": {str: N}, "bytes": N},
    "classes": {str: N},
    "annotations": {"total": N, "images": N, "annotators": N},
    "proposals": {"total": N, "models": N},
}
THRESHOLD = {
    "min": N,
    "max": (int, type(None)),
    "classes": N,
    "images": N,
    "bytes": (int, type(None)),
    "seconds": (float, type(None)),
}
PLAN = {
    "classes": {str: N},
    "thresholds": [THRESHOLD],
    "chosen": THRESHOLD,
    "bytes_per_image": dict.fromkeys(("mean", "low", "high"), (float, type(None))) | {"n": N},
}
BALANCE = {
    "manifest": (str, type(None)),
    "path": (str, type(None)),
    "classes": {str: dict.fromkeys(("before", "after", "train", "val", "test"), N)},
    "dropped": {str: N},
    "leaks": N,
}
VERIFY = {"checked": N, "faults": [{"kind": (str,), "detail": (str,)}]}


def check(shape: Any, value: Any, where: str = "") -> None:
    """Compare a document with its shape; more keys than documented are fine."""
    if isinstance(shape, tuple):
        assert type(value) in shape, f"{where} is {value!r}"
    elif isinstance(shape, list):
        for number, each in enumerate(value):
            check(shape[0], each, f"{where}[{number}]")
    elif str in shape:
        for key, each in value.items():
            check(shape[str], each, f"{where}.{key}")
    else:
        for key, each in shape.items():
            assert key in value, f"{where} lacks {key}"
            check(each, value[key], f"{where}.{key}")


def test_fetch_and_status_answer_with_the_documented_keys(made: Made) -> None:
    assert made.fetched.code == 0, made.fetched.err
    document = made.fetched.document
    check(STATUS, document)
    run = document["run"]
    assert {**made.run("status").document, "run": run} == document
    assert run == {"tried": 60, "stored": 43, "duplicate": 7, "failed": 10}
    numbers = document["candidates"]
    parts = (numbers["stored"], numbers["duplicate"], numbers["pending"])
    assert numbers["total"] == sum(parts) + sum(numbers["failed"].values()) == 60
    assert set(numbers["failed"]) == {"html", "not_found"}
    assert document["images"]["kept"] == numbers["stored"]
    assert set(document["classes"]) == {"beach", "city"}


def test_plan_verify_and_balance_answer_with_the_documented_keys(made: Made) -> None:
    plan = made.run("plan", "--min-per-class", "3", "--max-per-class", "10").document
    check(PLAN, plan)
    assert (plan["chosen"]["min"], plan["chosen"]["max"]) == (3, 10)
    assert plan["chosen"]["images"] == 20
    sample = plan["bytes_per_image"]
    assert 0 < sample["low"] < sample["mean"] < sample["high"]
    assert sample["n"] == made.fetched.document["images"]["kept"]
    assert plan["chosen"]["bytes"] == round(20 * sample["mean"])
    assert len(plan["thresholds"]) == 2 * 5, "1, 2, 5, 10 and 20 with and without a cap"
    check(VERIFY, made.run("verify").document)
    dry = made.run("balance", "--dry-run").document
    check(BALANCE, dry)
    assert (dry["manifest"], dry["path"]) == (None, None)
    assert not (made.folder / "manifests").exists()
    document = made.run("balance").document
    check(BALANCE, document)
    assert (document["manifest"], document["leaks"]) == ("v0001", 0)
    assert Path(document["path"]).is_dir()


def test_the_shape_checker_finds_what_is_wrong() -> None:
    with pytest.raises(AssertionError, match="lacks"):
        check(VERIFY, {"checked": 1})
    with pytest.raises(AssertionError, match="'1'"):
        check(VERIFY, {"checked": "1", "faults": []})


def test_the_project_may_be_named_before_and_after_the_command(made: Made) -> None:
    before = curate("-C", made.folder, "status", "--json")
    after = curate("status", "--project", made.folder, "--json")
    assert before.document == after.document == made.run("status").document
    assert before.document["images"] == made.fetched.document["images"]
    flag_first = curate("-C", made.folder, "--json", "--quiet", "status")
    assert flag_first.document == before.document
    both = curate("-C", "/nowhere", "status", "-C", made.folder, "--json")
    assert both.document == before.document


def test_status_lists_which_candidates_failed_and_why(made: Made) -> None:
    n = made.fetched.document["candidates"]["failed"]
    listed = made.run("status", "--failed").document
    assert listed["total"] == len(listed["failed"]) == sum(n.values())
    some = made.run("status", "--failed", "html").document
    assert [each["reason"] for each in some["failed"]] == ["html"] * n["html"]
    assert all(each["url"].startswith(made.server.url) for each in some["failed"])
    assert made.run("status", "--excluded").document == {"excluded": [], "total": 0}
    assert made.run("status", "--failed", "nonsense").code == 2
    assert made.run("status", "html").code == 2


def test_tables_for_people_have_every_number(made: Made) -> None:
    said = curate("status", "-C", made.folder)
    numbers = made.fetched.document["candidates"]
    for words in (
        rf"^stored +{numbers['stored']}$",
        rf"^duplicate +{numbers['duplicate']}$",
        rf"^failed: html +{numbers['failed']['html']}$",
        r"^total +60$",
        rf"^beach +{made.fetched.document['classes']['beach']} +0$",
        r"images kept; [\d.,]+ kB in all$",
    ):
        assert re.search(words, re.sub(" +$", "", said.out, flags=re.M), re.M), (words, said.out)


def test_looking_writes_nothing(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    asked = made.server.n_image_requests
    for arguments in (
        ("plan", "--query", "beach"),
        ("plan", "--source", "gbif", "--class-by", "species"),
        ("fetch", "--query", "beach", "--dry-run"),
        ("init", "--dry-run"),
        ("doctor",),
    ):
        said = curate(*arguments, "-C", folder, "--json", env=made.env)
        assert said.code == 0, (arguments, said.err)
        assert json.loads(said.out)
        assert list(folder.iterdir()) == [], arguments
    settings = folder / CONFIG_NAME
    settings.touch()
    for arguments in (("status",), ("verify",), ("plan",), ("fetch", "--dry-run")):
        said = curate(*arguments, "-C", folder, "--json", env=made.env)
        assert said.code == 0, (arguments, said.err)
        assert list(folder.iterdir()) == [settings], arguments
    assert made.server.n_image_requests == asked


def test_a_preview_says_what_would_be_searched(made: Made) -> None:
    document = made.run("fetch", "--query", "beach", "--query", "trees", "--dry-run").document
    assert document == {
        "would_search": {"beach": 30, "trees": 30},
        "classes": {"beach": 30, "trees": 30},
        "left_out": {},
        "skipped": {},
        "would_fetch": 60,
        "pending": 0,
    }
    asked = ("fetch", "--query", "trees", "--per-class", "7", "--limit", "20", "--dry-run")
    some = made.run(*asked).document
    assert (some["would_search"], some["would_fetch"]) == ({"trees": 20}, 7)


def test_a_plan_of_a_search_counts_without_asking_for_pictures(made: Made) -> None:
    plan = made.run("plan", "--query", "beach", "--query", "trees").document
    assert plan["classes"] == {"beach": 30, "trees": 30}
    species = made.run("plan", "--source", "gbif", "--class-by", "species").document
    check(PLAN, species)
    assert sum(species["classes"].values()) == made.server.options.occurrences
    assert len(species["classes"]) >= 10


def test_a_plan_of_a_list_counts_its_classes(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(
        "url,class\nhttps://example.org/1,a\nhttps://example.org/2,b\nhttps://example.org/3,b\n"
    )
    said = curate("plan", "--urls", tmp_path / "list.csv", "-C", tmp_path / "p", "--json")
    assert said.document["classes"] == {"a": 1, "b": 2}


BUG = """
import sys
from curate import project
def status(self):
    raise RuntimeError("planted on purpose")
project.Project.status = status
from curate.cli.main import main
sys.argv = ["curate", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize("flag", [[], ["--json"]])
def test_a_bug_is_one_line_with_a_log_to_report(flag: list[str], tmp_path: Path) -> None:
    (tmp_path / CONFIG_NAME).touch()
    done = subprocess.run(
        [sys.executable, "-c", BUG, "status", "-C", str(tmp_path), *flag],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].count("planted on purpose") == 1
    assert "Traceback" not in done.stderr
    [log] = re.findall(r"\S+curate-error\.log", done.stderr)
    text = Path(log).read_text()
    assert "Traceback" in text
    assert "planted on purpose" in text
    if flag:
        assert json.loads(done.stderr.splitlines()[-1])["error"]["kind"] == "bug"


def test_init_explains_every_setting_and_never_overwrites(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "project"
    said = curate("init", "-C", folder, "--json")
    path = folder / CONFIG_NAME
    assert said.document == {"path": str(path), "written": True}
    assert path.read_text(encoding="utf-8") == template()
    path.write_text("[fetch]\ntries = 2\n")
    again = curate("init", "-C", folder)
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert path.read_text() == "[fetch]\ntries = 2\n"
    shown = curate("init", "--dry-run", "-C", tmp_path / "other")
    assert shown.out.strip() == template().strip()


def test_doctor_says_what_can_be_reached(made: Made, tmp_path: Path) -> None:
    document = made.run("doctor").document
    checks = {each["name"]: each for each in document["checks"]}
    assert {each["state"] for each in checks.values()} == {"ok"}
    assert "60 candidates" in checks["project"]["detail"]
    env = {**environment(unsplash_url="http://127.0.0.1:9", gbif_url="http://127.0.0.1:9")}
    said = curate("doctor", "-C", tmp_path, "--json", env=env)
    states = {each["name"]: each["state"] for each in said.document["checks"]}
    assert said.code == 0
    names = ("Unsplash key", "Unsplash API", "GBIF API", "project")
    assert [states[name] for name in names] == ["warn", "warn", "warn", "ok"]
    assert "cannot be reached" in curate("doctor", "-C", tmp_path, env=env).out


def test_doctor_fails_on_a_catalog_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"garbage " * 1000)
    env = environment(unsplash_url="http://127.0.0.1:9", gbif_url="http://127.0.0.1:9")
    said = curate("doctor", "-C", tmp_path, "--json", env=env)
    assert said.code == 5
    [bad] = [each for each in said.document["checks"] if each["state"] == "fail"]
    assert bad["name"] == "project"
    assert "damaged" in bad["detail"]


def test_a_spent_limit_ends_with_code_4_and_says_when_to_go_on(tmp_path: Path) -> None:
    options = SampleOptions.faultless(photos_per_class=70, unsplash_limit=1, long_edge_px=64)
    with SampleServer(options) as server:
        env = {
            **environment(
                unsplash_url=server.url, fetch_allow_hosts="127.0.0.1", fetch_max_wait_s=0
            ),
            "UNSPLASH_ACCESS_KEY": server.key,
        }
        said = curate("fetch", "--query", "beach", "-C", tmp_path, "--json", env=env)
    assert said.code == 4
    assert said.document["candidates"]["stored"] == 30
    error = json.loads(said.err.splitlines()[-1])["error"]
    assert error["kind"] == "rate_limited"
    assert "resume after" in error["message"]


def test_failures_left_for_later_end_with_code_4(made: Made, tmp_path: Path) -> None:
    (tmp_path / "list.txt.csv").write_text("url\nhttp://127.0.0.1:9/1.jpg\n")
    env = {**made.env, "CURATE_FETCH_MAX_WAIT_S": "0", "CURATE_FETCH_BACKOFF_S": "3600"}
    env["CURATE_FETCH_BACKOFF_CAP_S"] = "3600"
    said = curate("fetch", "--urls", tmp_path / "list.txt.csv", "-C", tmp_path, env=env)
    assert said.code == 4
    assert "1 of the pending ones have failed before" in said.out
    assert "run `curate fetch` then" in said.err


def test_quiet_says_nothing_but_the_result(made: Made) -> None:
    (made.folder / "nowhere").mkdir()
    (made.folder / "nowhere" / CONFIG_NAME).touch()
    said = curate("status", "--quiet", "-C", made.folder / "nowhere")
    assert (said.code, said.err) == (0, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_speaks_in_words(name: str) -> None:
    said = curate(name, "--help")
    assert said.code == 0
    options = said.out.partition("Options:")[2]
    assert not re.search(r"<\w+", options), "types of Python are not words"
    assert "-C, --project DIR" in said.out
    assert "--json" in said.out


def test_help_of_fetch_names_every_reason_and_the_forms_of_values() -> None:
    text = " ".join(curate("fetch", "--help").out.split())
    assert all(reason in text for reason in Reason)
    for form in ("--param KEY=VALUE", "--retry REASON", "--side PX|original", "--limit N"):
        assert form in text


def test_without_a_command_the_help_is_shown() -> None:
    said = curate()
    assert said.code == 0
    assert said.out == curate("--help").out.removesuffix("\n") + "\n"
    summaries = said.out.partition("Commands:")[2].splitlines()
    ours = [line for line in summaries if line.split()[:1] in [[name] for name in COMMANDS]]
    assert len(ours) == len(COMMANDS)
    assert not [line for line in ours if line.endswith("...")], "no summary is cut off"


def test_a_reader_that_goes_away_is_no_error_to_speak_of(made: Made) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "curate", "status", "-C", str(made.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_234_567, "1.2 MB"),
        (66_600_000_000, "66.6 GB"),
        (10**12, "1.0 TB"),
        (10**19, "10,000.0 PB"),
    ],
)
def test_sizes_are_readable(n: int, text: str) -> None:
    assert human_bytes(n) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (5399, "90 min"),
        (5400, "1.5 h"),
        (200_000, "2.3 days"),
    ],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert human_seconds(seconds) == text
