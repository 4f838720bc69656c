from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.pack.export.safe import LONGEST_BYTES, safe_name, safe_names

LETTERS = "aAéÉ\u0301ßsSﬁ/\\:*?. -_\x00\u202e\uff2bkİi"
NASTY = st.text(st.sampled_from(LETTERS), max_size=8)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("beach", "beach"),
        ("Quercus robur", "Quercus robur"),
        ("AC/DC", "AC_DC"),
        ("..", "_"),
        (".hidden", "hidden"),
        ("dot.", "dot"),
        ("con", "con_"),
        ("LPT1.txt", "LPT1.txt_"),
        ("a\nb", "a_b"),
        ("cafe\u0301", "caf\u00e9"),
        ("", "_"),
        ("x" * 500, "x" * LONGEST_BYTES),
    ],
)
def test_a_class_becomes_a_safe_folder(name: str, folder: str) -> None:
    assert safe_name(name) == folder


def test_classes_that_would_share_a_folder_get_numbers_and_a_safe_name_is_kept() -> None:
    names = safe_names(["a/b", "a:b", "a_b", "Café", "CAFE\u0301", "café"])
    assert names["a_b"] == "a_b"
    assert {names["a/b"], names["a:b"]} == {"a_b-2", "a_b-3"}
    folded = {name.casefold() for name in names.values()}
    assert len(folded) == 6


@given(st.lists(NASTY, unique=True, max_size=12))
def test_no_two_classes_share_a_folder_on_any_file_system(classes: list[str]) -> None:
    names = safe_names(classes)
    assert set(names) == set(classes)
    for form in ("NFC", "NFD", "NFKC"):
        keys = {unicodedata.normalize(form, each).casefold() for each in names.values()}
        assert len(keys) == len(classes)
    for folder in names.values():
        assert Path(folder).name == folder
        assert not folder.startswith(".")
        assert folder == folder.strip(" .")
    assert safe_names(classes[::-1]) == names
