from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import SourceError, UsageError
from curate.records import Candidate
from curate.sources import Page, Query, Source, SourceContext, create, folder


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def source(root: Path) -> Source:
    return create("folder", SourceContext(path=root))


def everything(root: Path, query: Query | None = None) -> list[Candidate]:
    pages = source(root).pages(query or Query())
    return [candidate for page in pages for candidate in page.candidates]


def ids(candidates: Iterable[Candidate]) -> list[str]:
    """Paths below the root: an id is the root's tag and the path."""
    return [candidate.source_id.partition("/")[2] for candidate in candidates]


def only_page(root: Path) -> Page:
    (page,) = source(root).pages(Query())
    return page


def test_the_class_is_the_folder_that_holds_the_file(tmp_path: Path) -> None:
    found = everything(tree(tmp_path, "a.jpg", "cat/b c.PNG", "pets/dog/d.webp"))
    assert [(*ids([c]), c.classes) for c in found] == [
        ("a.jpg", ()),
        ("cat/b c.PNG", ("cat",)),
        ("pets/dog/d.webp", ("dog",)),
    ]
    assert found[1].url == (tmp_path / "cat" / "b c.PNG").as_uri()
    assert found[1].group is None


def test_flowers_are_read_with_their_published_split(shared: Path) -> None:
    root = shared / "photos/flowers12"
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    found = everything(root)
    assert sorted(ids(found)) == [p.relative_to(root).as_posix() for p in files]
    assert len({c.classes for c in found}) == 12
    assert {c.meta.get("split") for c in found} <= {"train", "test", "val", None}


@pytest.mark.parametrize("name", ["train/cat/1.jpg", "cat/train/1.jpg"])
def test_split_levels_are_kept_apart_from_classes(tmp_path: Path, name: str) -> None:
    other = name.replace("train", "Validation").replace("1", "2")
    found = everything(tree(tmp_path, name, other))
    assert {c.classes for c in found} == {("cat",)}
    assert {c.meta["split"] for c in found} == {"train", "val"}


def test_a_train_between_cars_is_a_class(tmp_path: Path) -> None:
    found = everything(tree(tmp_path, "bus/1.jpg", "car/2.jpg", "train/3.jpg"))
    assert [c.classes for c in found] == [("bus",), ("car",), ("train",)]
    assert all("split" not in c.meta for c in found)


def test_what_is_not_an_image_is_counted_and_what_is_hidden_is_not(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.txt", "noext", ".hidden.jpg", ".git/c.jpg", "__MACOSX/._d.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    page = only_page(tmp_path)
    assert ids(page.candidates) == ["a.jpg"]
    assert page.skipped == {"not_an_image": 2, "broken_link": 1}


def test_an_image_of_another_name_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.txt")
    (tmp_path / "photo").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "photo.jpg.part2").write_bytes(b"RIFF\0\0\0\0WEBPVP8 ")
    (tmp_path / "sequence.avifs").write_bytes(b"\0\0\0\x18ftypavis\0\0\0\0avisavif")
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isommp41")
    page = only_page(tmp_path)
    assert ids(page.candidates) == ["a.jpg", "photo", "photo.jpg.part2", "sequence.avifs"]
    assert page.skipped == {"not_an_image": 2}


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "cat/1.jpg")
    tree(tmp_path / "outside", "2.jpg")
    (root / "cat" / "up").symlink_to(root)
    (root / "dog").symlink_to(tmp_path / "outside")
    (root / "same").symlink_to(root / "cat")
    page = only_page(root)
    assert [(*ids([c]), c.classes) for c in page.candidates] == [
        ("cat/1.jpg", ("cat",)),
        ("dog/2.jpg", ("dog",)),
    ]
    assert page.skipped["folder_seen"] == 2


NAMES = st.lists(
    st.lists(st.sampled_from(["a", "a b", "a-", "b", "train"]), max_size=2).map("/".join),
    unique=True,
    max_size=6,
)


