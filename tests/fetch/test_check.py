"""Files of the user: what cannot be read is their file's fault, never that of the store."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from curate.fetch.check import Job, check
from curate.fetch.verify import Limits
from curate.records import Reason, Refused, Verified
from curate.store import Store, UnreadableError
from tests.fakes.bodies import encoded

UNREADABLE_FILE = Path("/proc/self/mem")
"""Can be opened, and gives an input/output error when it is read from its start."""


class Vanishing(Store):
    """The original goes away between the look at it and the copy."""

    def stage_copy(self, original: Path, name: str, *, link: bool = False) -> Path:
        original.unlink()
        return super().stage_copy(original, name, link=link)


class Failing(Store):
    """The original stops being readable once it is linked."""

    def stage_copy(self, original: Path, name: str, *, link: bool = False) -> Path:
        staged = super().stage_copy(original, name, link=link)
        staged.unlink()
        staged.symlink_to(UNREADABLE_FILE)
        return staged


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jpg"
    path.write_bytes(encoded(1))
    return path


def checked(store: Store, original: Path, *, link: bool = False) -> object:
    staged = store.prepare() / "a.part"
    job = Job(str(staged), str(original), link)
    end = check(job, store=store, limits=Limits(), max_bytes=1 << 20)
    assert not staged.exists()
    assert not staged.is_symlink()
    return end


@pytest.mark.parametrize("link", [False, True])
def test_a_readable_file_is_taken(tmp_path: Path, original: Path, link: bool) -> None:
    assert isinstance(checked(Store(tmp_path / "images"), original, link=link), Verified)
    assert original.read_bytes() == encoded(1)


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_vanishes_while_it_is_copied_is_refused(
    tmp_path: Path, original: Path, link: bool
) -> None:
    end = checked(Vanishing(tmp_path / "images"), original, link=link)
    assert end == Refused(Reason.UNREADABLE, "No such file or directory")


@pytest.mark.skipif(sys.platform != "linux", reason="such a file is only in /proc")
class TestBrokenDisk:
    def test_an_error_while_a_linked_file_is_read_is_a_refusal(
        self, tmp_path: Path, original: Path
    ) -> None:
        end = checked(Failing(tmp_path / "images"), original, link=True)
        assert end == Refused(Reason.UNREADABLE, "Input/output error")

    def test_an_error_while_the_original_is_read_is_told_from_one_of_the_copy(
        self, tmp_path: Path, original: Path
    ) -> None:
        store = Store(tmp_path / "images")
        store.prepare()
        with pytest.raises(UnreadableError, match="Input/output error"):
            store.stage_copy(UNREADABLE_FILE, "a.part")
        with pytest.raises(FileNotFoundError):
            store.stage_copy(original, "nowhere/a.part")
