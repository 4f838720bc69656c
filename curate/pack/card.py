"""What a manifest says to people: the card and the attributions.

The card opens with the few lines that make `datasets.load_dataset(FOLDER)` find the splits.
It states limits that counts alone do not show: labels nobody has looked at, licences that
are unknown, a source's own terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from curate.licenses import UNSPLASH, UNSPLASH_PLUS, family, is_known
from curate.pack.proof import without_image
from curate.pack.recipe import SPLITS

ATTRIBUTION_COLUMNS = (
    "image_id",
    "source",
    "author",
    "rights_holder",
    "license",
    "license_url",
    "page_url",
    "url",
    "attribution",
)
"""Columns of `ATTRIBUTION.csv`, one row for each image."""

_CLASSES_SHOWN = 100
_FRONT = """\
---
configs:
- config_name: default
  data_files:
  - split: train
    path: train.parquet
  - split: val
    path: val.parquet
  - split: test
    path: test.parquet
---
"""
_ORIGINS = {
    "human": "decided by a person",
    "consensus": "agreed by several people",
    "model": "proposed by a model; nobody has confirmed them",
    "source": "claimed by the source; nobody here has looked",
    "query": "taken from the search words; nobody has looked",
}
_UNSPLASH = (
    "- **Unsplash restricts machine-learning use of its images.** Read "
    "<https://unsplash.com/terms> and <https://unsplash.com/api-terms> before you train on "
    "them or pass them on."
)


_GBIF = (
    "- **GBIF asks for citation.** Data found by its search has no DOI of its own: before you "
    "publish, see <https://www.gbif.org/citation-guidelines>."
)
_UNKNOWN = "unknown"
_UNLABELLED = (
    "There are no labelled images yet, so train, val and test are empty: what is here waits for "
    "labels in `unlabelled.parquet`.\n"
)


def write_attribution(path: Path, blocks: Iterable[pa.Table]) -> None:
    """Write author, licence and link of every image as CSV.

    Args:
        path: the file to write.
        blocks: tables with `ATTRIBUTION_COLUMNS`.
    """
    schema = pa.schema([pa.field(name, pa.string()) for name in ATTRIBUTION_COLUMNS])
    with pacsv.CSVWriter(path, schema) as writer:
        for block in blocks:
            writer.write_table(block.select(list(ATTRIBUTION_COLUMNS)).cast(schema))


def card_text(info: Mapping[str, Any]) -> str:
    """Write the card of a manifest.

    Args:
        info: the content of its `manifest.json`, without the files.

    Returns:
        Markdown; every name that came from outside is escaped.
    """
    total = sum(info["images"].values())
    parts = [
        _FRONT,
        "# Image classification dataset\n",
        *(_labelled(info, total) if total else [_UNLABELLED]),
        _dropped(info["dropped"], info["recipe"]["min_per_class"]),
        "## Limits\n",
        "\n".join(_limits(info, total)) + "\n",
        "## Licences\n",
        _table(("licence", "images"), info["licenses"].items()),
        "\n".join(_terms(info["licenses"])),
        "Author, licence and link of every image are in `ATTRIBUTION.csv`; the settings that "
        "this dataset was made with are in `manifest.json`.\n",
        _citations(info.get("citations", ())),
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _labelled(info: Mapping[str, Any], total: int) -> list[str]:
    images, classes = info["images"], info["classes"]
    shares = ", ".join(f"{images[split]:,} {split}" for split in SPLITS)
    return [
        f"{total:,} images in {len(classes):,} classes: {shares}; {info['groups']:,} groups "
        f"of images that belong together, none of them on two sides. "
        f"Images that show none of the classes: {info['negatives']:,}.\n",
        "## Classes\n",
        _class_table(classes),
    ]


def _class_table(classes: Mapping[str, Mapping[str, int]]) -> str:
    largest = sorted(classes.items(), key=lambda item: (-item[1]["after"], item[0]))
    rows = [
        (name, *(n[key] for key in ("after", *SPLITS, "before")))
        for name, n in largest[:_CLASSES_SHOWN]
    ]
    table = _table(("class", "images", *SPLITS, "before balancing"), rows)
    hidden = len(largest) - len(rows)
    return table + (f"… and {hidden:,} smaller ones, in `manifest.json`.\n" if hidden else "")


def _dropped(dropped: Mapping[str, int], minimum: int) -> str:
    if not dropped:
        return ""
    largest = sorted(dropped.items(), key=lambda item: (-item[1], item[0]))[:20]
    named = ", ".join(f"{_escape(name)} {n:,}" for name, n in largest)
    more = ", …" if len(dropped) > len(largest) else ""
    return f"Dropped, below the minimum of {minimum:,} ({len(dropped):,} in all): {named}{more}.\n"


def _limits(info: Mapping[str, Any], total: int) -> list[str]:
    lines = []
    for origin, n in info["origins"].items():
        lines.append(f"- Labels of {n:,} of {total:,} images: {_ORIGINS[origin]}.")
    if not info["near_duplicates_searched"]:
        lines.append(
            "- Near-duplicates were not looked for among all these images: copies of one photo "
            "may be on two sides."
        )
    if info["alike_across"]:
        lines.append(
            "- Pairs of images on two sides that look alike (hashes that differ in at most 2 of "
            f"64 bits): {info['alike_across']:,}."
        )
    sizes = [n["after"] for n in info["classes"].values()]
    if sizes and max(sizes) > 2 * min(sizes):
        lines.append(
            f"- Classes are unequal: the largest has {max(sizes):,} images, the smallest "
            f"{min(sizes):,}; accuracy alone would mislead."
        )
    empty = without_image(info["classes"])
    lines += [
        f"- Classes without an image in {split}: {len(names):,}."
        for split, names in empty.items()
        if names
    ]
    lines += _more_limits(info)
    if unknown := info["licenses"].get(_UNKNOWN):
        lines.append(f"- Images without a known licence: {unknown:,}.")
    if "unsplash" in info["sources"]:
        lines.append(_UNSPLASH)
    if "gbif" in info["sources"] and not info.get("citations"):
        lines.append(_GBIF)
    return lines


def _more_limits(info: Mapping[str, Any]) -> list[str]:
    lines = []
    if n := info.get("repeated"):
        lines.append(
            f"- {n:,} rows of train repeat an image, so that classes weigh the same; counts here "
            "are of images."
        )
    if n := info.get("unlabelled"):
        lines.append(f"- {n:,} more images in `unlabelled.parquet` have no label yet.")
    if n := info["left_out"].get("outside"):
        names = sorted(info["outside"].items(), key=lambda item: (-item[1], item[0]))
        named = ", ".join(f"{_escape(name)} {count:,}" for name, count in names[:20])
        more = ", …" if len(names) > 20 else ""
        lines.append(
            f"- {n:,} images are left out that people have labelled only with classes outside the "
            f"class list: {named}{more}."
        )
    largest = info.get("proof", {}).get("largest_deviation")
    if largest and largest["images"] > 1:
        lines.append(
            f"- Groups are not torn apart, so shares are not exact: {_escape(largest['class'])} "
            f"is off by {largest['images']:,.0f} images in {largest['split']}."
        )
    return lines


def _terms(licenses: Mapping[str, int]) -> list[str]:
    """Say what the licences together allow and ask for."""
    asked = dict.fromkeys(_ASKED, 0)
    own = 0
    for name, n in licenses.items():
        if name in (_UNKNOWN, UNSPLASH, UNSPLASH_PLUS):
            continue
        parts = family(name).split("-")
        for part in _ASKED:
            asked[part] += n * (part in parts)
        own += n * (not is_known(name))
    lines = [f"- {n:,} images {_ASKED[part]}" for part, n in asked.items() if n]
    if own:
        lines.append(f"- {own:,} images have terms in their source's own words: read them.")
    return [*lines, ""] if lines else []


_ASKED = {
    "by": "must be credited wherever they are shown (BY).",
    "nc": "may not be used commercially (NC).",
    "nd": "may not be passed on changed, which resizing and cropping may count as (ND).",
    "sa": "ask that what is made of them has the same licence (SA).",
}
"""What a part of a Creative Commons name asks for."""


def _citations(citations: Iterable[Mapping[str, Any]]) -> str:
    lines = [f"- {_escape(each['text'])}" for each in citations]
    return "\n".join(["## How to cite\n", *lines, ""]) if lines else ""


def _table(header: tuple[str, ...], rows: Any) -> str:
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    for name, *numbers in rows:
        lines.append("| " + " | ".join([_escape(name), *(f"{n:,}" for n in numbers)]) + " |")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    flat = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
    return flat.replace("<", "&lt;").replace("[", "\\[").replace("`", "\\`")
