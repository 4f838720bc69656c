"""Groups by embedding: made-up embeddings for the laws, a real model for the command."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from curate.catalog.groups import Member
from curate.catalog.semantic import SemanticPlace
from curate.dedupe.semantic import semantic_places, similar
from curate.errors import UsageError
from curate.project import Project
from tests.fetch.command import curate

MODEL = "onnx/mobilenet_v1_1.0_224_embed_nchw_f32.onnx"


def members(ids: list[str]) -> list[Member]:
    """Members whose picture is the larger, the later their letter."""
    return [Member(each, 0, bytes(32), ord(each), 1, None, None, False, False) for each in ids]


def at(*degrees: float) -> np.ndarray:
    """Embeddings that point in these directions."""
    turn = np.radians(degrees)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)


def places(ids: str, *degrees: float) -> list[SemanticPlace]:
    return semantic_places(
        list(ids), at(*degrees), 0.9, lambda some: members(list(some)), ("resolution",)
    )


def test_a_chain_is_linked_but_nobody_gets_a_keeper_that_it_does_not_resemble() -> None:
    found = {each.image_id: each for each in places("abcd", 0, 20, 40, 180)}
    assert set(found) == {"a", "b", "c"}
    assert {each.linked for each in found.values()} == {"a"}
    assert {key: each.keeper for key, each in found.items()} == {"a": "a", "b": "c", "c": "c"}
    assert found["b"].cosine == pytest.approx(np.cos(np.radians(20)), abs=1e-3)


def test_the_order_of_images_does_not_matter() -> None:
    key = lambda each: each.image_id  # noqa: E731 - one use, twice
    one = sorted(places("abcd", 0, 20, 40, 180), key=key)
    assert sorted(places("dbac", 180, 20, 0, 40), key=key) == one


def test_nothing_alike_makes_no_groups() -> None:
    assert places("ab", 0, 90) == []
    assert semantic_places([], np.zeros((0, 1), np.float32), 0.9, members, ()) == []


def test_too_many_images_need_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UsageError, match="more than the 2 "):
        next(similar(at(0, 1, 2), 0.9, exact_images=2))


def test_an_index_finds_what_comparing_everything_finds() -> None:
    pytest.importorskip("faiss")
    chance = np.random.default_rng(1)
    rows = chance.normal(size=(500, 32)).astype(np.float32)
    rows[250:] = rows[:250] + 0.1 * chance.normal(size=(250, 32)).astype(np.float32)
    exact = {
        pair
        for block in similar(rows, 0.9)
        for pair in zip(block.left.tolist(), block.right.tolist(), strict=True)
    }
    indexed = {
        tuple(sorted(pair))
        for block in similar(rows, 0.9, exact_images=10)
        for pair in zip(block.left.tolist(), block.right.tolist(), strict=True)
    }
    assert len(exact) == 250
    assert indexed <= exact
    assert len(indexed) >= 245


@pytest.fixture
def project(shared: Path, tmp_path: Path) -> Path:
    """Six flowers, one of them mirrored too: no near-duplicate by its hash."""
    flowers = tmp_path / "photos" / "flower"
    flowers.mkdir(parents=True)
    for place, path in enumerate(sorted((shared / "photos" / "flowers12").rglob("*.jpg"))[:300:50]):
        with Image.open(path) as image:
            image.save(flowers / f"{place}.png")
            if place == 0:
                ImageOps.mirror(image).resize((220, 200)).save(flowers / "mirrored.png")
    with Project(tmp_path / "project") as made:
        made.import_folder(flowers.parent)
    return tmp_path / "project"


@pytest.mark.slow
def test_images_that_a_model_finds_alike_stay_together_and_are_left_out_only_if_asked(
    project: Path, shared: Path
) -> None:
    words = ("dedupe", "-C", project, "--json", "--semantic", "--model", shared / MODEL)
    assert curate("dedupe", "-C", project, "--json").document["groups"] == 0
    said = curate(*words)
    assert (said.document["groups"], said.document["linked"], said.document["excluded"]) == (
        1,
        2,
        0,
    )
    with Project(project) as made:
        from curate.catalog import images

        hints = [each.groups for page in images.kept(made.db) for each in page if each.groups]
    assert len(hints) == 2
    assert hints[0] == hints[1]
    assert hints[0][0].startswith("semantic:")
    assert curate(*words, "--exclude", "--dry-run").document["excluded"] == 1
    assert curate(*words, "--exclude").document["excluded"] == 1
    assert curate(*words, "--exclude").document["excluded"] == 1  # again: the same
    status = curate("status", "-C", project, "--json").document
    assert status["images"]["excluded"] == {"semantic_duplicate": 1}
    assert curate("dedupe", "-C", project, "--json", "--undo").document == {"brought_back": 1}
    assert curate(*words, "--similarity", "0.9999").document["groups"] == 0


def test_flags_that_do_not_go_together_are_refused(project: Path, shared: Path) -> None:
    model = ("--model", shared / MODEL)
    for words in (("--semantic",), model, ("--semantic", *model, "--similarity", "1.5")):
        assert curate("dedupe", "-C", project, *words).code == 2
