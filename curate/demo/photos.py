"""Which photos there are, what befalls each, and their bytes.

A photo is a pure function of the options and its number, so nothing is kept but the list of
Unsplash photos and a cache of rendered files; the photos of 250,000 occurrences need no list.
What a photo is (`Photo`) is also the truth that a test or the demo's summary compares with.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import simplejpeg
from PIL import Image, ImageDraw

from curate.demo import scenes
from curate.demo.options import FAULT_SHARES, SampleOptions
from curate.records import Reason


class Fate(StrEnum):
    """What befalls a photo on its way to the reader."""

    GOOD = "good"
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    TRUNCATED = "truncated"
    FLIPPED = "flipped"
    HTML = "html"
    NOT_FOUND = "not_found"
    GONE = "gone"
    PLACEHOLDER = "placeholder"
    UNAVAILABLE = "unavailable"
    RESET = "reset"
    SHORT_BODY = "short_body"
    SLOW = "slow"
    LIMITED = "limited"

    @property
    def reason(self) -> Reason | None:
        """Why a careful reader has no image in the end; None if it has one."""
        return _REASONS.get(self)

    @property
    def passes(self) -> bool:
        """Whether only the first request fails."""
        return self in (Fate.UNAVAILABLE, Fate.RESET, Fate.SHORT_BODY, Fate.LIMITED)


_REASONS = {
    Fate.TRUNCATED: Reason.CORRUPT,
    Fate.FLIPPED: Reason.CORRUPT,
    Fate.HTML: Reason.HTML,
    Fate.NOT_FOUND: Reason.NOT_FOUND,
    Fate.GONE: Reason.NOT_FOUND,
    Fate.PLACEHOLDER: Reason.PLACEHOLDER,
}


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo of the sample source, and the truth about it."""

    photo_id: str
    """Its id in the API and in the path of its URL."""
    shows: tuple[str, ...]
    """The scenes that it really shows."""
    scene_seed: int
    """Photos with the same `shows` and `scene_seed` are the same scene."""
    width_px: int
    """Width at full size."""
    height_px: int
    """Height at full size."""
    fate: Fate
    """What befalls it."""
    twin_of: str | None = None
    """For duplicates and near-duplicates, the id of the original (which is good)."""
    edit: str = ""
    """For near-duplicates, how they differ, as `scenes.EDITS` names it."""


@dataclass(frozen=True, slots=True)
class Rendition:
    """The size and form of a photo that a URL asks for, as imgix's parameters do."""

    width_px: int | None = None
    """`w`."""
    height_px: int | None = None
    """`h`."""
    quality: int = scenes.JPEG_QUALITY
    """`q`, 1-100."""
    kind: str = "jpeg"
    """`fm`: `jpeg`, `png` or `webp`."""
    fit: str = "clip"
    """`clip` and `max` fit into the box and keep the aspect ratio; `crop` fills the box."""


