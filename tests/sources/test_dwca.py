"""Darwin Core Archives: real ones, small ones, and ones that nobody should trust."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from curate.carriers.asked import FetchRequest
from curate.errors import CurateError, SourceError
from curate.project import Project
from curate.records import Candidate
from curate.sources import Query, SourceContext
from curate.sources.archive import Archive
from curate.sources.dwca import DwcaSource
from curate.sources.dwca_tables import layout
from curate.sources.dwca_text import _Lines
from tests.sources import archives
from tests.sources.archives import AUDIOVISUAL, DWC, FILES, MULTIMEDIA, meta, table, zipped

READER = "python-dwca-reader/dwca-"
SIMPLE = "simple-test-archive"
REAL = {
    "0022697-200613084148143.zip": (1310, 1362),
    "0000066-140928181241064.zip": (470, 215),
    "0009886-250127130748423-simplecsv.zip": (91, 0),
    "python-dwca-reader/gbif-results.zip": (158, 0),
    **{
        f"{READER}{name}.zip": (2, 0)
        for name in (
            *(SIMPLE, f"{SIMPLE}-enclosed", "noheaders-1", "noheaders-2", "test-default"),
            *("partial-default", "nometadata", "simple-subdir"),
        )
    },
    **{f"{READER}simple-csv{kind}.zip": (3, 0) for kind in ("", "-dos", "-eml", "-notenclosed")},
    **{
        f"{READER}{name}.zip": (4, 0)
        for name in ("star-test-archive", "2extensions", "orphaned-rows", "ids")
    },
}
REFUSED = {
    "invalid-simple-toomuch.zip": "no meta.xml, and random_file",
    "invalid-simple-two.zip": "no meta.xml, and random_file",
    "missing-extension-details": "names no file for its table",
    "invalid-lacks-metadata": "names eml.xml, which is not in the archive",
    "malformed-descriptor": "do not have the 235 columns",
}


def source(path: Path) -> DwcaSource:
    return DwcaSource(SourceContext(path=path))


def everything(path: Path, **query: object) -> list[Candidate]:
    pages = source(path).pages(Query(**query))  # type: ignore[arg-type]
    return [each for page in pages for each in page.candidates]


@pytest.mark.parametrize(("name", "rows"), REAL.items())
def test_a_real_archive_has_as_many_rows_as_lines(
    shared: Path, name: str, rows: tuple[int, int]
) -> None:
    found = source(shared / "gbif/dwca" / name).contents()
    assert (found.core_rows, found.media_rows, found.bad_rows) == (*rows, 0)


@pytest.mark.parametrize("name", [name for name, rows in REAL.items() if not rows[1]])
def test_a_real_archive_without_images_says_so(shared: Path, name: str) -> None:
    with pytest.raises(SourceError, match="no table of images"):
        everything(shared / "gbif/dwca" / name)


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_a_real_archive_that_is_none_is_refused(shared: Path, name: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        source(shared / "gbif/dwca" / f"{READER}{name}").contents()


def test_a_real_download_gives_a_candidate_for_each_image(shared: Path) -> None:
    found = everything(shared / "gbif/dwca/0022697-200613084148143.zip", side_px=300)
    assert len(found) == 1362
    assert sum(each.license is None for each in found) == 101
    first = found[0]
    assert first.classes == ("Amblyomma americanum",)
    assert first.license == "CC-BY-NC-4.0"
    assert first.group == "occurrence:2803151307\x1fobserver:fred201 2020-06-24"
    assert first.meta["countryCode"] == "US"
    assert first.meta["decimalLatitude"] == "37.309069"
    assert first.url.startswith("https://static.inaturalist.org/photos/80747453/large")
    assert found[1].source_id.startswith("2803144270:")  # its id has a trailing blank


def test_media_alone_are_candidates_without_classes(shared: Path) -> None:
    found = everything(shared / "gbif/dwca/multimedia-only/liberty-cap.txt", classes=("cap",))
    assert found
    assert {each.classes for each in found} == {("cap",)}


def test_records_that_show_images_can_be_counted_in_a_simple_download(shared: Path) -> None:
    path = shared / "gbif/dwca/0009886-250127130748423-simplecsv.zip"
    counts = source(path).class_counts(Query())
    assert counts is not None
    assert sum(counts.values()) < 91


def test_media_are_joined_with_their_records(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", FILES)
    (page,) = source(path).pages(Query())
    one, two = page.candidates
    assert page.skipped == {"not_image": 1, "no_record": 1, "no_class": 1}
    assert (one.classes, one.license) == (("Amanita muscaria",), "CC-BY-4.0")
    assert one.group == "occurrence:1\x1fobserver:Ada 2020-09-01"
    assert two.group == "occurrence:2\x1fobserver:Ada 2020-09-01"
    assert two.license == "free for all"
    assert everything(path, licenses=frozenset({"cc-by"})) == [one]


@pytest.mark.parametrize(
    ("column", "kept"),
    [("habitat", {}), ("species", {"species": "wood"}), ("year", {"year": "wood"})],
)
def test_a_record_may_say_little_of_its_images(
    tmp_path: Path, column: str, kept: dict[str, str]
) -> None:
    core = table("core", f"{DWC}Occurrence", "o.txt", (column,), header=0)
    files = {**FILES, "meta.xml": meta(core, archives.EXTENSION), "o.txt": "1\twood\n2\twood\n"}
    path = zipped(tmp_path / "a.zip", files)
    found = everything(path, classes=("fungi",))
    assert [(each.source_id[:2], each.classes) for each in found] == [
        ("1:", ("fungi",)),
        ("2:", ("fungi",)),
    ]
    own = [
        {"format": "image/jpeg", "identifier": "https://example.org/1.jpg", "recordID": "1"},
        {"format": "image/png", "identifier": "https://example.org/2.png", "recordID": "2"},
    ]
    assert [each.meta for each in found] == [{**kept, **each} for each in own]


def test_a_free_text_that_names_a_licence_is_kept_beside_it(tmp_path: Path) -> None:
    words = "(c) Ada, some rights reserved (CC BY-NC 4.0)"
    media = f"id\ttype\tformat\tidentifier\tlicense\n1\t\t\thttps://x.example/1.jpg\t{words}\n"
    (found,) = everything(zipped(tmp_path / "a.zip", {**FILES, "m.txt": media}))
    assert found.license == "CC-BY-NC-4.0"
    assert found.meta["licenseText"] == words


def test_quotes_in_text_that_is_not_quoted_lose_no_row(tmp_path: Path) -> None:
    lines = [f'{i}\tSpecies "{"x" * (i % 3)}\t"\t2020\r\n' for i in range(1, 3001)]
    files = {**FILES, "o.txt": "id\tspecies\trecordedBy\teventDate\n" + "".join(lines)}
    assert source(zipped(tmp_path / "a.zip", files)).contents().core_rows == 3000


def test_tabs_and_line_ends_in_quoted_text_belong_to_it(tmp_path: Path) -> None:
    core = table(
        "core", f"{DWC}Occurrence", "o.txt", ("species", "recordedBy", "eventDate"), quote="&quot;"
    )
    rows = '"id"\t"species"\t"recordedBy"\t"eventDate"\n"1"\t"A ""b""\tc"\t"x\ny"\t""\n'
    files = {**FILES, "meta.xml": meta(core, archives.EXTENSION), "o.txt": rows}
    (found,) = everything(zipped(tmp_path / "a.zip", files))
    assert found.classes == ('A "b" c',)
    assert found.meta["recordedBy"] == "x\ny"


def test_text_in_another_encoding_is_read_as_that(tmp_path: Path) -> None:
    core = table(
        "core", f"{DWC}Occurrence", "o.txt", ("species", "recordedBy", "eventDate"),
        encoding="iso-8859-1",
    )  # fmt: skip
    text = "id\tspecies\trecordedBy\teventDate\n1\tRöhrling\t\t\n".encode("iso-8859-1")
    files = {**FILES, "meta.xml": meta(core, archives.EXTENSION), "o.txt": text}
    assert everything(zipped(tmp_path / "a.zip", files))[0].classes == ("Röhrling",)


def test_letters_that_become_longer_in_utf8_leave_no_short_block_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curate.sources.dwca_text.BLOCK_BYTES", 4096)
    rows = [f"{i}\tBoletus edulis{' é' * (i % 30 == 0)}\tAda\t2020\n" for i in range(1, 1001)]
    core = table(
        *("core", f"{DWC}Occurrence", "o.txt", ("species", "recordedBy", "eventDate")),
        encoding="ISO-8859-1",
    )
    text = "id\tspecies\trecordedBy\teventDate\n" + "".join(rows)
    files = {**FILES, "meta.xml": meta(core, archives.EXTENSION), "o.txt": text.encode("latin-1")}
    assert source(zipped(tmp_path / "a.zip", files)).contents().core_rows == 1000


@pytest.mark.parametrize("block_bytes", [6, 7, 8])
def test_a_line_end_that_is_cut_in_two_is_one_in_any_encoding(
    tmp_path: Path, block_bytes: int
) -> None:
    core = table("core", f"{DWC}Occurrence", "o.txt", ("species",), encoding="latin-1")
    files = {"meta.xml": meta(core), "o.txt": b"id\tspecies\r\n1\tAbc\r\n2\tD\r\n3\tE\rf\r\n"}
    found = layout(Archive(zipped(tmp_path / "a.zip", files))).core
    assert found is not None
    with found.archive.open("o.txt") as file:
        lines = _Lines(file, found.spec)
        read = b"".join(iter(lambda: lines.read(block_bytes), b""))
    assert read.rstrip(b"\n") == b"id\tspecies\n1\tAbc\n2\tD\n3\tE f"


def test_a_header_line_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    for end in ("", "\n", "\r\n"):
        files = {**FILES, "m.txt": archives.MEDIA.partition("\n")[0] + end}
        found = source(zipped(tmp_path / "a.zip", files))
        assert found.contents().media_rows == 0
        assert everything(tmp_path / "a.zip") == []


def test_the_first_row_may_have_line_ends_in_its_quotes(tmp_path: Path) -> None:
    core = table(
        *("core", f"{DWC}Occurrence", "o.txt", ("species", "recordedBy", "eventDate")),
        delimiter=",",
        quote="&quot;",
        header=0,
    )
    text = '1,"Amanita\nmuscaria","Ada\r\nBo",2020\n2,Boletus edulis,Ada,2021\n'
    files = {**FILES, "meta.xml": meta(core, archives.EXTENSION), "o.txt": text}
    found = everything(zipped(tmp_path / "a.zip", files))
    assert [each.classes for each in found] == [("Amanita muscaria",), ("Boletus edulis",)]


def test_bytes_that_are_not_utf8_cost_a_character_and_not_the_archive(tmp_path: Path) -> None:
    text = "id\tspecies\trecordedBy\teventDate\n1\tRöhrling\t\t\n".encode("cp1252")
    found = everything(zipped(tmp_path / "a.zip", {**FILES, "o.txt": text}))
    assert found[0].classes == ("Röhrling",)


def test_a_bad_row_of_bytes_that_are_not_utf8_is_left_out_like_others(tmp_path: Path) -> None:
    media = "".join(f"1\t\t\thttps://x.example/{i}/ø.jpg\t\n" for i in range(300)).encode()
    lines = [b"id\ttype\tformat\tidentifier\tlicense", *media.splitlines(), b"1\tR\xf6hrling", b""]
    files = {**FILES, "m.txt": b"\n".join(lines)}
    found = source(zipped(tmp_path / "a.zip", files))
    assert found.contents().media_rows == 300
    assert found.contents().bad_rows == 1


@pytest.mark.parametrize("block_bytes", [40, 41, 42, 43, 64, 4096])
def test_a_value_is_mended_by_itself_wherever_the_text_is_cut(
    tmp_path: Path, block_bytes: int
) -> None:
    names = ["R\xf6hrling".encode("cp1252"), "Röhrling".encode(), "松茸".encode(), b"\x81"]
    rows = [b"%d\t%s\t%s\t\r\n" % (i, names[i % 4], names[(i + 1) % 4]) for i in range(1, 41)]
    text = b"id\tspecies\trecordedBy\teventDate\r\n" + b"".join(rows)
    files = {"meta.xml": meta(archives.CORE), "o.txt": text}
    core = layout(Archive(zipped(tmp_path / "a.zip", files))).core
    assert core is not None
    with core.archive.open("o.txt") as file:
        lines, read = _Lines(file, core.spec), b""
        while some := lines.read(block_bytes):
            read += some
    read_names = ["Röhrling", "Röhrling", "松茸", "\ufffd"]
    assert read.decode().rstrip("\n").splitlines()[1:] == [
        f"{i}\t{read_names[i % 4]}\t{read_names[(i + 1) % 4]}\t" for i in range(1, 41)
    ]


def test_the_audiovisual_core_has_its_own_words(tmp_path: Path) -> None:
    extension = table(
        "extension",
        AUDIOVISUAL,
        "m.txt",
        ("identifier", "accessURI", "type", "UsageTerms", "Owner"),
    )
    media = (
        "id\tidentifier\taccessURI\ttype\tUsageTerms\tOwner\n"
        "1\turn:1\thttps://x.example/1.jpg\thttp://purl.org/dc/dcmitype/StillImage\tCC0\tAda\n"
    )
    files = {**FILES, "meta.xml": meta(archives.CORE, extension), "m.txt": media}
    (found,) = everything(zipped(tmp_path / "a.zip", files))
    assert (found.url, found.license) == ("https://x.example/1.jpg", "CC0-1.0")
    assert found.rights_holder == "Ada"


def test_pictures_of_an_event_show_what_its_occurrences_agree_on(tmp_path: Path) -> None:
    event = table("core", f"{DWC}Event", "e.txt", ("eventDate", "recordedBy"))
    occurrence = table("extension", f"{DWC}Occurrence", "o.txt", ("occurrenceID", "scientificName"))
    media = table("extension", MULTIMEDIA, "m.txt", ("identifier",))
    files = {
        "meta.xml": meta(event, occurrence, media),
        "e.txt": "id\teventDate\trecordedBy\ne1\t2020-01-02\tAda\ne2\t2020-01-03\tAda\n",
        "o.txt": "id\toccurrenceID\tscientificName\n"
        "e1\to1\tAmanita muscaria (L.) Lam.\ne1\to2\tAmanita muscaria\n"
        "e2\to3\tBoletus edulis\ne2\to4\tAmanita muscaria\n",
        "m.txt": "id\tidentifier\ne1\thttps://x.example/1.jpg\ne2\thttps://x.example/2.jpg\n",
    }
    (page,) = source(zipped(tmp_path / "a.zip", files)).pages(Query())
    (found,) = page.candidates
    assert found.classes == ("Amanita muscaria",)
    assert found.group == "event:e1\x1fobserver:Ada 2020-01-02"
    assert page.skipped == {"no_class": 1}


@pytest.mark.parametrize(
    ("row", "species"),
    [
        ("Amanita\tmuscaria\tAmanita muscaria (L.) Lam.\tspecies\taccepted\t", "Amanita muscaria"),
        ("\t\tAmanita muscaria var. alba Peck\tvariety\taccepted\t", "Amanita muscaria"),
        ("Amanita\t\tAmanita Pers.\tgenus\taccepted\t", None),
        ("Agaricus\tmuscarius\tAgaricus muscarius L.\tspecies\tsynonym\tAmanita muscaria (L.) Lam.",
         "Amanita muscaria"),
    ],
)  # fmt: skip
def test_a_species_is_put_together_from_what_a_record_says(
    tmp_path: Path, row: str, species: str | None
) -> None:
    terms = (
        *("genus", "specificEpithet", "scientificName", "taxonRank", "taxonomicStatus"),
        "acceptedNameUsage",
    )
    core = table("core", f"{DWC}Occurrence", "o.txt", terms, header=0)
    files = {**FILES, "meta.xml": meta(core, archives.EXTENSION), "o.txt": f"1\t{row}\n"}
    found = everything(zipped(tmp_path / "a.zip", files))
    assert [each.classes for each in found] == ([(species,)] if species else [])


def test_a_search_goes_on_at_its_cursor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.sources.dwca.PAGE_ROWS", 1)
    path = zipped(tmp_path / "a.zip", FILES)
    monkeypatch.setattr("curate.sources.dwca_text.BLOCK_BYTES", 128)
    pages = list(source(path).pages(Query()))
    assert len(pages) > 1
    assert pages[-1].cursor is None
    rest = [
        each for page in source(path).pages(Query(), pages[0].cursor) for each in page.candidates
    ]
    assert [*pages[0].candidates, *rest] == everything(path)
    (limited,) = source(path).pages(Query(limit=1))
    after = [
        each for page in source(path).pages(Query(), limited.cursor) for each in page.candidates
    ]
    assert [*limited.candidates, *after] == everything(path)


# What nobody should trust


def _truncated(path: Path) -> None:
    zipped(path, FILES)
    path.write_bytes(path.read_bytes()[:-40])


def _damaged(path: Path) -> None:
    zipped(path, {**FILES, "m.txt": archives.MEDIA + "1\t\t\thttps://x.example\t\n" * 5000})
    data = bytearray(path.read_bytes())
    at = data.find(b"m.txt") + 60
    data[at : at + 8] = b"\xff" * 8
    path.write_bytes(bytes(data))


def _bomb(path: Path) -> None:
    zipped(path, {**FILES, "m.txt": b"\0" * (80 << 20)})


def _changed(**files: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        zipped(path, {**FILES, **{name.replace("_", "."): text for name, text in files.items()}})

    return write


def _outside(path: Path) -> None:
    zipped(path, {**FILES, "../evil.txt": "x"})


BAD = {
    "is not a readable zip": _truncated,
    "m.txt is damaged": _damaged,
    "a bomb": _bomb,
    "names a file outside itself": _outside,
    "no table of images": _changed(meta_xml=meta(archives.CORE)),
    "names a table outside the archive": _changed(
        meta_xml=archives.meta(
            archives.CORE, archives.EXTENSION.replace("m.txt", "../../etc/passwd")
        )
    ),
    "which is not in the archive": _changed(
        meta_xml=meta(archives.CORE, archives.EXTENSION.replace("m.txt", "n.txt"))
    ),
    "has 5 columns, but meta.xml says that column 99": _changed(
        meta_xml=meta(archives.CORE, archives.EXTENSION.replace('index="4"', 'index="98"'))
    ),
    "its header line says": _changed(
        meta_xml=meta(
            archives.CORE,
            archives.EXTENSION.replace('index="3"', 'index="x"')
            .replace('index="4"', 'index="3"')
            .replace('index="x"', 'index="4"'),
        )
    ),
    "declares a document type": _changed(
        meta_xml='<!DOCTYPE a [<!ENTITY b "&#38;b;">]><archive>&b;</archive>'
    ),
    "not readable XML": _changed(meta_xml="<archive><core>"),
    "describes no archive": _changed(meta_xml="<archive/>"),
    "no encoding": _changed(
        meta_xml=meta(archives.CORE.replace("UTF-8", "utf-81"), archives.EXTENSION)
    ),
    "no encoding 'bz2'": _changed(
        meta_xml=meta(archives.CORE.replace("UTF-8", "bz2"), archives.EXTENSION)
    ),
    "no encoding 'idna'": _changed(
        meta_xml=meta(archives.CORE.replace("UTF-8", "idna"), archives.EXTENSION)
    ),
    "not a small number": _changed(
        meta_xml=meta(
            archives.CORE.replace('Lines="1"', f'Lines="{"9" * 5000}"'), archives.EXTENSION
        )
    ),
    "field larger than field limit": _changed(
        meta_xml=meta(
            archives.CORE.replace('EnclosedBy=""', 'EnclosedBy="&quot;"'), archives.EXTENSION
        ),
        o_txt=f'"{"a" * 200_000}"\t"species"\n',
    ),
    "do not have the 5 columns": _changed(m_txt="id\tb\tc\td\te\n1\t2\n1\t2\n"),
}


@pytest.mark.parametrize(("reason", "write"), BAD.items())
def test_a_bad_archive_is_one_clear_line_and_the_catalog_stays_as_it_was(
    tmp_path: Path, reason: str, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "bad.zip"
    write(path)
    with Project(tmp_path / "project") as project:
        with pytest.raises(CurateError) as caught:
            project.fetch(FetchRequest(source="dwca", path=path))
        assert reason in caught.value.message
        assert "\n" not in caught.value.message
        for table in ("searches", "candidates", "classes", "hints", "shared_meta", "common_meta"):
            assert project.db.all(f"SELECT * FROM {table}") == []


def test_a_description_full_of_lines_is_read_in_time(tmp_path: Path) -> None:
    lines = "\n" * 4_000_000  # copied for each line, they would take minutes
    described = f"{meta(archives.CORE, archives.EXTENSION).removesuffix('</archive>')}{lines}"
    path = zipped(tmp_path / "a.zip", {**FILES, "meta.xml": f"{described}</archive>"})
    assert len(everything(path)) == 2


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", FILES)
    with pytest.raises(SourceError, match="no column 'specis'") as caught:
        everything(path, class_by="specis")
    assert "species" in caught.value.hint


def test_candidates_of_an_archive_come_into_the_catalog_as_they_are(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", FILES)
    with Project(tmp_path / "project") as project:
        finder = project.finder()
        request = FetchRequest(source="dwca", path=path)
        for _ in range(2):  # the second time changes nothing
            for question in finder.open(project.db, request):
                finder.take(project.db, question)
        rows = project.db.all(
            "SELECT source_id, group_hint, whole, name FROM candidates "
            "JOIN whole_meta ON whole_meta.candidate_id = candidates.id "
            "JOIN hints ON hints.candidate_id = candidates.id JOIN classes ON classes.id = class_id"
        )
        # Under other classes the records are the same ones.
        before = project.db.all("SELECT * FROM candidates")
        shared = project.db.one("SELECT COUNT(*) FROM shared_meta")
        for question in finder.open(project.db, replace(request, class_by="recordedBy")):
            finder.take(project.db, question)
        assert project.db.all("SELECT * FROM candidates")[: len(before)] == before
        assert project.db.one("SELECT COUNT(*) FROM shared_meta") == (shared[0] + 1,)
    found = everything(path)
    assert [(row[0], row[1], json.loads(row[2]), (row[3],)) for row in rows] == [
        (each.source_id, each.group, each.meta, each.classes) for each in found
    ]


def test_a_mistake_of_the_reader_is_not_taken_for_damage(tmp_path: Path) -> None:
    path = zipped(tmp_path / "good.zip", FILES)
    reading = Archive(path)
    with pytest.raises(RuntimeError, match="a bug"), reading.open(reading.names[0]):
        raise RuntimeError("a bug")
