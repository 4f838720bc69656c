"""Near-duplicates side by side: the image that is kept first, then what it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from curate.report.facts import Copy, CopyGroup
from curate.report.html import picture, section, whole_page

ID_SHOWN = 12
"""Digits of an id that are shown: enough for `curate include`."""


def write_copies(path: Path, groups: Sequence[CopyGroup], total: int, notes: Sequence[str]) -> Path:
    """Write a page of its own.

    Args:
        path: the file; replaced if it is there.
        groups: the groups that are shown.
        total: how many there are.
        notes: sentences for the end of the page.

    Returns:
        The path.
    """
    lead = "Images that show the same photo. The first of each group is kept in its place."
    page = whole_page("Near-duplicates", lead, copies_section(groups, total), notes)
    path.write_text(page, encoding="utf-8")
    return path


def copies_section(groups: Sequence[CopyGroup], total: int) -> str:
    """Return a section that shows groups side by side.

    Args:
        groups: the groups that are shown.
        total: how many there are.
    """
    if not total:
        return section("Copies of one photo", "There are none.", "")
    said = f"{total:,} groups, the largest first."
    if total > len(groups):
        said += f" The first {len(groups):,} are shown."
    shown = "".join(map(_group, groups))
    said += " The distance counts differing bits of the 64-bit hashes."
    return section("Copies of one photo", said, f"<div class='groups'>{shown}</div>")


def _group(group: CopyGroup) -> str:
    more = group.n - len(group.copies)
    rest = f"<figure class='soft'>and {more:,} more</figure>" if more else ""
    return f"<div class='copies'>{''.join(map(_copy, group.copies))}{rest}</div>"


def _copy(copy: Copy) -> str:
    shown = picture(copy.thumb) if copy.thumb else "<div class='gone'>no picture</div>"
    far = "" if copy.distance is None else f"{copy.distance:,} bits · "
    return (
        f"<figure class='{'kept' if copy.is_kept else 'out'}'>{shown}<figcaption>"
        f"<b>{escape(copy.verdict)}</b><br>{escape(copy.facts)}<br>"
        f"<span class='soft'>{far}<code title='{escape(copy.image_id)}'>"
        f"{escape(copy.image_id[:ID_SHOWN])}</code></span>"
        "</figcaption></figure>"
    )
