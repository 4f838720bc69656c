from __future__ import annotations

from pathlib import Path

import pytest

from curate.catalog import groups
from curate.catalog.database import Database
from curate.catalog.quality import FLAGS, flagged, quality_counts
from curate.config import QualitySettings
from curate.errors import UsageError
from curate.fetch.verify import verify
from curate.records import Verified
from tests.dedupe.rows import Image, add

SETTINGS = QualitySettings()
FLAGGED = {
    "dark": Image("dark", 1, brightness=10.0),
    "bright": Image("bright", 2, brightness=250.0),
    "blurry": Image("blurry", 3, sharpness=20.0),
    "small": Image("small", 4, width_px=40),
    "odd_aspect": Image("odd_aspect", 5, width_px=900),
    "low_information": Image("low_information", 6, entropy=0.5),
    "damaged": Image("damaged", 7, note="damaged: bad Huffman code"),
}


@pytest.fixture
def db(tmp_path: Path) -> Database:
    made = Database(tmp_path / "catalog.db")
    add(made, [*FLAGGED.values(), Image("fine", 8, note="3 bytes after the end")])
    return made


def test_each_flag_finds_its_image(db: Database) -> None:
    assert quality_counts(db, SETTINGS) == dict.fromkeys(FLAGGED, 1) | {"none": 1}
    assert {name: flagged(db, SETTINGS, name) for name in FLAGS} == {
        name: [image.id] for name, image in FLAGGED.items()
    }


def test_thresholds_come_from_the_settings(db: Database) -> None:
    strict = quality_counts(db, QualitySettings(dark=1000.0, blurry=0.0))
    assert (strict["dark"], strict["blurry"], strict["none"]) == (8, 0, 0)


def test_images_that_are_out_are_not_counted(db: Database) -> None:
    groups.exclude(db, [FLAGGED["dark"].id], "dark")
    assert quality_counts(db, SETTINGS)["dark"] == 0


def test_an_included_image_is_not_excluded_for_its_quality(db: Database) -> None:
    groups.include(db, FLAGGED["dark"].id, 0.0)
    assert groups.exclude(db, flagged(db, SETTINGS, "dark"), "dark") == 0


def test_an_empty_catalog_has_nothing_flagged(tmp_path: Path) -> None:
    counted = quality_counts(Database(tmp_path / "catalog.db"), SETTINGS)
    assert set(counted.values()) == {0}


def test_an_unknown_flag_is_refused(db: Database) -> None:
    with pytest.raises(UsageError, match="'ugly'"):
        flagged(db, SETTINGS, "ugly")


def seen(path: Path) -> Verified:
    row = verify(path.read_bytes())
    assert isinstance(row, Verified)
    return row


def test_real_examples_are_flagged_and_real_photos_are_not(shared: Path, tmp_path: Path) -> None:
    """The issues of `cleanvision/`, against 175 ordinary photos."""
    photos = shared / "photos"
    expected = {
        "image_417.png": {"dark", "low_information", "blurry"},
        "image_588.png": {"bright", "low_information"},
        "image_591.png": {"bright", "low_information"},
        "image_601.png": {"blurry"},
        "image_604.png": {"odd_aspect", "blurry"},
        "image_101.png": set(),
    }
    db = Database(tmp_path / "catalog.db")
    names = [*(photos / "cleanvision" / name for name in expected)]
    names += sorted((photos / "imagenet-sample").glob("*.JPEG"))
    made = {}
    for path in names:
        row = seen(path)
        fields = ("width_px", "height_px", "brightness", "contrast", "sharpness", "entropy")
        made[path.name] = Image(path.name, row.phash, **{key: getattr(row, key) for key in fields})
    add(db, made.values())
    found = {name: set(flagged(db, SETTINGS, name)) for name in FLAGS}
    for name, flags in expected.items():
        assert {flag for flag in FLAGS if made[name].id in found[flag]} == flags, name
    assert quality_counts(db, SETTINGS)["none"] >= 170