@given(NAMES, st.integers(1, 4))
def test_a_walk_goes_on_after_any_page(
    tmp_path_factory: pytest.TempPathFactory, dirs: list[str], per_page: int
) -> None:
    root = tmp_path_factory.mktemp("tree")
    tree(root, *(f"{one}/{n}.jpg" if one else f"{n}.jpg" for one in dirs for n in range(3)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "PAGE_FILES", per_page)
        pages = list(source(root).pages(Query()))
        paths = [ids(page.candidates) for page in pages]
        whole = list(chain(*paths))
        assert sorted(whole) == sorted(p.relative_to(root).as_posix() for p in root.rglob("*.jpg"))
        for n, page in enumerate(pages[:-1], start=1):
            rest = source(root).pages(Query(), page.cursor)
            assert ids(c for one in rest for c in one.candidates) == list(chain(*paths[n:]))
    assert pages[-1].cursor is None


def test_files_that_come_between_two_runs_do_not_shift_the_place(tmp_path: Path) -> None:
    tree(tmp_path, *(f"c/{n}.jpg" for n in range(5)))
    (first,) = source(tmp_path).pages(Query(limit=2))
    tree(tmp_path, "a/new.jpg")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "PAGE_FILES", 2)
        pages = source(tmp_path).pages(Query(), "c/1.jpg")
        assert ids(c for p in pages for c in p.candidates) == [f"c/{n}.jpg" for n in (2, 3, 4)]
    assert len(first.candidates) == 2


def test_a_folder_that_cannot_be_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="needs a folder"):
        create("folder", SourceContext())
    with pytest.raises(SourceError, match="does not exist"):
        everything(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="is not a folder"):
        everything(tree(tmp_path, "a.jpg") / "a.jpg")
    scandir = os.scandir

    # Tests may run as root, for whom no folder is closed.
    def closed(path: Path) -> object:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    tree(tmp_path, "shut/b.jpg")
    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(SourceError, match="shut cannot be read: Permission denied"):
        everything(tmp_path)


def test_classes_of_the_query_replace_the_folders(tmp_path: Path) -> None:
    root = tree(tmp_path, "cat/1.jpg", "dog/2.jpg")
    assert {c.classes for c in everything(root, Query(classes=("pet",)))} == {("pet",)}
    assert source(root).class_counts(Query()) == {"cat": 1, "dog": 1}
    assert source(root).count(Query()) == 2
    with pytest.raises(UsageError, match="species"):
        source(root).pages(Query(class_by="species"))


def test_two_folders_with_the_same_names_have_different_ids(tmp_path: Path) -> None:
    (one,) = everything(tree(tmp_path / "one", "cat/1.jpg"))
    (two,) = everything(tree(tmp_path / "two", "cat/1.jpg"))
    assert one.source_id != two.source_id
    assert everything(tmp_path / "one") == [one]


def test_names_that_are_not_utf8_have_ids_of_their_own_and_the_walk_goes_on_after_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [b"caf\xe9.jpg", b"caf\xea.jpg", rb"caf\xe9.jpg", "café.jpg".encode(), rb"a\\b.jpg"]
    for folder_name in (b"d\xe9", b"e"):
        (tmp_path / os.fsdecode(folder_name)).mkdir()
        for name in names:
            (tmp_path / os.fsdecode(folder_name) / os.fsdecode(name)).touch()
    found = everything(tmp_path)
    assert len(set(ids(found))) == 10
    assert {c.classes for c in found} == {(r"d\xe9",), ("e",)}
    for candidate in found:
        candidate.source_id.encode()
    monkeypatch.setattr(folder, "PAGE_FILES", 3)
    again: list[Candidate] = []
    cursor: str | None = None
    while page := next(source(tmp_path).pages(Query(), cursor), None):
        again.extend(page.candidates)
        cursor = page.cursor
        if cursor is None:
            break
    assert again == found


def test_a_folder_has_the_same_ids_by_whatever_path_it_is_reached(tmp_path: Path) -> None:
    root = tree(tmp_path / "photos", "cat/1.jpg")
    (tmp_path / "link").symlink_to(root)
    paths = (root, tmp_path / "link", root / ".." / "photos")
    found = [everything(path)[0].source_id for path in paths]
    assert len(set(found)) == 1
