"""What can be done with a manifest that is there: look, compare, check, export.

`Project.manifests` is one of these; the commands `curate manifest` and `curate export` are
faces on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from curate.progress import Progress, silent

if TYPE_CHECKING:
    from curate.pack.diff import Difference
    from curate.pack.export.base import Options
    from curate.pack.export.run import Exported
    from curate.pack.manifest import Manifest
    from curate.pack.verify import Fault

EXPORTS = "exports"
MANIFESTS = "manifests"


@dataclass(frozen=True, slots=True)
class Checked:
    """What checking manifests found."""

    n_images: int
    """Image files that were read."""
    n_manifests: int
    """Manifests that were checked."""
    faults: tuple[tuple[str, Fault], ...]
    """What is wrong, each with the version of the manifest."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """The manifests of one project."""

    folder: Path
    """The project folder."""
    progress: Progress = silent
    """Told of long work."""

    def all(self) -> list[Manifest]:
        """Open every manifest, the oldest first.

        Raises:
            PackError: one cannot be read.
        """
        from curate.pack.manifest import read_manifest, versions

        return [read_manifest(path) for path in versions(self.folder / MANIFESTS)]

    def open(self, name: str | None = None) -> Manifest:
        """Open one by its version or path; the newest by default.

        Raises:
            PackError: there is none of that name.
        """
        from curate.pack.manifest import find_manifest

        return find_manifest(self.folder / MANIFESTS, name)

    def image_ids(self, name: str | None = None) -> frozenset[str]:
        """Return the images of one, unlabelled ones included. Arguments are those of `open`.

        Raises:
            PackError: there is none of that name.
        """
        return frozenset(
            image_id
            for batch in self.open(name).batches(["image_id"])
            for image_id in batch.column(0).to_pylist()
        )

    def diff(self, old: str | None, new: str | None) -> Difference:
        """Compare two manifests.

        Args:
            old: version or path; None: the one before the newest.
            new: version or path; None: the newest.

        Raises:
            PackError: there are not two, or none of that name.
        """
        from curate.errors import PackError
        from curate.pack.diff import diff

        if old is None:
            known = self.all()
            if len(known) < 2:
                raise PackError("there are not two manifests to compare", "see `curate balance`")
            return diff(known[-2], known[-1])
        return diff(self.open(old), self.open(new))

    def verify(self, names: Sequence[str] = (), *, images: bool = True) -> Checked:
        """Check manifests, and the image files that they name.

        Args:
            names: versions or paths; none: the newest.
            images: read every image file too.

        Raises:
            PackError: there is none of that name.
        """
        from curate.pack.verify import image_faults, verify_manifest

        chosen = [self.open(name) for name in (names or (None,))]
        faults: list[tuple[str, Fault]] = []
        n_images = 0
        for manifest in chosen:
            found = verify_manifest(manifest.path)
            faults += [(manifest.version, each) for each in found]
            broken = {each.kind for each in found} & {"missing", "unreadable", "schema"}
            if images and not broken:
                faults += [
                    (manifest.version, each)
                    for each in image_faults(manifest, progress=self.progress)
                ]
                n_images += sum(manifest.n_rows(part) for part in manifest.parts)
        return Checked(n_images, len(chosen), tuple(faults))

    def export(
        self,
        format_name: str,
        options: Options,
        *,
        manifest: str | None = None,
        target: Path | None = None,
        force: bool = False,
        dry_run: bool = False,
    ) -> Exported:
        """Write images and labels for other programs.

        Args:
            format_name: one of `curate.pack.export.names()`.
            options: links, size, splits.
            manifest: version or path; None: the newest.
            target: the folder to make; None: `exports/VERSION-FORMAT` in the project.
            force: replace an earlier export.
            dry_run: count and check only.

        Raises:
            UsageError: there is no such format.
            PackError: see `curate.pack.export.run.export`.
        """
        from curate.pack.export import find_format
        from curate.pack.export.run import export

        format_ = find_format(format_name)
        opened = self.open(manifest)
        place = target or self.folder / EXPORTS / f"{opened.version}-{format_name}"
        return export(
            opened,
            format_,
            place,
            options,
            force=force,
            dry_run=dry_run,
            progress=self.progress,
        )
