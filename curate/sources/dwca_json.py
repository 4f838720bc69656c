"""JSON objects from columns, without an object for a row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_AWKWARD = r'["\\\x00-\x1f]'
"""What JSON does not allow inside a string."""


def objects(columns: Mapping[str, pa.Array], n_rows: int) -> pa.Array:
    """Return JSON objects of texts, one for each row; empty texts are left out.

    Args:
        columns: strings by key, each of `n_rows`.
        n_rows: how many objects; without columns they are empty.
    """
    if not columns:
        return pc.fill_null(pa.nulls(n_rows, pa.string()), "{}")
    pieces = [each for key, column in columns.items() for each in _members(key, column)]
    *_, last = columns.values()
    if pc.any(pc.equal(last, "")).as_py():
        members = pc.utf8_rtrim(pc.binary_join_element_wise(*pieces, ""), ", ")
        return pc.binary_join_element_wise("{", members, "}", "")
    # Copied once: this is most of what a page of candidates costs.
    return pc.binary_join_element_wise("{", *pieces[:-1], '"}', "")


def _members(key: str, column: pa.Array) -> list[Any]:
    r"""Return the parts of `"key": "value", ` for each text, or of nothing for an empty one."""
    parts = [f'{json.dumps(key)}: "', _escaped(column), '", ']
    empty = pc.equal(column, "")
    if not pc.any(empty).as_py():
        return parts
    return [pc.if_else(empty, "", pc.binary_join_element_wise(*parts, ""))]


def _escaped(texts: pa.Array) -> pa.Array:
    """Return texts as they stand between the quotes of JSON."""
    if not _has_awkward(texts):
        return texts
    awkward = pc.match_substring_regex(texts, _AWKWARD)
    found = [
        json.dumps(each, ensure_ascii=False)[1:-1] for each in texts.filter(awkward).to_pylist()
    ]
    return pc.replace_with_mask(texts, awkward, pa.array(found, pa.string()))


def _has_awkward(texts: pa.Array) -> bool:
    """Tell whether any text has to be escaped, by its bytes: much cheaper than to search each."""
    offsets, data = texts.buffers()[1:]
    if data is None or not len(texts):
        return False
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    found = memoryview(data)[ends[0] : ends[-1]].tobytes()
    if b'"' in found or b"\\" in found:
        return True
    return bool(found) and bool(np.frombuffer(found, np.uint8).min() < 0x20)
