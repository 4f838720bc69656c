"""`croissant.json`: the manifest described in the vocabulary that search engines and hubs read.

Croissant 1.0 (JSON-LD): a file object with its hash for each Parquet file, and a record set
with its columns for each. `meta`, a list of pairs, has no type there and is left out. No date
is given: the same inputs are to give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from curate.licenses import UNSPLASH, UNSPLASH_PLUS, UNSPLASH_PLUS_URL, UNSPLASH_URL, cc_url
from curate.pack.schema import MANIFEST

NAME = "croissant.json"
SPEC = "http://mlcommons.org/croissant/1.0"
_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(info: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Describe a manifest.

    Args:
        info: the content of its `manifest.json`, without the files.
        files: `sha256` and `n_bytes` of each of its Parquet files, by name.
    """
    total, classes = sum(info["images"].values()), info["classes"]
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": "image-classification-dataset",
        "description": f"{total:,} images in {len(classes):,} classes for image classification, "
        "split by groups of images that belong together. Images are named by the SHA-256 of "
        "their bytes and are not part of these files.",
        "conformsTo": SPEC,
        "version": f"{info['schema_version']}.0.0",
        "license": _licenses(info["licenses"]),
        "keywords": ["image classification", *list(classes)[:50]],
        "isLiveDataset": False,
        "distribution": [_file(name, said) for name, said in files.items()],
        "recordSet": [_records(name, info) for name in files],
    }
    if texts := [each["text"] for each in info.get("citations", ())]:
        document["citeAs"] = " ".join(texts)
    return document


def _licenses(counts: Mapping[str, int]) -> list[str]:
    """Return a URL for each licence that has one, else its name."""
    known = {UNSPLASH: UNSPLASH_URL, UNSPLASH_PLUS: UNSPLASH_PLUS_URL}
    return [known.get(name) or cc_url(name) or name for name in counts]


def _file(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{said['n_bytes']} B",
        "encodingFormat": "application/x-parquet",
        "sha256": said["sha256"],
    }


def _records(file: str, info: Mapping[str, Any]) -> dict[str, Any]:
    split = file.removesuffix(".parquet")
    document: dict[str, Any] = {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "description": f"One record for each image of {split}.",
        "field": [
            _field(split, file, field)
            for field in MANIFEST
            if not pa.types.is_struct(_element(field.type))
        ],
    }
    if not (split == "train" and info.get("repeated")):
        document["key"] = {"@id": f"{split}/image_id"}
    return document


def _field(split: str, file: str, field: pa.Field) -> dict[str, Any]:
    document = {
        "@type": "cr:Field",
        "@id": f"{split}/{field.name}",
        "name": field.name,
        "dataType": _data_type(_element(field.type)),
        "source": {"fileObject": {"@id": file}, "extract": {"column": field.name}},
    }
    if pa.types.is_list(field.type):
        document["repeated"] = True
    return document


def _element(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_list(kind) else kind


def _data_type(kind: pa.DataType) -> str:
    tests: Sequence[tuple[Any, str]] = (
        (pa.types.is_integer, "sc:Integer"),
        (pa.types.is_floating, "sc:Float"),
        (pa.types.is_boolean, "sc:Boolean"),
        (pa.types.is_timestamp, "sc:Date"),
    )
    return next((name for test, name in tests if test(kind)), "sc:Text")
