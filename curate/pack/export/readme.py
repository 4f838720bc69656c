"""The README of an export: what it is, how to load it, and the limits of its manifest's card."""

from __future__ import annotations

import re

from curate.pack.export.base import Format
from curate.pack.export.rows import LEFT_OUT, Tally
from curate.pack.manifest import CARD, Manifest

_FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def readme(manifest: Manifest, format_: Format, front: str, tally: Tally, name: str) -> str:
    """Write the README.

    Args:
        manifest: what was exported; its card follows, where it has one.
        format_: the format.
        front: lines that must come first.
        tally: what was taken.
        name: name of the export's folder.
    """
    shares = ", ".join(f"{n:,} {split}" for split, n in tally.images.items())
    parts = [
        f"{front}# {name}\n",
        f"Manifest {manifest.version} as {format_.name}: {tally.images.total():,} images, "
        f"{shares}. {format_.text}\n",
        f"## How to load it\n\n{format_.how_to_load}",
        "Author, licence and link of every image are in `ATTRIBUTION.csv`: they go where the "
        "images go. `export.json` tells how this folder was made.\n",
    ]
    parts += [
        f"Left out: {n:,} images {LEFT_OUT.get(why, why)}.\n" for why, n in tally.left_out.items()
    ]
    parts += [f"{note}\n" for note in format_.notes]
    card = manifest.path / CARD
    if card.is_file():
        body = _FRONT.sub("", card.read_text(encoding="utf-8"))
        body = body.lstrip("\n").replace("# Image classification dataset", "## The dataset", 1)
        for file in ("manifest.json", "unlabelled.parquet"):
            body = body.replace(f"`{file}`", f"`{file}` of the manifest {manifest.version}")
        parts.append(body)
    return "\n".join(parts)
