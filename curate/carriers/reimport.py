"""Importing a folder again: files that failed, or have changed since, are read again.

A file has changed if its size is not the image's, or it was written after the image was
stored and its bytes are others. What has not changed is looked at, not read.
"""

from __future__ import annotations

from pathlib import Path
from string import hexdigits
from urllib.parse import unquote, urlsplit

from curate.catalog.database import NAME, Database, catalog_files
from curate.sources.folder import id_prefix
from curate.store import sha256_file

_BELOW = "candidates.source = 'folder' AND source_id >= ? AND source_id < ?"


OWN = ("thumbs", "labeling", "manifests", "exports")
"""Folders of a project, besides its images, that may hold pictures."""
OWN_FILES = ("curate.toml", "curate-error.log", "report.html")
"""Files of a project, besides its catalog."""


def own_paths(project: Path) -> tuple[Path, ...]:
    """Return what a project has in its folder, and must not take for a dataset's files.

    Of `images` these are the folders that the store makes, `00` to `ff`: a folder of photos
    that was called so before may hold classes too.

    Args:
        project: the project folder; without a catalog no folder in it is the project's.
    """
    files = (*catalog_files(project), *(project / name for name in OWN_FILES))
    if not (project / NAME).is_file():
        return files
    stored = [project / "images" / (a + b) for a in hexdigits[:16] for b in hexdigits[:16]]
    return (*files, *(project / name for name in OWN), *(path for path in stored if path.is_dir()))


def requeue(db: Database, folder: Path) -> int:
    """Put failed and changed files of a folder back into the queue; return how many.

    Args:
        db: the catalog.
        folder: the folder.
    """
    prefix = id_prefix(folder)
    # "0" follows "/": between the two are all ids that begin with the prefix.
    span = (prefix, prefix[:-1] + "0")
    known = db.all(
        "SELECT id, url, images.image_id, n_bytes, fetched_at FROM candidates "  # noqa: S608 - our own condition
        f"JOIN images ON images.image_id = candidates.image_id WHERE {_BELOW}",
        span,
    )
    changed = [number for number, *file in known if _has_changed(*file)]
    with db.transaction():
        for number in changed:
            _release(db, number)
        failed = db.execute(
            "UPDATE candidates SET state = 'pending', tries = 0, due_at = 0 "  # noqa: S608 - likewise
            f"WHERE state = 'failed' AND {_BELOW}",
            span,
        )
        return len(changed) + failed.rowcount


def _has_changed(url: str, image_id: str, n_bytes: int, fetched_at: float) -> bool:
    parts = urlsplit(url)
    path = Path(unquote(parts.path, errors="surrogateescape"))
    try:
        state = path.stat()
        if parts.fragment:
            return state.st_mtime > fetched_at  # a row of a file: its length says nothing
        if state.st_size == n_bytes and state.st_mtime <= fetched_at:
            return False
        return state.st_size != n_bytes or sha256_file(path) != image_id
    except OSError:
        return False  # gone or not readable: the copy in the store stays good


def _release(db: Database, candidate_id: int) -> None:
    """Let a candidate be pending again; its image stays if another candidate has it."""
    (image_id,) = db.one("SELECT image_id FROM candidates WHERE id = ?", (candidate_id,))
    db.execute(
        "UPDATE candidates SET state = 'pending', image_id = NULL, tries = 0, due_at = 0 "
        "WHERE id = ?",
        (candidate_id,),
    )
    (first,) = db.one("SELECT MIN(id) FROM candidates WHERE image_id = ?", (image_id,))
    if first is None:
        db.execute("DELETE FROM images WHERE image_id = ?", (image_id,))
    else:
        db.execute("UPDATE candidates SET state = 'stored' WHERE id = ?", (first,))
        db.execute("UPDATE images SET first_id = ? WHERE image_id = ?", (first, image_id))
