"""Runs an export: written beside its place, and renamed when it is whole.

The folder that is written is called `.NAME.partial` and holds a note of what it becomes. The
same export started again goes on in it: image files that are there are not written again
(tables and shards are). A lock on the folder keeps a second run out. What stands under the
final name is complete; it is replaced with `--force` only, and only if an export made it.

Two passes over the manifest: the first counts and refuses, so that nothing fails for a reason
that could have been known before; the second writes.
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from curate import __version__
from curate.errors import LockedError, PackError, UsageError
from curate.pack.card import ATTRIBUTION_COLUMNS
from curate.pack.export.base import Context, Format, Item, Options, Placed, Writer
from curate.pack.export.files import dense, open_text, write_json
from curate.pack.export.place import THREADS, Placer
from curate.pack.export.readme import readme
from curate.pack.export.rows import LEFT_OUT, Rows, Tally
from curate.pack.manifest import ATTRIBUTION, CARD, INFO, Manifest
from curate.progress import Progress, silent

MARKER = "export.json"
"""A file that every export has: without it, a folder is never replaced."""
_NOTE = ".partial.json"
_READ_AT_ONCE = 64
"""Images whose bytes are held at a time."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote, or with `dry_run` would write."""

    manifest: str
    """Version of the manifest."""
    format: str
    """Name of the format."""
    path: Path
    """Its folder."""
    images: Mapping[str, int]
    """Images by split."""
    classes: Mapping[str, int]
    """Images by class."""
    left_out: Mapping[str, int]
    """Images of the manifest that are not in it, by reason."""
    n_bytes: int
    """Bytes of its images; of the originals, if a dry run would resize them."""
    n_copied: int
    """Files that were to be linked but had to be copied."""
    is_written: bool
    """False: a dry run."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that `curate export --json` prints."""
        return {
            "manifest": self.manifest,
            "format": self.format,
            "path": str(self.path),
            "images": dict(self.images),
            "classes": dict(self.classes),
            "left_out": dict(self.left_out),
            "bytes": self.n_bytes,
            "copied_instead_of_linked": self.n_copied,
            "written": self.is_written,
        }


