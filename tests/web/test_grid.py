"""Which images a page shows: laws of filtering, sorting and going on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from curate.label.grid import STATES, Count, Grid, Standing, View, standing
from curate.records import Annotation, Kind
from tests.catalog.rows import image_id

NAMES = ("beach", "city", "sunset")


def said(number: int, who: str, *classes: str, kind: Kind = Kind.LABEL, **more: Any) -> Annotation:
    given = classes if kind is Kind.LABEL else None
    return Annotation(f"{who}-{number}", kind, who, 1.0, image_id(number), given, **more)


def grid(*proposed: tuple[tuple[str, ...] | None, float | None]) -> tuple[Grid, list[str]]:
    """Image n is proposed as the n-th says; returns ids in that order, too."""
    ids = [image_id(n) for n in range(len(proposed))]
    order = sorted(range(len(ids)), key=lambda n: ids[n])
    made = Grid(
        [ids[n] for n in order], [proposed[n][0] for n in order], [proposed[n][1] for n in order]
    )
    made.set_classes(NAMES)
    return made, ids


def test_pages_follow_the_class_list_and_the_score_within_a_class() -> None:
    made, ids = grid(
        (("city",), 0.9), (("beach",), 0.8), (("beach",), 0.3), ((), 0.5), (None, None),
        (("beach", "city"), 0.1),
    )  # fmt: skip
    in_order = [ids[n] for n in (2, 1, 5, 0, 3, 4)]
    assert made.page(View(), "", 10) == (in_order, 6)
    best = [ids[n] for n in (1, 2, 5, 0, 3, 4)]
    assert made.page(View(sort="best"), "", 10)[0] == best
    assert made.page(View(sort="score"), "", 2)[0] == [ids[4], ids[5]]


def test_a_class_holds_what_is_decided_else_proposed_to_be_in_it() -> None:
    made, ids = grid((("city",), 0.9), (("beach", "city"), 0.5), ((), 0.5), (None, None))
    assert set(made.page(View(name="city"), "", 9)[0]) == {ids[0], ids[1]}
    assert made.page(View(name=""), "", 9)[0] == [ids[2]]
    made.decide(ids[0], [said(0, "anna", "sunset")])
    assert made.page(View(name="city", state="all"), "", 9)[0] == [ids[1]]
    assert made.page(View(name="sunset", state="done"), "", 9)[0] == [ids[0]]
    assert made.class_counts()["city"] == Count(1, 1)
    assert made.class_counts()["sunset"] == Count(1, 0)
    assert made.class_counts("ben")["city"] == Count(2, 2)


def test_a_queue_has_its_own_order_and_its_own_decisions() -> None:
    made, ids = grid(*[(("beach",), 0.5)] * 4)
    made.set_queue("doubts", [ids[3], ids[0], ids[2], "0" * 64])
    made.decide(ids[0], [said(0, "anna", "beach")])
    assert made.page(View(queue="doubts"), "", 9) == ([ids[3], ids[0], ids[2]], 3)
    made.decide(ids[0], [said(0, "anna", "city", queue="doubts")])
    assert made.page(View(queue="doubts"), "", 9)[0] == [ids[3], ids[2]]
    assert made.counts(queue="doubts")["open"] == 2
    assert made.page(View(queue="unknown"), "", 9) == ([], 0)


def test_standing_follows_from_what_people_say() -> None:
    cases = {
        (): Standing.OPEN,
        (said(0, "a", "beach"),): Standing.DONE,
        (said(0, "a"), said(0, "b")): Standing.DONE,
        (said(0, "a", "beach"), said(0, "b", "city")): Standing.CONFLICT,
        (said(0, "a", "beach"), said(0, "b", kind=Kind.REJECT)): Standing.CONFLICT,
        (said(0, "a", kind=Kind.REJECT),): Standing.REJECTED,
        (said(0, "a", kind=Kind.UNSURE),): Standing.UNSURE,
        (said(0, "a", "beach"), said(0, "b", kind=Kind.UNSURE)): Standing.DONE,
    }
    assert {rows: standing(rows)[0] for rows in cases} == cases


IMAGES = 12
proposals = st.lists(
    st.tuples(
        st.none() | st.sets(st.sampled_from(NAMES), max_size=2).map(lambda s: tuple(sorted(s))),
        st.none() | st.sampled_from([0.1, 0.5, 0.5, 0.9]),
    ),
    min_size=IMAGES,
    max_size=IMAGES,
)
views = st.builds(
    View,
    state=st.sampled_from(STATES),
    name=st.none() | st.sampled_from(["", *NAMES]),
    queue=st.sampled_from(["", "some"]),
    person=st.sampled_from(["", "anna", "ben"]),
    sort=st.sampled_from(["worst", "best", "score"]),
)
decided = st.lists(
    st.tuples(
        st.integers(0, IMAGES - 1),
        st.sampled_from(["anna", "ben"]),
        st.sampled_from([*NAMES, "", "reject", "unsure"]),
        st.sampled_from(["", "some"]),
    ),
    max_size=20,
)


def fill(
    made: Grid, ids: list[str], rows: list[tuple[int, str, str, str]]
) -> dict[int, dict[str, Annotation]]:
    """Decide one after the other; return what is in force at the end."""
    made.set_queue("some", ids[::-2])
    now: dict[int, dict[str, Annotation]] = {}
    for number, who, what, queue in rows:
        kind = Kind(what) if what in ("reject", "unsure") else Kind.LABEL
        row = said(number, who, *([what] if what in NAMES else []), kind=kind, queue=queue)
        now.setdefault(number, {})[who] = row
        made.decide(ids[number], list(now[number].values()))
    return now


@given(proposals, decided, views)
def test_decisions_count_the_same_one_by_one_and_all_at_once(
    proposed: list[Any], rows: list[Any], view: View
) -> None:
    (one, ids), (other, _) = grid(*proposed), grid(*proposed)
    other.set_queue("some", ids[::-2])
    in_force = {ids[n]: list(each.values()) for n, each in fill(one, ids, rows).items()}
    other.decide_many({"0" * 64: [said(0, "anna", "beach")], **in_force})
    assert other.page(view, "", IMAGES) == one.page(view, "", IMAGES)
    assert other.counts(view.person, view.queue) == one.counts(view.person, view.queue)
    assert other.class_counts(view.person, view.queue) == one.class_counts(view.person, view.queue)


@given(proposals, decided, views, st.integers(1, 5))
def test_pages_together_hold_every_image_of_a_view_once(
    proposed: list[Any], rows: list[Any], view: View, size: int
) -> None:
    made, ids = grid(*proposed)
    fill(made, ids, rows)
    whole, total = made.page(view, "", 100)
    assert len(whole) == total == len(set(whole))
    pages: list[str] = []
    while page := made.page(view, pages[-1] if pages else "", size)[0]:
        pages += page
    assert pages == whole
    for place, each in enumerate(whole):
        assert made.before(view, each, size) == whole[max(0, place - size) : place]


@given(proposals, decided, st.integers(0, IMAGES - 1), st.integers(1, 5))
def test_going_on_skips_nothing_though_the_last_image_was_decided(
    proposed: list[Any], rows: list[Any], number: int, size: int
) -> None:
    made, ids = grid(*proposed)
    fill(made, ids, rows)
    whole, _ = made.page(View(), "", 100)
    if ids[number] not in whole:
        return
    after = whole[whole.index(ids[number]) + 1 :]
    made.decide(ids[number], [said(number, "anna", "beach")])
    assert made.page(View(), ids[number], size)[0] == after[:size]


@given(proposals, decided, st.sampled_from(["", "anna", "ben"]))
def test_counts_add_up(proposed: list[Any], rows: list[Any], person: str) -> None:
    made, ids = grid(*proposed)
    fill(made, ids, rows)
    for queue in ("", "some"):
        counts = made.counts(person, queue)
        view = View("all", queue=queue, person=person)
        assert sum(counts.values()) == made.page(view, "", 100)[1]
        for state, n in counts.items():
            assert made.page(replace(view, state=state), "", 100)[1] == n
        for name, count in made.class_counts(person, queue).items():
            view = View("all", name, queue, person)
            assert made.page(view, "", 100)[1] == count.total
            assert made.page(replace(view, state="open"), "", 100)[1] == count.open
