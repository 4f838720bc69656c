"""Images inside tables: any row can be asked for, and few are in memory."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.fetch.inside import take_out
from curate.records import Reason

N = 90
KIND = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def image(number: int, n_bytes: int = 200) -> bytes:
    return random.Random(number).randbytes(n_bytes)


def write(path: Path, n: int = N, n_bytes: int = 200, **options: object) -> Path:
    cells = [{"bytes": image(each, n_bytes), "path": f"{each}.jpg"} for each in range(n)]
    pq.write_table(pa.table({"image": pa.array(cells, KIND)}), path, **options)
    return path


def taken(path: Path, row: int, column: str = "image") -> bytes:
    staged = path.with_name("staged")
    assert take_out(path, f"row={row}&column={column}", staged, 10**9) is None
    return staged.read_bytes()


@pytest.mark.parametrize("order", ["forward", "backward", "every third", "at random"])
def test_rows_are_found_in_any_order(order: str, tmp_path: Path) -> None:
    path = write(tmp_path / "images.parquet", row_group_size=40)
    rows = {
        "forward": [*range(N)],
        "backward": [*reversed(range(N))],
        "every third": [*range(0, N, 3), *range(1, N, 3)],
        "at random": random.Random(0).sample(range(N), N),
    }[order]
    assert [taken(path, row) for row in rows] == [image(row) for row in rows]


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "images.parquet")
    assert taken(path, 5) == image(5)
    write(tmp_path / "images.parquet", n=9, n_bytes=300)
    assert taken(path, 5) == image(5, 300)


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        (f"row={N}&column=image", Reason.UNREADABLE),
        ("row=0&column=picture", Reason.UNREADABLE),
        ("row=x&column=image", Reason.UNREADABLE),
        ("column=image", Reason.UNREADABLE),
    ],
)
def test_what_is_not_there_is_refused(inside: str, reason: Reason, tmp_path: Path) -> None:
    path = write(tmp_path / "images.parquet")
    refused = take_out(path, inside, tmp_path / "staged", 10**9)
    assert refused is not None
    assert refused.reason is reason


def test_only_a_few_rows_of_a_row_group_are_in_memory(tmp_path: Path) -> None:
    path = write(
        tmp_path / "images.parquet",
        n=300,
        n_bytes=100_000,
        use_dictionary=False,
        write_batch_size=8,
    )
    assert pq.ParquetFile(path).num_row_groups == 1
    before = pa.total_allocated_bytes()
    assert taken(path, 100) == image(100, 100_000)
    assert pa.total_allocated_bytes() - before < path.stat().st_size / 3
