"""Real photos with planted copies: the edits, and which photos are the same by nature."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

SETS = ("flowers12", "dog-cat", "imagenet-sample")
QUALITY = 92
SEEN_TO_BE_SAME = (
    ("test/sunflower/image_0746.jpg", "train/sunflower/image_0764.jpg"),
    ("train/fritillary/image_0646.jpg", "train/fritillary/image_0679.jpg"),
    ("test/dandelion/image_0990.jpg", "train/dandelion/image_1010.jpg"),
    ("train/dandelion/image_0994.jpg", "train/dandelion/image_1015.jpg"),
    ("test/daisy/image_0842.jpg", "train/daisy/image_0814.jpg"),
)
"""Further crops of one photo in flowers12, found by several hashes and looked at one by one."""
SEEN_TO_BE_MIRRORED = (
    ("test/bluebell/image_0243.jpg", "train/bluebell/image_0242.jpg"),
    ("test/sunflower/image_0735.jpg", "train/sunflower/image_0729.jpg"),
)
"""Mirror images in flowers12, found with `flip` and looked at: the same only if that is asked."""


def _cropped(image: Image.Image, share: float) -> Image.Image:
    """Cut a share of width and height off each side."""
    across, down = round(image.width * share), round(image.height * share)
    return image.crop((across, down, image.width - across, image.height - down))


def _shrunk(image: Image.Image) -> Image.Image:
    size = (max(1, round(image.width * 0.7)), max(1, round(image.height * 0.7)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _marked(image: Image.Image) -> Image.Image:
    """Lay a half-transparent word over the middle and a dark box into a corner."""
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    width, height = image.size
    font = ImageFont.load_default(max(10, width // 10))
    draw.text((width * 0.25, height * 0.45), "© SAMPLE", font=font, fill=(255, 255, 255, 140))
    box = (width * 0.6, height * 0.9, width * 0.98, height * 0.97)
    draw.rectangle(box, fill=(0, 0, 0, 150))
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


EDITS: Mapping[str, tuple[Callable[[Image.Image], Image.Image], int]] = {
    "q60": (lambda image: image, 60),
    "x0.7": (_shrunk, QUALITY),
    "crop 3 % in all": (lambda image: _cropped(image, 0.015), QUALITY),
    "crop 3 % a side": (lambda image: _cropped(image, 0.03), QUALITY),
    "brighter": (lambda image: ImageEnhance.Brightness(image).enhance(1.3), QUALITY),
    "watermark": (_marked, QUALITY),
    "flip": (ImageOps.mirror, QUALITY),
}
"""Name to edit and JPEG quality."""
PLAIN_EDITS = tuple(name for name in EDITS if name != "flip")


def copies(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every edit of a photo as JPEG bytes."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    for name, (edit, quality) in EDITS.items():
        out = io.BytesIO()
        edit(upright).save(out, "JPEG", quality=quality)
        yield name, out.getvalue()


def photos(shared: Path) -> list[Path]:
    """Return the 1,338 photos, in a fixed order."""
    root = shared / "photos"
    return sorted(
        path
        for name in SETS
        for path in (root / name).rglob("*")
        if path.suffix.lower() in {".jpg", ".jpeg"}
    )


def origins(shared: Path, paths: list[Path], *, mirrored: bool = False) -> dict[Path, int]:
    """Number the photos so that those known to be the same share a number.

    Args:
        shared: the shared data.
        paths: what `photos` returned.
        mirrored: mirror images count as the same.
    """
    root = shared / "photos" / "flowers12"
    truth = json.loads((shared / "photos" / "NEAR_DUPLICATES.json").read_text())
    number = {path: place for place, path in enumerate(paths)}
    known = [(a, b) for a, b, *_ in truth["flowers12_near_pairs_dhash_le_4"]]
    mirrors = SEEN_TO_BE_MIRRORED if mirrored else ()
    for one, other in [*known, *SEEN_TO_BE_SAME, *mirrors]:
        if root / one in number and root / other in number:
            old, new = number[root / other], number[root / one]
            number = {path: new if here == old else here for path, here in number.items()}
    return number
