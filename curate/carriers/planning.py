"""Before a download: how many candidates there would be, and what thresholds would keep.

`Project.plan` comes here. Sizes come from a sample of candidates, each asked for in several
size variants; the sample is drawn from the catalog, or from the first page of a search that
was not made yet.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from curate import config
from curate.catalog import counts, images
from curate.catalog.images import Sample
from curate.catalog.sampling import SampledCandidate, pending_sample
from curate.errors import CurateError, SourceError, UsageError
from curate.report.plan import Plan, Variant, make_plan, spread_of
from curate.sources.variants import gbif_variant, inaturalist_variant

if TYPE_CHECKING:
    from curate.carriers.finding import FetchRequest
    from curate.carriers.folder import ProjectFolder
    from curate.sources.base import Query, Source

SIDES_PX = (1024, 512, 256)
"""Shorter sides of the variants that are compared, beside the original and the settings'."""
ORIGINAL = "original"
AS_LISTED = "as listed"
"""The variant of a candidate that has only one."""
Asked = Sequence[tuple["Source", "Query"]]


def plan(
    project: ProjectFolder,
    request: FetchRequest,
    *,
    sample: int = 0,
    budget_bytes: int | None = None,
    seed: int = 0,
) -> Plan:
    """Count candidates per class, of a search or of the catalog. See `Project.plan`."""
    asked = project.finder().queries(request)
    found = _counted(project, asked)
    chosen = project.settings.balance
    sizes = images.sample(project.look())
    variants: list[Variant] = []
    if sample:
        drawn = _drawn(project, asked, sample, random.Random(seed))  # noqa: S311 - a sample
        variants = _measured(project, drawn)
        sizes = _estimate(variants, project.settings.fetch.side_px) or sizes
    if budget_bytes is not None and sizes.mean_bytes is None:
        raise _unknown_sizes(variants)
    return make_plan(
        found,
        sizes,
        chosen.min_per_class,
        chosen.max_per_class or None,
        variants=variants,
        budget_bytes=budget_bytes,
        n_with_class=None if asked else counts.with_class(project.look()),
    )


def _counted(project: ProjectFolder, asked: Asked) -> dict[str, int]:
    """Count candidates by class."""
    if not asked:
        return {
            each.name: each.images + each.pending for each in counts.class_counts(project.look())
        }
    found: dict[str, int] = {}
    for source, query in asked:
        named = query.class_by or not (source.is_remote or query.classes)
        by_class = source.class_counts(query) if named else None
        if by_class is None:
            by_class = {name: source.count(query) or 0 for name in query.classes or ("",)}
        for name, n in by_class.items():
            found[name] = found.get(name, 0) + n
    return found


def _drawn(
    project: ProjectFolder, asked: Asked, n: int, rng: random.Random
) -> list[SampledCandidate]:
    """Draw candidates to ask for their sizes."""
    if not asked:
        return pending_sample(project.look(), n, rng)
    pool: list[SampledCandidate] = []
    for source, query in asked:
        page = next(source.pages(replace(query, side_px=None)), None)
        if page is not None:
            count = min(n, len(page.candidates))
            places = rng.sample(range(len(page.candidates)), count)
            picked = [page.candidates[place] for place in places]
            pool += [SampledCandidate(each.url, each.meta) for each in picked]
    return rng.sample(pool, min(n, len(pool)))


def _unknown_sizes(variants: Sequence[Variant]) -> CurateError:
    if n_silent := sum(each.n_failed for each in variants):
        n_asked = n_silent + sum(each.n for each in variants)
        message = f"{n_silent:,} of {n_asked:,} URLs told no size, and --budget needs sizes"
        return SourceError(message, "check the network, or give a larger --sample")
    return UsageError(
        "--budget needs to know how large the images are",
        "give --sample 100, which asks for the sizes of so many",
    )


def variants_of(drawn: SampledCandidate, sides_px: Iterable[int], api_url: str) -> dict[str, str]:
    """Return the URL of each size variant of a candidate, the largest first."""
    identifier, gbif_id = drawn.meta.get("identifier"), drawn.meta.get("gbifID")
    if not identifier or not gbif_id:
        return {AS_LISTED: drawn.url}
    found = {ORIGINAL: identifier}
    for side_px in sorted(sides_px, reverse=True):
        own = inaturalist_variant(identifier, side_px)
        found[name_of(side_px)] = own or gbif_variant(api_url, gbif_id, identifier, side_px)
    return found


def name_of(side_px: int) -> str:
    """Return what a variant is called."""
    return f"{side_px} px" if side_px else ORIGINAL


def _measured(project: ProjectFolder, drawn: Sequence[SampledCandidate]) -> list[Variant]:
    """Ask for the sizes of a sample in every variant."""
    from curate.fetch.feed import host_of
    from curate.fetch.guard import Guard
    from curate.fetch.probe import peek_all

    settings = project.settings.fetch
    sides = {*SIDES_PX, settings.side_px} - {0}
    api_url = project.settings.gbif.url.rstrip("/")
    urls: dict[str, list[str]] = {}
    for each in drawn:
        for name, url in variants_of(each, sides, api_url).items():
            urls.setdefault(name, []).append(url)
    distinct = list(dict.fromkeys(url for some in urls.values() for url in some))
    if not distinct:
        return []
    project.notify(f"asking for the sizes of {len(distinct):,} URLs")
    peeks = peek_all(
        distinct,
        Guard(settings.allow_hosts),
        user_agent=config.user_agent(settings.contact),
        ca_file=settings.ca_file or None,
    )
    known = {each.url: each for each in peeks}
    variants = []
    for name, some in urls.items():
        told = [known[url] for url in some if known[url].n_bytes]
        seconds = {url: known[url].seconds for url in some if known[url].n_bytes}
        each_s = _seconds_each(
            [(host_of(url), s) for url, s in seconds.items()],
            settings.per_host,
            settings.connections,
        )
        sizes = [each.n_bytes or 0 for each in told]
        variants.append(_variant(name, sizes, len(some) - len(told), each_s))
    return variants


def _variant(name: str, sizes: Sequence[int], n_failed: int, each_s: float | None) -> Variant:
    if not sizes:
        return Variant(name, 0, n_failed, None, None, None, None)
    mean = fmean(sizes)
    spread = spread_of(Sample(len(sizes), mean, stdev(sizes) if len(sizes) > 1 else None, None))
    return Variant(name, len(sizes), n_failed, mean, max(0.0, mean - spread), mean + spread, each_s)


def _seconds_each(
    times: Sequence[tuple[str, float]], per_host: int, connections: int
) -> float | None:
    """Return the time per image when hosts are asked side by side.

    The host with the most work decides, since each is asked only so much at a time; so does
    the number of connections.
    """
    if not times:
        return None
    by_host: Counter[str] = Counter()
    for host, seconds in times:
        by_host[host] += seconds  # type: ignore[assignment] # a counter of seconds
    slowest = max(by_host.values()) / per_host
    return max(slowest, sum(by_host.values()) / connections) / len(times)


def _estimate(variants: Sequence[Variant], side_px: int) -> Sample | None:
    """Return what the variant that would be fetched weighs."""
    by_name: Mapping[str, Variant] = {each.name: each for each in variants}
    chosen = by_name.get(name_of(side_px)) or by_name.get(AS_LISTED)
    if chosen is None or chosen.mean_bytes is None or chosen.high_bytes is None:
        return None
    half = chosen.high_bytes - chosen.mean_bytes
    sd = half * math.sqrt(chosen.n) / 1.96 if chosen.n > 1 else None
    return Sample(chosen.n, chosen.mean_bytes, sd, chosen.seconds_each)
