"""COCO annotations: an image has the names of the categories that are annotated in it.

Boxes and outlines are not kept. The files of a whole COCO are hundreds of megabytes, most of
it outlines, so objects are reduced while they are parsed, and never all in memory. Images
are looked for in the folder, in `images/`, and where the annotation file's split names a
folder (`train2017/`, `images/val/`, beside the file); one without a file, but with
`coco_url`, is a download.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import SourceError
from curate.sources.datasets.base import (
    Entry,
    Files,
    Found,
    Left,
    Options,
    above,
    files_with,
    folders_in,
    head,
    is_file,
    is_url,
    read_json,
    split_of,
    with_license,
)


@dataclass(frozen=True, slots=True)
class _Mark:
    image: Any
    category: Any


@dataclass(frozen=True, slots=True)
class _Image:
    id: Any
    name: str
    url: str
    license: Any


class Coco:
    """See the module."""

    name = "coco"
    about = "COCO JSON: the categories annotated in an image are its classes"

    def detects(self, path: Path) -> bool:
        """A JSON file, or one in the usual places of a folder, begins as COCO's do."""
        if is_file(path):
            return path.suffix.lower() == ".json" and _is_coco(path)
        return any(map(_is_coco, _candidates(path)))

    def entries(self, path: Path, options: Options) -> Found:
        """Yield the images, file by file.

        Raises:
            SourceError: no file can be read, or one is not COCO's.
        """
        root = path if path.is_dir() else above(path)
        chosen = [path] if is_file(path) else _chosen(path)
        if not chosen:
            raise SourceError(f"{path} holds no COCO annotations", "give the JSON file itself")
        for each in chosen:
            yield from _entries(each, root, options)


def _is_coco(path: Path) -> bool:
    start = head(path)
    listed = b'"images"' in start and b'"file_name"' in start
    return listed or (b'"image_id"' in start and b'"category_id"' in start)


def _candidates(path: Path) -> Iterator[Path]:
    for place in (path, *folders_in(path)):
        yield from files_with(place, {".json"})


def _chosen(path: Path) -> list[Path]:
    """Return a folder's files; key points and captions beside instances say nothing more."""
    found = [each for each in _candidates(path) if _is_coco(each)]
    return [each for each in found if each.name.startswith("instances")] or found


def _entries(path: Path, root: Path, options: Options) -> Found:
    said = read_json(path, _reduced)
    if not isinstance(said, dict) or not isinstance(said.get("images"), list):
        raise SourceError(f"{path} is not COCO: it has no list of images")
    names = said.get("categories")
    if not isinstance(names, list):
        raise SourceError(f"{path} is not COCO: it has no list of categories")
    categories = {each["id"]: str(each["name"]) for each in names if isinstance(each, dict)}
    marks = _marks(path, said.get("annotations") or [], categories)
    side = split_of(path.stem) or split_of(path.parent.name)
    licenses = _licenses(said.get("licenses"))
    files = Files(root, options, _folders(path, root, side))
    for image in said["images"]:
        if not isinstance(image, _Image):
            yield Left("bad_row", f"{path.name}: {str(image)[:60]}")
            continue
        classes = tuple(marks.get(image.id, {}))
        meta = {"file_name": image.name}
        facts = with_license({"license": licenses.get(image.license, "")})
        found = files.find(image.name)
        if isinstance(found, Path):
            yield Entry(image.name, found, classes=classes, split=side, facts=facts, meta=meta)
        elif is_url(image.url) and found.reason == "missing_file":
            yield Entry(
                image.name, url=image.url, classes=classes, split=side, facts=facts, meta=meta
            )
        else:
            yield found


def _reduced(said: dict[str, Any]) -> Any:
    """Keep of each object what counts here."""
    if "category_id" in said and "image_id" in said:
        return _Mark(said["image_id"], said["category_id"])
    if "file_name" in said and "id" in said:
        url = said.get("coco_url") or said.get("flickr_url") or ""
        return _Image(said["id"], str(said["file_name"]), str(url), said.get("license"))
    return said


def _marks(
    path: Path, annotations: list[Any], categories: Mapping[Any, str]
) -> dict[Any, dict[str, None]]:
    found: dict[Any, dict[str, None]] = {}
    for each in annotations:
        if not isinstance(each, _Mark):
            continue
        name = categories.get(each.category)
        if name is None:
            raise SourceError(f"{path} names no category {each.category!r}")
        found.setdefault(each.image, {})[name] = None
    return found


def _licenses(said: Any) -> dict[Any, str]:
    if not isinstance(said, list):
        return {}
    rows = (each for each in said if isinstance(each, dict) and "id" in each)
    return {each["id"]: str(each.get("url") or each.get("name") or "") for each in rows}


def _folders(path: Path, root: Path, side: str | None) -> list[Path]:
    """Return where the images of an annotation file may be, the likeliest first."""
    spelled = path.stem.rpartition("_")[2]
    names = [name for name in dict.fromkeys((spelled, path.parent.name)) if split_of(name)]
    folders = [path.parent]
    for name in [*names, *([side] if side else [])]:
        folders += [root / name, root / "images" / name, root / name / "images"]
    return [each for each in [*folders, root / "images"] if each.is_dir()]
