"""Models of every shape and type give the scores that arithmetic says, and real ones the
scores of a plain loop."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto
from PIL import Image

from curate.assist.decode import pixels
from curate.assist.model import Model, Outputs, Wish, open_model
from curate.assist.names import imagenet_names
from curate.assist.pipeline import answers
from curate.errors import CurateError
from tests.assist.made import Shape, classifier, saved

RED, GREEN, BLUE = np.eye(3, dtype=np.uint8) * 255


def plain(*colours: np.ndarray, height: int = 32, width: int = 32) -> np.ndarray:
    """Pictures of one colour each."""
    return np.stack([np.broadcast_to(each, (height, width, 3)) for each in colours])


def opened(tmp_path: Path, wish: Wish | None = None, **how: Any) -> Model:
    """A model that was just made: trying it in a process of its own would take most of the time."""
    wish = replace(wish or Wish(), trusted=True)
    return open_model(saved(classifier(**how), tmp_path / "model.onnx"), wish)


@pytest.mark.parametrize(
    ("shape", "channels_last", "batch"),
    [
        (("n", 3, 32, 32), False, 0),
        ((1, 3, 32, 32), False, 1),
        ((4, 3, 32, 32), False, 4),
        (("n", 32, 32, 3), True, 0),
        ((1, 32, 32, 3), True, 1),
        (("n", 3, "h", "w"), False, 0),
        (("n", "h", "w", 3), True, 0),
        (("n", "c", "h", "w"), False, 0),
        (("n", "a", "b", "c"), True, 0),
        (None, False, 0),
    ],
)
def test_layouts_and_batches(tmp_path: Path, shape: Shape, channels_last: bool, batch: int) -> None:
    check_colours(tmp_path, shape, channels_last, batch, TensorProto.FLOAT)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.UINT8, TensorProto.DOUBLE])
def test_types(tmp_path: Path, kind: int) -> None:
    check_colours(tmp_path, ("n", 32, 32, 3), True, 0, kind)
    check_colours(tmp_path, (4, 3, 32, 32), False, 4, kind)


def check_colours(tmp_path: Path, shape: Shape, channels_last: bool, batch: int, kind: int) -> None:
    preset = "raw" if kind == TensorProto.UINT8 else "unit"
    model = opened(tmp_path, Wish(preset), shape=shape, channels_last=channels_last, kind=kind)
    assert (model.input.channels_last, model.input.batch) == (channels_last, batch)
    is_known = shape is not None and 32 in shape
    assert (model.input.height_px, model.input.width_px) == ((32, 32) if is_known else (224, 224))
    side = model.input.height_px
    scores = model.scores(plain(BLUE, RED, GREEN, RED, BLUE, height=side, width=side))
    assert scores.argmax(axis=1).tolist() == [2, 0, 1, 0, 2]
    assert scores.shape == (5, 3)
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-3)
    assert model.outputs is Outputs.SOFTMAX


def test_a_model_of_a_stranger_gives_the_same(tmp_path: Path) -> None:
    path = saved(classifier(("n", "a", "b", 3), channels_last=True), tmp_path / "model.onnx")
    one, other = (open_model(path, Wish(trusted=each)) for each in (False, True))
    assert (one.input, one.outputs, one.guesses) == (other.input, other.outputs, other.guesses)


def test_a_picture_that_is_not_square(tmp_path: Path) -> None:
    model = opened(tmp_path, shape=("n", 3, 48, 16))
    assert (model.input.height_px, model.input.width_px) == (48, 16)
    assert (model.preprocess.height_px, model.preprocess.width_px) == (48, 16)


def test_blue_first(tmp_path: Path) -> None:
    model = opened(tmp_path, Wish("caffe"))
    assert model.scores(plain(RED)).argmax() == 2


def test_grey_pictures(tmp_path: Path) -> None:
    weights = np.array([[1.0, -1.0]])
    model = opened(tmp_path, Wish("unit"), shape=("n", 1, 32, 32), weights=weights)
    white, black = np.full(3, 255, np.uint8), np.zeros(3, np.uint8)
    scores = model.scores(plain(white, black))
    assert scores[0] == pytest.approx([1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))], abs=1e-4)
    assert scores[1] == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("end", "notes", "found"),
    [
        ("Softmax", {}, Outputs.SOFTMAX),
        ("Sigmoid", {}, Outputs.SIGMOID),
        ("LogSoftmax", {}, Outputs.LOGITS),
        (None, {}, Outputs.LOGITS),
        (None, {"curate.exclusive": "false"}, Outputs.MULTI_LOGITS),
        (None, {"curate.exclusive": "true"}, Outputs.LOGITS),
    ],
)
def test_what_the_numbers_are_is_found_out(
    tmp_path: Path, end: str | None, notes: dict[str, str], found: Outputs
) -> None:
    model = opened(tmp_path, Wish("unit"), end=end, notes=notes)
    assert model.outputs is found
    linear = np.array([1.0, 0.0, 0.0])
    softmax = np.exp(linear) / np.exp(linear).sum()
    expected = softmax if model.exclusive else 1 / (1 + np.exp(-linear))
    assert model.scores(plain(RED))[0] == pytest.approx(expected, abs=1e-5)


def test_what_the_numbers_are_can_be_said(tmp_path: Path) -> None:
    model = opened(tmp_path, Wish("unit", outputs=Outputs.MULTI_LOGITS), end=None)
    assert not model.exclusive
    assert model.scores(plain(RED))[0] == pytest.approx([0.7311, 0.5, 0.5], abs=1e-3)


def test_a_lone_output_is_yes_or_no(tmp_path: Path) -> None:
    weights = np.array([[4.0], [0.0], [-4.0]])
    notes = {"names": "['cat', 'dog']"}
    model = opened(tmp_path, Wish("unit"), weights=weights, end="Sigmoid", notes=notes)
    assert (model.classes, model.n_classes, model.exclusive) == (("cat", "dog"), 2, True)
    assert model.scores(plain(RED))[0] == pytest.approx([0.018, 0.982], abs=1e-3)


def test_a_lone_output_with_one_name_is_that_class(tmp_path: Path) -> None:
    weights = np.array([[4.0], [0.0], [-4.0]])
    notes = {"curate.classes": '["dog"]', "curate.exclusive": "false"}
    model = opened(tmp_path, Wish("unit"), weights=weights, end="Sigmoid", notes=notes)
    assert (model.n_classes, model.exclusive) == (1, False)
    assert model.scores(plain(RED))[0] == pytest.approx([0.982], abs=1e-3)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('["r", "g", "b"]', "curate.classes"),
        ("{0: 'r', 1: 'g', 2: 'b'}", "names"),
        ('{"0": "r", "1": "g", "2": "b"}', "id2label"),
        ("r,g,b", "classes"),
        ("r\ng\nb\n", "labels"),
    ],
)
def test_names_in_notes(tmp_path: Path, text: str, key: str) -> None:
    assert opened(tmp_path, notes={key: text}).classes == ("r", "g", "b")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("n.txt", "r\ng\nb\n"),
        ("n.txt", "0: r\n1: g\n2: b\n"),
        ("n.txt", "2 b\n0 r\n1 g\n"),
        ("n.json", '["r", "g", "b"]'),
        ("n.json", '{"0": ["n1", "r"], "1": ["n2", "g"], "2": ["n3", "b"]}'),
        ("n.json", '{"r": 0, "b": 2, "g": 1}'),
        ("n.json", '{"id2label": {"0": "r", "1": "g", "2": "b"}}'),
    ],
)
def test_names_in_a_file(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    assert opened(tmp_path, Wish(names=file)).classes == ("r", "g", "b")


def test_names_beside_the_model_are_taken_if_they_fit(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("only\ntwo\n")
    assert opened(tmp_path).classes is None
    (tmp_path / "model.names").write_text("r\ng\nb\n")
    model = opened(tmp_path)
    assert model.classes == ("r", "g", "b")
    assert any("model.names" in each for each in model.guesses)


def test_names_that_are_too_few_are_refused(tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("r\ng\n")
    with pytest.raises(CurateError, match=r"has 3 outputs, and .*n\.txt has 2 names"):
        opened(tmp_path, Wish(names=tmp_path / "n.txt"))


def test_notes_of_a_trained_head_need_no_flags(tmp_path: Path) -> None:
    prepared = {"height_px": 32, "width_px": 32, "deviation": [255, 255, 255], "fit": "squeeze"}
    notes = {
        "curate.classes": '["r", "", "b"]',
        "curate.exclusive": "true",
        "curate.preprocess": json.dumps({**prepared, "scale": 1.0}),
        "curate.thresholds": '{"r": 0.4, "": 0.1, "b": 0.9}',
    }
    model = opened(tmp_path, notes=notes)
    assert model.classes == ("r", "", "b")
    assert model.thresholds == {"r": 0.4, "": 0.1, "b": 0.9}
    assert model.preprocess.fit == "squeeze"
    assert model.guesses == ()


@pytest.mark.parametrize(
    ("said", "mean", "deviation", "fit", "scale"),
    [
        (
            {
                "size": {"shortest_edge": 256},
                "crop_size": {"height": 224, "width": 224},
                "do_center_crop": True,
                "image_mean": [0.5, 0.5, 0.5],
                "image_std": [0.5, 0.5, 0.5],
            },
            127.5,
            127.5,
            "crop",
            256 / 224,
        ),
        ({"size": {"height": 224, "width": 224}, "do_normalize": False}, 0, 255, "squeeze", 1),
        ({"size": 224, "do_rescale": False, "do_normalize": False}, 0, 1, "squeeze", 1),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, 0, 255, "crop", 1 / 0.875),
    ],
)
def test_a_sidecar_of_hugging_face(
    tmp_path: Path,
    said: dict[str, Any],
    mean: float,
    deviation: float,
    fit: str,
    scale: float,
) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    found = opened(tmp_path, shape=("n", 3, 224, 224)).preprocess
    assert found.mean == pytest.approx((mean,) * 3)
    assert found.deviation == pytest.approx((deviation,) * 3)
    assert (found.fit, found.scale) == (fit, pytest.approx(scale))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"size": "big"}', '{"size": {"a": 1}}'])
def test_a_sidecar_that_says_nothing(tmp_path: Path, text: str) -> None:
    sidecar = tmp_path / "said.json"
    sidecar.write_text(text)
    with pytest.raises(CurateError, match="nothing that can be followed"):
        opened(tmp_path, Wish(preprocess=sidecar))


def test_one_of_several_outputs(tmp_path: Path) -> None:
    made = classifier()
    made.graph.output.insert(0, made.graph.output[0].__class__(name="mean"))
    path = saved(made, tmp_path / "model.onnx")
    assert open_model(path, Wish(output="scores")).outputs is Outputs.SOFTMAX
    with pytest.raises(CurateError, match="no output 'other'"):
        open_model(path, Wish(output="other"))


def test_order_and_broken_files_in_the_pipeline(tmp_path: Path) -> None:
    model = opened(tmp_path, Wish("unit"))
    colours = [RED, GREEN, BLUE] * 40
    paths = []
    for place, colour in enumerate(colours):
        path = tmp_path / f"{place}.png"
        Image.fromarray(plain(colour)[0]).save(path)
        paths.append(path)
    paths[50].write_bytes(b"\x89PNG\r\n\x1a\n broken")
    found = list(answers(model, paths, threads=3))
    good = np.concatenate([each.good for each in found])
    rows = np.concatenate([each.rows for each in found])
    assert np.flatnonzero(~good).tolist() == [50]
    expected = np.arange(120) % 3
    assert (rows.argmax(axis=1) == expected)[good].all()


# Real models on real photos, against a plain loop.

CAFFE = np.array([104, 117, 123], np.float32)
LOOPS = {
    "raw": ("mobilenet_v2_1.0_224_nhwc_u8", lambda x: x.astype(np.uint8)),
    "keras-mobilenet": ("mobilenet_v1_0.25_224_nhwc_f32", lambda x: x / 127.5 - 1),
    "inception": ("mobilenet_v1_0.25_224_nhwc_f32", lambda x: x / 127.5 - 1),
    "caffe": (
        "SqueezeNet_fp16",
        lambda x: (x[..., ::-1] - CAFFE).transpose(2, 0, 1).astype(np.float16),
    ),
    "imagenet": (
        "SqueezeNet_fp16",
        lambda x: (
            ((x - np.float32([123.675, 116.28, 103.53])) / np.float32([58.395, 57.12, 57.375]))
            .transpose(2, 0, 1)
            .astype(np.float16)
        ),
    ),
}


def cut(path: Path, side: int, margin: int) -> np.ndarray:
    """Resize the shorter side and cut out the centre, as everybody does."""
    with Image.open(path) as image:
        colours = image.convert("RGB")
    grow = (side + margin) / min(colours.size)
    size = round(colours.width * grow), round(colours.height * grow)
    resized = colours.resize(size, Image.Resampling.BILINEAR)
    left, top = round((resized.width - side) / 2), round((resized.height - side) / 2)
    return np.asarray(resized.crop((left, top, left + side, top + side)), np.float32)


def plain_name(text: str) -> str:
    return re.sub("[^a-z0-9]", "", text.lower())


@pytest.mark.slow
@pytest.mark.parametrize("preset", LOOPS)
def test_top_1_is_that_of_a_plain_loop(shared: Path, preset: str) -> None:
    name, prepare = LOOPS[preset]
    path = shared / "onnx" / f"{name}.onnx"
    photos = sorted((shared / "photos" / "imagenet-sample").glob("*.JPEG"))
    assert len(photos) == 175
    if preset in ("inception", "imagenet"):  # the first is keras-mobilenet's; see below
        photos = photos[::5]
    session = onnxruntime.InferenceSession(path)
    model = open_model(path, Wish(preset))
    given, first = session.get_inputs()[0].name, model.n_outputs - 1000
    known = [{plain_name(part) for part in each.split(",")} for each in imagenet_names()]
    ours = np.concatenate([each.rows for each in answers(model, photos)]).argmax(axis=1) - first
    right = {"plain": 0, "ours": 0}
    for photo, place in zip(photos, ours, strict=True):
        truth = plain_name(photo.stem.split("_", 1)[1])
        (row,) = session.run(None, {given: prepare(cut(photo, 224, 32))[None]})
        right["plain"] += truth in known[int(row.reshape(-1).argmax()) - first]
        right["ours"] += truth in known[place]
    assert abs(right["plain"] - right["ours"]) / len(photos) <= 0.01
    if preset != "imagenet":  # which is wrong for this model: both must be wrong alike
        assert right["ours"] / len(photos) > 0.5


def test_a_guess_by_name_does_not_claim_a_layout(shared: Path) -> None:
    path = shared / "onnx" / "mobilenet_v1_1.0_224_embed_nchw_f32.onnx"
    model = open_model(path, Wish())
    [preset] = [each for each in model.guesses if "preset" in each]
    assert "keras-mobilenet" in preset
    assert "colours last" not in preset


@pytest.mark.slow
def test_cifar_is_guessed_right(shared: Path) -> None:
    model = open_model(shared / "onnx" / "resnet8_cifar10_nhwc_f32.onnx")
    photos = sorted((shared / "photos" / "cifar10-500").glob("*/*"))
    classes = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    rows = np.concatenate([each.rows for each in answers(model, photos)])
    right = np.mean(
        [
            classes[place] == path.parent.name
            for place, path in zip(rows.argmax(axis=1), photos, strict=True)
        ]
    )
    assert len(photos) == 500
    assert right == pytest.approx(0.752, abs=0.01)


def test_exif_turns_and_large_photos_do_not_change_the_answer(shared: Path, tmp_path: Path) -> None:
    model = open_model(shared / "onnx" / "mobilenet_v2_1.0_224_nhwc_u8.onnx")
    photo = sorted((shared / "photos" / "imagenet-sample").glob("*.JPEG"))[0]
    with Image.open(photo) as image:
        large = image.convert("RGB").resize((image.width * 4, image.height * 4))
    exif = Image.Exif()
    exif[0x0112] = 8
    turned = tmp_path / "turned.jpg"
    large.transpose(Image.Transpose.ROTATE_270).save(turned, quality=95, exif=exif)
    one, other = (
        model.scores(pixels(path.read_bytes(), model.preprocess)[None])[0]
        for path in (photo, turned)
    )
    assert one.argmax() == other.argmax() == 2
    assert abs(one.max() - other.max()) < 0.05
