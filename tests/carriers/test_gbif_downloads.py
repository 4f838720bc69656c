"""Downloads of GBIF against a server that answers as GBIF did."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.carriers.asked import FetchRequest
from curate.carriers.gbif_downloads import GbifDownloads
from curate.errors import SourceError, UsageError
from curate.project import Project
from tests.fakes.gbif_downloads import Service, recorded, serving

TAXON = FetchRequest(source="gbif", params={"taxonKey": ("9206251",), "year": ("1975,*",)})


def a_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("occurrence.txt", "gbifID\n" * 100_000)
    return buffer.getvalue()


@pytest.fixture
def service(shared: Path) -> Iterator[Service]:
    with serving(recorded(shared, a_zip())) as service:
        yield service


@pytest.fixture
def project(service: Service, tmp_path: Path) -> Iterator[Project]:
    environ = {
        "GBIF_USER": "naturalist",
        "GBIF_PASSWORD": "secret",
        "CURATE_GBIF_URL": service.url,
    }
    with Project(tmp_path / "project", environ=environ) as project:
        yield project


def test_a_download_is_requested_waited_for_fetched_and_cited(
    service: Service, project: Project
) -> None:
    waits: list[float] = []
    downloads = GbifDownloads(project, waits.append)
    made = downloads.request(downloads.predicate(TAXON), "dwca")
    fetched = downloads.fetch(made.key)
    assert made.key == "0026011-250827131500795"
    assert service.asked[0]["format"] == "DWCA"
    assert [each["key"] for each in service.asked[0]["predicate"]["predicates"]] == [
        *("MEDIA_TYPE", "TAXON_KEY", "YEAR")
    ]
    assert len(waits) == len(service.bodies) - 1
    assert fetched.path.read_bytes() == service.file
    assert fetched.download.doi == "10.15468/dl.np3k7j"
    assert project.db.all("SELECT source, key, doi, text FROM citations") == [
        ("dwca", made.key, "10.15468/dl.np3k7j", fetched.citation)
    ]
    assert downloads.status() == [fetched.download]


def test_looking_at_a_download_begins_no_project_and_a_dry_run_notes_nothing(
    service: Service, project: Project
) -> None:
    downloads = GbifDownloads(project, lambda _: None)
    service.bodies[:] = service.bodies[-1:]
    [found] = downloads.status(service.key)
    assert found.status == "SUCCEEDED"
    assert not project.folder.exists()
    assert downloads.where(service.key) == project.folder / "downloads" / f"{service.key}.zip"
    project.made()
    [again] = downloads.status(service.key, dry_run=True)
    assert (again.key, again.status, again.doi) == (found.key, found.status, found.doi)
    assert downloads.status() == []
    downloads.status(service.key)
    assert [each.key for each in downloads.status()] == [service.key]


def test_credentials_go_to_the_request_alone(service: Service, project: Project) -> None:
    downloads = GbifDownloads(project, lambda _: None)
    downloads.fetch(downloads.request(downloads.predicate(TAXON), "dwca").key)
    assert service.authorized == ["/v1/occurrence/download/request"]


def test_a_transfer_that_breaks_off_goes_on_where_it_broke(
    service: Service, project: Project
) -> None:
    service.breaks = 2
    downloads = GbifDownloads(project, lambda _: None)
    fetched = downloads.fetch(service.key)
    first, second, third = service.ranges
    begins = [int(each.removeprefix("bytes=").removesuffix("-")) for each in (second, third)]
    assert first == ""
    assert len(service.file) // 3 < begins[0] < begins[1] < len(service.file)
    assert fetched.path.read_bytes() == service.file


def test_a_file_of_another_length_is_refused(service: Service, project: Project) -> None:
    service.bodies[-1] = {**service.bodies[-1], "size": len(service.file) - 1}
    with pytest.raises(SourceError, match="GBIF says"):
        GbifDownloads(project, lambda _: None).fetch(service.key)
    assert list((project.folder / "downloads").iterdir()) == []


def test_a_file_that_is_always_too_short_ends_the_tries(service: Service, project: Project) -> None:
    service.bodies[-1] = {**service.bodies[-1], "size": len(service.file) + 1}
    with pytest.raises(SourceError, match="ends before"):
        GbifDownloads(project, lambda _: None).fetch(service.key)
    assert len(service.ranges) == 3


def test_a_damaged_file_is_refused(service: Service, project: Project) -> None:
    service.file = service.file[:600] + b"\0\0\0\0" + service.file[604:]
    with pytest.raises(SourceError, match=r"readable zip|checksum"):
        GbifDownloads(project, lambda _: None).fetch(service.key)


def test_a_download_that_failed_says_so(service: Service, project: Project) -> None:
    service.bodies[:] = [{**service.bodies[-1], "status": "KILLED"}]
    with pytest.raises(SourceError, match="is KILLED"):
        GbifDownloads(project, lambda _: None).fetch(service.key)


def test_a_wrong_password_is_one_clear_line(service: Service, project: Project) -> None:
    service.user = "naturalist:other"
    downloads = GbifDownloads(project, lambda _: None)
    with pytest.raises(SourceError, match="refuses the user 'naturalist'"):
        downloads.request(downloads.predicate(TAXON), "dwca")


def test_without_credentials_nothing_is_asked(service: Service, tmp_path: Path) -> None:
    with Project(tmp_path, environ={"CURATE_GBIF_URL": service.url}) as project:
        downloads = GbifDownloads(project)
        with pytest.raises(UsageError, match="GBIF_USER and GBIF_PASSWORD"):
            downloads.request(downloads.predicate(TAXON), "dwca")
    assert service.asked == []


def test_an_unknown_key_and_a_word_that_is_none(project: Project) -> None:
    downloads = GbifDownloads(project)
    with pytest.raises(SourceError, match="knows no download"):
        downloads.status("0000001-250827131500795")
    with pytest.raises(UsageError, match="not the key"):
        downloads.status("../../etc")


def test_ranges_lists_and_places_become_predicates(project: Project) -> None:
    params = {"year": ("1990,2000",), "country": ("DK", "SE"), "geometry": ("POLYGON((0 0))",)}
    asked = FetchRequest(source="gbif", params=params)
    _, years, countries, place = GbifDownloads(project).predicate(asked)["predicates"]
    assert json.dumps(years).count("1990") == 1
    assert [each["type"] for each in years["predicates"]] == [
        *("greaterThanOrEquals", "lessThanOrEquals")
    ]
    assert countries == {"type": "in", "key": "COUNTRY", "values": ["DK", "SE"]}
    assert place["type"] == "within"