def export(
    manifest: Manifest,
    format_: Format,
    target: Path,
    options: Options,
    *,
    root: Path | None = None,
    force: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Exported:
    """Write the images and labels of a manifest for other programs.

    Args:
        manifest: what to export.
        format_: how.
        target: the folder to make.
        options: links, size, splits.
        root: the project folder; None: the one that the manifest lies in.
        force: replace an earlier export that stands there.
        dry_run: count, check, and write nothing.
        progress: told how many images are done.

    Raises:
        PackError: the format cannot hold the manifest, an image is missing, the disk is too
            small, or something else stands there.
        LockedError: another process writes the same export.
        UsageError: a split that the manifest does not have.
    """
    if unknown := set(options.splits) - set(manifest.parts):
        known = ", ".join(manifest.parts)
        raise UsageError(f"there is no split {min(unknown)}", f"there are: {known}")
    _refuse_target(target, force)
    rows = Rows(manifest, format_, options, manifest.project if root is None else root)
    tally = rows.tally()
    if not tally.images.total():
        raise PackError(
            f"{manifest.version} has no image that {format_.name} could take",
            _way_out(manifest, tally),
        )
    if dry_run:
        return _result(manifest, format_, target, tally, tally.n_bytes, 0, is_written=False)
    with _partial(target, manifest, format_, options) as folder:
        _refuse_full_disk(folder, tally, options)
        context = Context(folder, rows.classes, bool(manifest.info["exclusive"]), options)
        placer = Placer(folder, options)
        writer = format_.make(context)
        try:
            n_bytes = _write(rows, format_, writer, placer, context, tally, progress)
        finally:
            writer.close()
        text = readme(manifest, format_, writer.front(), tally, target.name)
        (folder / CARD).write_text(text, encoding="utf-8")
        result = _result(manifest, format_, target, tally, n_bytes, placer.n_copied_for_link)
        said = {"curate_version": __version__, **result.to_json(), "options": asdict(options)}
        for key in ("path", "written"):
            del said[key]
        write_json(folder / MARKER, said)
        _publish(folder, target)
    return result


def _write(
    rows: Rows,
    format_: Format,
    writer: Writer,
    placer: Placer,
    context: Context,
    tally: Tally,
    progress: Progress,
) -> int:
    """Write every row; return the bytes of all images."""
    n_bytes = 0
    done, total = 0, tally.images.total()
    path = context.folder / ATTRIBUTION
    with ThreadPoolExecutor(THREADS) as pool, open_text(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", *ATTRIBUTION_COLUMNS])
        for items in rows.items():
            for item, placed in _placed(items, format_, writer, placer, pool):
                writer.add(item, placed)
                n_bytes += placed.n_bytes
                cells = (item.credit[name] for name in ATTRIBUTION_COLUMNS)
                table.writerow([writer.where(item), *("" if c is None else c for c in cells)])
            done += len(items)
            progress("export", done, total)
    return n_bytes


def _placed(
    items: list[Item],
    format_: Format,
    writer: Writer,
    placer: Placer,
    pool: ThreadPoolExecutor,
) -> Iterator[tuple[Item, Placed]]:
    if not format_.embeds:
        yield from zip(items, placer.place(items, writer.where, pool), strict=True)
        return
    source = iter(items)
    while some := list(islice(source, _READ_AT_ONCE)):
        yield from zip(some, placer.read(some, pool), strict=True)


def _way_out(manifest: Manifest, tally: Tally) -> str:
    if tally.left_out:
        return "; ".join(f"{n:,} images {LEFT_OUT[why]}" for why, n in tally.left_out.items())
    if manifest.info.get("unlabelled"):
        version = manifest.version
        return f"its images wait for labels: `curate audit --manifest {version}`, then balance"
    return ""


def _result(
    manifest: Manifest,
    format_: Format,
    target: Path,
    tally: Tally,
    n_bytes: int,
    n_copied: int,
    *,
    is_written: bool = True,
) -> Exported:
    return Exported(
        manifest=manifest.version,
        format=format_.name,
        path=target,
        images=dict(tally.images),
        classes=dict(sorted(tally.classes.items())),
        left_out=dict(tally.left_out),
        n_bytes=n_bytes,
        n_copied=n_copied,
        is_written=is_written,
    )


def _refuse_target(target: Path, force: bool) -> None:
    if not target.exists() and not target.is_symlink():
        return
    if not force:
        raise PackError(f"{target} is there already", "replace it with --force, or give --out DIR")
    is_ours = target.is_dir() and not target.is_symlink()
    is_ours = is_ours and ((target / MARKER).is_file() or not any(target.iterdir()))
    if not is_ours:
        raise PackError(f"{target} is not an export, so it is not replaced", "give another --out")


def _refuse_full_disk(folder: Path, tally: Tally, options: Options) -> None:
    if options.link or options.resize_px is not None:
        return
    free = shutil.disk_usage(folder).free
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if tally.n_bytes - there > free:
        raise PackError(
            f"the images have {tally.n_bytes / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free",
            "use --link, or --resize PX, or --out on another disk",
        )


@contextmanager
def _partial(target: Path, manifest: Manifest, format_: Format, options: Options) -> Iterator[Path]:
    """Make, or find again, the folder to write in, locked; it stays if the export fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}.partial")
    folder.mkdir(exist_ok=True)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise PackError(
            f"{folder} is a link, or no folder, so nothing is written there",
            "take it away, or give another --out",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LockedError(f"another process writes {target}", "wait for it") from error
        whole = (manifest.path / INFO).read_bytes()
        plan = {
            "manifest": hashlib.sha256(whole).hexdigest(),
            "format": format_.name,
            "options": asdict(options),
        }
        note = folder / _NOTE
        is_begun = not _has_links(folder) and note.is_file()
        if not is_begun or note.read_text(encoding="utf-8") != dense(plan):
            for path in folder.iterdir():
                is_folder = path.is_dir() and not path.is_symlink()
                shutil.rmtree(path) if is_folder else path.unlink()
            note.write_text(dense(plan), encoding="utf-8")
        yield folder
    finally:
        os.close(descriptor)


def _has_links(folder: Path) -> bool:
    """Tell whether a folder holds a symbolic link: we make none, and would write where it leads."""
    return any(
        os.path.islink(os.path.join(root, name))  # noqa: PTH114, PTH118 - a million of them
        for root, folders, files in os.walk(folder)
        for name in (*folders, *files)
    )


def _publish(folder: Path, target: Path) -> None:
    (folder / _NOTE).unlink()
    if not target.exists():
        folder.rename(target)
        return
    old = target.with_name(f".{target.name}.old-{secrets.token_hex(4)}")
    target.rename(old)
    folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)
