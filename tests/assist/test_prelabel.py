"""From a model's classes to the project's, and from scores to proposals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.assist.mapping import Targets, choose
from curate.assist.model import Wish, open_model
from curate.assist.prelabel import Judge, thresholds_for
from curate.errors import UsageError
from tests.assist.made import classifier, saved

OWN = ("tabby, tabby cat", "Siamese_cat", "golden retriever", "Turdus merula (Blackbird)", "")


def pairs(targets: Targets) -> dict[int, str]:
    return {at: targets.names[to] for at, to in enumerate(targets.places) if to >= 0}


def test_by_name_with_synonyms_capitals_plurals_and_brackets() -> None:
    wanted = ("Tabby Cats", "siamese cat", "blackbird", "zebra")
    targets, told = choose(OWN, 5, wanted, is_set=True)
    assert pairs(targets) == {0: "Tabby Cats", 1: "siamese cat", 3: "blackbird"}
    assert "3 of the model's 5" in told
    assert "never proposes zebra" in told


def test_the_same_names_need_no_words() -> None:
    targets, told = choose(("a", "b", ""), 3, ("b", "a"), is_set=True)
    assert (targets.names, told) == (("b", "a"), "")
    assert targets.to_json(("a", "b", "")) == {"a": "a", "b": "b"}


@pytest.mark.parametrize("is_set", [True, False])
def test_nothing_in_common_is_refused(is_set: bool) -> None:
    said = "none of the model's 5 classes .* is one of the project's 2"
    with pytest.raises(UsageError, match=said) as refused:
        choose(OWN, 5, ("beach", "city"), is_set=is_set)
    assert "--map FILE.csv" in refused.value.hint
    assert ("--own-classes" in refused.value.hint) is not is_set


@pytest.mark.parametrize(("wanted", "own"), [((), False), (("beach", "tabby"), True)])
def test_the_models_own_classes(wanted: tuple[str, ...], own: bool) -> None:
    targets, told = choose(OWN[:3], 3, wanted, is_set=False, own=own)
    assert set(targets.names) == set(OWN[:3])
    assert "the model's own" in told


def test_outputs_without_names_are_in_the_order_of_folders() -> None:
    targets, told = choose(None, 2, ("dog", "cat"), is_set=True)
    assert pairs(targets) == {0: "cat", 1: "dog"}
    assert "give --names" in told
    with pytest.raises(UsageError, match="3 outputs without names") as refused:
        choose(None, 3, ("dog", "cat"), is_set=True)
    assert "curate train --backbone" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.csv", "model,project\n0,cat\nSiamese cat,cat\ngolden retriever,dog\n4,\n"),
        ("m.csv", 'tabby, tabby cat,cat\n1,cat\n"golden retriever",dog\n'),
        ("m.tsv", "tabby\tcat\n1\tcat\n2\tdog\n"),
        ("m.json", '{"tabby": "cat", "1": "cat", "golden retriever": "dog"}'),
        ("m.json", '{"cat": ["tabby", "Siamese_cat"], "dog": ["2"]}'),
        ("m.json", '{"cat": ["0", "1"], "dog": "golden retriever"}'),
    ],
)
def test_maps(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    targets, _ = choose(OWN, 5, ("dog", "cat", "fox"), is_set=True, file=file)
    assert pairs(targets) == {0: "cat", 1: "cat", 2: "dog"}
    assert targets.names == ("dog", "cat")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("zebra,cat\n", "'zebra' is no class of the model"),
        ("0,horse\n", "'horse' is no class of the project"),
        ("0,\n", "maps nothing"),
        ("lonely\n", "has no second column"),
        ("", "maps nothing"),
    ],
)
def test_maps_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "m.csv"
    file.write_text(text)
    with pytest.raises(UsageError, match=said):
        choose(OWN, 5, ("dog", "cat"), is_set=True, file=file)


def test_shares_add_up_and_lone_scores_do_not() -> None:
    targets = Targets(("cat", "dog"), np.array([0, 0, 1, -1]))
    scores = np.array([[0.3, 0.2, 0.1, 0.4]], dtype=np.float32)
    assert targets.scores(scores, exclusive=True)[0] == pytest.approx([0.5, 0.1])
    assert targets.scores(scores, exclusive=False)[0] == pytest.approx([0.3, 0.1])


def judge(
    tmp_path: Path,
    places: list[int],
    *,
    exclusive: bool,
    end: str = "Softmax",
    least: float | None = None,
) -> Judge:
    model = open_model(saved(classifier(end=end), tmp_path / "m.onnx"), Wish("unit", trusted=True))
    targets = Targets(tuple("abc"[: max(places) + 1]), np.array(places))
    found = thresholds_for(model, targets.names, least, exclusive=exclusive)
    return Judge(model, targets, exclusive, found)


def rows(*values: list[float]) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_the_best_class_is_proposed_where_an_image_has_one(tmp_path: Path) -> None:
    (found,) = judge(tmp_path, [0, 1, 2], exclusive=True).opinions(rows([0.2, 0.5, 0.3]))
    assert (found.classes, found.score) == (("b",), 0.5)
    assert list(found.scores) == ["b", "c", "a"]


def test_none_is_proposed_where_it_is_likelier(tmp_path: Path) -> None:
    one = judge(tmp_path, [0, 1, -1], exclusive=True)
    first, second = one.opinions(rows([0.1, 0.2, 0.7], [0.5, 0.1, 0.4]))
    assert (first.classes, first.score) == ((), pytest.approx(0.7))
    assert (second.classes, second.score) == (("a",), 0.5)


def test_what_rounding_takes_from_the_sum_is_no_answer(tmp_path: Path) -> None:
    one = judge(tmp_path, [0, 1, 2], exclusive=True)
    (found,) = one.opinions(rows([0.25, 0.125, 0.0625]))
    assert (found.classes, found.score) == (("a",), 0.25)


def test_below_the_threshold_nothing_is_proposed(tmp_path: Path) -> None:
    one = judge(tmp_path, [0, 1, 2], exclusive=True, least=0.8)
    assert one.opinions(rows([0.7, 0.2, 0.1]))[0].classes == ()
    assert one.opinions(rows([0.9, 0.1, 0.0]))[0].classes == ("a",)


def test_each_class_is_asked_for_itself_where_there_are_several(tmp_path: Path) -> None:
    many = judge(tmp_path, [0, 1, 2], exclusive=False, end="Sigmoid")
    (found,) = many.opinions(rows([0.9, 0.6, 0.2]))
    assert (found.classes, found.score) == (("a", "b"), pytest.approx(0.6))
    (none,) = many.opinions(rows([0.3, 0.1, 0.2]))
    assert (none.classes, none.score) == ((), pytest.approx(0.7))


def test_thresholds_of_the_model_count_unless_others_are_given(tmp_path: Path) -> None:
    notes = {"curate.classes": '["a", "b", "x"]', "curate.thresholds": '{"a": 0.2, "x": 0.9}'}
    model = open_model(
        saved(classifier(end="Sigmoid", notes=notes), tmp_path / "m.onnx"), Wish(trusted=True)
    )
    assert thresholds_for(model, ("a", "b"), None, exclusive=False) == {"": 0.5, "a": 0.2}
    assert thresholds_for(model, ("a", "b"), 0.7, exclusive=False) == {"": 0.7}
    assert thresholds_for(model, ("a", "b"), None, exclusive=True) == {}


@given(
    scores=st.lists(
        st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4), min_size=1, max_size=5
    ),
    places=st.lists(st.integers(-1, 2), min_size=4, max_size=4),
)
def test_scores_go_where_the_map_says(scores: list[list[float]], places: list[int]) -> None:
    used = sorted({each for each in places if each >= 0})
    if not used:
        return
    targets = Targets(
        tuple("abc"[at] for at in used),
        np.array([used.index(each) if each >= 0 else -1 for each in places]),
    )
    given_ = np.array(scores, dtype=np.float32)
    for exclusive, join in ((True, sum), (False, max)):
        found = targets.scores(given_, exclusive=exclusive)
        for row, wanted in zip(found, given_, strict=True):
            for column, at in enumerate(used):
                parts = [float(w) for w, place in zip(wanted, places, strict=True) if place == at]
                assert row[column] == pytest.approx(min(1.0, join(parts)), abs=1e-5)


def test_a_map_written_as_the_settings_keep_it_reads_the_same(tmp_path: Path) -> None:
    targets, _ = choose(("a", "b", "c"), 3, (), is_set=False)
    assert targets.to_json(("a", "b", "c")) == {}
    file = tmp_path / "m.json"
    file.write_text(json.dumps({"a": "x", "c": "y"}))
    mapped, _ = choose(("a", "b", "c"), 3, ("x", "y"), is_set=True, file=file)
    assert mapped.to_json(("a", "b", "c")) == {"a": "x", "c": "y"}
