"""Laws of the hashes and measures, and what they find on real photos."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageOps

from curate.fetch.hashes import Grey, displayed, measures, phash64, phash256, phashes, thumbnail
from curate.fetch.verify import verify
from curate.records import Verified

greys = arrays(np.uint8, st.tuples(st.integers(1, 80), st.integers(1, 80)))


def scene(seed: int, side_px: int = 96) -> Grey:
    """Smooth random relief, like a photo without its detail."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6)).astype(np.uint8)
    resized = Image.fromarray(coarse).resize((side_px, side_px), Image.Resampling.BICUBIC)
    return np.asarray(resized)


def distance(one: int | bytes, other: int | bytes) -> int:
    if isinstance(one, bytes) and isinstance(other, bytes):
        one, other = int.from_bytes(one, "big"), int.from_bytes(other, "big")
    assert isinstance(one, int)
    assert isinstance(other, int)
    return (one ^ other).bit_count()


@given(greys)
def test_a_thumbnail_keeps_the_mean_and_never_leaves_the_range(grey: Grey) -> None:
    small = thumbnail(grey)
    assert small.shape == (32, 32)
    assert small.dtype == np.float32
    assert grey.min() - 0.01 <= small.min()
    assert small.max() <= grey.max() + 0.01
    assert small.mean() == pytest.approx(grey.mean(), abs=0.01)


@given(arrays(np.uint8, (32, 32)))
def test_a_thumbnail_of_the_same_size_is_the_image(grey: Grey) -> None:
    assert np.allclose(thumbnail(grey), grey, atol=0.01)


@given(arrays(np.uint8, (16, 8)))
def test_repeating_pixels_does_not_change_the_hash(grey: Grey) -> None:
    twice = np.repeat(np.repeat(grey, 4, axis=0), 4, axis=1)
    assert np.allclose(thumbnail(twice), thumbnail(grey), atol=0.01)


@pytest.mark.parametrize("shape", [(5000, 40), (40, 5000), (1, 300_000)])
def test_extreme_strips_are_averaged_too(shape: tuple[int, int]) -> None:
    grey = np.linspace(0, 255, shape[0] * shape[1]).reshape(shape).astype(np.uint8)
    assert thumbnail(grey).mean() == pytest.approx(grey.mean(), abs=1.0)


@given(st.integers(0, 255), st.integers(1, 90), st.integers(1, 90))
def test_a_flat_image_hashes_to_zero_whatever_its_grey(level: int, height: int, width: int) -> None:
    small = thumbnail(np.full((height, width), level, np.uint8))
    assert phashes(small) == (0, bytes(32))


@given(st.integers(0, 2**32))
def test_both_hashes_come_from_one_transform(seed: int) -> None:
    small = thumbnail(scene(seed))
    assert phashes(small) == (phash64(small), phash256(small))
    assert 0 <= phash64(small) < 2**64
    assert len(phash256(small)) == 32


@given(st.integers(0, 2**32), st.floats(0.4, 1.0), st.integers(0, 40))
def test_contrast_and_brightness_hardly_move_the_hash(seed: int, gain: float, offset: int) -> None:
    grey = scene(seed)
    dull = np.clip(grey * gain * 0.8 + offset, 0, 255).astype(np.uint8)
    assert distance(phash64(thumbnail(grey)), phash64(thumbnail(dull))) <= 10


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(50, 300))
def test_scaling_hardly_moves_the_hash(seed: int, side_px: int) -> None:
    image = Image.fromarray(scene(seed, 200))
    scaled = np.asarray(image.resize((side_px, side_px), Image.Resampling.LANCZOS))
    assert distance(phash64(thumbnail(np.asarray(image))), phash64(thumbnail(scaled))) <= 8


