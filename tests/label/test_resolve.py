"""From what people, models and sources say to a label."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.label.resolve import Evidence, Rules, Verdict, contradicts, resolve
from curate.records import Annotation, Kind, Label, Origin, Proposal
from tests.label.ledgers import label, said

ANY = Rules()
MODEL = "m" * 64


def proposal(*classes: str, score: float = 0.9, **scores: float) -> Proposal:
    return Proposal("i", MODEL, classes, score, scores or dict.fromkeys(classes, score), 1.0)


def resolved(rules: Rules = ANY, **evidence: Any) -> Label:
    return resolve(Evidence(**evidence), rules)


def test_nothing_said_is_no_label() -> None:
    assert resolved() == Label()


def test_the_strongest_word_counts() -> None:
    weakest = Evidence(hints=("query",), from_query=True)
    assert resolve(weakest, ANY).origin is Origin.QUERY
    by_source = replace(weakest, hints=("source",), from_query=False)
    assert (resolve(by_source, ANY).origin, resolve(by_source, ANY).classes) == (
        Origin.SOURCE,
        ("source",),
    )
    by_model = replace(by_source, proposal=proposal("model"), thresholds={"": 0.5})
    assert (resolve(by_model, ANY).origin, resolve(by_model, ANY).classes) == (
        Origin.MODEL,
        ("model",),
    )
    by_people = replace(by_model, decisions=[label(1, "bob", by="bob"), label(1, "ada")])
    by_consensus = replace(by_people, verdict=Verdict(("ada",), 0.7))
    assert resolve(by_people, ANY).conflict
    found = resolve(by_consensus, ANY)
    assert (found.origin, found.classes, found.score) == (Origin.CONSENSUS, ("ada",), 0.7)
    by_one = replace(by_consensus, decisions=[label(1, "ada")])
    assert (resolve(by_one, ANY).origin, resolve(by_one, ANY).classes) == (Origin.HUMAN, ("ada",))


def test_a_persons_none_of_the_classes_beats_a_hint() -> None:
    found = resolved(decisions=[label(1)], hints=("beach",))
    assert (found.classes, found.origin, found.audited) == ((), Origin.HUMAN, True)
    assert found.proposed == ("beach",)


def test_somebody_who_cannot_tell_leaves_it_open_but_for_others() -> None:
    unsure = said(1, Kind.UNSURE)
    open_ = resolved(decisions=[unsure], hints=("beach",))
    assert (open_.origin, open_.audited, open_.conflict) == (None, True, False)
    settled = resolved(decisions=[unsure, label(1, "beach", by="bob")])
    assert (settled.origin, settled.annotators) == (Origin.HUMAN, ("ada", "bob"))


def test_a_rejection_against_a_label_is_a_conflict_and_alone_it_holds() -> None:
    reject = said(1, Kind.REJECT)
    assert resolved(decisions=[reject]).rejected
    assert resolved(decisions=[reject, label(1, "a", by="bob")]).conflict


@pytest.mark.parametrize(
    ("classes", "scores", "thresholds", "counts"),
    [
        (("a",), {"a": 0.8}, {}, False),
        (("a",), {"a": 0.8}, {"a": 0.8}, True),
        (("a",), {"a": 0.79}, {"a": 0.8}, False),
        (("a",), {"a": 0.79}, {"a": 0.8, "": 0.1}, False),
        (("a",), {"a": 0.79}, {"b": 0.1}, False),
        (("a", "b"), {"a": 0.9, "b": 0.6}, {"a": 0.8, "b": 0.7}, False),
        (("a", "b"), {"a": 0.9, "b": 0.6}, {"": 0.6}, True),
        ((), {"a": 0.1}, {"a": 0.5}, False),
        ((), {"a": 0.1}, {"": 0.9}, True),
    ],
)
def test_a_model_counts_only_from_its_threshold(
    classes: tuple[str, ...],
    scores: dict[str, float],
    thresholds: dict[str, float],
    counts: bool,
) -> None:
    given = Proposal("i", MODEL, classes, 0.9, scores, 1.0)
    found = resolved(proposal=given, thresholds=thresholds)
    assert (found.origin is Origin.MODEL) == counts
    assert (found.proposed, found.proposed_by) == (classes, MODEL)


def test_a_source_that_contradicts_itself_is_a_conflict_until_a_person_says() -> None:
    assert resolved(hints=("a", "b"), disputed=True).conflict
    assert resolved(hints=("", "a")).conflict
    settled = resolved(hints=("a", "b"), disputed=True, decisions=[label(1, "b")])
    assert (settled.classes, settled.conflict) == (("b",), False)


def test_several_classes_are_a_conflict_where_one_is_allowed() -> None:
    one = Rules(exclusive=True)
    assert resolved(one, hints=("a", "b")).conflict
    assert resolved(one, decisions=[label(1, "a", "b")]).conflict
    assert resolved(hints=("a", "b")).classes == ("a", "b")


def test_classes_that_are_not_listed_do_not_count() -> None:
    listed = Rules(names=frozenset({"a"}))
    assert resolved(listed, decisions=[label(1, "a", "z")]).classes == ("a",)
    assert resolved(listed, hints=("z",)).origin is None
    assert resolved(listed, hints=("",)).origin is Origin.SOURCE
    assert resolved(listed, proposal=proposal("z"), thresholds={"": 0.1}).origin is None


def test_what_people_label_only_with_classes_that_are_not_listed_is_no_negative() -> None:
    listed = Rules(names=frozenset({"a"}))
    found = resolved(listed, decisions=[label(1, "z", "y")], hints=("a",))
    assert (found.classes, found.origin, found.outside) == ((), None, ("y", "z"))
    assert (found.audited, found.annotators) == (True, ("ada",))
    assert resolved(listed, decisions=[label(1)]).origin is Origin.HUMAN, "none of the classes"
    assert resolved(decisions=[label(1, "z")]).outside == (), "every class counts without a list"


def test_people_who_differ_only_outside_the_list_do_not_contradict_each_other() -> None:
    listed = Rules(names=frozenset({"a"}))
    two = [label(1, "y", by="ann"), label(1, "z", by="bob")]
    assert resolved(listed, decisions=two).outside == ("y", "z")
    assert resolved(listed, decisions=[*two, label(1, "a", by="eve")]).conflict
    assert resolved(listed, decisions=[*two, label(1, by="eve")]).conflict
    verdict = Verdict(("z",), 0.9)
    agreed = resolved(listed, decisions=[*two, label(1, "a", by="eve")], verdict=verdict)
    assert (agreed.origin, agreed.outside) == (None, ("z",))


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    names = st.lists(st.sampled_from("abc"), unique=True, max_size=3).map(sorted).map(tuple)
    people = draw(st.lists(st.sampled_from(["ada", "bob", "eve", "dan"]), unique=True))
    decisions: list[Annotation] = []
    for who in people:
        kind = draw(st.sampled_from([Kind.LABEL, Kind.LABEL, Kind.REJECT, Kind.UNSURE]))
        is_label = kind is Kind.LABEL
        decisions.append(label(1, *draw(names), by=who) if is_label else said(1, kind, by=who))
    verdict = st.builds(Verdict, names, st.floats(0, 1), st.just(False))
    return Evidence(
        decisions=decisions,
        verdict=draw(st.none() | verdict),
        proposal=draw(
            st.none() | st.builds(lambda c, s: proposal(*c, score=s), names, st.floats(0, 1))
        ),
        thresholds=draw(st.dictionaries(st.sampled_from(["a", "b", "c", ""]), st.floats(0, 1))),
        hints=draw(st.lists(st.sampled_from(["a", "b", ""]), unique=True).map(tuple)),
        from_query=draw(st.booleans()),
        disputed=draw(st.booleans()),
    )


RULES = st.builds(
    Rules, st.booleans(), st.none() | st.frozensets(st.sampled_from("abc"), min_size=1)
)


@given(evidences(), RULES, st.randoms(use_true_random=False))
def test_the_order_of_people_and_hints_does_not_matter(
    evidence: Evidence, rules: Rules, chance: Any
) -> None:
    decisions, hints = list(evidence.decisions), list(evidence.hints)
    chance.shuffle(decisions)
    chance.shuffle(hints)
    turned = replace(evidence, decisions=decisions, hints=tuple(hints))
    assert resolve(turned, rules) == resolve(evidence, rules)


@given(evidences(), RULES)
def test_a_label_is_sorted_counts_and_never_beside_a_conflict(
    evidence: Evidence, rules: Rules
) -> None:
    found = resolve(evidence, rules)
    assert list(found.classes) == sorted(set(found.classes))
    assert rules.names is None or set(found.classes) <= rules.names
    assert not (rules.exclusive and len(found.classes) > 1)
    if found.conflict:
        assert (found.classes, found.origin) == ((), None)
    assert found.audited == bool(evidence.decisions)
    if found.outside:
        assert rules.names is not None
        assert not set(found.outside) & rules.names
        assert (found.classes, found.origin, found.conflict) == ((), None, False)


@given(evidences(), RULES)
def test_people_who_agree_have_the_last_word(evidence: Evidence, rules: Rules) -> None:
    votes = [each for each in evidence.decisions if each.kind is not Kind.UNSURE]
    found = resolve(evidence, rules)
    if votes and not contradicts(votes) and not found.conflict:
        assert found.origin is (None if found.outside else Origin.HUMAN)
        assert found.rejected == (votes[0].kind is Kind.REJECT)
    if evidence.decisions:
        assert found.origin in (None, Origin.HUMAN, Origin.CONSENSUS)
