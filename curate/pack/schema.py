"""The two Arrow schemas of the pack room: what comes in, and what a manifest holds.

`INPUT` is what `project.py` makes from the catalog, one row per kept image. `MANIFEST` is
what the Parquet files hold; `manifests/README.md` describes the same columns for people, and
a test compares the two. One schema serves every manifest: `label` is there, and null, in a
multi-label one, so that files of several manifests can be read as one dataset. `meta`, a map
in `INPUT`, becomes a list of key-value pairs: Hugging Face `datasets` refuses the map type,
and everything else reads both.
"""

from __future__ import annotations

import pyarrow as pa

from curate.errors import PackError

SCHEMA_VERSION = 2
"""Raised whenever a column of `MANIFEST` is added, removed, renamed or retyped."""

_STRINGS = pa.list_(pa.string())
_TEXT_MAP = pa.map_(pa.string(), pa.string())
_PAIRS = pa.list_(pa.struct([pa.field("key", pa.string()), pa.field("value", pa.string())]))
_TIME = pa.timestamp("us", tz="UTC")


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


_IMAGE = [
    _required("image_id", pa.string()),
    _required("path", pa.string()),
    _required("n_bytes", pa.int64()),
    _required("width_px", pa.int32()),
    _required("height_px", pa.int32()),
    _required("format", pa.string()),
    pa.field("phash", pa.uint64()),
    _required("labels", _STRINGS),
]
_DECISION = [
    pa.field("label_origin", pa.string()),
    pa.field("annotators", _STRINGS),
    pa.field("score", pa.float32()),
    pa.field("proposed_labels", _STRINGS),
    pa.field("proposed_score", pa.float32()),
    pa.field("proposed_by", pa.string()),
    _required("audited", pa.bool_()),
]
_PROVENANCE = [
    pa.field("source", pa.string()),
    pa.field("source_id", pa.string()),
    pa.field("url", pa.string()),
    pa.field("page_url", pa.string()),
    pa.field("author", pa.string()),
    pa.field("license", pa.string()),
    pa.field("license_url", pa.string()),
    pa.field("rights_holder", pa.string()),
    pa.field("attribution", pa.string()),
    pa.field("query", _STRINGS),
]
_FETCHED_AT = pa.field("fetched_at", _TIME)

INPUT = pa.schema(
    [
        *_IMAGE,
        *_DECISION,
        pa.field("set_aside", pa.string()),
        pa.field("quality_flags", pa.int8()),
        pa.field("group_hints", _STRINGS),
        *_PROVENANCE,
        pa.field("meta", _TEXT_MAP),
        _FETCHED_AT,
    ]
)
"""One kept image per row, in any order. `label_origin` null: nobody has labelled it.
`set_aside`: why there is no label although something was said: `conflict`, `rejected`, or `outside`
(only classes that are not in the class list). `quality_flags`: under how many quality flags the
picture stands; null: not known."""

MANIFEST = pa.schema(
    [
        *_IMAGE,
        pa.field("label", pa.string()),
        *_DECISION,
        _required("split", pa.string()),
        _required("group_id", pa.string()),
        pa.field("fold", pa.int16()),
        pa.field("augment_seed", pa.int64()),
        *_PROVENANCE,
        pa.field("meta", _PAIRS),
        _FETCHED_AT,
    ]
)
"""The columns of `train.parquet`, `val.parquet`, `test.parquet` and, where asked for, of
`unlabelled.parquet`, in this order."""


def conform(table: pa.Table, schema: pa.Schema = INPUT) -> pa.Table:
    """Select and cast the columns of `schema`.

    Args:
        table: at least the columns of `schema`, in any order; others are dropped.
        schema: the wanted columns, types and nullability.

    Returns:
        A table of exactly that schema, without metadata.

    Raises:
        PackError: a column is missing, cannot be cast, or holds nulls where none may be.
    """
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise PackError(f"the table of images lacks the columns {', '.join(missing)}")
    columns = []
    for field in schema:
        column = table.column(field.name)
        if column.type != field.type:
            try:
                column = column.cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                message = f"column {field.name} is {column.type}, not {field.type}: {error}"
                raise PackError(message) from error
        if not field.nullable and column.null_count:
            raise PackError(f"column {field.name} has {column.null_count} empty cells")
        columns.append(column)
    return pa.table(columns, schema=schema)