def test_different_scenes_differ_in_about_half_of_the_bits() -> None:
    hashes = [phash64(thumbnail(scene(seed))) for seed in range(60)]
    between = [distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(between) > 8
    assert 28 < np.mean(between) < 36


@given(arrays(np.uint8, (32, 32)), st.integers(1, 8))
def test_a_displayed_thumbnail_equals_what_an_image_viewer_shows(grey: Grey, turn: int) -> None:
    image = Image.fromarray(grey)
    exif = Image.Exif()
    exif[0x0112] = turn
    image.info["exif"] = exif.tobytes()
    shown = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(displayed(grey.astype(np.float32), turn), shown)


@given(greys)
def test_measures_agree_with_their_definitions(grey: Grey) -> None:
    seen = measures(grey)
    assert seen.brightness == pytest.approx(grey.mean())
    assert seen.contrast == pytest.approx(grey.std(), abs=1e-6)
    share = np.bincount(grey.ravel()) / grey.size
    share = share[share > 0]
    assert seen.entropy == pytest.approx(-(share * np.log2(share)).sum(), abs=1e-9)
    g = grey.astype(float)
    if min(grey.shape) >= 3:
        around = g[:-2, 1:-1] + g[2:, 1:-1] + g[1:-1, :-2] + g[1:-1, 2:]
        expected = (around - 4 * g[1:-1, 1:-1]).var()
        assert seen.sharpness == pytest.approx(expected, rel=1e-3, abs=0.05)
    else:
        assert seen.sharpness == 0.0


def is_same(one: Verified, other: Verified) -> bool:
    near = distance(one.phash, other.phash) <= 10
    return near and distance(one.phash256, other.phash256) <= 60


def verified(data: bytes) -> Verified:
    result = verify(data)
    assert isinstance(result, Verified)
    return result


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def test_dark_bright_blurred_and_plain_photos_measure_as_such(shared: Path) -> None:
    def of(name: str) -> Verified:
        return verified((shared / "photos" / name).read_bytes())

    dark, bright, ordinary = (of(f"cleanvision/image_{n}.png") for n in (417, 588, 101))
    assert dark.brightness < 10 < ordinary.brightness < 240 < bright.brightness
    assert dark.entropy < ordinary.entropy
    assert dark.contrast < ordinary.contrast
    edits = [of(f"pdq/bridge-mods/{n}.jpg") for n in ("blur-a-lot", "blur-a-little", "aaa-orig")]
    edits.append(of("pdq/bridge-mods/sharpen-a-lot.jpg"))
    assert [e.sharpness for e in edits] == sorted(e.sharpness for e in edits)


def test_the_nine_orientations_of_one_photo_hash_alike(shared: Path) -> None:
    folder = shared / "photos" / "exif-orientation"
    rows = [verified((folder / f"Landscape_{n}.jpg").read_bytes()) for n in range(9)]
    assert [row.orientation for row in rows] == [1, 1, 2, 3, 4, 5, 6, 7, 8]
    assert {distance(rows[0].phash, row.phash) for row in rows} <= {0, 1, 2}
    assert max(distance(rows[0].phash256, row.phash256) for row in rows) <= 12
    sizes = [(row.width_px, row.height_px) for row in rows]
    assert sizes == [(1800, 1200)] * 5 + [(1200, 1800)] * 4


@pytest.mark.slow
def test_edited_copies_are_found_and_other_photos_are_not(shared: Path) -> None:
    files = sorted((shared / "photos" / "dog-cat").rglob("*.jpg"))
    rows, edits = [], []
    for file in files:
        rows.append(verified(file.read_bytes()))
        with Image.open(file) as opened:
            image = opened.convert("RGB")
        width, height = image.size
        dx, dy = int(width * 0.015), int(height * 0.015)
        copies = (
            jpeg(image, 60),
            jpeg(image.resize((int(width * 0.7), int(height * 0.7)))),
            jpeg(image.crop((dx, dy, width - dx, height - dy))),
        )
        edits.append([verified(copy) for copy in copies])
    found = np.array(
        [[is_same(row, edit) for edit in copies] for row, copies in zip(rows, edits, strict=True)]
    )
    assert found[:, :2].all()
    assert found[:, 2].mean() > 0.98
    near = [
        (a, b)
        for a in range(len(rows))
        for b in range(a)
        if distance(rows[a].phash, rows[b].phash) <= 8
    ]
    assert len(near) <= 3
