"""Filters as people write them: `width_px >= 512 and meta.countryCode == 'DE'`.

The expression has the form of a Python expression and is read by Python's own parser, but it is
never run: each node is one of the few below and becomes one call on whole columns. Anything
else is refused with its text. What is not known (null) fulfils no comparison, not even `!=`, as
in SQL; `== None` and `!= None` ask for just that.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import UsageError
from curate.pack.columns import Columns
from curate.pack.groups import pairs_of
from curate.pack.labels import Mask

_COMPARE: dict[type[ast.cmpop], Any] = {
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
}
_NUMBER = r"^\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\s*$"
_HINT = "for example --where \"width_px >= 512 and meta.countryCode == 'DE'\""
_LONGEST = 10_000
"""Characters of an expression; Python's parser recurses."""


@dataclass(frozen=True, slots=True)
class _Value:
    """A column or a constant."""

    text: str
    """As it was written."""
    column: pa.ChunkedArray | None = None
    """The column; None for a constant."""
    constant: Any = None
    """The constant."""

    @property
    def is_column(self) -> bool:
        return self.column is not None

    @property
    def is_list(self) -> bool:
        return self.column is not None and pa.types.is_list(self.column.type)


def fulfils(expression: str, columns: Columns) -> Mask:
    """Tell which rows fulfil an expression.

    Args:
        expression: comparisons (`== != < <= > >= in`, `not in`) of columns with texts, numbers
            or lists of them, joined by `and`, `or`, `not` and parentheses.
        columns: the rows.

    Returns:
        One truth value for each row; False where it is not known.

    Raises:
        UsageError: it cannot be read, names no column, or compares what cannot be compared.
    """
    if len(expression) > _LONGEST:
        raise UsageError(f"--where is longer than {_LONGEST:,} characters", _HINT)
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        result = _Reader(expression.strip(), columns).truth(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it is too deep or not text"
        raise UsageError(f"--where {expression!r} cannot be read: {reason}", _HINT) from None
    mask: Mask = pc.fill_null(result, False).to_numpy().astype(np.bool_)
    return mask


class _Reader:
    """Turns the nodes of one expression into columns."""

    def __init__(self, source: str, columns: Columns) -> None:
        self._source = source
        self._columns = columns

    def truth(self, node: ast.expr) -> pa.ChunkedArray:
        """Read a node that is true or false."""
        if isinstance(node, ast.BoolOp):
            join = pc.and_kleene if isinstance(node.op, ast.And) else pc.or_kleene
            result = self.truth(node.values[0])
            for each in node.values[1:]:
                result = join(result, self.truth(each))
            return result
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return pc.invert(self.truth(node.operand))
        if isinstance(node, ast.Compare):
            return self._chain(node)
        value = self._value(node)
        if value.column is not None and pa.types.is_boolean(value.column.type):
            return value.column
        raise UsageError(f"--where: {value.text!r} is neither true nor false", _HINT)

    def _chain(self, node: ast.Compare) -> pa.ChunkedArray:
        operands = [node.left, *node.comparators]
        result = None
        for left, op, right in zip(operands[:-1], node.ops, operands[1:], strict=True):
            one = self._comparison(self._value(left), op, self._value(right))
            result = one if result is None else pc.and_kleene(result, one)
        return result

    def _comparison(self, left: _Value, op: ast.cmpop, right: _Value) -> pa.ChunkedArray:
        if not (left.is_column or right.is_column):
            raise UsageError(f"--where: {left.text} is compared with no column", _HINT)
        if isinstance(op, ast.In | ast.NotIn):
            inside = self._inside(left, right)
            return inside if isinstance(op, ast.In) else pc.invert(inside)
        if isinstance(op, ast.Is | ast.IsNot):
            op = ast.Eq() if isinstance(op, ast.Is) else ast.NotEq()
        for one, other in ((left, right), (right, left)):
            if not one.is_column and one.constant is None:
                return _is_null(other, op)
        compare = _COMPARE[type(op)]
        return compare(*_alike(left, right))

    def _inside(self, left: _Value, right: _Value) -> pa.ChunkedArray:
        if right.is_list and isinstance(left.constant, str):
            return self._listed(left.constant, right.column)
        if left.is_column and not left.is_list and isinstance(right.constant, tuple):
            parts = [_alike(left, _Value(right.text, None, each)) for each in right.constant]
            found = pa.chunked_array([np.zeros(len(left.column or ()), dtype=np.bool_)])
            for column, constant in parts:
                found = pc.or_kleene(found, pc.equal(column, constant))
            return found
        if right.column is not None and _kind(right) == "text" and isinstance(left.constant, str):
            return pc.match_substring(_plain(right), left.constant)
        raise UsageError(
            f"--where: `in` cannot ask for {left.text} in {right.text}",
            "it takes a text in a column, or a column in a list: license in ['CC0-1.0']",
        )

    def _listed(self, wanted: str, lists: pa.ChunkedArray | None) -> pa.ChunkedArray:
        assert lists is not None
        rows, names = pairs_of(lists)
        found = np.zeros(len(lists), dtype=np.bool_)
        found[rows[pc.equal(names, wanted).to_numpy(zero_copy_only=False)]] = True
        return pa.chunked_array([pa.array(found)])

    def _value(self, node: ast.expr) -> _Value:
        text = ast.get_source_segment(self._source, node) or ""
        name = _name(node)
        if name is not None:
            return _Value(text, self._columns.values(name))
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return _Value(text, constant=tuple(self._constant(each, text) for each in node.elts))
        return _Value(text, constant=self._constant(node, text))

    def _constant(self, node: ast.expr, text: str) -> Any:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self._constant(node.operand, text)
            if isinstance(inner, int | float) and not isinstance(inner, bool):
                return -inner
        elif isinstance(node, ast.Constant) and isinstance(
            node.value, str | int | float | bool | None
        ):
            return node.value
        raise UsageError(f"--where does not understand {text!r}", _HINT)


def _name(node: ast.expr) -> str | None:
    """Return the column that a node names: `author`, `meta.year` or `meta['two words']`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute | ast.Subscript):
        if not (isinstance(node.value, ast.Name) and node.value.id == "meta"):
            return None
        if isinstance(node, ast.Attribute):
            return f"meta.{node.attr}"
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            return f"meta.{node.slice.value}"
    return None


def _is_null(value: _Value, op: ast.cmpop) -> pa.ChunkedArray:
    if not isinstance(op, ast.Eq | ast.NotEq):
        raise UsageError(f"--where: {value.text} is not larger or smaller than None", _HINT)
    empty = pc.is_null(value.column)
    return empty if isinstance(op, ast.Eq) else pc.invert(empty)


def _alike(left: _Value, right: _Value) -> tuple[Any, Any]:
    """Bring both sides to one type: numbers where one is a number, else texts."""
    for value in (left, right):
        if value.is_list or isinstance(value.constant, tuple):
            raise UsageError(
                f"--where: {value.text} is a list",
                "ask whether something is in it: 'beach' in labels",
            )
    kinds = {_kind(left), _kind(right)}
    if kinds == {"text", "number"} and any(
        value.is_column and _kind(value) == "text" for value in (left, right)
    ):
        return _as_number(left), _as_number(right)
    if len(kinds) > 1:
        raise UsageError(f"--where cannot compare {left.text} with {right.text}", _HINT)
    return _plain(left), _plain(right)


def _kind(value: _Value) -> str:
    if value.column is None:
        if isinstance(value.constant, bool):
            return "truth"
        return "text" if isinstance(value.constant, str) else "number"
    kind = value.column.type
    if pa.types.is_boolean(kind):
        return "truth"
    if pa.types.is_list(kind):
        return "list"
    return "text" if pa.types.is_string(kind) or pa.types.is_timestamp(kind) else "number"


def _plain(value: _Value) -> Any:
    if value.column is None:
        return pa.scalar(value.constant)
    if pa.types.is_timestamp(value.column.type):
        return pc.strftime(value.column.cast(pa.timestamp("s", tz="UTC")), "%Y-%m-%dT%H:%M:%SZ")
    return value.column


def _as_number(value: _Value) -> Any:
    """Read texts as numbers; those that are none become null."""
    plain = _plain(value)
    if value.column is None or not pa.types.is_string(plain.type):
        return plain
    is_number = pc.match_substring_regex(plain, _NUMBER)
    numbers = pc.if_else(is_number, pc.utf8_trim_whitespace(plain), pa.scalar(None, pa.string()))
    return numbers.cast(pa.float64())
