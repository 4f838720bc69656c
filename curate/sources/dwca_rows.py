"""From media and the records they belong to, to candidates: column by column.

Licence and holder are the medium's own, since the record's licence covers the record; what a
publisher wrote freely is kept beside the id that it was read as. Photos of one record, and
photos that one observer took on one day, are groups: a split must not tear them apart. What
photos say of their record they share, and records what they say of their taxon.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from curate.catalog.columns import CandidateColumns
from curate.licenses import normalise
from curate.sources.dwca_join import Job, Joined, Media
from curate.sources.dwca_json import objects
from curate.sources.dwca_tables import ID
from curate.sources.variants import gbif_variants, inaturalist_variants


def candidates(joined: Joined, job: Job) -> CandidateColumns:
    """Turn joined media into candidates."""
    media = joined.media
    ids = media.text(ID)
    names, links, beside = _licenses(media.text("license"))
    creators, holders = media.text("creator"), media.text("holder")
    nearest, shared, common = _shared(joined, job)
    columns = {
        "source_id": joined.source_ids,
        "url": _sized(joined, job),
        "group_hint": _groups(joined, ids, job),
        "page_url": _pages(media, ids, job),
        "author": _none_if_blank(creators),
        "license": names,
        "license_url": links,
        "rights_holder": _none_if_blank(holders),
        "attribution": _credits(creators, holders, names, ids, job),
        "meta": _metas(media, beside, job),
        "class": _hints(joined, job),
        "shared": nearest,
    }
    rows = pa.RecordBatch.from_arrays([*columns.values()], names=[*columns])
    return CandidateColumns("dwca", rows, shared, common, job.query.text)


def _hints(joined: Joined, job: Job) -> pa.DictionaryArray:
    if joined.classes is not None:
        return joined.classes
    name = job.query.classes[0] if job.query.classes else None
    codes = pa.array([0 if name is not None else None] * joined.media.n, pa.int32())
    return pa.DictionaryArray.from_arrays(codes, pa.array([name or ""], pa.string()))


def _licenses(words: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Return ids, links, and the free text that an id was read from, if it was."""
    coded = words.dictionary_encode()
    ids, links, beside = [], [], []
    for each in coded.dictionary.to_pylist():
        found = normalise(each)
        ids.append(found.id)
        links.append(found.url)
        beside.append("" if each in (found.id, found.url) else each)
    arrays = (pa.array(each, pa.string()) for each in (ids, links, beside))
    first, second, third = (each.take(coded.indices) for each in arrays)
    return first, second, third


def _sized(joined: Joined, job: Job) -> pa.Array:
    side_px = job.query.side_px
    urls = joined.media.text("url")
    if side_px is None:
        return urls
    sized = inaturalist_variants(urls, side_px)
    if not job.is_gbif:
        return pc.coalesce(sized, urls)
    ids = joined.media.text(ID)
    return pc.coalesce(sized, gbif_variants(job.api_url, ids, urls, joined.digests, side_px))


def _groups(joined: Joined, ids: pa.Array, job: Job) -> pa.Array:
    """Name what must stay together: the record, and the observer's day."""
    if job.records is None and not job.is_gbif:
        return pa.nulls(len(ids), pa.string())
    kind = "occurrence" if job.records is None else job.records.kind
    if kind == "taxon":
        return pa.nulls(len(ids), pa.string())
    own = pc.binary_join_element_wise(f"{kind}:", ids, "")
    if job.observers is not None:
        who, day = (each.take(joined.places).cast(pa.string()) for each in job.observers)
        observer = pc.fill_null(pc.binary_join_element_wise(who, day, ""), "")
        own = pc.binary_join_element_wise(own, observer, "")
    return own


def _pages(media: Media, ids: pa.Array, job: Job) -> pa.Array:
    if job.is_gbif:
        return pc.binary_join_element_wise("https://www.gbif.org/occurrence/", ids, "")
    return _none_if_blank(media.text("page"))


def _credits(
    creators: pa.Array, holders: pa.Array, names: pa.Array, ids: pa.Array, job: Job
) -> pa.Array:
    who = pc.if_else(pc.equal(creators, ""), holders, creators)
    who = pc.if_else(pc.equal(who, ""), "unknown author", who)
    licence = pc.fill_null(pc.binary_join_element_wise(", ", names, ""), "")
    if not job.is_gbif:
        return pc.binary_join_element_wise(who, licence, "")
    return pc.binary_join_element_wise(who, licence, ", via GBIF occurrence ", ids, "")


def _metas(media: Media, beside: pa.Array, job: Job) -> pa.Array:
    """Write what else is known of each medium as JSON objects."""
    return objects(
        {
            "licenseText": beside,
            "references": media.text("page"),
            "publisher": media.text("publisher"),
            "format": media.text("format"),
            "identifier": media.text("url"),
            "gbifID" if job.is_gbif else "recordID": media.text(ID),
        },
        media.n,
    )


def _shared(joined: Joined, job: Job) -> tuple[pa.Array, pa.RecordBatch, pa.RecordBatch]:
    """Return what media share: the row of each, the rows of records, and those of taxa."""
    texts, none = pa.nulls(0, pa.string()), pa.nulls(0, pa.int32())
    if joined.places is None or job.described is None or job.described.is_empty:
        return pa.nulls(joined.media.n, pa.int32()), *_shared_rows(texts, none, texts)
    records = joined.places.dictionary_encode()
    taken = {key: each.take(records.dictionary) for key, each in job.described.columns.items()}
    said = {key: each.cast(pa.string()) for key, each in taken.items()}
    metas = objects(said, len(records.dictionary))
    if job.described.taxa is None:
        none = pa.nulls(len(metas), pa.int32())
        return records.indices, *_shared_rows(metas, none, texts)
    taxa = job.described.taxa.take(records.dictionary)
    own = taxa.indices.dictionary_encode()
    return records.indices, *_shared_rows(metas, own.indices, taxa.dictionary.take(own.dictionary))


def _shared_rows(
    metas: pa.Array, above: pa.Array, common: pa.Array
) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    return (
        pa.RecordBatch.from_arrays([metas, above], names=["meta", "common"]),
        pa.RecordBatch.from_arrays([common], names=["meta"]),
    )


def _none_if_blank(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
