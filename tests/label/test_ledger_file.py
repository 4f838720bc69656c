"""The ledger as a file: the same bytes after a round trip, and nothing of a bad file."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.catalog import annotations as rows
from curate.errors import SourceError
from curate.label.ledger_file import from_line, to_line
from curate.project import Project
from curate.records import Annotation, Kind
from tests.catalog.rows import image_id
from tests.label.ledgers import add, classes_of, label, project, rename, said, undo

HISTORY = (
    label(0, "beach", seconds=1.25, shown=("city",), shown_score=0.5, shown_by="m", mode="one"),
    label(0, "Zürich 🏖", by="bob"),
    label(1),
    said(1, Kind.REJECT, by="bob"),
    said(2, Kind.UNSURE),
    undo("ada-0-beach"),
    undo("undo-ada-0-beach", own="redo"),
    rename("beach", "shore"),
)


def exported(here: Project, path: Path) -> bytes:
    here.people.export(path)
    return path.read_bytes()


def imported_into(folder: Path, path: Path, **settings: Any) -> Project:
    here = Project(folder, flags=settings)
    here.made()
    here.people.import_(path)
    return here


def test_a_round_trip_into_an_empty_project_gives_the_same_bytes_and_state(tmp_path: Path) -> None:
    with project(tmp_path / "one", 3) as one:
        add(one.people, *HISTORY)
        before = exported(one, tmp_path / "a.jsonl")
        state = classes_of(one.people, range(3))
    assert len(before.splitlines()) == len(HISTORY)
    with imported_into(tmp_path / "two", tmp_path / "a.jsonl") as two:
        assert exported(two, tmp_path / "b.jsonl") == before
        assert classes_of(two.people, range(3)) == state
        assert state[0] == {"ada": ("shore",), "bob": ("Zürich 🏖",)}


def test_importing_again_adds_nothing(tmp_path: Path) -> None:
    with project(tmp_path / "one", 2) as here:
        add(here.people, *HISTORY)
        exported(here, tmp_path / "a.jsonl")
        again = here.people.import_(tmp_path / "a.jsonl")
        assert (again.lines, again.added) == (len(HISTORY), 0)
        assert rows.count(here.db) == len(HISTORY)


def test_a_dry_run_counts_and_keeps_nothing(tmp_path: Path) -> None:
    with project(tmp_path / "one", 2) as one:
        add(one.people, *HISTORY)
        exported(one, tmp_path / "a.jsonl")
    with project(tmp_path / "two", 2) as two:
        tried = two.people.import_(tmp_path / "a.jsonl", dry_run=True)
        assert (tried.lines, tried.added, tried.unknown_images) == (len(HISTORY), len(HISTORY), 1)
        assert rows.count(two.db) == 0
        assert classes_of(two.people, [0]) == {0: {}}


GOOD = to_line(label(0, "a", key="good"))


def changed(**changes: Any) -> str:
    return json.dumps({**json.loads(GOOD), "key": "other", **changes})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "'key' is missing"),
        (changed(colour="red"), "unknown key 'colour'"),
        (changed(kind="shout"), "kind: 'shout'"),
        (changed(classes="a"), "classes"),
        (changed(classes=[1]), "classes"),
        (changed(decided_at="now"), "decided_at"),
        (changed(decided_at=True), "decided_at"),
        (changed(seconds=float("nan")), "seconds"),
        (changed(decided_at=10**400), "decided_at"),
        (changed(annotator=5), "annotator"),
        (changed(image_id="x"), "not an image id"),
        (changed(classes=[""]), "empty"),
        (changed(key="good", classes=["b"]), "says something else"),
        (changed(kind="undo", undoes="unheard", classes=None), "unheard"),
        ("x" * (1 << 20) + "x", "more than"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_imported(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(f"{GOOD}\n{line}\n", encoding="utf-8")
    with project(tmp_path / "one", 1) as here:
        with pytest.raises(SourceError, match="line 2: ") as raised:
            here.people.import_(path)
        assert why in raised.value.message
        assert rows.count(here.db) == 0


def test_bytes_that_are_no_text_are_a_bad_line_too(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(GOOD.encode() + b"\n\xff\xfe\n")
    with project(tmp_path / "one", 1) as here, pytest.raises(SourceError, match="line 2"):
        here.people.import_(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with project(tmp_path / "one", 1) as here, pytest.raises(SourceError, match="cannot read"):
        here.people.import_(tmp_path / "none.jsonl")


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(
    lambda text: text == text.strip()
)
ANNOTATIONS = st.builds(
    Annotation,
    key=TEXTS,
    kind=st.just(Kind.LABEL),
    annotator=TEXTS,
    decided_at=st.floats(0, 1e12),
    image_id=st.integers(0, 5).map(image_id),
    classes=st.lists(TEXTS, unique=True).map(sorted).map(tuple),
    shown=st.none() | st.lists(TEXTS, unique=True).map(sorted).map(tuple),
    shown_score=st.none() | st.floats(0, 1),
    queue=st.just("") | TEXTS,
    seconds=st.none() | st.floats(0, 1e6),
)


@given(ANNOTATIONS)
def test_a_line_gives_back_its_row(each: Annotation) -> None:
    assert from_line(to_line(each)) == each


@given(st.lists(ANNOTATIONS, unique_by=lambda each: each.key, max_size=8))
@settings(max_examples=12)
def test_any_history_survives_a_round_trip(history: list[Annotation]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        with project(folder / "one", 1) as one:
            add(one.people, *history)
            before = exported(one, folder / "a.jsonl")
        with imported_into(folder / "two", folder / "a.jsonl") as two:
            assert exported(two, folder / "b.jsonl") == before


def test_a_session_leaves_one_dated_copy_a_day(tmp_path: Path) -> None:
    copies = tmp_path / "elsewhere" / "copies"
    with project(tmp_path / "one", 3, label__backup_dir=str(copies)) as here:
        add(here.people, label(0, "a"))
        [copy] = copies.iterdir()
        assert copy.name.startswith("one-")
        add(here.people, label(1, "a"))
        assert [each.name for each in copies.iterdir()] == [copy.name]
        assert copy.read_bytes() == exported(here, tmp_path / "a.jsonl")
    with project(tmp_path / "sub" / "one", 1, label__backup_dir=str(copies)) as other:
        add(other.people, label(0, "b"))
        assert len(list(copies.iterdir())) == 2, "another project of that name has its own"


def test_a_project_that_has_copies_written_elsewhere_says_so_once(tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    one = tmp_path / "one"
    project(one, 3).close()
    (one / "curate.toml").write_text(f'[label]\nbackup_dir = "{copies}"\n')
    told: list[str] = []
    with Project(one, notify=told.append) as here:
        add(here.people, label(0, "a"))
        add(here.people, label(1, "a"))
    assert len(list(copies.iterdir())) == 1
    assert told == [
        f'{one / "curate.toml"} sets backup_dir = "{copies}": copies of all annotations go there.'
    ]
    environ = {"CURATE_LABEL_BACKUP_DIR": str(tmp_path / "own")}
    with Project(one, environ=environ, notify=told.append) as here:
        add(here.people, label(2, "a"))
    assert len(told) == 1, "whoever sets it knows"


def test_a_long_session_leaves_copies_on_its_way(tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    flags = {"label__backup_dir": str(copies), "label__backup_every": 5}
    with project(tmp_path / "one", 3, **flags) as here, here.people.ledger() as ledger:
        for n in range(7):
            ledger.add([label(n % 3, "a", key=str(n))])
        [copy] = copies.iterdir()
        assert len(copy.read_text().splitlines()) == 5


def test_a_copy_that_holds_more_is_never_replaced(tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    with project(tmp_path / "one", 3, label__backup_dir=str(copies)) as here:
        add(here.people, label(0, "a"), label(1, "a"))
    [copy] = copies.iterdir()
    before = copy.read_bytes()
    for name in ("catalog.db", "catalog.db-wal", "catalog.db-shm"):
        (tmp_path / "one" / name).unlink(missing_ok=True)
    with project(tmp_path / "one", 3, label__backup_dir=str(copies)) as here:
        add(here.people, label(2, "a"))
    assert copy.read_bytes() == before
    assert len(list(copies.iterdir())) == 2


@pytest.mark.parametrize("place", ["{tmp}/file/x", "~nobody-of-this-name/x"])
def test_a_copy_that_cannot_be_written_is_told_and_the_decision_kept(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    told: list[str] = []
    with project(tmp_path / "one", 1, label__backup_dir=place.format(tmp=tmp_path)) as here:
        here.notify = told.append
        add(here.people, label(0, "a"))
        assert classes_of(here.people, [0])[0] == {"ada": ("a",)}
    assert len(told) == 1
    assert "no copy" in told[0]
