"""The settings that a manifest is made with, checked once, and written down with it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from curate.errors import UsageError

TRUST = ("human", "consensus", "model", "source", "query")
"""Where a label may come from, strongest first."""

SPLITS = ("train", "val", "test")
"""The sides of a split, in the order of `Recipe.splits`."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to choose and divide images. The same images and recipe give the same bytes.

    Raises:
        UsageError: a value is out of range, or two contradict each other.
    """

    min_per_class: int = 1
    """A class with fewer images than this is dropped."""
    max_per_class: int | None = None
    """A class with more is sampled down to this; None: no cap."""
    splits: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Shares of train, val and test; each 0-1, together 1."""
    seed: int = 0
    """Decides every choice that is left to chance."""
    licenses: tuple[str, ...] = ()
    """Licences that may be used (see `curate.licenses.matches`); empty: any, also unknown ones."""
    trust: str = "query"
    """The weakest origin of a label that counts, one of `TRUST`."""
    exclusive: bool | None = None
    """Whether an image may have one class only; one with several is then left out.
    None: found out from the images that are taken, none is left out for it."""

    def __post_init__(self) -> None:
        if self.min_per_class < 1:
            raise UsageError(f"--min-per-class must be at least 1, not {self.min_per_class}")
        if self.max_per_class is not None and self.max_per_class < self.min_per_class:
            raise UsageError(
                f"--max-per-class {self.max_per_class} is below --min-per-class "
                f"{self.min_per_class}: no class could have both"
            )
        if self.trust not in TRUST:
            raise UsageError(f"--trust must be one of {', '.join(TRUST)}, not {self.trust!r}")
        shares = self.splits
        in_range = len(shares) == len(SPLITS) and all(0 <= share <= 1 for share in shares)
        if not (in_range and math.isclose(sum(shares), 1, abs_tol=1e-6) and shares[0] > 0):
            raise UsageError(
                f"--splits must be three shares of train, val and test that add up to 1, "
                f"not {','.join(map(str, shares))}",
                hint="for example --splits 0.8,0.1,0.1",
            )

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as it stands in `manifest.json`."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }
