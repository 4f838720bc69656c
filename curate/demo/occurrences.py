"""Occurrences as columns computed from their index: a quarter of a million cost no list.

Every attribute is a fixed hash of (seed, column, index), held as small codes; a query is a
mask over them, a facet a count of codes. Filters and facets therefore agree by construction,
which is what makes splitting a query by facets testable.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

import numpy as np
import numpy.typing as npt

from curate.demo.options import SampleOptions
from curate.demo.photos import Photo, draw, make_photo
from curate.demo.taxonomy import RANKS, Taxonomy

FIRST_KEY = 4_000_000_000
MAX_MEDIA = 4
"""Media of one occurrence, at most (a sound comes on top)."""
PHOTO_PREFIX = "gbif-"

_COUNTRIES = {
    "DE": "Germany", "SE": "Sweden", "FR": "France", "US": "United States of America",
    "DK": "Denmark", "GB": "United Kingdom of Great Britain and Northern Ireland",
    "NL": "Netherlands", "ES": "Spain", "PL": "Poland", "CA": "Canada", "JP": "Japan",
    "ZA": "South Africa",
}  # fmt: skip
BASES = ("HUMAN_OBSERVATION", "PRESERVED_SPECIMEN", "MACHINE_OBSERVATION")
LICENSES = {
    "CC_BY_NC_4_0": "http://creativecommons.org/licenses/by-nc/4.0/",
    "CC_BY_4_0": "http://creativecommons.org/licenses/by/4.0/",
    "CC0_1_0": "http://creativecommons.org/publicdomain/zero/1.0/",
}
_MONTHS = (2, 2, 5, 9, 15, 17, 16, 13, 10, 6, 3, 2)
_GIVEN = ("Anna", "Ben", "Carla", "Dov", "Edda", "Femi", "Greta", "Hugo")
_FAMILY = ("Arnold", "Birk", "Castro", "Dunn", "Eklund")
ODDITIES = ("no_identifier", "no_type", "no_license", "free_license", "sparse")

Codes = npt.NDArray[np.int16]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Column:
    """An attribute of all occurrences: a code for each, which is a place in `labels`."""

    codes: Codes
    """-1 where the attribute is missing."""
    labels: Sequence[str]


@dataclass(frozen=True, slots=True)
class Medium:
    """One medium of an occurrence, and the truth about it."""

    number: int
    """Unique among all media."""
    sound: bool
    """A sound instead of a picture."""
    oddity: str
    """What is unusual about its record: empty, or out of `ODDITIES`."""
    license: str
    """Key of `LICENSES`."""

    @property
    def photo_id(self) -> str:
        """The id of its picture in the sample source."""
        return f"{PHOTO_PREFIX}{self.number}"


class Occurrences:
    """All occurrences of a sample source.

    Args:
        options: how many there are, and over what they spread.
        taxonomy: the species.
    """

    def __init__(self, options: SampleOptions, taxonomy: Taxonomy) -> None:
        self._options = options
        self._taxonomy = taxonomy
        self.n_occurrences = options.occurrences

    @cached_property
    def columns(self) -> dict[str, Column]:
        """The attributes that can be filtered and counted, by the name of their parameter."""
        options, of = self._options, self._column
        n_years = options.last_year - options.first_year + 1
        dated = self._uniform("undated") >= options.undated_share
        years = np.minimum(n_years - 1, (self._uniform("year") ** 0.6 * n_years).astype(np.int16))
        species = [one.weight for one in self._taxonomy.species]
        year_names = [str(options.first_year + n) for n in range(n_years)]
        month = of("month", _MONTHS, [str(n + 1) for n in range(12)])
        columns = {
            "year": Column(np.where(dated, years, -1).astype(np.int16), year_names),
            "month": Column(np.where(dated, month.codes, -1).astype(np.int16), month.labels),
            "country": of("country", _falling(options.countries), list(_COUNTRIES)),
            "datasetKey": of("dataset", _falling(options.datasets), self._dataset_keys()),
            "basisOfRecord": of("basis", (85, 10, 5), BASES),
            "license": of("license", (55, 30, 15), list(LICENSES)),
            "recordedBy": of(
                "recorder", _falling(40), [f"{g} {f}" for g in _GIVEN for f in _FAMILY]
            ),
            "scientificName": of(
                "species", species, [s.taxon.name for s in self._taxonomy.species]
            ),
            "occurrenceStatus": of("status", (1,), ["PRESENT"]),
        }
        for depth, rank in enumerate(RANKS):
            keys = [s.taxon.lineage[depth] for s in self._taxonomy.species]
            labels = sorted(set(keys))
            places = np.array([labels.index(key) for key in keys], dtype=np.int16)
            named = Column(places[columns["scientificName"].codes], [str(key) for key in labels])
            columns[f"{rank.lower()}Key"] = named
        return columns

    @cached_property
    def n_media(self) -> Codes:
        """Pictures of each occurrence, 0 to `MAX_MEDIA`."""
        counts = self._column("media", (60, 25, 10, 5), ()).codes + 1
        bare = self._uniform("bare") < self._options.no_media_share
        return np.where(bare, 0, counts).astype(np.int16)

    @cached_property
    def has_sound(self) -> Mask:
        """Which occurrences come with a sound as well."""
        rare = self._uniform("sound") < self._options.odd_media_share / 5
        return np.logical_and(rare, self.n_media > 0)

    def species_mask(self, wanted: Callable[[int], bool]) -> Mask:
        """Occurrences of the species (places in the taxonomy's list) for which `wanted` holds."""
        table = np.array([wanted(n) for n in range(len(self._taxonomy.species))], dtype=np.bool_)
        return table[self.columns["scientificName"].codes]

    def label(self, name: str, index: int) -> str | None:
        """The attribute of one occurrence; None where it is missing."""
        column = self.columns[name]
        code = int(column.codes[index])
        return None if code < 0 else column.labels[code]

    def media(self, index: int) -> list[Medium]:
        """The media of one occurrence."""
        seed = self._options.seed
        found = []
        n_pictures = int(self.n_media[index])
        for number in range(index * (MAX_MEDIA + 1), index * (MAX_MEDIA + 1) + n_pictures):
            odd = draw(seed, "odd", number) < self._options.odd_media_share
            oddity = ODDITIES[int(draw(seed, "how", number) * len(ODDITIES))] if odd else ""
            license_name = list(LICENSES)[int(draw(seed, "medium", number) ** 1.6 * len(LICENSES))]
            found.append(Medium(number, False, oddity, license_name))
        if self.has_sound[index]:
            found.append(Medium(index * (MAX_MEDIA + 1) + MAX_MEDIA, True, "", "CC_BY_NC_4_0"))
        return found

    def photo(self, photo_id: str) -> Photo | None:
        """The picture with this id, if there is one."""
        digits = photo_id.removeprefix(PHOTO_PREFIX)
        if digits == photo_id or not (digits.isascii() and digits.isdigit()):
            return None
        number = int(digits)
        if not self._exists(number):
            return None
        return make_photo(
            self._options, photo_id, number, self._shows, lambda n: f"{PHOTO_PREFIX}{n}", "gbif"
        )

    def country_name(self, code: str) -> str:
        """The name that GBIF writes out for a country code."""
        return _COUNTRIES[code]

    def _exists(self, number: int) -> bool:
        index, place = divmod(number, MAX_MEDIA + 1)
        return index < self.n_occurrences and place < int(self.n_media[index])

    def _shows(self, number: int) -> tuple[str, ...]:
        # Pictures that do not exist show nothing that another could be a copy of.
        if not self._exists(number):
            return ("", str(number))
        code = int(self.columns["scientificName"].codes[number // (MAX_MEDIA + 1)])
        return (self._taxonomy.species[code].scene,)

    def _dataset_keys(self) -> list[str]:
        seed = self._options.seed
        parts = [
            int(draw(seed, "dataset", n, half) * 2**56)
            for n in range(self._options.datasets)
            for half in (0, 1)
        ]
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return [str(UUID(int=(high << 64 | low) % 2**128, version=4)) for high, low in pairs]

    def _column(self, salt: str, weights: Sequence[float], labels: Sequence[str]) -> Column:
        steps = np.cumsum(np.array(weights, dtype=np.float64))
        codes = np.searchsorted(steps / steps[-1], self._uniform(salt), side="right")
        return Column(np.minimum(codes, len(weights) - 1).astype(np.int16), labels)

    def _uniform(self, salt: str) -> npt.NDArray[np.float64]:
        """A number in [0, 1) for each index: the finaliser of SplitMix64 over salted indices."""
        start = zlib.crc32(f"{self._options.seed} {salt}".encode())
        x = np.arange(self.n_occurrences, dtype=np.uint64) + np.uint64(start << 31)
        x *= np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2.0**53


def _falling(n: int) -> list[float]:
    """Weights of a long tail: 1, 1/2, 1/3 and so on."""
    return [1 / (place + 1) for place in range(n)]
