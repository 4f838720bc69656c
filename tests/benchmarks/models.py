"""Pre-labelling against a plain loop that decodes with Pillow and then infers.

The peers take turns, and what counts is the ratio of one round. Also measured: the loop's
decoding and its inference, each alone, and curate's own, each alone on all cores, for the bound
that overlapping them cannot pass.
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
        "| model | Pillow, then infer | curate | ratio | of the slower of the two alone "
        "| of what both on all cores allow |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        _memory(photos, n_images),
    ]
    return "\n".join(lines)


def _row(title: str, name: str, photos: Sequence[Path], options: Options) -> str:
    model = open_model(SHARED / "onnx" / name)
    session = onnxruntime.InferenceSession(model.path)
    picture = pixels(photos[0].read_bytes(), model.preprocess)[None]
    one = model.fed(picture)
    runs: dict[str, Callable[[], object]] = {
        "plain": lambda: [_infer(model, session, _decode(model, path)) for path in photos],
        "ours": lambda: sum(len(each.good) for each in answers(model, photos)),
        "decode": lambda: [_decode(model, path) for path in photos],
        "infer": lambda: [_infer(model, session, one) for _ in photos],
        "our decode": lambda: _threads(
            lambda path: pixels(path.read_bytes(), model.preprocess), photos
        ),
        "our infer": lambda: _threads(lambda _path: model.run(picture), photos),
    }
    rounds = []
    for _ in range(options.rounds):
        rates = {}
        for key, run in runs.items():
            began = time.perf_counter()
            run()
            rates[key] = len(photos) / (time.perf_counter() - began)
        rounds.append(rates)

    def median(of: Callable[[dict[str, float]], float]) -> float:
        return statistics.median(of(each) for each in rounds)

    plain, ours = median(lambda each: each["plain"]), median(lambda each: each["ours"])
    ratio = median(lambda each: each["ours"] / each["plain"])
    slower = median(lambda each: each["ours"] / min(each["decode"], each["infer"]))
    # All cores at both: a picture costs the sum, and nothing can be faster than that.
    bound = median(lambda each: each["ours"] * (1 / each["our decode"] + 1 / each["our infer"]))
    return (
        f"| {title} | {plain:.0f} | {ours:.0f} | {ratio:.2f} | {100 * slower:.0f} % "
        f"| {100 * bound:.0f} % |"
    )


def _decode(model: Model, path: Path) -> np.ndarray:
    """What one writes at first: Pillow, resized, the centre cut out."""
    side = model.input.height_px
    with Image.open(path) as image:
        colours = image.convert("RGB")
    grow = 256 / min(colours.size)
    resized = colours.resize((round(colours.width * grow), round(colours.height * grow)))
    left, top = (resized.width - side) // 2, (resized.height - side) // 2
    part = np.asarray(resized.crop((left, top, left + side, top + side)))[None]
    return part if "uint8" in model.input.kind else (part / np.float32(127.5) - 1)


def _infer(model: Model, session: onnxruntime.InferenceSession, fed: np.ndarray) -> object:
    """Run the runtime as it comes."""
    return session.run(None, {model.input.name: fed})


def _threads(work: Callable[[Path], object], photos: Sequence[Path]) -> int:
    with ThreadPoolExecutor(cores()) as pool:
        return sum(1 for _ in pool.map(work, photos))


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
