"""The flags by which Labelme knows classes: one for each, besides the one that says `reviewed`.

Whoever reads or writes Labelme's files asks here: the label room, an export, an import.
"""

from __future__ import annotations

from collections.abc import Iterable

REVIEWED = "reviewed"
"""The flag that says: somebody has looked at this image."""


def flag_names(classes: Iterable[str]) -> dict[str, str]:
    """Return the flag that stands for each class, in order: flag to class.

    Labelme strips flags and reads one from each line, so a class of blanks or of several
    lines, or one that is called `reviewed`, needs a flag of another name.

    Example:
        >>> flag_names(["beach", "reviewed"])
        {'beach': 'beach', 'reviewed (class)': 'reviewed'}
    """
    flags: dict[str, str] = {}
    for name in classes:
        plain = " ".join(name.split()) or "(blank)"
        flag, number = plain, 1
        while flag in flags or flag == REVIEWED:
            flag = f"{plain} (class)" if number == 1 else f"{plain} (class {number})"
            number += 1
        flags[flag] = name
    return flags