def draw(*key: object) -> float:
    """A number in [0, 1) that is a fixed function of `key`: chance without any state."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56


def fate_of(options: SampleOptions, *key: object) -> Fate:
    """The fate of the photo with this key; each has the share that the options give it."""
    place = draw(options.seed, "fate", *key)
    for name in FAULT_SHARES:
        place -= float(getattr(options, name))
        if place < 0:
            return Fate(name.removesuffix("_share"))
    return Fate.GOOD


def make_photo(
    options: SampleOptions,
    photo_id: str,
    number: int,
    shows: Callable[[int], tuple[str, ...]],
    id_of: Callable[[int], str],
    space: str,
) -> Photo:
    """The photo with this number, looking back for an original if it is somebody's twin.

    Args:
        options: where the shares and the seed come from.
        photo_id: its id.
        number: its number within its space.
        shows: scenes of the photo with a number.
        id_of: id of the photo with a number.
        space: keeps the photos of the two APIs apart.
    """
    fate = fate_of(options, space, number)
    twin, source = None, number
    if fate in (Fate.DUPLICATE, Fate.NEAR_DUPLICATE):
        wanted = shows(number)
        earlier = (
            n
            for n in range(number - 1, max(-1, number - 400), -1)
            if fate_of(options, space, n) is Fate.GOOD and shows(n) == wanted
        )
        found = next(earlier, None)
        if found is None:
            fate = Fate.GOOD
        else:
            twin, source = id_of(found), found
    scene_seed = int(draw(options.seed, space, "scene", source) * 2**31)
    width, height = scenes.frame(scene_seed, options.long_edge_px)
    kind = ""
    if fate is Fate.NEAR_DUPLICATE:
        kind = scenes.EDITS[int(draw(options.seed, space, "edit", number) * len(scenes.EDITS))]
    return Photo(photo_id, shows(number), scene_seed, width, height, fate, twin, kind)


class PhotoBook:
    """The Unsplash photos: a list, made when first asked for."""

    def __init__(self, options: SampleOptions) -> None:
        self._options = options

    @cached_property
    def photos(self) -> tuple[Photo, ...]:
        """All photos; those of the four classes take turns."""
        n_photos = self._options.photos_per_class * len(scenes.SCENES)
        photos = [
            make_photo(self._options, self._id_of(n), n, self._shows, self._id_of, "unsplash")
            for n in range(n_photos)
        ]
        good = [n for n, photo in enumerate(photos) if photo.fate is Fate.GOOD]
        originals = {photo.twin_of for photo in photos}
        free = [n for n in good if photos[n].photo_id not in originals]
        free.sort(key=lambda n: draw(self._options.seed, "limited", n))
        for n in free[: self._options.limited_photos]:
            old = photos[n]
            photos[n] = Photo(
                old.photo_id, old.shows, old.scene_seed, old.width_px, old.height_px, Fate.LIMITED
            )
        return tuple(photos)

    @cached_property
    def by_id(self) -> dict[str, Photo]:
        """All photos by their id."""
        return {photo.photo_id: photo for photo in self.photos}

    @cached_property
    def found_as(self) -> dict[str, tuple[Photo, ...]]:
        """For each scene, the photos that a search for it finds, its own first."""
        found: dict[str, tuple[Photo, ...]] = {}
        for place, scene in enumerate(scenes.SCENES):
            own = self.photos[place :: len(scenes.SCENES)]
            others = (p for p in self.photos if scene in p.shows)
            found[scene] = tuple(dict.fromkeys((*own, *others)))
        return found

    def _id_of(self, number: int) -> str:
        key = f"photo {self._options.seed} {number}".encode()
        return urlsafe_b64encode(hashlib.blake2b(key, digest_size=8).digest()).decode()[:11]

    def _shows(self, number: int) -> tuple[str, ...]:
        first = scenes.SCENES[number % len(scenes.SCENES)]
        options = self._options
        if draw(options.seed, "none", number) < options.none_share:
            return ()
        if draw(options.seed, "several", number) >= options.several_share:
            return (first,)
        rest = [scene for scene in scenes.SCENES if scene != first]
        second = rest[int(draw(options.seed, "second", number) * len(rest))]
        return tuple(sorted((first, second)))


def tally(photos: Iterable[Photo]) -> dict[str, int]:
    """What a careful reader of all these photos should count.

    Returns:
        `images` (distinct bytes), `duplicates` (bytes that another photo of the list has),
        `near_duplicates` (images beyond the first of their scene), and one number for each
        `Reason` that occurs, under its own name.
    """
    counts: Counter[str] = Counter()
    files: set[tuple[object, ...]] = set()
    places: set[tuple[object, ...]] = set()
    for photo in photos:
        if photo.fate.reason is not None:
            counts[photo.fate.reason.value] += 1
            continue
        scene = (photo.shows, photo.scene_seed)
        if (*scene, photo.edit) in files:
            counts["duplicates"] += 1
            continue
        counts["images"] += 1
        counts["near_duplicates"] += scene in places
        files.add((*scene, photo.edit))
        places.add(scene)
    return dict(counts)


def bytes_of(photo: Photo, rendition: Rendition) -> bytes:
    """What arrives in the end: the picture, damaged if that is its fate."""
    if photo.fate is Fate.PLACEHOLDER:
        return placeholder()
    data = _good_bytes(photo, rendition)
    if photo.fate is Fate.TRUNCATED:
        return data[: int(len(data) * (0.35 + 0.5 * draw(photo.scene_seed, "cut")))]
    if photo.fate is Fate.FLIPPED:
        return damaged(data, photo.scene_seed)
    return data


def _good_bytes(photo: Photo, rendition: Rendition) -> bytes:
    width, height, crop = target_size(photo, rendition)
    if photo.fate is Fate.NEAR_DUPLICATE:
        image = scenes.edit(_picture(photo, *_fit(photo, width, height)), photo.edit)
        if not crop:
            image = image.resize((width, height), Image.Resampling.BICUBIC)
    else:
        image = _picture(photo, *(_fit(photo, width, height) if crop else (width, height)))
    if crop:
        left, top = max(0, image.width - width) // 2, max(0, image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    quality = rendition.quality
    if photo.edit == "requality":
        quality = max(30, quality - 25)
    return scenes.encode(image, rendition.kind, quality)


def _picture(photo: Photo, width: int, height: int) -> Image.Image:
    return scenes.render(photo.shows, photo.scene_seed, width, height)


def _fit(photo: Photo, width: int, height: int) -> tuple[int, int]:
    """The smallest size with the photo's aspect ratio that covers a box."""
    scale = max(width / photo.width_px, height / photo.height_px)
    return max(1, round(photo.width_px * scale)), max(1, round(photo.height_px * scale))


