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

KEEP = ("random", "best", "spread")
"""Which images of a class stay when there are too many."""

SPREAD_BY = ("observer", "year", "country")
"""What `spread` takes turns over if nothing else is said, the most important first."""

MOST_FOLDS = 100


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
    downsample: int | str | None = None
    """`min`: every class has at most as many images as the smallest that is kept; a number:
    at most so many; None: as they are."""
    keep: str = "random"
    """Which images stay where a class has too many, one of `KEEP`."""
    spread_by: tuple[str, ...] = SPREAD_BY
    """What `keep="spread"` takes turns over, the most important first (see `fields`)."""
    upsample: int | str | None = None
    """`max`: training rows of each class are repeated up to those of the largest; a number:
    up to so many; None: no row is repeated."""
    negatives: float | None = None
    """Largest share that images of no class may have of the dataset, 0 to below 1; None: all."""
    where: str = ""
    """An expression over columns that an image must fulfil (see `where`); empty: none."""
    group_by: tuple[str, ...] = ()
    """Columns whose equal values keep images on one side, e.g. `observer+date`; besides
    near-duplicates and photos of one occurrence, which stay together always."""
    holdout_by: str = ""
    """A column whose values are not shared by test and the others, e.g. `countryCode`, `year`
    (the latest), or with the values, `countryCode=DE,FR`; empty: test is drawn as the others."""
    folds: int = 0
    """Number of folds that train and val are divided into; 0: none."""
    sticky: bool = True
    """Images stay on the side where earlier manifests have put them."""
    include_unlabelled: bool = False
    """Images without a trusted label come along in a file of their own."""

    def __post_init__(self) -> None:
        self._check_limits()
        self._check_shares()
        if self.trust not in TRUST:
            raise UsageError(f"--trust must be one of {', '.join(TRUST)}, not {self.trust!r}")
        if self.keep not in KEEP:
            raise UsageError(f"--keep must be one of {', '.join(KEEP)}, not {self.keep!r}")
        if self.negatives is not None and not 0 <= self.negatives < 1:
            raise UsageError(
                f"--negatives is a share from 0 to below 1, not {self.negatives:g}",
                "for example --negatives 0.2",
            )

    def _check_limits(self) -> None:
        if self.min_per_class < 1:
            raise UsageError(f"--min-per-class must be at least 1, not {self.min_per_class}")
        _check_amount("--downsample", self.downsample, "min")
        _check_amount("--upsample", self.upsample, "max")
        for flag, cap in (
            ("--max-per-class", self.max_per_class),
            ("--downsample", self.downsample),
        ):
            if isinstance(cap, int) and cap < self.min_per_class:
                raise UsageError(
                    f"{flag} {cap} is below --min-per-class {self.min_per_class}: "
                    "no class could have both"
                )

    def _check_shares(self) -> None:
        shares = self.splits
        in_range = len(shares) == len(SPLITS) and all(0 <= share <= 1 for share in shares)
        if not (in_range and math.isclose(sum(shares), 1, abs_tol=1e-6) and shares[0] > 0):
            raise UsageError(
                f"--splits must be three shares of train, val and test that add up to 1, "
                f"not {','.join(map(str, shares))}",
                hint="for example --splits 0.8,0.1,0.1",
            )
        if self.folds and not 2 <= self.folds <= MOST_FOLDS:
            raise UsageError(f"--folds must be 2 to {MOST_FOLDS}, not {self.folds}")
        if self.holdout_by and not shares[2] > 0:
            raise UsageError(
                "--holdout-by needs a test split, and its share is 0",
                "for example --splits 0.8,0.1,0.1",
            )

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as it stands in `manifest.json`."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }


def amount(text: str, word: str, flag: str) -> int | str | None:
    """Read a flag that takes a number or one word; empty text means "not given".

    Raises:
        UsageError: it is neither.
    """
    text = text.strip()
    if not text or text == word:
        return text or None
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{flag} takes {word} or a whole number, not {text!r}") from None


def _check_amount(flag: str, value: int | str | None, word: str) -> None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and value != word and not (is_number and int(value) >= 1):
        raise UsageError(f"{flag} takes {word} or a number from 1, not {value!r}")
