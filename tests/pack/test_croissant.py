"""The Croissant description, read by the library of the people who specified it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curate.pack.croissant import NAME
from curate.pack.schema import MANIFEST
from tests.pack.photos import SEVERAL, project, truth


@pytest.mark.filterwarnings("ignore")
def test_mlcroissant_accepts_the_description_and_reads_the_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROISSANT_CACHE", str(tmp_path / "cache"))
    croissant = pytest.importorskip(
        "mlcroissant", reason="mlcroissant is not installed (group `exports`)"
    )
    manifest = project(tmp_path, SEVERAL)
    dataset = croissant.Dataset(jsonld=str(manifest.path / NAME))
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    # No date: the same inputs are to give the same bytes.
    assert all("datePublished" in each or "citeAs" in each for each in issues.warnings)
    found = {}
    for split in ("train", "val", "test"):
        for record in dataset.records(split):
            row = {key.partition("/")[2]: value for key, value in record.items()}
            labels = tuple(each.decode() for each in row["labels"])
            found[row["image_id"].decode()] = (row["split"].decode(), labels)
    assert found == truth(manifest)


def test_every_plain_column_of_every_file_is_described(tmp_path: Path) -> None:
    manifest = project(tmp_path)
    document = json.loads((manifest.path / NAME).read_text("utf-8"))
    assert {each["name"] for each in document["distribution"]} == {
        "train.parquet",
        "val.parquet",
        "test.parquet",
    }
    for file in document["distribution"]:
        assert file["sha256"] == manifest.info["files"][file["name"]]["sha256"]
    for records in document["recordSet"]:
        names = [field["name"] for field in records["field"]]
        assert names == [name for name in MANIFEST.names if name != "meta"]
    assert manifest.info["files"][NAME]["n_bytes"] == (manifest.path / NAME).stat().st_size
    assert "https://creativecommons.org/licenses/by/4.0/" in document["license"]
