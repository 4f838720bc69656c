"""Walks through the bytes of an ONNX model and notes what it says of itself; runs nothing.

What is not whole, nested without end, or claims weights that it does not hold is refused here,
before memory is reserved for it. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import prod

from curate.assist.wire import Reader, WireError, message, numbers, signed, text

Node = tuple[str, list[str], list[str]]
"""Operator, what it takes, what it makes."""

MAX_DEPTH = 16
"""Graphs inside graphs."""
_HALF_BYTES = frozenset({21, 22, 23})
"""Element types of four bits: unsigned, signed, float."""
_ITEM_BYTES = {
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 1),
    **dict.fromkeys((4, 5, 10, 16), 2),
    **dict.fromkeys((1, 6, 12), 4),
    **dict.fromkeys((7, 11, 13, 14), 8),
    15: 16,
}
_TYPED = frozenset({4, 5, 6, 7, 10, 11})
"""Fields of a tensor that hold its elements."""
_PACKED = {4: 4, 10: 8}
"""Fields of fixed-size elements, and their bytes each."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a model takes or answers."""

    name: str
    """Its name."""
    kind: int = 0
    """Element type by ONNX's number; 0: no tensor, or not said."""
    shape: tuple[int | None, ...] | None = None
    """Sizes, None where they are open; None: not even how many there are."""


