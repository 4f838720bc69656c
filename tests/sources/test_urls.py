from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import SourceError, UsageError
from curate.records import Candidate
from curate.sources import Page, Query, Source, SourceContext, create, tables

HEADER = ("url", "class", "license", "author", "caption")
ROW = ("https://i.example/1.jpg", "cat|dog", "CC BY 4.0", "Ann", "a cat, and a dog")


def urls(path: Path, **context: Any) -> Source:
    return create("urls", SourceContext(path=path, **context))


def read(path: Path, query: Query | None = None, **context: Any) -> list[Candidate]:
    pages = urls(path, **context).pages(query or Query())
    return [candidate for page in pages for candidate in page.candidates]


def only_page(path: Path, query: Query | None = None, **context: Any) -> Page:
    (page,) = urls(path, **context).pages(query or Query())
    return page


def write_text(path: Path, rows: Sequence[Sequence[str]], delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def write_any(
    folder: Path, kind: str, header: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Path:
    path = folder / f"list.{kind}"
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = list(zip(*rows, strict=True))
        pq.write_table(pa.table(dict(zip(header, columns, strict=True))), path, row_group_size=7)
    elif kind == "jsonl":
        lines = (json.dumps(dict(zip(header, row, strict=True))) for row in rows)
        path.write_text("\n".join(lines), encoding="utf-8")
    else:
        write_text(path, [header, *rows], {"csv": ",", "tsv": "\t", "txt": ";"}[kind])
    return path


KINDS = ["csv", "tsv", "txt", "jsonl", "parquet"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_becomes_a_candidate_whatever_the_format(tmp_path: Path, kind: str) -> None:
    (found,) = read(write_any(tmp_path, kind, HEADER, [ROW]))
    assert found == Candidate(
        source="urls",
        source_id="https://i.example/1.jpg",
        url="https://i.example/1.jpg",
        classes=("cat", "dog"),
        author="Ann",
        license="CC-BY-4.0",
        license_url="https://creativecommons.org/licenses/by/4.0/",
        meta={"caption": "a cat, and a dog"},
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_goes_on_at_any_row(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "BATCH_ROWS", 10)
    rows = [(f"https://i.example/{n}", "c") for n in range(43)]
    path = write_any(tmp_path, kind, ("url", "class"), rows)
    whole = [url for url, _ in rows]
    pages = list(urls(path).pages(Query()))
    assert [c.url for page in pages for c in page.candidates] == whole
    assert pages[-1].cursor is None
    for page in pages[:-1]:
        rest = urls(path).pages(Query(), page.cursor)
        assert [c.url for one in rest for c in one.candidates] == whole[int(page.cursor or 0) :]
    cursor: str | None = None
    seen: list[str] = []
    while len(seen) < 43:
        some = list(urls(path).pages(Query(limit=6), cursor))
        seen += [c.url for page in some for c in page.candidates]
        cursor = some[-1].cursor
    assert seen == whole


def test_no_row_of_a_recorded_list_is_lost(shared: Path) -> None:
    path = shared / "toy/data.csv"
    found = read(path)
    assert len(found) == 1049
    assert len({c.source_id for c in found}) == 1044
    assert Counter(c.meta["sunset"] for c in found)["1"] == 244


def test_an_unquoted_table_of_gbif_keeps_all_its_rows(shared: Path) -> None:
    path = shared / "gbif/dwca/multimedia-only/liberty-cap.txt"
    page = only_page(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(page.candidates) + sum(page.skipped.values()) == len(lines) - 1
    assert all(c.url.startswith("http") for c in page.candidates)


def test_a_stray_quote_swallows_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "list.tsv"
    lines = ["url\tname\tclass", 'https://i.example/1\t"Fly\ta', "https://i.example/2\tx\tb"]
    path.write_text("\n".join([*lines, 'https://i.example/3\t"Ag""aric"\tc\n']), encoding="utf-8")
    found = read(path)
    assert [c.classes for c in found] == [("a",), ("b",), ("c",)]
    assert [c.meta["name"] for c in found] == ['"Fly', "x", 'Ag"aric']


def test_quoted_lines_and_rows_of_wrong_length_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        'url,name,class\nhttps://i.example/1,"two\nlines",a\nhttps://i.example/2,short\n'
        "https://i.example/3,has,too,many\n\nhttps://i.example/4,x,d\n",
        encoding="utf-8",
    )
    page = only_page(path)
    assert [(c.url[-1], c.classes) for c in page.candidates] == [
        ("1", ("a",)),
        ("2", ()),
        ("4", ("d",)),
    ]
    assert page.skipped == {"bad_row": 1}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_text_is_read_in_the_encodings_that_tables_have(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text("url,author\nhttps://i.example/1,Bjørn Müller\n", encoding=encoding)
    (found,) = read(path)
    assert (found.url, found.author) == ("https://i.example/1", "Bjørn Müller")


def test_one_line_in_another_encoding_does_not_spoil_the_others(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    lines = ["url,author", "https://i.example/1,Zoë", "https://i.example/2,Zoë", ""]
    path.write_bytes("\n".join(lines[:2]).encode() + b"\n" + "\n".join(lines[2:]).encode("cp1252"))
    assert [c.author for c in read(path)] == ["Zoë", "Zoë"]


def test_a_compressed_list_is_read(tmp_path: Path) -> None:
    path = tmp_path / "list.csv.gz"
    path.write_bytes(gzip.compress(b"url\nhttps://i.example/1\n"))
    assert [c.url for c in read(path)] == ["https://i.example/1"]


def test_fields_may_be_long(tmp_path: Path) -> None:
    caption = "x" * 1_000_000
    path = write_text(tmp_path / "list.csv", [("url", "caption"), ("https://i.example/1", caption)])
    assert read(path)[0].meta["caption"] == caption


def test_rows_that_are_no_web_address_are_counted(tmp_path: Path) -> None:
    rows = [("url",), ("https://i.example/1",), ("",), ("file:///etc/passwd",), ("img/2.jpg",)]
    page = only_page(write_text(tmp_path / "list.csv", [*rows, (" HTTP://i.example/3 ",)]))
    assert [c.url for c in page.candidates] == ["https://i.example/1", "HTTP://i.example/3"]
    assert page.skipped == {"bad_url": 2, "no_url": 1}


def test_a_missing_url_column_is_one_line_with_what_is_there(tmp_path: Path) -> None:
    path = write_text(tmp_path / "list.csv", [("where", "what"), ("https://i.example/1", "cat")])
    with pytest.raises(SourceError, match="where, what") as caught:
        read(path)
    assert "--url-column" in caught.value.hint
    with pytest.raises(SourceError, match=r"no column 'nowhere'.*where, what"):
        read(path, url_column="nowhere")
    with pytest.raises(SourceError, match="no column 'kind'") as caught:
        read(path, Query(class_by="kind"), url_column="where")
    assert "--class-column" in caught.value.hint
    (found,) = read(path, Query(class_by="what"), url_column="where")
    assert found.classes == ("cat",)


@pytest.mark.parametrize(
    "name", ["Image URL", "image_url", "OriginalURL", "identifier", "Photo-Image-URL"]
)
def test_the_url_column_is_known_by_its_usual_names(tmp_path: Path, name: str) -> None:
    path = write_text(tmp_path / "list.csv", [("n", name), ("1", "https://i.example/1")])
    assert read(path)[0].meta == {"n": "1"}


def test_class_hints_come_from_the_named_column_then_the_query_then_the_usual_one(
    tmp_path: Path,
) -> None:
    path = write_any(
        tmp_path, "csv", ("url", "label", "species"), [("https://i.example/1", "a;b", "s")]
    )
    assert read(path)[0].classes == ("a", "b")
    assert read(path, Query(classes=("q",)))[0].classes == ("q",)
    assert read(path, Query(classes=("q",), class_by="species"))[0].classes == ("s",)
    assert read(path, Query(classes=("q",)), class_column="species")[0].classes == ("s",)


def test_lists_numbers_and_nothing_become_text(tmp_path: Path) -> None:
    rows = [
        {"url": "https://i.example/1", "class": ["a", "b", "a"], "n": 3, "x": None, "d": {"k": 1}}
    ]
    path = tmp_path / "list.jsonl"
    path.write_text("\n".join([json.dumps(rows[0]), "[1]", "{broken", ""]), encoding="utf-8")
    page = only_page(path)
    assert page.candidates[0].classes == ("a", "b")
    assert page.candidates[0].meta == {"n": "3", "d": '{"k": 1}'}
    assert page.skipped == {"bad_row": 2}


def test_bytes_inside_a_parquet_file_are_left_there(tmp_path: Path) -> None:
    path = write_any(tmp_path, "parquet", ("url", "image"), [("https://i.example/1", b"\xff" * 9)])
    assert read(path)[0].meta == {}


def test_an_id_column_makes_the_id(tmp_path: Path) -> None:
    path = write_any(tmp_path, "csv", ("key", "url"), [("k1", "https://i.example/1")])
    assert read(path, id_column="key")[0].source_id == "k1"


def test_a_licence_is_read_from_name_and_link_together(tmp_path: Path) -> None:
    by2 = "https://creativecommons.org/licenses/by/2.0/"
    rows = [
        ("https://i.example/1", "Attribution License", by2),
        ("https://i.example/2", "", by2),
        ("https://i.example/3", "ask me", "https://terms.example/"),
        ("https://i.example/4", "CC0", ""),
        ("https://i.example/5", "", ""),
    ]
    path = write_any(tmp_path, "csv", ("url", "license", "license_url"), rows)
    assert [c.license for c in read(path)] == ["CC-BY-2.0", "CC-BY-2.0", "ask me", "CC0-1.0", None]
    page = only_page(path, Query(licenses=frozenset({"cc-by"})))
    assert len(page.candidates) == 2
    assert page.skipped == {"license": 3}


def test_a_file_that_is_not_there_or_not_a_table_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a file"):
        create("urls", SourceContext())
    for name in ("no.csv", "no.parquet", "no.jsonl"):
        with pytest.raises(SourceError, match="there is no file"):
            read(tmp_path / name)
    for name, data, words in (
        ("empty.csv", b"", "empty"),
        ("bad.parquet", b"PAR1nonsense", "not a readable Parquet file"),
        ("cut.csv.gz", gzip.compress(b"url\n" + b"https://i.example/1\n" * 99)[:-20], "table"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SourceError, match=words):
            read(tmp_path / name)
    with pytest.raises(SourceError, match="cannot be read"):
        read(tmp_path)


def test_a_list_without_rows_is_an_empty_page(tmp_path: Path) -> None:
    path = write_text(tmp_path / "list.csv", [("url",)])
    page = only_page(path)
    assert (page.candidates, page.cursor) == ((), None)
    with pytest.raises(SourceError, match="looks like a URL"):
        read(write_text(path, [("where",)]))


def test_counts_come_from_the_file(tmp_path: Path) -> None:
    rows = [(f"https://i.example/{n}", "ab"[n % 2]) for n in range(9)]
    path = write_any(tmp_path, "parquet", ("url", "class"), rows)
    assert urls(path).count(Query()) == 9
    assert urls(path).class_counts(Query(limit=2)) == {"a": 5, "b": 4}


@given(st.lists(st.text(alphabet="ab,\"\t;|'ü ", max_size=12), min_size=1, max_size=20))
def test_what_the_csv_module_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    rows = [(f"https://i.example/{n}", name) for n, name in enumerate(names)]
    path = write_any(tmp_path_factory.mktemp("csv"), "csv", ("url", "name"), rows)
    assert [c.meta.get("name", "") for c in read(path)] == [name.strip() for name in names]


@pytest.mark.parametrize(
    ("lines", "urls_", "rest"),
    [
        (
            ["https://i.example/w_300,h_200/1.jpg", "https://i.example/w_300,h_200/2.jpg"],
            ["https://i.example/w_300,h_200/1.jpg", "https://i.example/w_300,h_200/2.jpg"],
            {},
        ),
        (["https://i.example/a;b/1.jpg"], ["https://i.example/a;b/1.jpg"], {}),
        (
            ["https://i.example/a,b,c/1.jpg", "https://i.example/2.jpg"],
            ["https://i.example/a,b,c/1.jpg", "https://i.example/2.jpg"],
            {},
        ),
        (["https://i.example/1.jpg,cat"], ["https://i.example/1.jpg"], {"column_2": "cat"}),
        (
            ["https://i.example/w_3,h_2/1.jpg\tcat"],
            ["https://i.example/w_3,h_2/1.jpg"],
            {"column_2": "cat"},
        ),
        (
            ['https://i.example/1.jpg,"cat, dog",https://i.example/page'],
            ["https://i.example/1.jpg"],
            {"column_2": "cat, dog", "column_3": "https://i.example/page"},
        ),
    ],
)
def test_a_list_of_urls_without_header_is_cut_only_where_it_is_a_table(
    tmp_path: Path, lines: list[str], urls_: list[str], rest: dict[str, str]
) -> None:
    path = tmp_path / "list.txt"
    path.write_text("\n".join([*lines, ""]))
    found = read(path)
    assert [candidate.url for candidate in found] == urls_
    assert found[0].meta == rest


def test_a_plain_list_of_urls_needs_no_header(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("https://i.example/1\nhttps://i.example/2\n", encoding="utf-8")
    assert [c.url for c in read(path)] == ["https://i.example/1", "https://i.example/2"]
    path.write_text("cat,https://i.example/1\ndog,https://i.example/2\n", encoding="utf-8")
    assert [c.classes for c in read(path, Query(class_by="column_1"))] == [("cat",), ("dog",)]
    (rest,) = urls(path).pages(Query(), "1")
    assert [c.url for c in rest.candidates] == ["https://i.example/2"]


def test_a_quote_that_never_closes_is_told(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    lines = [
        "url,class",
        "https://i.example/1,a",
        'https://i.example/2,"b',
        "https://i.example/3,c",
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(SourceError, match="opens in row 2 never closes"):
        read(path)
    path.write_text('url,class\nhttps://i.example/1,5" pipe\n', encoding="utf-8")
    assert [c.classes for c in read(path)] == [('5" pipe',)]


@pytest.mark.parametrize("name", ["list.json", "list.xlsx", "list.zip"])
def test_other_formats_are_named_as_such(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text('[{"url": "https://i.example/1"}]', encoding="utf-8")
    with pytest.raises(SourceError, match="not a table that curate reads"):
        read(path)
    as_lines = tmp_path / "lines.json"
    as_lines.write_text('{"url": "https://i.example/1"}\n', encoding="utf-8")
    assert len(read(as_lines)) == 1


# The Unsplash Dataset: https://github.com/unsplash/datasets, columns as its docs give them.

PHOTOS = (
    "photo_id\tphoto_url\tphoto_image_url\tphoto_width\tphoto_height\tphotographer_username\t"
    "photographer_first_name\tphotographer_last_name\tphoto_description"
)


def dataset(folder: Path, score: str = "score") -> Path:
    rows = [
        f"p{n}\thttps://unsplash.com/photos/p{n}\thttps://images.unsplash.com/photo-{n}\t"
        f"4000\t3000\tuser{n}\tAnn\tLee\tview {n}"
        for n in range(3)
    ]
    (folder / "photos.tsv000").write_text("\n".join([PHOTOS, *rows]), encoding="utf-8")
    header = (
        "photo_id\tkeyword\tai_service_1_confidence\tai_service_2_confidence\tsuggested_by_user"
    )
    keywords = [
        "p0\tbeach\t97.5\t\tf",
        "p1\tbeach\t12\t\tf",
        "p2\tBeach\t\t\tt",
        "p0\tsea\t60\t\tf",
    ]
    (folder / "keywords.tsv000").write_text("\n".join([header, *keywords]), encoding="utf-8")
    colors = ["p0\tred\t0.1", "p0\tblue\t0.8", "p1\tgreen\t0.5"]
    lines = "\n".join([f"photo_id\tkeyword\t{score}", *colors])
    (folder / "colors.tsv000").write_text(lines, encoding="utf-8")
    return folder / "photos.tsv000"


def test_the_unsplash_dataset_is_known_by_its_header(tmp_path: Path) -> None:
    first = read(dataset(tmp_path), Query(side_px=600))[0]
    assert first.source_id == "p0"
    assert first.author == "Ann Lee"
    assert first.attribution == "Photo by Ann Lee on Unsplash"
    assert (first.license, first.license_url) == ("Unsplash", "https://unsplash.com/license")
    assert first.page_url == "https://unsplash.com/photos/p0?utm_source=curate&utm_medium=referral"
    assert "w=800" in first.url
    assert first.meta["photo_description"] == "view 0"


def test_keywords_choose_photos_or_give_classes(tmp_path: Path) -> None:
    path = dataset(tmp_path)
    page = only_page(path, Query(text="beach", classes=("beach",)))
    assert [(c.source_id, c.classes) for c in page.candidates] == [
        ("p0", ("beach",)),
        ("p2", ("beach",)),
    ]
    assert page.skipped == {"no_match": 1}
    found = read(path, Query(class_by="keyword"))
    assert [c.classes for c in found] == [("beach", "sea"), (), ("Beach",)]


@pytest.mark.parametrize("score", ["score", "ai_score"])
def test_colours_are_read_under_both_spellings_of_their_weight(tmp_path: Path, score: str) -> None:
    found = read(dataset(tmp_path, score), Query(class_by="color"))
    assert [c.classes for c in found] == [("blue",), ("green",), ()]


def test_missing_keywords_are_one_line(tmp_path: Path) -> None:
    path = dataset(tmp_path)
    (tmp_path / "keywords.tsv000").unlink()
    with pytest.raises(SourceError, match=r"no keywords\.tsv beside"):
        read(path, Query(text="beach"))
    dataset(tmp_path, "weight")
    with pytest.raises(SourceError, match="no score and no ai_score"):
        read(path, Query(class_by="color"))
