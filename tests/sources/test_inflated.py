"""A deflated file of a zip: whatever is read at a time, as `zipfile` gives it."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from curate.sources.inflated import Inflated


def packed(path: Path, data: bytes, level: int = 6) -> zipfile.ZipInfo:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        archive.writestr("before", b"something else")
        archive.writestr("table", data)
        return archive.getinfo("table")


def read(path: Path, info: zipfile.ZipInfo, size: int) -> bytes:
    with Inflated(path, info) as file:
        found = b""
        while piece := file.read(size):
            found += piece
        return found


@given(
    st.one_of(st.binary(max_size=600), st.binary(max_size=6).map(lambda part: part * 200)),
    st.integers(1, 700),
    st.sampled_from([1, 6, 9]),
)
@example(b"a" * 300, 299, 6)
def test_any_size_of_reads_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, size: int, level: int
) -> None:
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    info = packed(path, data, level)
    assert read(path, info, size) == data
    with Inflated(path, info) as file:
        assert file.read() == data


@given(st.data())
def test_a_damaged_file_ends_with_an_error_or_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    text = b"".join(b"%d\tname %d\n" % (i, i * i) for i in range(150))
    info = packed(path, text)
    raw = bytearray(path.read_bytes())
    start = raw.index(b"table") + 5
    at = data.draw(st.integers(start, start + info.compress_size - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(raw)
    try:
        assert read(path, info, data.draw(st.integers(1, 5000))) == text
    except (zipfile.BadZipFile, zlib.error, EOFError):
        pass


def lying(path: Path, data: bytes, **claims: int) -> zipfile.ZipInfo:
    """A file of which the directory says something else than is so."""
    info = packed(path, data)
    for name, more in claims.items():
        setattr(info, name, getattr(info, name) + more)
    return info


@pytest.mark.parametrize(
    "claims",
    [
        {"file_size": 9, "compress_size": 9},
        {"file_size": 9},
        {"file_size": -9},
        {"compress_size": -9},
        {"CRC": 1},
        {"file_size": -1000},
    ],
)
def test_what_is_not_as_the_archive_says_is_refused(tmp_path: Path, claims: dict[str, int]) -> None:
    info = lying(tmp_path / "a.zip", b"0123456789" * 100, **claims)
    with pytest.raises((zipfile.BadZipFile, EOFError)):
        read(tmp_path / "a.zip", info, 64)


def test_it_reads_like_any_binary_file(tmp_path: Path) -> None:
    info = packed(tmp_path / "a.zip", b"one\ntwo\n")
    with Inflated(tmp_path / "a.zip", info) as file:
        assert file.readable()
        assert io.BytesIO(file.read(3)).read() == b"one"
    assert file.closed
