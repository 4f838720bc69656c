"""The benchmark corpus: JPEGs of every fate, made from one seed.

A full corpus is 5,000 files, a quick one a fifth of it, in the proportions that web lists
have: exact and near copies, truncated files, flipped bits, HTML pages and empty bodies
under image names. Rendering uses every core; `corpus.json` is written last, so that its
existence means that the corpus is complete. It is kept between runs in `bench-data/`, or
where `CURATE_BENCH_DATA` says (a tmpfs, to keep the disk out of the measurement).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from tests.benchmarks.render import BIG_SIZE_PX, SIZES_PX, encode, render

SEED: Final = 20240607
VERSION: Final = 2
FULL, QUICK = 5_000, 1_000
COUNTS: Final = {  # of 5,000; the rest are originals
    "big": 150,
    "exact": 500,
    "near": 500,
    "truncated": 100,
    "flip1": 25,
    "flip10": 25,
    "html": 25,
    "empty": 25,
}
DAMAGED: Final = frozenset({"truncated", "flip1", "flip10", "html", "empty"})
COPIES: Final = frozenset({"exact", "near"})
HTML: Final = b"<!DOCTYPE html><html><head><title>404</title></head><body>Gone.</body></html>\n"


@dataclass(frozen=True, slots=True)
class Item:
    """One file of the corpus."""

    name: str
    """File name; always ends in `.jpg`, whatever the bytes are."""
    kind: str
    """`original` or a key of COUNTS."""
    source: str = ""
    """For copies, the name of the original."""
    sha256: str = ""
    n_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Corpus:
    """A complete corpus on disk."""

    folder: Path
    items: tuple[Item, ...]

    @property
    def files(self) -> Path:
        """The folder that a server serves."""
        return self.folder / "files"

    @property
    def n_bytes(self) -> int:
        """Length of all files together."""
        return sum(item.n_bytes for item in self.items)


def plan(n: int, seed: int = SEED) -> list[Item]:
    """Say what each of `n` files will be, in an order shuffled by the seed."""
    kinds = [kind for kind, count in COUNTS.items() for _ in range(count * n // FULL)]
    kinds += ["original"] * (n - len(kinds))
    rng = np.random.default_rng(seed)
    rng.shuffle(kinds)
    names = [f"{i:05d}.jpg" for i in range(n)]
    originals = [name for name, kind in zip(names, kinds, strict=True) if kind == "original"]
    sources = iter(rng.permutation(originals).tolist())
    return [
        Item(name, kind, next(sources) if kind in COPIES else "")
        for name, kind in zip(names, kinds, strict=True)
    ]


def _flip(rng: np.random.Generator, data: bytes, bits: int) -> bytes:
    """Flip bits in the entropy-coded part, where only a real decode can notice."""
    damaged = bytearray(data)
    start = data.index(b"\xff\xda") + 16
    for at in rng.integers(start, len(data) - 2, bits).tolist():
        damaged[at] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def _near(rng: np.random.Generator, data: bytes) -> bytes:
    """A copy as the web makes them: recompressed, made smaller, or cropped a little."""
    with Image.open(io.BytesIO(data)) as opened:
        image = opened.convert("RGB")
    width, height = image.size
    change = int(rng.integers(3))
    if change == 0:
        return encode(image, 60, progressive=False)
    if change == 1:
        small = image.resize((round(width * 0.7), round(height * 0.7)), Image.Resampling.LANCZOS)
        return encode(small, 85, progressive=False)
    dx, dy = round(width * 0.03), round(height * 0.03)
    return encode(image.crop((dx, dy, width, height)), 87, progressive=False)


def _body(item: Item, files: Path) -> bytes:
    rng = np.random.default_rng([SEED, int(item.name[:5])])
    if item.kind == "empty":
        return b""
    if item.kind == "html":
        return HTML
    if item.kind in COPIES:
        data = (files / item.source).read_bytes()
        return data if item.kind == "exact" else _near(rng, data)
    size = BIG_SIZE_PX if item.kind == "big" else SIZES_PX[int(rng.integers(len(SIZES_PX)))]
    progressive = bool(rng.random() < 0.15)
    data = encode(render(rng, size), int(rng.integers(85, 91)), progressive)
    if item.kind == "truncated":
        return data[: int(len(data) * rng.uniform(0.3, 0.95))]
    if item.kind in ("flip1", "flip10"):
        return _flip(rng, data, 10 if item.kind == "flip10" else 1)
    return data


def _make(files: Path, item: Item) -> Item:
    data = _body(item, files)
    (files / item.name).write_bytes(data)
    return Item(item.name, item.kind, item.source, hashlib.sha256(data).hexdigest(), len(data))


def build(folder: Path, n: int) -> Corpus:
    """Render a corpus of `n` files into `folder`, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    files = folder / "files"
    files.mkdir(parents=True)
    planned = plan(n)
    made: dict[str, Item] = {}
    with ProcessPoolExecutor() as pool:
        for copies in (False, True):  # copies need their originals on disk
            items = [item for item in planned if (item.kind in COPIES) == copies]
            made.update((i.name, i) for i in pool.map(partial(_make, files), items, chunksize=16))
    rows = [asdict(made[item.name]) for item in planned]
    (folder / "corpus.json").write_text(json.dumps({"version": VERSION, "items": rows}))
    return Corpus(folder, tuple(made[item.name] for item in planned))


def load(quick: bool, env: Mapping[str, str] = os.environ) -> Corpus:
    """Open the corpus, rendering it if it is not there yet (about two minutes on two cores).

    Args:
        quick: a fifth of the files.
        env: `CURATE_BENCH_DATA` names the cache folder; `bench-data` if unset.
    """
    folder = Path(env.get("CURATE_BENCH_DATA", "bench-data")) / ("quick" if quick else "full")
    listing = folder / "corpus.json"
    if listing.exists():
        data = json.loads(listing.read_text())
        if data["version"] == VERSION:
            return Corpus(folder, tuple(Item(**row) for row in data["items"]))
    return build(folder, QUICK if quick else FULL)
