"""Pre-labelling against a plain loop that decodes with Pillow and then infers.

The peers take turns, and what counts is the ratio of one round. Decoding and inference are also
measured alone, with as many threads, for the bound that overlapping them cannot pass.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from curate.assist.decode import pixels
from curate.assist.model import Model, open_model
from curate.assist.pipeline import answers, cores
from tests.benchmarks.report import Options

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
MODELS = {
    "MobileNetV2 1.0, bytes": "mobilenet_v2_1.0_224_nhwc_u8.onnx",
    "MobileNetV1 0.25, floats": "mobilenet_v1_0.25_224_nhwc_f32.onnx",
}
REPEATS = 2
MEMORY_IMAGES = 20_000


def bench(options: Options) -> str:
    """Measure, and return the section for the page."""
    photos = sorted((SHARED / "photos" / "imagenet-sample").glob("*.JPEG")) * REPEATS
    if not photos:
        return "The photos and models to measure with are not beside this checkout."
    photos = photos[:100] if options.quick else photos
    rows = [_row(title, name, photos, options) for title, name in MODELS.items()]
    n_images = 1_000 if options.quick else MEMORY_IMAGES
    lines = [
        f"{len(photos)} photos of 500 x 375 pixels, {cores()} cores, images per second, median of "
        f"{options.rounds} rounds.",
        "",
        "| model | Pillow, then infer | curate | ratio | decode alone | infer alone "
        "| share of what both together allow |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        _memory(photos, n_images),
    ]
    return "\n".join(lines)


def _row(title: str, name: str, photos: Sequence[Path], options: Options) -> str:
    model = open_model(SHARED / "onnx" / name)
    runs: dict[str, Callable[[], int]] = {
        "plain": lambda: _plain(model, photos),
        "ours": lambda: sum(len(each.good) for each in answers(model, photos)),
        "decode": lambda: _threads(
            lambda path: pixels(path.read_bytes(), model.preprocess), photos
        ),
        "infer": lambda: _infer(model, photos),
    }
    found: dict[str, list[float]] = {key: [] for key in runs}
    for _ in range(options.rounds):
        for key, run in runs.items():
            began = time.perf_counter()
            n = run()
            found[key].append(n / (time.perf_counter() - began))
    ratio = statistics.median(
        ours / plain for ours, plain in zip(found["ours"], found["plain"], strict=True)
    )
    # Both on all cores: one picture costs the sum of both, so the bound is that of the sum.
    of_bound = statistics.median(
        ours * (1 / decode + 1 / infer)
        for ours, decode, infer in zip(found["ours"], found["decode"], found["infer"], strict=True)
    )
    plain, ours, decode, infer = (statistics.median(found[key]) for key in runs)
    return (
        f"| {title} | {plain:.0f} | {ours:.0f} | {ratio:.2f} | {decode:.0f} | {infer:.0f} "
        f"| {100 * of_bound:.0f} % |"
    )


def _plain(model: Model, photos: Sequence[Path]) -> int:
    """What one writes at first: a loop over files, with the runtime as it comes."""
    session = onnxruntime.InferenceSession(model.path)
    side = model.input.height_px
    for path in photos:
        with Image.open(path) as image:
            colours = image.convert("RGB")
        grow = 256 / min(colours.size)
        resized = colours.resize((round(colours.width * grow), round(colours.height * grow)))
        left, top = (resized.width - side) // 2, (resized.height - side) // 2
        part = np.asarray(resized.crop((left, top, left + side, top + side)))[None]
        fed = part if "uint8" in model.input.kind else (part / np.float32(127.5) - 1)
        session.run(None, {model.input.name: fed})
    return len(photos)


def _threads(work: Callable[[Path], object], photos: Sequence[Path]) -> int:
    with ThreadPoolExecutor(cores()) as pool:
        return sum(1 for _ in pool.map(work, photos))


def _infer(model: Model, photos: Sequence[Path]) -> int:
    picture = pixels(photos[0].read_bytes(), model.preprocess)[None]
    return _threads(lambda _path: model.run(picture), photos)


def _memory(photos: Sequence[Path], n_images: int) -> str:
    """Say how much memory grows from a tenth of the images to all of them."""
    model = open_model(SHARED / "onnx" / "resnet8_cifar10_nhwc_f32.onnx")
    seen, early = 0, 0.0
    many = islice(cycle(photos), n_images)
    for each in answers(model, many):
        seen += len(each.good)
        if seen == n_images // 10:
            early = _resident_mb()
    return (
        f"Memory over {seen:,} images: {early:.0f} MB after a tenth of them, "
        f"{_resident_mb():.0f} MB at the end."
    )


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
