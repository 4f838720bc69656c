"""Minima: a class that cannot reach its own is not fetched, or not any further."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from curate.catalog import limits
from curate.catalog.counts import class_counts
from curate.fetch.quota import Quota
from tests.fetch.runs import Folder


def photos(folder: Path, name: str, alive: int, dead: int) -> list[str]:
    """File URLs of so many images, and of files that are not there, the dead ones first."""
    urls = [(folder / f"{name}-dead-{i}.png").as_uri() for i in range(dead)]
    for i in range(alive):
        path = folder / f"{name}-{i}.png"
        Image.effect_noise((40, 40), 10 + i).save(path)
        urls.append(path.as_uri())
    return urls


def test_a_class_with_too_few_candidates_is_not_fetched_at_all(tmp_path: Path) -> None:
    made = Folder(tmp_path)
    made.add(photos(tmp_path, "common", 4, 0), ("common",), "folder")
    made.add(photos(tmp_path, "rare", 2, 0), ("rare",), "folder")
    limits.set_minimum(made.db, 3)
    end = made.fetch()
    assert end.tried == 4
    assert [each.images for each in class_counts(made.db)] == [4, 0]
    (below,) = limits.below_minimum(made.db, class_counts(made.db))
    assert (below.name, below.candidates, below.has_fallen) == ("rare", 2, False)
    made.close()


def test_a_class_that_dead_links_bring_below_is_given_up_and_said(tmp_path: Path) -> None:
    made = Folder(tmp_path)
    made.add(photos(tmp_path, "fading", 3, 3), ("fading",), "folder")
    made.db.execute("UPDATE classes SET quota = 4")
    limits.set_minimum(made.db, 4)
    made.fetch()
    (below,) = limits.below_minimum(made.db, class_counts(made.db))
    assert below.has_fallen
    assert below.candidates == 6
    made.close()


def test_a_class_that_can_reach_it_gets_its_quota(tmp_path: Path) -> None:
    made = Folder(tmp_path)
    made.add(photos(tmp_path, "good", 4, 2), ("good",), "folder")
    made.db.execute("UPDATE classes SET quota = 3")
    limits.set_minimum(made.db, 3)
    made.fetch()
    assert [each.images for each in class_counts(made.db)] == [3]
    assert limits.below_minimum(made.db, class_counts(made.db)) == []
    made.close()


def test_a_minimum_can_be_lifted(tmp_path: Path) -> None:
    made = Folder(tmp_path)
    made.add(photos(tmp_path, "rare", 2, 0), ("rare",), "folder")
    limits.set_minimum(made.db, 3)
    assert not Quota(class_counts(made.db)).open_classes()
    limits.set_minimum(made.db, None)
    assert made.fetch().tried == 2
    made.close()
