"""Thumbnails: upright, of every format, whole or not at all."""

from __future__ import annotations

import threading
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate.store import Store
from curate.web.thumbs import LARGE_PX, MEDIA_TYPES, THUMB_PX, Thumbs, reduce


def mean(path: Path) -> tuple[float, ...]:
    with Image.open(path) as image:
        return tuple(np.asarray(image.convert("RGB")).reshape(-1, 3).mean(axis=0))


def test_a_large_photo_becomes_small_and_is_turned_upright(tmp_path: Path) -> None:
    wide = Image.new("RGB", (2400, 1200), "white")
    wide.paste((200, 0, 0), (0, 0, 600, 1200))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees: what is left comes on top
    wide.save(tmp_path / "in.jpg", exif=exif)
    reduce(tmp_path / "in.jpg", tmp_path / "out.jpg", THUMB_PX)
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.size == (THUMB_PX // 2, THUMB_PX)
        assert image.getexif() == {}
        top, bottom = image.getpixel((128, 20)), image.getpixel((128, 490))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[1] < 60
    assert bottom[1] > 220


@pytest.mark.parametrize("orientation", range(9))
def test_each_orientation_is_shown_alike(orientation: int, shared: Path, tmp_path: Path) -> None:
    files = sorted((shared / "photos" / "exif-orientation").rglob(f"*{orientation}*.jp*g"))
    for file in files[:1]:
        reduce(file, tmp_path / "out.jpg", 256)
        with Image.open(tmp_path / "out.jpg") as image:
            assert max(image.size) <= 256


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "F", "CMYK"])
def test_every_kind_of_pixels_can_be_shown(mode: str, tmp_path: Path) -> None:
    grey = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (48, 1))
    image: Image.Image
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(grey).convert(mode)
    file = tmp_path / ("in.tif" if mode in ("F", "CMYK", "I") else "in.png")
    image.save(file)
    reduce(file, tmp_path / "out.jpg", 64)
    assert 90 < mean(tmp_path / "out.jpg")[0] < 165


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (40, 30), (0, 0, 0, 0)).save(tmp_path / "in.png")
    reduce(tmp_path / "in.png", tmp_path / "out.jpg", 64)
    assert mean(tmp_path / "out.jpg") == pytest.approx((255, 255, 255), abs=2)


def thumbs_with(tmp_path: Path, data: bytes, image_format: str) -> tuple[Thumbs, str]:
    store = Store(tmp_path / "images")
    image_id = sha256(data).hexdigest()
    path = store.path(image_id, image_format)
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return Thumbs(tmp_path / "thumbs", store), image_id


def test_a_broken_file_leaves_nothing_behind(tmp_path: Path) -> None:
    thumbs, image_id = thumbs_with(tmp_path, b"\xff\xd8\xff\xe0 not a picture", "jpeg")
    with pytest.raises(OSError, match="Truncated"):
        thumbs.small(image_id, "jpeg")
    assert [each for each in thumbs.root.rglob("*") if each.is_file()] == []


def test_threads_that_ask_together_get_whole_files(tmp_path: Path) -> None:
    source = tmp_path / "big.jpg"
    Image.effect_noise((1600, 1200), 80).convert("RGB").save(source)
    thumbs, image_id = thumbs_with(tmp_path, source.read_bytes(), "jpeg")
    seen: list[int] = []

    def ask() -> None:
        seen.append(len(thumbs.small(image_id, "jpeg").read_bytes()))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(seen) == 6
    assert len(set(seen)) == 1
    assert len([each for each in thumbs.root.rglob("*") if each.is_file()]) == 1


def test_formats_that_browsers_do_not_show_are_turned_into_jpeg(tmp_path: Path) -> None:
    source = tmp_path / "big.tif"
    Image.new("RGB", (3000, 1000), "teal").save(source)
    thumbs, image_id = thumbs_with(tmp_path, source.read_bytes(), "tiff")
    path, media_type = thumbs.large(image_id, "tiff")
    assert media_type == "image/jpeg"
    with Image.open(path) as image:
        assert image.size[0] == LARGE_PX
    assert set(MEDIA_TYPES.values()).isdisjoint({"text/html", "image/svg+xml"})
