"""Photos: shares, fates, and bytes that are what their fate says."""

from __future__ import annotations

from collections import Counter

import pytest

from curate.demo.options import FAULT_SHARES, SampleOptions
from curate.demo.photos import Fate, PhotoBook, Rendition, bytes_of, tally, target_size
from curate.fetch.verify import verify
from curate.records import Reason, Refused, Verified

SMALL = Rendition(width_px=160)


def book(**options: object) -> PhotoBook:
    return PhotoBook(SampleOptions.faultless(**options))


def test_the_list_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert PhotoBook(SampleOptions(seed=4)).photos == PhotoBook(SampleOptions(seed=4)).photos
    ids = {photo.photo_id for photo in PhotoBook(SampleOptions(seed=4)).photos}
    assert len(ids) == 480
    assert not ids & {photo.photo_id for photo in PhotoBook(SampleOptions(seed=5)).photos}


def test_the_default_has_some_of_every_fate() -> None:
    fates = Counter(photo.fate for photo in PhotoBook(SampleOptions()).photos)
    assert set(fates) == set(Fate)
    assert fates[Fate.GOOD] > 300
    assert fates[Fate.LIMITED] == 1


@pytest.mark.parametrize("name", FAULT_SHARES)
def test_a_share_is_kept(name: str) -> None:
    photos = book(photos_per_class=500, **{name: 0.2}).photos
    fate = Fate(name.removesuffix("_share"))
    assert 0.16 < sum(photo.fate is fate for photo in photos) / len(photos) < 0.24


def test_twins_have_a_good_original_of_the_same_class() -> None:
    made = book(duplicate_share=0.2, near_duplicate_share=0.2, several_share=0.3)
    twins = [photo for photo in made.photos if photo.twin_of is not None]
    assert len(twins) > 100
    for twin in twins:
        original = made.by_id[twin.twin_of or ""]
        assert original.fate is Fate.GOOD
        assert original.shows == twin.shows
        assert (original.width_px, original.height_px) == (twin.width_px, twin.height_px)


def test_a_duplicate_has_the_bytes_of_its_original_and_a_near_duplicate_has_not() -> None:
    made = book(photos_per_class=30, duplicate_share=0.2, near_duplicate_share=0.2)
    for photo in made.photos:
        if photo.twin_of is None:
            continue
        same = bytes_of(photo, SMALL) == bytes_of(made.by_id[photo.twin_of], SMALL)
        assert same == (photo.fate is Fate.DUPLICATE)


@pytest.mark.parametrize("fate", [Fate.TRUNCATED, Fate.FLIPPED])
def test_a_damaged_file_is_refused_as_corrupt(fate: Fate) -> None:
    for photo in book(photos_per_class=10, **{f"{fate}_share": 1.0}).photos:
        outcome = verify(bytes_of(photo, Rendition(width_px=300)))
        assert isinstance(outcome, Refused), photo
        assert outcome.reason is Reason.CORRUPT is fate.reason


def test_a_tally_counts_what_the_bytes_are() -> None:
    options = SampleOptions(photos_per_class=40, duplicate_share=0.1, near_duplicate_share=0.1)
    photos = [p for p in PhotoBook(options).photos if p.fate.reason is None]
    outcomes = [verify(bytes_of(photo, SMALL)) for photo in photos]
    good = [outcome for outcome in outcomes if isinstance(outcome, Verified)]
    counted = tally(photos)
    assert len(good) == len(photos)
    assert counted["images"] == len({image.image_id for image in good})
    assert counted["duplicates"] == len(photos) - counted["images"] > 0
    assert counted["near_duplicates"] > 0


def test_a_tally_names_every_failure_by_its_reason() -> None:
    photos = PhotoBook(SampleOptions()).photos
    counted = tally(photos)
    lost = Counter(photo.fate.reason for photo in photos if photo.fate.reason is not None)
    assert {reason.value: n for reason, n in lost.items()} == {
        name: n for name, n in counted.items() if name in set(Reason)
    }
    whole = counted["images"] + counted["duplicates"] + sum(lost.values())
    assert whole == len(photos)


@pytest.mark.parametrize(
    ("rendition", "expected"),
    [
        (Rendition(), (1600, 1067, False)),
        (Rendition(width_px=800), (800, 534, False)),
        (Rendition(height_px=534), (801, 534, False)),
        (Rendition(width_px=5000), (1600, 1067, False)),
        (Rendition(width_px=400, height_px=100), (150, 100, False)),
        (Rendition(width_px=400, height_px=100, fit="crop"), (400, 100, True)),
    ],
)
def test_sizes_follow_the_url_and_nothing_is_enlarged(
    rendition: Rendition, expected: tuple[int, int, bool]
) -> None:
    wide = next(p for p in book().photos if (p.width_px, p.height_px) == (1600, 1067))
    assert target_size(wide, rendition) == expected


def test_a_crop_has_the_size_that_was_asked_for() -> None:
    photo = book(photos_per_class=1).photos[0]
    outcome = verify(bytes_of(photo, Rendition(width_px=120, height_px=90, fit="crop")))
    assert isinstance(outcome, Verified)
    assert (outcome.width_px, outcome.height_px) == (120, 90)
