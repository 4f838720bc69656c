"""Files that are no models, or models that ask for what they must not have.

Each gets one line that says why, in good time; no other file is read, and nothing crashes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from curate.assist.model import Wish, open_model
from curate.errors import CurateError
from tests.assist.made import classifier, finished, saved

Maker = Callable[[Path], Path]

WISH = Wish(timeout_s=20, memory_bytes=3 * 1024**3)


def written(data: bytes, name: str = "model.onnx") -> Maker:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return make


def model(build: Callable[[], ModelProto]) -> Maker:
    return lambda folder: saved(build(), folder / "model.onnx")


def truncated(share: float) -> Maker:
    data = classifier(weights=np.zeros((3, 500))).SerializeToString()
    return written(data[: int(len(data) * share)])


def graph(nodes: list[Any], outputs: list[str], *tensors: TensorProto, shape: Any = None) -> Any:
    return helper.make_graph(
        nodes,
        "odd",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape or (1, 3, 8, 8))],
        [helper.make_tensor_value_info(each, TensorProto.FLOAT, None) for each in outputs],
        list(tensors),
    )


def external(location: str, prepare: Callable[[Path], None] = lambda _folder: None) -> Maker:
    """A model whose weights are said to be in a file."""

    def make(folder: Path) -> Path:
        inside = folder / "inside"
        inside.mkdir()
        (folder / "secret.bin").write_bytes(np.eye(3, dtype=np.float32).tobytes())
        prepare(folder)
        made = classifier()
        tensor = made.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", location.format(folder=folder)
        return saved(made, inside / "model.onnx")

    return make


def symlink(folder: Path) -> None:
    (folder / "inside" / "weights.bin").symlink_to(folder / "secret.bin")


def hard_link(folder: Path) -> None:
    os.link(folder / "secret.bin", folder / "inside" / "weights.bin")


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "model.onnx")
    return folder / "model.onnx"


def claim(dims: list[int], **fields: Any) -> Maker:
    """A model with a tensor that claims more than it holds."""

    def build() -> ModelProto:
        made = classifier()
        tensor = made.graph.initializer[0]
        del tensor.dims[:]
        tensor.dims.extend(dims)
        for key, value in fields.items():
            setattr(tensor, key, value)
        return made

    return model(build)


def custom_operator() -> ModelProto:
    node = helper.make_node("Steal", ["input"], ["scores"], domain="com.stranger")
    return finished(graph([node], ["scores"]), domains=["com.stranger"])


def context_operator() -> ModelProto:
    node = helper.make_node("EPContext", ["input"], ["scores"], domain="com.microsoft")
    return finished(graph([node], ["scores"]), domains=["com.microsoft"])


def nested_custom_operator() -> ModelProto:
    inner = helper.make_graph(
        [helper.make_node("Steal", ["input"], ["y"], domain="com.stranger")],
        "inner",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    node = helper.make_node("If", ["yes"], ["scores"], then_branch=inner, else_branch=inner)
    yes = numpy_helper.from_array(np.array(True), "yes")
    return finished(graph([node], ["scores"], yes), domains=["com.stranger"])


def deeply_nested() -> ModelProto:
    inner = helper.make_graph([helper.make_node("Identity", ["input"], ["y"])], "g", [], [])
    for _ in range(20):
        node = helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([node], "g", [], [])
        del inner.node[0].attribute[1]
    made = finished(graph([], ["scores"]))
    made.graph.node.extend(inner.node)
    return made


def grows(n: int) -> ModelProto:
    """Asks for n times n numbers when it is loaded or run."""
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["wide"]),
        helper.make_node("ReduceSum", ["wide"], ["sum"], keepdims=0),
        helper.make_node("Add", ["input", "sum"], ["scores"]),
    ]
    size = numpy_helper.from_array(np.array([n, n], dtype=np.int64), "size")
    return finished(graph(nodes, ["scores"], size))


def loops() -> ModelProto:
    """Counts to two to the power of sixty before it answers."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Sin", ["x"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    node = helper.make_node("Loop", ["times", "yes", "input"], ["scores"], body=body)
    times = numpy_helper.from_array(np.array(2**60, dtype=np.int64), "times")
    yes = numpy_helper.from_array(np.array(True), "yes")
    return finished(graph([node], ["scores"], times, yes))


def two_inputs() -> ModelProto:
    made = classifier()
    made.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    return made


def two_outputs() -> ModelProto:
    made = classifier()
    made.graph.output.append(helper.make_tensor_value_info("linear", TensorProto.FLOAT, None))
    return made


def whole_maps() -> ModelProto:
    node = helper.make_node("Relu", ["input"], ["scores"])
    return finished(graph([node], ["scores"]))


def one_for_all() -> ModelProto:
    node = helper.make_node("ReduceMean", ["input"], ["scores"], keepdims=0)
    return finished(graph([node], ["scores"], shape=("n", 3, 8, 8)))


def unknown_operator() -> ModelProto:
    return finished(graph([helper.make_node("Frobnicate", ["input"], ["scores"])], ["scores"]))


def future_operators() -> ModelProto:
    return classifier(opset=9999)


def no_graph() -> ModelProto:
    made = classifier()
    made.ClearField("graph")
    return made


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
CASES: dict[str, tuple[Maker, str]] = {
    "nothing there": (lambda folder: folder / "none.onnx", "is not there"),
    "a folder": (lambda folder: folder, "is a folder"),
    "a pipe that nobody fills": (fifo, "is not a file"),
    "no bytes": (written(b""), "is empty"),
    "text": (written(b"hello, this is not a model at all\n" * 20), "not a whole ONNX model"),
    "noise": (written(np.random.default_rng(1).bytes(4096)), "not a whole ONNX model"),
    "zeros": (written(bytes(4096)), "not a whole ONNX model"),
    "a page": (written(b"<!DOCTYPE html><html>404</html>"), "a page or XML"),
    "a pointer of LFS": (written(LFS), "pointer of Git LFS"),
    "a zip archive": (written(b"PK\x03\x04" + bytes(100)), "a zip archive"),
    "an HDF5 file": (written(b"\x89HDF\r\n\x1a\n" + bytes(100)), "an HDF5 file"),
    "TensorFlow Lite": (written(b"\x1c\0\0\0TFL3" + bytes(100)), "TensorFlow Lite"),
    "a photo": (written(b"\xff\xd8\xff\xe0" + bytes(100)), "a picture"),
    "half of a model": (truncated(0.5), "cut off"),
    "all but a byte": (truncated(0.9999), "not a whole ONNX model|cannot be run"),
    "no graph": (model(no_graph), "it has no graph"),
    "a field without an end": (written(b"\x08" + b"\xff" * 20), "a number without an end"),
    "weights by a path": (external("../secret.bin"), "another file"),
    "a custom operator": (model(custom_operator), "custom operator Steal of com.stranger"),
    "one inside a branch": (model(nested_custom_operator), "custom operator Steal"),
    "an operator that opens files": (model(context_operator), "custom operator EPContext"),
    "graphs in graphs": (model(deeply_nested), "nested too deep"),
    "a huge claim": (claim([2**40, 2**20]), "claims .* bytes and holds"),
    "a claim beyond 64 bits": (claim([2**62, 2**62, 2**62]), "claims .* bytes and holds"),
    "a negative size": (claim([-1, 3]), "negative size"),
    "a claim of nothing": (claim([2**50], raw_data=b""), "claims .* bytes and holds"),
    "memory at run time": (model(lambda: grows(100_000)), "cannot be run|crash"),
    "a loop without end": (model(loops), "no answer within"),
    "no pictures": (model(lambda: classifier(("n", 10))), "not pictures"),
    "five sizes": (model(lambda: classifier((1, 3, 8, 8, 8))), "not pictures"),
    "seven colours": (model(lambda: classifier((1, 7, 8, 8))), "not pictures"),
    "whole numbers": (
        model(lambda: classifier(kind=TensorProto.INT64)),
        "not pictures",
    ),
    "two inputs": (model(two_inputs), "2 inputs"),
    "two outputs": (model(two_outputs), r"2 outputs \(scores, linear\)"),
    "a map, not a row": (model(whole_maps), "not one row of scores"),
    "a number for all": (model(one_for_all), "not one row of scores"),
    "an operator of nobody": (model(unknown_operator), "cannot be run"),
    "operators of the future": (model(future_operators), "cannot be run"),
    "a giant picture": (
        model(lambda: classifier((1, 3, 100_000, 100_000))),
        "100000 x 100000 pixels",
    ),
    "names that do not match": (
        model(lambda: classifier(notes={"curate.classes": '["a", "b"]'})),
        "has 3 outputs, and its note 'curate.classes' has 2 names",
    ),
    "thresholds of nonsense": (
        model(lambda: classifier(notes={"curate.thresholds": '{"a": []}'})),
        "thresholds that make no sense",
    ),
    "preprocessing of nonsense": (
        model(lambda: classifier(notes={"curate.preprocess": '{"height_px": -1}'})),
        "notes that make no sense",
    ),
}
SLOW = {"a loop without end", "memory at run time"}


@pytest.mark.parametrize(
    ("maker", "said"),
    [
        pytest.param(*case, id=name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name, case in CASES.items()
    ],
)
def test_it_is_refused_in_one_line(maker: Maker, said: str, tmp_path: Path) -> None:
    if maker is fifo and not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names here")
    wish = Wish(timeout_s=8) if said == "no answer within" else WISH
    with pytest.raises(CurateError, match=said) as caught:
        open_model(maker(tmp_path), wish)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 700


def test_there_are_thirty_of_them() -> None:
    assert len(CASES) >= 30


@pytest.mark.parametrize(
    ("location", "prepare", "said"),
    [
        ("../secret.bin", None, "outside its folder"),
        ("{folder}/secret.bin", None, "outside its folder"),
        ("sub/../../secret.bin", None, "outside its folder"),
        ("..\\secret.bin", None, "outside its folder"),
        ("", None, "outside its folder"),
        ("weights.bin", symlink, "is a link or no file"),
        ("weights.bin", hard_link, "is a hard link"),
        ("missing.bin", None, "cannot be read"),
    ],
)
def test_weights_elsewhere_are_never_read(
    location: str, prepare: Callable[[Path], None] | None, said: str, tmp_path: Path
) -> None:
    path = external(location, prepare or (lambda _folder: None))(tmp_path)
    opened: list[str] = []
    watching = True

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if watching and event == "open" and isinstance(args[0], str | bytes | os.PathLike):
            opened.append(os.fsdecode(args[0]))

    sys.addaudithook(watch)
    with pytest.raises(CurateError, match=said):
        open_model(path, Wish(external=True))
    watching = False
    assert {each for each in opened if str(tmp_path) in each} == {str(path)}


def test_weights_beside_the_model_are_read_if_that_is_allowed(tmp_path: Path) -> None:
    def put(folder: Path) -> None:
        data = np.eye(3, dtype=np.float32).tobytes()
        (folder / "inside" / "weights.bin").write_bytes(data)

    path = external("weights.bin", put)(tmp_path)
    with pytest.raises(CurateError, match="another file"):
        open_model(path)
    opened = open_model(path, Wish(external=True, preset="unit"))
    red = np.zeros((1, 32, 32, 3), np.uint8)
    red[..., 0] = 255
    assert opened.scores(red).argmax() == 0
    first = opened.sha256
    (path.parent / "weights.bin").write_bytes(2 * np.eye(3, dtype=np.float32).tobytes())
    assert open_model(path, Wish(external=True)).sha256 != first


def test_a_file_larger_than_allowed_is_not_read(tmp_path: Path) -> None:
    path = saved(classifier(), tmp_path / "model.onnx")
    with pytest.raises(CurateError, match="more than the 100 allowed"):
        open_model(path, Wish(max_bytes=100))
