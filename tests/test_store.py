"""The store: bytes under the name of their hash, and originals that stay as they were."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from curate.errors import StoreError
from curate.store import Store, sha256_file

BYTES = b"not really an image" * 1000
IMAGE_ID = sha256(BYTES).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "images")
    made.prepare()
    return made


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(BYTES)
    os.utime(path, ns=(1_000, 2_000))
    return path


def staged(store: Store, name: str = "a.part", data: bytes = BYTES) -> Path:
    path = store.staging / name
    path.write_bytes(data)
    return path


def test_a_file_is_named_by_its_hash_and_true_format(store: Store) -> None:
    assert store.relative(IMAGE_ID, "jpeg") == f"{IMAGE_ID[:2]}/{IMAGE_ID}.jpg"
    assert store.path(IMAGE_ID, "tiff") == store.root / IMAGE_ID[:2] / f"{IMAGE_ID}.tif"
    assert store.relative(IMAGE_ID, "png").endswith(".png")


def test_an_adopted_file_has_its_final_name_and_no_other(store: Store) -> None:
    path = staged(store)
    final = Path(store.adopt(path, IMAGE_ID, "jpeg"))
    assert final == store.path(IMAGE_ID, "jpeg")
    assert sha256_file(final) == IMAGE_ID
    assert list(store.staging.iterdir()) == []


def test_adopting_the_same_bytes_again_heals_what_is_there(store: Store) -> None:
    final = Path(store.adopt(staged(store), IMAGE_ID, "jpeg"))
    final.write_bytes(b"damaged")
    store.adopt(staged(store), IMAGE_ID, "jpeg")
    assert sha256_file(final) == IMAGE_ID
    assert list(store.files()) == [final]


def test_two_links_of_one_file_are_adopted_without_a_rest(store: Store, original: Path) -> None:
    for name in ("a.part", "b.part"):
        store.adopt(store.stage_copy(original, name, link=True), IMAGE_ID, "jpeg")
    assert list(store.staging.iterdir()) == []
    assert original.stat().st_nlink == 2


def _kernel(patch: pytest.MonkeyPatch) -> None:
    """Copy as this machine does."""


def _no_kernel(patch: pytest.MonkeyPatch) -> None:
    patch.delattr(os, "copy_file_range")


def _fails_at_once(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: int) -> int:
        raise OSError(errno.EXDEV, "across disks")

    patch.setattr(os, "copy_file_range", refuse)


def _fails_half_way(patch: pytest.MonkeyPatch) -> None:
    def half(source: int, target: int, _count: int) -> int:
        if os.lseek(target, 0, os.SEEK_CUR):
            raise OSError(errno.EIO, "broken")
        return os.write(target, os.read(source, 100)[::-1])

    patch.setattr(os, "copy_file_range", half)


@pytest.mark.parametrize("kind", [_kernel, _no_kernel, _fails_at_once, _fails_half_way])
@pytest.mark.parametrize("data", [BYTES, b"", b"x"])
def test_a_copy_is_whole_and_the_original_untouched(
    store: Store,
    original: Path,
    data: bytes,
    kind: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original.write_bytes(data)
    os.utime(original, ns=(1_000, 2_000))
    kind(monkeypatch)
    copy = store.stage_copy(original, "a.part")
    assert copy.read_bytes() == data
    assert original.read_bytes() == data
    assert (original.stat().st_mtime_ns, original.stat().st_nlink) == (2_000, 1)
    assert not copy.samefile(original)


def test_a_link_shares_the_bytes(store: Store, original: Path) -> None:
    assert store.stage_copy(original, "a.part", link=True).samefile(original)


def test_a_link_that_the_file_system_refuses_becomes_a_copy(
    store: Store, original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Path) -> None:
        raise OSError(errno.EXDEV, "across disks")

    monkeypatch.setattr(os, "link", refuse)
    copy = store.stage_copy(original, "a.part", link=True)
    assert copy.read_bytes() == BYTES
    assert not copy.samefile(original)


def test_a_link_across_real_disks_becomes_a_copy(store: Store) -> None:
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == store.root.stat().st_dev:
        pytest.skip("there is no second file system here")
    original = memory / f"curate-test-{os.getpid()}.jpg"
    original.write_bytes(BYTES)
    try:
        copy = store.stage_copy(original, "a.part", link=True)
        assert copy.read_bytes() == BYTES
        assert original.stat().st_nlink == 1
    finally:
        original.unlink()


def test_linking_a_symbolic_link_links_the_file_behind_it(
    store: Store, original: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link.jpg"
    link.symlink_to(original)
    copy = store.stage_copy(link, "a.part", link=True)
    assert not copy.is_symlink()
    assert copy.samefile(original)


def test_preparing_empties_the_staging_folder_and_nothing_else(store: Store) -> None:
    final = Path(store.adopt(staged(store), IMAGE_ID, "jpeg"))
    staged(store, "left-over.part")
    (store.staging / "folder").mkdir()
    assert store.prepare() == store.staging
    assert list(store.staging.iterdir()) == []
    assert final.exists()


def test_a_store_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "images").touch()
    with pytest.raises(StoreError, match="cannot write into") as error:
        Store(tmp_path / "images").prepare()
    assert "permissions" in error.value.hint


def test_only_files_with_names_of_the_store_are_listed_in_order(store: Store) -> None:
    ids = sorted(sha256(bytes([n])).hexdigest() for n in range(20))
    for image_id in reversed(ids):
        store.adopt(staged(store), image_id, "png")
    staged(store)
    (store.root / "note.txt").touch()
    (store.root / ids[0][:2] / "mine.jpg").touch()
    (store.root / ids[0][:2] / f"{'f' * 64}.jpg").touch()
    (store.root / ids[1][:2] / ids[1]).mkdir()
    assert list(store.files()) == [store.path(image_id, "png") for image_id in ids]
    assert list(Store(store.root / "nowhere").files()) == []
