from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curate.catalog.citations import cited
from curate.catalog.database import Database
from curate.pack import Recipe, pack, read_manifest
from curate.pack.card import card_text
from tests.pack.rows import row, table


def info(**changes: Any) -> dict[str, Any]:
    counts = {"before": 30, "after": 30, "train": 20, "val": 5, "test": 5}
    return {
        "recipe": {"min_per_class": 1},
        "images": {"train": 20, "val": 5, "test": 5},
        "negatives": 0,
        "groups": 30,
        "classes": {"city": counts},
        "dropped": {},
        "left_out": {},
        "outside": {},
        "origins": {"human": 30},
        "licenses": {"CC0-1.0": 30},
        "sources": {"folder": 30},
        "alike_across": 0,
        "near_duplicates_searched": True,
        **changes,
    }


def test_what_licences_ask_for_is_added_up() -> None:
    card = card_text(
        info(
            licenses={
                "CC-BY-4.0": 10,
                "CC-BY-NC-SA-3.0": 7,
                "CC-BY-ND-2.0": 5,
                "CC0-1.0": 4,
                "All rights reserved": 3,
                "unknown": 1,
            }
        )
    )
    assert "- 22 images must be credited" in card
    assert "- 7 images may not be used commercially" in card
    assert "- 5 images may not be passed on changed" in card
    assert "- 7 images ask that what is made of them" in card
    assert "- 3 images have terms in their source's own words" in card
    assert "- Images without a known licence: 1." in card


def test_a_dataset_free_of_rights_asks_for_nothing() -> None:
    card = card_text(info())
    assert "must be credited" not in card
    assert "own words" not in card


def test_gbif_is_cited_by_its_downloads_and_otherwise_asks_for_it() -> None:
    asked = card_text(info(sources={"gbif": 30}))
    assert "citation-guidelines" in asked
    assert "How to cite" not in asked
    text = "GBIF.org (2 May 2024) GBIF Occurrence Download https://doi.org/10.15468/dl.abcdef"
    cited = card_text(info(sources={"gbif": 30}, citations=[{"text": text}]))
    assert "citation-guidelines" not in cited
    assert f"## How to cite\n\n- {text}" in cited


def test_repeats_unlabelled_images_and_torn_shares_are_told() -> None:
    largest = {"images": 2.0, "class": "a|b", "split": "val", "largest_share": 0.1}
    card = card_text(info(repeated=7, unlabelled=9, proof={"largest_deviation": largest}))
    assert "7 rows of train repeat an image" in card
    assert "9 more images in `unlabelled.parquet`" in card
    assert "a\\|b is off by 2 images in val" in card


def test_a_manifest_cites_the_sources_that_gave_images(tmp_path: Path) -> None:
    rows = [row(n, ["city"]) for n in range(20)]
    cited = {"source": "gbif", "key": "0001", "doi": "10.15468/dl.x", "text": "GBIF.org x|y"}
    other = {**cited, "source": "elsewhere", "text": "not of these images"}
    path = pack(table(rows), Recipe(), tmp_path, citations=[cited, other]).path
    assert path is not None
    assert read_manifest(path).info["citations"] == [cited]
    assert "GBIF.org x\\|y" in (path / "README.md").read_text("utf-8")
    assert json.loads((path / "croissant.json").read_text("utf-8"))["citeAs"] == "GBIF.org x|y"


def test_the_catalog_gives_citations_in_order(tmp_path: Path) -> None:
    db = Database(tmp_path / "catalog.db")
    with db.transaction():
        db.many(
            "INSERT INTO citations VALUES (?, ?, ?, ?)",
            [("gbif", "2", None, "second"), ("gbif", "1", "10.1/x", "first")],
        )
    assert [(each["key"], each["doi"]) for each in cited(db)] == [("1", "10.1/x"), ("2", None)]
    db.close()