@dataclass(slots=True)
class Found:
    """What a walk through a model's file found."""

    metadata: dict[str, str] = field(default_factory=dict)
    """Its own notes."""
    producer: str = ""
    """The program that wrote it."""
    inputs: list[Value] = field(default_factory=list)
    """What it must be given: initializers left out."""
    outputs: list[Value] = field(default_factory=list)
    """What it answers."""
    makers: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Value to the operator that makes it and that operator's first input, main graph only."""
    first_ops: list[str] = field(default_factory=list)
    """Operators that take the model's input, main graph only."""
    external: list[str] = field(default_factory=list)
    """Files that weights are said to be in."""
    functions: set[tuple[str, str]] = field(default_factory=set)
    """Domain and name of the functions that it defines itself."""
    used: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Domain and name of the operators it uses."""
    has_graph: bool = False
    """A graph was there at all."""
    has_version: bool = False
    """It says which ONNX it is."""


def inspect(data: bytes) -> Found:
    """Walk through a model without running anything.

    Raises:
        WireError: it is not a whole ONNX model.
    """
    found = Found()
    walk = _Walk(Reader(), found)
    for number, value in walk.reader.fields(memoryview(data)):
        if number == 1:
            found.has_version = isinstance(value, int) and value > 0
        elif number == 2:
            found.producer = text(value)
        elif number == 7:
            found.has_graph = True
            walk.graph(message(value), 0)
        elif number == 14:
            key, said = walk.pair(message(value))
            found.metadata[key] = said
        elif number == 25:
            walk.function(message(value))
    return found


class _Walk:
    """Goes through graphs and their parts; numbers are those of onnx.proto."""

    def __init__(self, reader: Reader, found: Found) -> None:
        self.reader = reader
        self.found = found

    def graph(self, data: memoryview, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise WireError("graphs are nested too deep")
        inputs: list[Value] = []
        outputs: list[Value] = []
        nodes: list[Node] = []
        weights: set[str] = set()
        for number, value in self.reader.fields(data):
            if number == 1:
                nodes.append(self.node(message(value), depth))
            elif number == 5:
                weights.add(self.tensor(message(value)))
            elif number == 11:
                inputs.append(self.value(message(value)))
            elif number == 12:
                outputs.append(self.value(message(value)))
            elif number == 15:
                self.sparse(message(value))
        if depth == 0:
            self.note([each for each in inputs if each.name not in weights], outputs, nodes)

    def note(self, inputs: list[Value], outputs: list[Value], nodes: list[Node]) -> None:
        """Keep what the main graph says."""
        self.found.inputs, self.found.outputs = inputs, outputs
        given = {each.name for each in inputs}
        for op, takes, makes in nodes:
            if given & set(takes):
                self.found.first_ops.append(op)
            for name in makes:
                self.found.makers[name] = (op, takes[0] if takes else "")

    def node(self, data: memoryview, depth: int) -> Node:
        takes, makes, op, domain = [], [], "", ""
        for number, value in self.reader.fields(data):
            if number == 1:
                takes.append(text(value))
            elif number == 2:
                makes.append(text(value))
            elif number == 4:
                op = text(value)
            elif number == 7:
                domain = text(value)
            elif number == 5:
                self.attribute(message(value), depth)
        self.found.used[domain, op] += 1
        return op, takes, makes

    def attribute(self, data: memoryview, depth: int) -> None:
        for number, value in self.reader.fields(data):
            if number in (5, 10):
                self.tensor(message(value))
            elif number in (6, 11):
                self.graph(message(value), depth + 1)
            elif number in (22, 23):
                self.sparse(message(value))

    def function(self, data: memoryview) -> None:
        name, domain = "", ""
        for number, value in self.reader.fields(data):
            if number == 1:
                name = text(value)
            elif number == 10:
                domain = text(value)
            elif number == 7:
                self.node(message(value), 1)
            elif number == 11:
                self.attribute(message(value), 1)
        self.found.functions.add((domain, name))

    def sparse(self, data: memoryview) -> None:
        for number, value in self.reader.fields(data):
            if number in (1, 2):
                self.tensor(message(value))

    def tensor(self, data: memoryview) -> str:
        """Check that a tensor holds what it claims; return its name."""
        dims: list[int] = []
        name, kind, held, loose = "", 0, -1, 0
        files: list[str] = []
        for number, value in self.reader.fields(data):
            if number == 1:
                dims += numbers(value)
            elif number == 2 and isinstance(value, int):
                kind = value
            elif number == 8:
                name = text(value)
            elif number == 9:
                held = len(message(value))
            elif number in (13, 14):
                files += self.elsewhere(number, value)
            else:
                loose += _elements(number, value)
        if any(size < 0 for size in dims):
            raise WireError(f"the tensor {short(name)!r} has a negative size")
        if files:
            self.found.external.append(max(files))
        else:
            _check_claim(name, kind, prod(dims), held, loose)
        return name

    def elsewhere(self, number: int, value: int | memoryview) -> list[str]:
        """Return the file that a tensor's data is said to be in, as far as this field says."""
        if number == 14:
            return [""] if value == 1 else []
        key, said = self.pair(message(value))
        return [said if key == "location" else ""]

    def pair(self, data: memoryview) -> tuple[str, str]:
        key, said = "", ""
        for number, value in self.reader.fields(data):
            if number == 1:
                key = text(value)
            elif number == 2:
                said = text(value)
        return key, said

    def value(self, data: memoryview) -> Value:
        name, kind, shape = "", 0, None
        for number, value in self.reader.fields(data):
            if number == 1:
                name = text(value)
            elif number == 2:
                for sort, inner in self.reader.fields(message(value)):
                    if sort == 1:  # a tensor, not a sequence or a map
                        kind, shape = self.tensor_type(message(inner))
        return Value(name, kind, shape)

    def tensor_type(self, data: memoryview) -> tuple[int, tuple[int | None, ...] | None]:
        kind, shape = 0, None
        for number, value in self.reader.fields(data):
            if number == 1 and isinstance(value, int):
                kind = value
            elif number == 2:
                dims = [each for key, each in self.reader.fields(message(value)) if key == 1]
                shape = tuple(self.size(message(each)) for each in dims)
        return kind, shape

    def size(self, data: memoryview) -> int | None:
        for number, value in self.reader.fields(data):
            if number == 1 and isinstance(value, int):
                return signed(value) if signed(value) > 0 else None
        return None


def _elements(number: int, value: int | memoryview) -> int:
    """Count the elements in one field of a tensor's typed data; at most, for varints."""
    if number not in _TYPED:
        return 0
    if isinstance(value, int):
        return 1
    return max(1, len(value) // _PACKED.get(number, 1))


def _check_claim(name: str, kind: int, n_elements: int, held: int, loose: int) -> None:
    """Refuse a tensor that claims more elements than the file holds of it."""
    if held >= 0:
        if kind in _HALF_BYTES:
            wanted = -(-n_elements // 2)
        else:
            wanted = n_elements * _ITEM_BYTES.get(kind, 1)
        if wanted > held:
            raise WireError(
                f"the tensor {short(name)!r} claims {wanted:,} bytes and holds {held:,}"
            )
    elif n_elements > 2 * loose:  # two elements of four bits, or of a complex number's halves
        raise WireError(
            f"the tensor {short(name)!r} claims {n_elements:,} elements and holds {loose:,}"
        )


def short(value: str) -> str:
    """Cut a text of a stranger to what fits a line, printable."""
    return "".join(each if each.isprintable() else "?" for each in value[:80])
