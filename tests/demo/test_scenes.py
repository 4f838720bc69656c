"""Scenes: the same again, all different, and still the same after a small edit."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from curate.demo import scenes
from curate.fetch.hashes import phash64, thumbnail

KINDS = [("beach",), ("city",), ("sunset",), ("trees",), (), ("beach", "sunset"), ("city", "trees")]


def phash(image: Image.Image) -> int:
    return phash64(thumbnail(np.asarray(image.convert("L"))))


def picture(shows: tuple[str, ...], seed: int) -> Image.Image:
    return scenes.render(shows, seed, *scenes.frame(seed, 400))


@pytest.mark.parametrize("shows", KINDS)
def test_the_same_scene_and_seed_give_the_same_bytes(shows: tuple[str, ...]) -> None:
    assert scenes.encode(picture(shows, 5)) == scenes.encode(picture(shows, 5))
    assert scenes.encode(picture(shows, 5)) != scenes.encode(picture(shows, 6))


def test_the_order_of_scenes_does_not_matter() -> None:
    one = scenes.render(("beach", "sunset"), 3, 120, 80)
    assert one.tobytes() == scenes.render(("sunset", "beach"), 3, 120, 80).tobytes()


def test_distinct_scenes_have_distant_hashes() -> None:
    hashes = [phash(picture(shows, seed)) for shows in KINDS for seed in range(15)]
    distances = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
    close = sum(distance <= 12 for distance in distances)
    assert len(distances) > 5000
    assert close <= len(distances) // 1000
    assert min(distances) > 6


@pytest.mark.parametrize("kind", scenes.EDITS)
def test_an_edited_copy_has_other_bytes_and_a_near_hash(kind: str) -> None:
    for shows in KINDS:
        for seed in range(3):
            image = picture(shows, seed)
            original = scenes.encode(image)
            copy = scenes.near_duplicate(original, kind)
            with Image.open(io.BytesIO(copy)) as again:
                distance = (phash(image) ^ phash(again)).bit_count()
            assert copy != original
            assert distance <= 10, (shows, seed)


def test_all_sizes_show_the_same_scene() -> None:
    for shows in KINDS:
        small, large = scenes.render(shows, 2, 200, 150), scenes.render(shows, 2, 1200, 900)
        assert (phash(small) ^ phash(large)).bit_count() <= 6
        assert large.size == (1200, 900)


def test_frames_differ_in_shape_and_fit_the_long_edge() -> None:
    sizes = {scenes.frame(seed, 600) for seed in range(60)}
    assert len(sizes) >= 6
    assert all(max(size) == 600 for size in sizes)


def test_what_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="desert"):
        scenes.render(("desert",), 1, 100, 100)
    with pytest.raises(ValueError, match="no such edit"):
        scenes.near_duplicate(scenes.encode(picture(("city",), 1)), "rotate")
