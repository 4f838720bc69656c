"""The rows that `manifests/example` is made from: run as a module to write it again.

    python -m tests.pack.example

Twelve dozen imagined photos of three classes, some with two labels, some with none, some of
one occurrence; no picture belongs to them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa

from curate.dedupe.neighbours import pairs_within
from curate.pack import PackResult, Recipe, pack
from tests.pack.rows import row, table

RECIPE = Recipe(min_per_class=20, max_per_class=50, seed=7)
_LABELS = (["beach"], ["city"], ["trees"], ["beach", "sunset"], [], ["city"])


def example_rows() -> pa.Table:
    rows = []
    for number in range(144):
        labels = _LABELS[number % len(_LABELS)]
        hints = [f"occurrence:{4000 + number // 18 * 18}"] if number % 18 in (0, 6) else []
        changes = {} if number % 9 else {"license": None, "license_url": None}
        if number % 4 == 0:
            changes |= {"label_origin": "human", "annotators": ["ada"], "audited": True}
        if number % 6 == 1:
            changes |= {
                "proposed_labels": ["city"],
                "proposed_score": 0.75,
                "proposed_by": "0" * 64,
            }
        rows.append(row(number, labels, hints, **changes))
    rows.append(row(999, ["harbour"]))
    rows.append(row(1000, label_origin=None))
    return table(rows)


def write_example(folder: Path) -> PackResult:
    rows = example_rows()
    return pack(rows, RECIPE, folder, near_duplicates_searched=True, neighbours=pairs_within)


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    made = write_example(root / "build" / "example")
    assert made.path is not None
    shutil.rmtree(root / "manifests" / "example", ignore_errors=True)
    shutil.copytree(made.path, root / "manifests" / "example" / "v0001")
    shutil.rmtree(root / "build" / "example")