def target_size(photo: Photo, rendition: Rendition) -> tuple[int, int, bool]:
    """Width and height that a URL gets, and whether the picture is cropped for it."""
    full_w, full_h = photo.width_px, photo.height_px
    want_w, want_h = rendition.width_px, rendition.height_px
    if rendition.fit == "crop" and want_w and want_h:
        return want_w, want_h, True
    scale = min((want_w or full_w) / full_w, (want_h or full_h) / full_h)
    if want_w is None and want_h is not None:
        scale = want_h / full_h
    elif want_h is None and want_w is not None:
        scale = want_w / full_w
    scale = min(1.0, scale)
    return max(1, round(full_w * scale)), max(1, round(full_h * scale)), False


def damaged(data: bytes, seed: int) -> bytes:
    """A JPEG with flipped bits inside, so that a strict decoder complains.

    Many single flips only change colours, so bits are flipped until one shows.
    """
    broken = bytearray(data)
    start = data.index(b"\xff\xda") + 14
    for turn in range(200):
        at = start + int(draw(seed, "flip", turn) * (len(data) - start - 2))
        broken[at] ^= 1 << int(draw(seed, "bit", turn) * 8)
        if turn >= 8 and _complains(bytes(broken)):
            break
    return bytes(broken)


def _complains(data: bytes) -> bool:
    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_factor=8, min_width=1, min_height=1, strict=True)
    except ValueError:
        return True
    return False


def placeholder() -> bytes:
    """The stand-in for a picture that is no longer there."""
    image = Image.new("RGB", (320, 240), (228, 230, 232))
    pen = ImageDraw.Draw(image)
    pen.rectangle([60, 50, 260, 190], outline=(170, 174, 178), width=4)
    pen.line(
        [(60, 190), (140, 110), (190, 160), (215, 135), (260, 180)], fill=(170, 174, 178), width=4
    )
    pen.ellipse([200, 70, 225, 95], fill=(170, 174, 178))
    pen.text((88, 205), "This photo is no longer available", fill=(120, 124, 128))
    return scenes.encode(image)
