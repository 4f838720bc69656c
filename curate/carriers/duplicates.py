"""What a project does about near-duplicates: ties the dedupe room to fetch and the catalog.

`Project.duplicates` is one of these. Nothing here deletes an image: images are excluded with
a reason and a pointer, and can be brought back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from curate.catalog import groups, placeholders, quality
from curate.catalog.database import MEMORY, Database, writing
from curate.catalog.semantic import SEMANTIC
from curate.config import Settings
from curate.errors import StoreError, UsageError
from curate.progress import Progress, silent
from curate.store import Store

if TYPE_CHECKING:
    from curate.catalog.groups import Place
    from curate.dedupe.against import Contamination
    from curate.dedupe.search import DedupeResult
    from curate.dedupe.semantic import SemanticResult
    from curate.report.facts import CopyGroup

SIMILARITY = 0.9
"""Smallest cosine of embeddings that count as alike."""
_NOTES = (
    "Nothing was deleted. `curate include IMAGE` brings one image back for good, "
    "`curate dedupe --not-same IMAGE IMAGE` parts two, `curate dedupe --undo` brings all back.",
)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Near-duplicates of one project."""

    db: Database
    """The catalog; one in memory where there is none, which leaves no trace."""
    settings: Settings
    """Thresholds and the order of keepers."""
    clock: Callable[[], float]
    """Unix seconds."""
    progress: Progress = silent
    """Told of long work."""

    @property
    def folder(self) -> Path:
        """The project folder."""
        return self.db.path.parent

    def search(self, *, dry_run: bool = False) -> DedupeResult:
        """Compare new images with all, group, and exclude all but the best of each group.

        Args:
            dry_run: find out what would be done; write nothing.

        Raises:
            LockedError: another process is fetching into this project.
            UsageError: a setting that cannot be used.
        """
        with writing(self.db, "dedupe"):
            return self._search(dry_run=dry_run)

    def _search(self, *, dry_run: bool = False) -> DedupeResult:
        from curate.dedupe.search import dedupe

        return dedupe(
            self.db,
            self.folder,
            self.settings.dedupe,
            dry_run=dry_run or self.db.path is MEMORY,
            progress=self.progress,
        )

    def undo(self, *, dry_run: bool = False) -> int:
        """Bring back all images that were excluded for a better one; return how many.

        Raises:
            LockedError: another process is writing into this project.
        """
        reasons = (groups.NEAR_DUPLICATE, SEMANTIC)
        if dry_run:
            return sum(groups.count_excluded(self.db, reason) for reason in reasons)
        with writing(self.db, "dedupe --undo"):
            return sum(groups.bring_back(self.db, reason) for reason in reasons)

    def include(self, prefix: str, *, dry_run: bool = False) -> tuple[str, str | None]:
        """Bring one image back and keep it in, whatever a later search finds.

        Args:
            prefix: its id, or as much of it as is unique.
            dry_run: find it, and write nothing.

        Returns:
            Its id, and why it was out (None: it was not).

        Raises:
            LockedError: another process is writing into this project.
            UsageError: no image has such an id, or several have.
        """
        with nullcontext() if dry_run else writing(self.db, "include"):
            image_id = groups.find_image(self.db, prefix)
            reason = groups.why_excluded(self.db, image_id)
            if dry_run:
                return image_id, reason
            groups.include(self.db, image_id, self.clock())
            if reason == placeholders.REASON:
                placeholders.bring_back(self.db, image_id)
            return image_id, reason

    def not_same(self, one: str, other: str, *, dry_run: bool = False) -> tuple[str, str]:
        """Declare that two images are different, for good; regroup what they belong to.

        Args:
            one: an id, or as much of it as is unique.
            other: another one.
            dry_run: find both, and write nothing.

        Returns:
            Both ids.

        Raises:
            LockedError: another process is writing into this project.
            UsageError: no image has such an id, several have, or both are one image.
        """
        with nullcontext() if dry_run else writing(self.db, "dedupe --not-same"):
            pair = groups.find_image(self.db, one), groups.find_image(self.db, other)
            if pair[0] == pair[1]:
                raise UsageError("an image is the same as itself")
            if not dry_run:
                groups.declare_different(self.db, *pair, self.clock())
                self._search()
        return pair

    def places(self) -> list[Place]:
        """Return where every image with near-duplicates stands, group by group."""
        return groups.places(self.db)

    def semantic(
        self,
        model: Path,
        *,
        similarity: float | None = None,
        preset: str | None = None,
        exclude: bool = False,
        dry_run: bool = False,
    ) -> SemanticResult:
        """Group images whose embeddings are alike: they stay on one side of a split.

        Args:
            model: an ONNX file that turns a picture into an embedding.
            similarity: smallest cosine of two images of a group, above 0 and at most 1;
                None: `SIMILARITY`.
            preset: how pixels are scaled (`curate.assist.preprocess.PRESETS`); None: as the model
                says, or as is guessed.
            exclude: leave out all but the best image of each group.
            dry_run: find out what would be done; write nothing.

        Raises:
            LockedError: another process is writing into this project.
            UsageError: a model or a similarity that cannot be used, or too many images.
        """
        from curate.carriers.semantic import group_by_embedding

        return group_by_embedding(
            self.db,
            model,
            keep=self.settings.dedupe.keep,
            similarity=SIMILARITY if similarity is None else similarity,
            preset=preset,
            exclude=exclude,
            dry_run=dry_run,
            progress=self.progress,
        )

    def side_by_side(self, *, links: bool = True) -> tuple[tuple[CopyGroup, ...], int]:
        """Return the largest groups with their pictures, and how many groups there are.

        Args:
            links: link pictures to where they came from.
        """
        from curate.carriers.sidebyside import side_by_side

        store = Store(self.folder / "images")
        return side_by_side(self.db, store, self.settings.dedupe, links=links)

    def write_page(self, path: Path) -> Path:
        """Write a self-contained page of the groups, side by side.

        Raises:
            StoreError: the file cannot be written.
        """
        from curate.report.copies import write_copies

        shown, total = self.side_by_side()
        try:
            return write_copies(path, shown, total, _NOTES)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror}") from error

    def against(self, path: Path, *, exclude: bool = False, dry_run: bool = False) -> Contamination:
        """Find our images that are also in another dataset.

        Args:
            path: a manifest, a folder with one, or a folder of images.
            exclude: leave those images out of datasets from now on.
            dry_run: exclude nothing after all.

        Raises:
            LockedError: to exclude, but another process is writing into this project.
            SourceError: `path` cannot be read.
        """
        from curate.dedupe.against import CONTAMINATES, compare
        from curate.engine.local import LocalEngine
        from curate.fetch.verify import Limits, verify

        limits = self.settings.fetch
        found = compare(
            self.db,
            path,
            self.settings.dedupe,
            partial(verify, limits=Limits(limits.max_pixels, limits.keep_damaged)),
            LocalEngine(limits.workers),
            self.progress,
            max_bytes=limits.max_bytes,
        )
        if exclude and not dry_run:
            with writing(self.db, "dedupe --against"):
                groups.exclude(self.db, found.image_ids, CONTAMINATES)
        return found

    def exclude_quality(self, flags: Sequence[str], *, dry_run: bool = False) -> dict[str, int]:
        """Leave out the images under some quality flags; return how many for each.

        An image under several of them counts under the first.

        Args:
            flags: names of `curate.catalog.quality.FLAGS`.
            dry_run: only count.

        Raises:
            LockedError: another process is writing into this project.
            UsageError: an unknown flag.
        """
        quality.check_flags(flags)
        found = {
            flag: quality.flagged(self.db, self.settings.quality, flag)
            for flag in dict.fromkeys(flags)
        }
        if dry_run:
            counted: set[str] = set(groups.included(self.db))
            done = {}
            for flag, ids in found.items():
                done[flag] = len(set(ids) - counted)
                counted.update(ids)
            return done
        with writing(self.db, "dedupe --exclude-quality"):
            return {flag: groups.exclude(self.db, ids, flag) for flag, ids in found.items()}

    def quality(self) -> dict[str, int]:
        """Count the kept images under each quality flag, and those under none."""
        return quality.quality_counts(self.db, self.settings.quality)

    def count_by(self, by: str) -> Mapping[str, int]:
        """Count images by a property, as `curate status --by` does.

        Raises:
            UsageError: there is no such property.
        """
        from curate.report.by import count_by

        return count_by(self.db, by, self.settings.quality)
