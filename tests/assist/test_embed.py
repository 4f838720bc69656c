"""Embeddings of real photos by a real model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from curate.assist.embed import Embedder
from curate.errors import CurateError

MODEL = "onnx/mobilenet_v1_1.0_224_embed_nchw_f32.onnx"


def embedded(embedder: Embedder, paths: list[Path]) -> np.ndarray:
    rows = np.concatenate(list(embedder.embed(paths)))
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)


def test_copies_are_near_and_other_photos_far(shared: Path, tmp_path: Path) -> None:
    photos = sorted((shared / "photos" / "imagenet-sample").rglob("*.JPEG"))[:40:10]
    photos = photos or sorted((shared / "photos" / "imagenet-sample").rglob("*.jp*g"))[:40:10]
    assert len(photos) == 4
    copies = []
    for place, path in enumerate(photos):
        with Image.open(path) as image:
            small = ImageOps.mirror(image.convert("RGB")).resize((200, 170))
        copies.append(tmp_path / f"{place}.png")
        small.save(copies[-1])
    embedder = Embedder(shared / MODEL)
    assert (embedder.model.input.height_px, embedder.model.input.channels_last) == (224, False)
    rows = embedded(embedder, [*photos, *copies])
    assert rows.shape == (8, 1024)
    cosine = rows[:4] @ rows[4:].T
    assert cosine.diagonal().min() > 0.8
    assert cosine[~np.eye(4, dtype=bool)].max() < 0.75


def test_batches_do_not_matter_and_a_turned_photo_is_seen_upright(
    shared: Path, tmp_path: Path
) -> None:
    photo = sorted((shared / "photos" / "flowers12").rglob("*.jpg"))[0]
    turned = tmp_path / "turned.jpg"
    with Image.open(photo) as image:
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees to the right
        image.transpose(Image.Transpose.ROTATE_90).save(turned, quality=98, exif=exif)
    embedder = Embedder(shared / MODEL, threads=1)
    rows = embedded(embedder, [photo] * 33 + [turned])
    assert np.allclose(rows[0], rows[32], atol=1e-5)
    assert rows[0] @ rows[33] > 0.97


def test_a_file_that_is_no_picture_gives_zeros(shared: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff nothing more")
    rows = embedded(Embedder(shared / MODEL), [bad, tmp_path / "missing.jpg"])
    assert not rows.any()


def test_channels_last_and_the_other_preset_are_understood(shared: Path) -> None:
    embedder = Embedder(shared / "onnx/mobilenet_v1_0.25_224_nhwc_f32.onnx", "imagenet")
    assert embedder.model.input.channels_last
    photo = sorted((shared / "photos" / "flowers12").rglob("*.jpg"))[0]
    assert next(iter(embedder.embed([photo]))).shape == (1, 1001)


@pytest.mark.parametrize(
    ("model", "preset", "said"),
    [
        ("onnx/MODELS.json", "symmetric", "is JSON, not a model"),
        ("onnx/none.onnx", "symmetric", "is not there"),
        ("onnx/mobilenet_v2_1.0_224_nhwc_u8.onnx", "imagenet", "takes bytes of 0-255"),
        (MODEL, "vivid", "no preset"),
    ],
)
def test_what_cannot_be_used_is_refused(shared: Path, model: str, preset: str, said: str) -> None:
    with pytest.raises(CurateError, match=said):
        Embedder(shared / model, preset)
