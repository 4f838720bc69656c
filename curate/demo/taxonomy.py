"""A taxonomy small enough to read: ten species, their lineages, one synonym.

The names are real, the keys below the kingdoms are made up; each species is bound to the
scene in which its photos are taken. Matching follows GBIF's kinds of answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

BACKBONE = "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c"
"""GBIF's key of its own checklist, under which taxon keys are given."""
RANKS = ("KINGDOM", "PHYLUM", "CLASS", "ORDER", "FAMILY", "GENUS", "SPECIES")

_BIRDS = "Animalia Chordata Aves"
_MAMMALS = "Animalia Chordata Mammalia"
_LEAFY = "Plantae Tracheophyta Magnoliopsida Fagales Fagaceae"
_GRASSES = "Plantae Tracheophyta Liliopsida Poales Poaceae"
_NEEDLED = "Plantae Tracheophyta Pinopsida Pinales Pinaceae"
_SPECIES = (
    # lineage down to the genus, epithet, authorship, common name, scene, weight
    (f"{_LEAFY} Quercus", "robur", "L.", "pedunculate oak", "trees", 30),
    (
        f"{_BIRDS} Columbiformes Columbidae Columba",
        "livia",
        "Gmelin, 1789",
        "rock dove",
        "city",
        22,
    ),
    (
        f"{_BIRDS} Charadriiformes Laridae Larus",
        "argentatus",
        "Pontoppidan, 1763",
        "herring gull",
        "beach",
        16,
    ),
    (f"{_BIRDS} Apodiformes Apodidae Apus", "apus", "(Linnaeus, 1758)", "swift", "sunset", 11),
    (f"{_LEAFY} Fagus", "sylvatica", "L.", "European beech", "trees", 8),
    (
        f"{_BIRDS} Passeriformes Passeridae Passer",
        "domesticus",
        "(Linnaeus, 1758)",
        "house sparrow",
        "city",
        5,
    ),
    (f"{_GRASSES} Calamagrostis", "arenaria", "(L.) Roth", "marram grass", "beach", 3.5),
    (
        f"{_MAMMALS} Chiroptera Vespertilionidae Pipistrellus",
        "pipistrellus",
        "(Schreber, 1774)",
        "common pipistrelle",
        "sunset",
        2.4,
    ),
    (f"{_LEAFY} Quercus", "petraea", "(Matt.) Liebl.", "sessile oak", "trees", 1.4),
    (f"{_NEEDLED} Pinus", "sylvestris", "L.", "Scots pine", "trees", 0.7),
)
_SYNONYMS = (("Quercus pedunculata", "Hoffm.", "Quercus robur"),)
_KINGDOMS = {"Animalia": 1, "Plantae": 6}
_FIRST_KEY = 9_100_001


@dataclass(frozen=True, slots=True)
class Taxon:
    """A name in the taxonomy."""

    key: int
    """The taxon key."""
    canonical: str
    """The name without its author."""
    authorship: str
    """Author and year, or nothing."""
    rank: str
    """Out of `RANKS`."""
    lineage: tuple[int, ...]
    """Keys from the kingdom down to the accepted taxon itself."""
    accepted: int
    """Its own key, or that of the accepted name if this one is a synonym."""

    @property
    def name(self) -> str:
        """The full scientific name."""
        return f"{self.canonical} {self.authorship}".strip()


@dataclass(frozen=True, slots=True)
class Species:
    """A species of which there are occurrences."""

    taxon: Taxon
    common_name: str
    """Its English name."""
    scene: str
    """What its photos show."""
    weight: float
    """How many occurrences it has, relative to the others."""


@dataclass(frozen=True, slots=True)
class Match:
    """How a name was found."""

    kind: str
    """`EXACT`, `FUZZY`, `HIGHERRANK` or `NONE`."""
    confidence: int
    """0-100; of the absence, if nothing was found."""
    taxon: Taxon | None


class Taxonomy:
    """All names, by key and by name."""

    def __init__(self) -> None:
        self.taxa: dict[int, Taxon] = {}
        self.species: list[Species] = []
        by_name: dict[str, Taxon] = {}
        for path, epithet, authorship, common_name, scene, weight in _SPECIES:
            names = path.split()
            names.append(f"{names[-1]} {epithet}")
            lineage: tuple[int, ...] = ()
            for name, rank in zip(names, RANKS, strict=True):
                if name not in by_name:
                    author = authorship if rank == "SPECIES" else ""
                    by_name[name] = self._add(name, author, rank, lineage)
                lineage = by_name[name].lineage
            self.species.append(Species(by_name[names[-1]], common_name, scene, weight))
        for name, authorship, accepted_name in _SYNONYMS:
            accepted = by_name[accepted_name]
            key = _FIRST_KEY + len(self.taxa)
            self.taxa[key] = Taxon(key, name, authorship, "SPECIES", accepted.lineage, accepted.key)

    def _add(self, name: str, authorship: str, rank: str, above: tuple[int, ...]) -> Taxon:
        key = _KINGDOMS.get(name, _FIRST_KEY + len(self.taxa))
        taxon = Taxon(key, name, authorship, rank, (*above, key), key)
        self.taxa[key] = taxon
        return taxon

    @cached_property
    def _by_name(self) -> dict[str, Taxon]:
        names = {taxon.canonical.lower(): taxon for taxon in self.taxa.values()}
        return names | {taxon.name.lower(): taxon for taxon in self.taxa.values()}

    def match(self, name: str, *, strict: bool = False) -> Match:
        """Find a name, a name much like it, or else its genus.

        Args:
            name: with or without the author.
            strict: do not fall back to a higher rank.
        """
        wanted = " ".join(name.lower().split())
        if taxon := self._by_name.get(wanted):
            return Match("EXACT", 99, taxon)
        if close := get_close_matches(wanted, self._by_name, n=1, cutoff=0.9):
            return Match("FUZZY", 92, self._by_name[close[0]])
        genus = self._by_name.get(wanted.split(" ")[0]) if " " in wanted else None
        if genus is not None and not strict:
            return Match("HIGHERRANK", 94, genus)
        return Match("NONE", 100, None)

    def common_names(self, key: int) -> list[str]:
        """The common names of a taxon: one for each species, none for others."""
        return [one.common_name for one in self.species if one.taxon.key == key]

    def below(self, key: int) -> list[int]:
        """Positions in `species` of all that belong to a taxon (a synonym: to its accepted one)."""
        taxon = self.taxa.get(key)
        if taxon is None:
            return []
        return [n for n, one in enumerate(self.species) if taxon.accepted in one.taxon.lineage]

    def lineage_fields(self, taxon: Taxon) -> dict[str, object]:
        """`kingdom` … `species` and `kingdomKey` … `speciesKey`, as far down as the taxon goes."""
        fields: dict[str, object] = {}
        for key in taxon.lineage:
            above = self.taxa[key]
            fields[above.rank.lower()] = above.canonical
            fields[f"{above.rank.lower()}Key"] = key
        return fields
