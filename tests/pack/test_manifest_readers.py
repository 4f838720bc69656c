"""A manifest, read by the libraries that people read Parquet with: the same rows in each."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Any

import pandas
import pytest

from curate.pack import Manifest, Recipe, pack, read_manifest
from tests.pack.rows import row, table

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    rows = [row(n, [("city", "Café & 'Bar'")[n % 2]], phash=2**64 - 1 - n) for n in range(80)]
    path = pack(table(rows), Recipe(), tmp_path_factory.mktemp("readers")).path
    assert path is not None
    return read_manifest(path)


def plain(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Rows by image id, as Python's own types."""
    return {
        each["image_id"]: {
            **each,
            "meta": sorted((pair["key"], pair["value"]) for pair in each["meta"]),
            "fetched_at": each["fetched_at"].astimezone(UTC),
        }
        for each in rows
    }


def test_pandas_reads_every_cell(manifest: Manifest) -> None:
    frames = [pandas.read_parquet(manifest.path / f"{split}.parquet") for split in SPLITS]
    frame = pandas.concat(frames)
    assert str(frame["phash"].dtype) == "uint64"
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    want = plain(manifest.table().to_pylist())
    for each in rows:
        for name in ("labels", "annotators", "proposed_labels", "query"):
            each[name] = None if each[name] is None else list(each[name])
        each["fetched_at"] = each["fetched_at"].to_pydatetime()
    assert plain(rows) == want


def test_duckdb_reads_every_cell(manifest: Manifest) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed (group `exports`)")
    connection = duckdb.connect()
    rows = connection.sql(f"SELECT * FROM '{manifest.path}/*.parquet'").to_arrow_table()
    assert plain(rows.to_pylist()) == plain(manifest.table().to_pylist())
    years = connection.sql(
        f"SELECT map_from_entries(meta)['year'] AS year FROM '{manifest.path}/*.parquet'"
    ).fetchall()
    assert all(year.startswith("20") for (year,) in years)
    connection.close()


def test_polars_reads_every_cell(manifest: Manifest) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed (group `exports`)")
    frame = polars.read_parquet(f"{manifest.path}/*.parquet")
    assert frame.schema["phash"] == polars.UInt64
    assert plain(frame.to_dicts()) == plain(manifest.table().to_pylist())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["folder", "parquet"])
def test_datasets_reads_every_cell(
    manifest: Manifest, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="datasets is not installed (group `exports`)")
    cache = str(tmp_path)
    if how == "folder":
        loaded = datasets.load_dataset(str(manifest.path), cache_dir=cache)
    else:
        files = {split: str(manifest.path / f"{split}.parquet") for split in SPLITS}
        loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=cache)
    found: dict[str, dict[str, Any]] = {}
    for split, rows in loaded.items():
        assert rows.num_rows == manifest.info["images"][split]
        found |= plain(rows.to_list())
    assert found == plain(manifest.table().to_pylist())
