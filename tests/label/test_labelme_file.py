"""Labelme's files: written as Labelme writes them, read whatever they hold."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.flags import REVIEWED, flag_names
from curate.label.labelme_file import BadFileError, prefilled, read


def written(folder: Path, content: bytes | str) -> Path:
    path = folder / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_what_is_prefilled_has_the_form_of_labelme_and_reviewed_leads(tmp_path: Path) -> None:
    data = prefilled("a.jpg", ["beach", "Zürich"], ["Zürich"], 40, 30)
    assert json.loads(data) == {
        "version": "6.0.0",
        "flags": {"reviewed": False, "beach": False, "Zürich": True},
        "shapes": [],
        "imagePath": "a.jpg",
        "imageData": None,
        "imageHeight": 30,
        "imageWidth": 40,
    }
    assert next(iter(json.loads(data)["flags"])) == REVIEWED
    assert read(written(tmp_path, data)).flags == ("Zürich",)


def test_classes_that_are_no_flags_get_flags_of_their_own() -> None:
    names = ["beach", "reviewed", "two\nlines", "two lines", "", " beach"]
    flags = flag_names(names)
    assert list(flags.values()) == names
    assert REVIEWED not in flags
    assert all(flag == " ".join(flag.split()) != "" for flag in flags)


@given(st.lists(st.text(), unique=True))
def test_every_class_has_one_flag_which_labelme_reads_back(classes: list[str]) -> None:
    flags = flag_names(classes)
    assert list(flags.values()) == classes
    lines = "\n".join(flags).split("\n") if flags else []
    assert [line.strip() for line in lines if line.strip()] == list(flags)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ('{"flags": {"a": true}, "sha', "not JSON"),
        ("[1, 2]", "no JSON object"),
        ("null", "no JSON object"),
        ('{"a": 1}', "another program"),
        (b"\xff\xfe\x00", "not text"),
        ('{"flags": ["a"]}', "no JSON object"),
        ('{"flags": {"a": 1}}', "neither true nor false"),
        ('{"flags": {"a": "true"}}', "neither true nor false"),
        ("[" * 100_000, "nested"),
    ],
)
def test_what_is_no_file_of_labelme_says_why(
    content: bytes | str, why: str, tmp_path: Path
) -> None:
    with pytest.raises(BadFileError, match=why):
        read(written(tmp_path, content))


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = written(tmp_path_factory.mktemp("any"), data)
    with contextlib.suppress(BadFileError):
        read(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["flags", "shapes", "imagePath", "imageData"]), json_values))
def test_any_values_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, object]
) -> None:
    path = written(tmp_path_factory.mktemp("any"), json.dumps(document))
    with contextlib.suppress(BadFileError):
        saved = read(path)
        flags = document.get("flags") or {}
        assert isinstance(flags, dict)
        assert saved.flags == tuple(name for name, on in flags.items() if on is True)


def test_an_embedded_image_is_known_by_its_bytes(tmp_path: Path) -> None:
    document = {"flags": {}, "imageData": base64.b64encode(b"bytes").decode(), "imagePath": "a\\b"}
    saved = read(written(tmp_path, json.dumps(document)))
    assert saved.embedded == hashlib.sha256(b"bytes").hexdigest()
    assert saved.image_path == "a/b"


def test_a_pipe_or_a_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("folder.json", "pipe.json"):
        with pytest.raises(BadFileError, match="not a file"):
            read(tmp_path / name)
