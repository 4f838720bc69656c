"""`curate verify` finds every planted fault, raises no false alarm, and repairs what it can."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from curate.carriers.finding import FetchRequest
from curate.demo.options import SampleOptions
from curate.demo.server import SampleServer
from curate.project import Project
from tests.fetch.command import Said, curate, image_files


@dataclass(frozen=True, slots=True)
class Made:
    """A project of a list of URLs with a manifest, and its server."""

    folder: Path
    server: SampleServer
    files: list[Path]

    def verify(self, *flags: str) -> Said:
        return curate("verify", "-C", self.folder, "--json", *flags)

    def faults(self) -> list[tuple[str, str]]:
        """Kind, and image id or path, of what is found."""
        said = self.verify()
        document = said.document
        assert said.code == (5 if document["faults"] else 0), said.err
        assert document["checked"] == len(self.files)
        return [(each["kind"], each.get("image_id") or each["path"]) for each in document["faults"]]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    with SampleServer(SampleOptions.faultless(photos_per_class=12, long_edge_px=160)) as server:
        folder = tmp_path / "project"
        environ = {"UNSPLASH_ACCESS_KEY": server.key, "CURATE_UNSPLASH_URL": server.url}
        flags = {"fetch.allow_hosts": ("127.0.0.1",), "fetch.workers": 1}
        with Project(folder, environ=environ, flags=flags) as project:
            project.fetch(FetchRequest(queries=("beach",)))
            project.balance()
        (folder / "curate.toml").write_text(
            '[fetch]\nallow_hosts = ["127.0.0.1"]\ntries = 2\nbackoff_s = 0.01\n'
        )
        yield Made(folder, server, sorted(image_files(folder)))


def test_a_sound_project_has_no_faults(made: Made) -> None:
    said = made.verify()
    assert said.code == 0
    assert said.document == {"checked": 12, "faults": [], "unrecorded": 0, "repaired": 0}
    assert made.server.n_image_requests == 12


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "kind"),
    [(_flip, "changed"), (_cut, "size"), (_empty, "size"), (Path.unlink, "missing")],
)
def test_a_damaged_file_is_found_and_fetched_again(
    made: Made, damage: Callable[[Path], None], kind: str
) -> None:
    target = made.files[3]
    damage(target)
    assert made.faults() == [(kind, target.stem)]
    said = made.verify("--repair")
    assert said.code == 0
    assert said.document == {"checked": 12, "faults": [], "unrecorded": 0, "repaired": 1}
    assert sha256(target.read_bytes()).hexdigest() == target.stem
    assert made.server.n_image_requests == 13
    assert made.faults() == []


def test_swapped_files_are_both_found(made: Made) -> None:
    first, second = made.files[:2]
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
    kinds = {"changed", "size"}
    found = made.faults()
    assert {name for _, name in found} == {first.stem, second.stem}
    assert {kind for kind, _ in found} <= kinds
    assert made.verify("--repair").document["repaired"] == 2


def test_many_faults_at_once_are_all_told(made: Made) -> None:
    _flip(made.files[0])
    made.files[4].unlink()
    _cut(made.files[7])
    expected = [
        (kind, made.files[n].stem) for n, kind in ((0, "changed"), (4, "missing"), (7, "size"))
    ]
    assert made.faults() == expected
    shown = curate("verify", "-C", made.folder)
    assert (shown.code, shown.out.count("\n")) == (5, 4)
    assert "--repair" in shown.err


def test_an_image_whose_source_is_gone_is_lost_and_said_so(made: Made) -> None:
    made.files[0].unlink()
    with Project(made.folder) as project, project.db.transaction():
        project.db.execute(
            "UPDATE candidates SET url = ? WHERE image_id = ?",
            (f"{made.server.url}/photo/nowhere", made.files[0].stem),
        )
    said = made.verify("--repair")
    assert said.code == 5
    [fault] = said.document["faults"]
    assert (fault["kind"], fault["image_id"]) == ("lost", made.files[0].stem)
    assert "not_found" in fault["detail"]
    status = curate("status", "-C", made.folder, "--json").document
    assert status["candidates"]["failed"] == {"not_found": 1}
    assert made.verify().code == 0, "the catalog accounts for it now"


def test_files_that_no_row_knows_are_counted_and_removed_by_repair_alone(made: Made) -> None:
    extra = made.folder / "images" / "ab" / f"ab{'0' * 62}.jpg"
    extra.parent.mkdir(exist_ok=True)
    shutil.copy(made.files[0], extra)
    misnamed = made.files[0].with_suffix(".png")
    shutil.copy(made.files[0], misnamed)
    mine = made.folder / "images" / "ab" / "my notes.txt"
    mine.touch()
    said = made.verify()
    assert (said.code, said.document["unrecorded"], said.document["faults"]) == (0, 2, [])
    assert extra.exists()
    said = made.verify("--repair")
    assert (said.code, said.document["unrecorded"]) == (0, 0)
    assert not extra.exists()
    assert not misnamed.exists()
    assert mine.exists(), "only files with names of the store are its own"
    assert made.files[0].exists()


def test_an_edited_manifest_is_found(made: Made) -> None:
    path = made.folder / "manifests" / "v0001" / "train.parquet"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    found = made.faults()
    assert ("changed", "manifests/v0001/train.parquet") in found
    path.unlink()
    assert made.faults() == [("missing", "manifests/v0001/train.parquet")]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 3}'])
def test_a_manifest_whose_description_is_broken_is_a_fault_not_a_crash(
    made: Made, text: str
) -> None:
    path = made.folder / "manifests" / "v0001" / "manifest.json"
    path.write_text(text)
    said = made.verify()
    assert said.code == 5, said.err
    assert all(each["path"].startswith("manifests/v0001") for each in said.document["faults"])
    _flip(made.files[0])
    assert made.files[0].stem in {each.get("image_id") for each in made.verify().document["faults"]}


def test_an_edited_description_is_found(made: Made) -> None:
    path = made.folder / "manifests" / "v0001" / "manifest.json"
    info = json.loads(path.read_text())
    info["files"]["test.parquet"]["sha256"] = "0" * 64
    path.write_text(json.dumps(info))
    assert made.faults() == [("changed", "manifests/v0001/test.parquet")]


def test_images_of_a_folder_are_copied_again_or_told_as_lost(tmp_path: Path) -> None:
    for number in range(3):
        picture = Image.linear_gradient("L").rotate(90 * number).convert("RGB")
        (tmp_path / "in" / "a").mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / "in" / "a" / f"{number}.png")
    project = tmp_path / "project"
    assert curate("import", tmp_path / "in", "-C", project).code == 0
    for path in image_files(project):
        path.unlink()
    (tmp_path / "in" / "a" / "1.png").unlink()
    said = curate("verify", "-C", project, "--repair", "--json")
    assert said.code == 5
    assert said.document["repaired"] == 2
    [fault] = said.document["faults"]
    assert fault["kind"] == "lost"
    assert "unreadable" in fault["detail"]
    assert len(image_files(project)) == 2


def test_a_dry_repair_says_what_it_would_fetch_and_leaves_it(made: Made) -> None:
    target = made.files[3]
    _flip(target)
    said = made.verify("--repair", "--dry-run")
    assert said.code == 5
    assert said.document["would_fetch"] == [target.stem]
    assert said.document["repaired"] == 0
    assert made.server.n_image_requests == 12
    assert made.faults() == [("changed", target.stem)]


def test_what_cannot_be_reached_now_stays_a_fault_and_is_repaired_later(made: Made) -> None:
    lost = made.files[0]
    before = lost.read_bytes()
    lost.unlink()
    settings = made.folder / "curate.toml"
    kept = settings.read_text()
    settings.write_text(kept.replace('"127.0.0.1"', ""))
    said = made.verify("--repair")
    assert said.code == 5
    (fault,) = said.document["faults"]
    assert fault["kind"] == "missing"
    assert "denied" in fault["detail"]
    assert made.faults() == [("missing", fault["image_id"])]
    settings.write_text(kept)
    assert made.verify("--repair").document["repaired"] == 1
    assert lost.read_bytes() == before
    assert made.faults() == []


def test_a_disk_that_is_away_costs_no_image(tmp_path: Path) -> None:
    disk, project = tmp_path / "disk", tmp_path / "project"
    disk.mkdir()
    for name in ("a", "b"):
        Image.effect_noise((80, 60), 50).save(disk / f"{name}.png")
    assert curate("import", disk, "-C", project).code == 0
    lost = sorted(image_files(project))[0]
    lost.unlink()
    disk.rename(tmp_path / "away")
    said = curate("verify", "--repair", "-C", project, "--json")
    assert [each["kind"] for each in said.document["faults"]] == ["missing"]
    (tmp_path / "away").rename(disk)
    assert curate("verify", "--repair", "-C", project, "--json").document["repaired"] == 1
    assert lost.exists()
    lost.unlink()
    for path in disk.iterdir():
        path.unlink()
    said = curate("verify", "--repair", "-C", project, "--json")
    (fault,) = said.document["faults"]
    assert (fault["kind"], "--retry" in fault["detail"]) == ("lost", True)
