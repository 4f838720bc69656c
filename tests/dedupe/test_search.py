from __future__ import annotations

import dataclasses
import random
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.catalog import groups, images
from curate.catalog.database import Database
from curate.config import DedupeSettings
from curate.dedupe.cache import NAME
from curate.dedupe.search import DedupeResult, dedupe
from curate.errors import UsageError
from tests.dedupe.rows import PLAIN, Image, add, left_out

SETTINGS = DedupeSettings()
BASE = 0xA5A5_F00F_3C3C_9669


class World:
    """A catalog with its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = Database(folder / "catalog.db")

    def dedupe(self, **changes: object) -> DedupeResult:
        dry_run = bool(changes.pop("dry_run", False))
        chosen = dataclasses.replace(SETTINGS, **changes)
        return dedupe(self.db, self.folder, chosen, dry_run=dry_run)

    def state(self) -> dict[str, object]:
        """Everything that a search decides."""
        return {
            "places": groups.places(self.db),
            "out": left_out(self.db),
            "totals": groups.totals(self.db),
        }


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.db.close()


def test_the_image_with_the_most_pixels_is_kept_and_the_others_point_at_it(world: World) -> None:
    small, big, other = (
        Image("a", BASE),
        Image("b", BASE ^ 1, width_px=200),
        Image("c", ~BASE & 2**64 - 1),
    )
    add(world.db, [small, big, other])
    result = world.dedupe()
    assert left_out(world.db) == {small.id: big.id}
    assert (result.groups, result.excluded, result.pairs, result.largest_group) == (1, 1, 1, 2)
    assert {"groups", "excluded", "pairs", "largest_group", "split_chains"} <= set(result.to_json())


@pytest.mark.parametrize(
    ("keep", "kept"),
    [(("license", "resolution"), "free"), (("resolution", "license"), "big"), (("size",), "heavy")],
)
def test_the_order_of_preferences_decides_who_is_kept(
    world: World, keep: tuple[str, ...], kept: str
) -> None:
    made = [
        Image("free", BASE, license="CC0-1.0"),
        Image("big", BASE, license="CC-BY-NC-4.0", width_px=300),
        Image("heavy", BASE, n_bytes=9000),
    ]
    add(world.db, made)
    world.dedupe(keep=keep)
    assert set(left_out(world.db).values()) == {each.id for each in made if each.name == kept}


def test_another_order_of_preferences_changes_the_keeper_without_a_new_search(world: World) -> None:
    free, big = Image("free", BASE, license="CC0-1.0"), Image("big", BASE, width_px=300)
    add(world.db, [free, big])
    world.dedupe()
    assert left_out(world.db) == {free.id: big.id}
    result = world.dedupe(keep=("license",))
    assert left_out(world.db) == {big.id: free.id}
    assert result.compared == 0


def test_an_unknown_preference_is_refused(world: World) -> None:
    with pytest.raises(UsageError, match="'beauty'"):
        world.dedupe(keep=("beauty",))


def test_a_pair_that_the_long_hash_denies_is_no_pair(world: World) -> None:
    denied = bytes(byte ^ 0xFF for byte in PLAIN[:16]) + PLAIN[16:]
    add(world.db, [Image("a", BASE), Image("b", BASE ^ 1, denied)])
    assert world.dedupe().pairs == 0


@pytest.mark.parametrize(
    "flat",
    [{"contrast": 4.9}, {"entropy": 0.9}, {"phash": 0b111}],
    ids=["contrast", "entropy", "bits"],
)
def test_flat_images_are_never_grouped(world: World, flat: dict[str, float]) -> None:
    add(world.db, [Image(name, **({"phash": BASE} | flat)) for name in "abc"])  # type: ignore[arg-type]
    result = world.dedupe()
    assert (result.groups, result.flat, result.compared) == (0, 3, 0)


@pytest.mark.slow
def test_two_hundred_thousand_flat_images_cost_nothing(world: World) -> None:
    add(world.db, (Image(f"{n}", BASE ^ (n & 0xFFFF), contrast=1.0) for n in range(200_000)))
    assert world.dedupe().flat == 200_000


def test_a_long_chain_is_divided_and_reported(world: World) -> None:
    drift = [Image(f"{n}", BASE ^ ((1 << 6 * n) - 1), width_px=500 - n) for n in range(10)]
    add(world.db, drift)
    result = world.dedupe(radius=6)
    # Twice the radius is two steps: the first image keeps two others, then the fourth does.
    assert left_out(world.db) == {drift[n].id: drift[n // 3 * 3].id for n in range(10) if n % 3}
    assert (result.groups, result.largest_group, result.split_chains) == (3, 3, 3)


def test_images_of_one_chain_share_a_group_hint_even_when_kept(world: World) -> None:
    drift = [Image(f"{n}", BASE ^ ((1 << 6 * n) - 1), width_px=500 - n) for n in range(5)]
    add(world.db, [*drift, Image("alone", ~BASE & 2**64 - 1)])
    world.dedupe(radius=6)
    groups.include(world.db, drift[1].id, 0.0)
    hints = {each.image_id: each.groups for page in images.kept(world.db) for each in page}
    linked = min(each.id for each in drift)
    kept = {drift[0].id, drift[1].id, drift[3].id}
    assert {key for key, value in hints.items() if value} == kept
    assert {hints[key] for key in kept} == {(f"near:{linked}",)}


def test_undo_brings_all_back_and_a_new_search_excludes_them_again(world: World) -> None:
    add(world.db, [Image("a", BASE), Image("b", BASE, width_px=200)])
    world.dedupe()
    before = world.state()
    assert groups.bring_back(world.db, groups.NEAR_DUPLICATE) == 1
    assert not left_out(world.db)
    world.dedupe()
    assert world.state() == before


def test_an_included_image_stays_in_whatever_is_searched(world: World) -> None:
    a, b, c = Image("a", BASE), Image("b", BASE, width_px=200), Image("c", BASE, width_px=300)
    add(world.db, [a, b])
    world.dedupe()
    assert groups.why_excluded(world.db, a.id) == "near_duplicate"
    groups.include(world.db, a.id, 1.0)
    assert groups.why_excluded(world.db, a.id) is None
    world.dedupe()
    assert not left_out(world.db)
    add(world.db, [c])
    world.dedupe(radius=3)
    assert left_out(world.db) == {b.id: c.id}


def test_two_that_were_declared_different_stay_apart(world: World) -> None:
    a, b, c = Image("a", BASE), Image("b", BASE, width_px=200), Image("c", BASE, width_px=300)
    add(world.db, [a, b])
    world.dedupe()
    groups.declare_different(world.db, b.id, a.id, 1.0)
    result = world.dedupe()
    assert (result.brought_back, result.pairs, result.groups) == (1, 0, 0)
    assert world.dedupe(radius=5).groups == 0
    add(world.db, [c])  # like both: they must not meet in its group either
    world.dedupe(radius=5)
    assert left_out(world.db) == {b.id: c.id}


def test_an_image_that_is_out_for_another_reason_keeps_nobody_out(world: World) -> None:
    a, b = Image("a", BASE), Image("b", BASE, width_px=200)
    add(world.db, [a, b])
    world.dedupe()
    assert left_out(world.db) == {a.id: b.id}
    groups.exclude(world.db, [b.id], "contaminates")
    world.dedupe()
    assert not left_out(world.db)
    assert world.db.one("SELECT excluded FROM images WHERE image_id = ?", (b.id,)) == (
        "contaminates",
    )


def test_an_image_taken_back_leaves_its_group(world: World) -> None:
    a, b, c = Image("a", BASE), Image("b", BASE, width_px=200), Image("c", BASE, width_px=300)
    add(world.db, [a, b, c])
    world.dedupe()
    images.take_back(world.db, c.id)
    world.dedupe()
    assert left_out(world.db) == {a.id: b.id}
    assert all(c.id not in pair for pair in world.db.all("SELECT a, b FROM near_pairs"))


def test_an_image_that_came_back_is_compared_again(world: World) -> None:
    a, b = Image("a", BASE), Image("b", BASE, width_px=200)
    add(world.db, [a, b])
    world.dedupe()
    before = world.state()
    take_back(world.db, b)
    add(world.db, [b])
    assert world.dedupe().compared == 1
    assert world.state() == before


def test_a_second_search_compares_the_new_images_only(world: World) -> None:
    chance = random.Random(1)
    made = [Image(f"{n}", chance.getrandbits(64)) for n in range(50)]
    add(world.db, made)
    assert world.dedupe().compared == 50
    assert world.dedupe().compared == 0
    add(world.db, [Image("new", made[7].phash ^ 1)])
    result = world.dedupe()
    assert (result.compared, result.newly_excluded) == (1, 1)


@pytest.mark.parametrize("damage", ["delete", "truncate", "restore"])
def test_a_cache_that_is_gone_or_wrong_changes_nothing(world: World, damage: str) -> None:
    add(world.db, [Image("a", BASE), Image("flat", BASE, contrast=1.0)])
    world.dedupe()
    cache = world.folder / NAME
    old = cache.read_bytes()
    add(world.db, [Image("b", ~BASE & 2**64 - 1)])
    world.dedupe()
    if damage == "delete":
        cache.unlink()
    elif damage == "truncate":
        cache.write_bytes(cache.read_bytes()[:-40])
    else:
        cache.write_bytes(old)
    add(world.db, [Image("c", BASE ^ 3), Image("d", ~BASE & 2**64 - 1)])
    result = world.dedupe()
    assert (result.compared, result.pairs) == (2, 2)
    assert world.dedupe().compared == 0


def test_a_dry_run_tells_and_writes_nothing(world: World) -> None:
    add(world.db, [Image("a", BASE), Image("b", BASE)])
    result = world.dedupe(dry_run=True)
    assert (result.groups, result.excluded, result.newly_excluded) == (1, 1, 1)
    assert not left_out(world.db)
    assert groups.places(world.db) == []
    assert not (world.folder / NAME).exists()
    assert world.dedupe() == result


def test_another_radius_searches_anew(world: World) -> None:
    add(world.db, [Image("a", BASE), Image("b", BASE ^ 0b11111)])
    assert world.dedupe(radius=4).pairs == 0
    assert world.dedupe(radius=5).pairs == 1
    assert world.dedupe(radius=4).pairs == 0
    assert not left_out(world.db)


def take_back(db: Database, image: Image) -> None:
    """Forget an image as if it had never come."""
    images.take_back(db, image.id)
    db.execute("DELETE FROM candidates WHERE source_id = ?", (image.name,))


HASHES = st.sampled_from([BASE ^ low ^ (high << 60) for low in range(0, 64, 3) for high in (0, 15)])


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Image], list[tuple[int, int]], list[int]]:
    n = draw(st.integers(1, 12))
    made = [
        Image(
            f"{number}",
            draw(HASHES),
            bytes([draw(st.sampled_from([0x55, 0x54, 0xAA]))]) * 32,
            width_px=draw(st.integers(100, 102)),
        )
        for number in range(n)
    ]
    place = st.integers(0, n - 1)
    refused = draw(
        st.lists(st.tuples(place, place).filter(lambda two: two[0] != two[1]), max_size=3)
    )
    return made, refused, draw(st.lists(place, max_size=2))


def crowd(n: int, bits: int) -> list[Image]:
    """Encodings of one picture: hashes that differ from it in a few bits."""
    chance = random.Random(5)

    def few(width: int) -> int:
        return sum(1 << bit for bit in chance.sample(range(width), bits))

    plain = int.from_bytes(PLAIN, "big")
    return [
        Image(f"{number}", BASE ^ few(64), (plain ^ few(256)).to_bytes(32, "big"))
        for number in range(n)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("n", "bits"), [(5000, 2), (3000, 0)], ids=["nearly equal", "equal"])
def test_a_crowd_of_copies_takes_memory_by_its_size_not_by_its_square(
    world: World, n: int, bits: int
) -> None:
    add(world.db, crowd(n, bits))
    tracemalloc.start()
    result = world.dedupe()
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (result.groups, result.excluded, result.pairs) == (1, n - 1, n - 1)
    assert peak_bytes < 200_000_000  # all pairs as Python tuples would be some 4 GB
    add(world.db, [Image("late", BASE)])
    assert world.dedupe().excluded == n
    assert world.db.one("SELECT COUNT(*) FROM near_pairs") == (n,)


def test_a_crowd_that_lost_the_image_it_was_linked_through_stays_one_group(world: World) -> None:
    made = crowd(60, 2)
    add(world.db, made)
    world.dedupe()
    centre, _ = world.db.one(
        "SELECT a, COUNT(*) AS n FROM near_pairs GROUP BY a ORDER BY n DESC LIMIT 1"
    )
    images.take_back(world.db, centre)
    result = world.dedupe()
    assert (result.groups, result.excluded) == (1, 58)


def come_and_go(world: World, made: list[Image], data: st.DataObject) -> None:
    """Lose images that come again, and have others for a while."""
    ghosts = [Image(f"ghost {number}", data.draw(HASHES), width_px=101) for number in range(3)]
    for image in data.draw(st.lists(st.sampled_from([*made, *ghosts]), max_size=4, unique=True)):
        if image in ghosts:
            add(world.db, [image])
            if data.draw(st.booleans()):
                world.dedupe(radius=4)
        take_back(world.db, image)
        if data.draw(st.booleans()):
            world.dedupe(radius=4)
        if image not in ghosts:
            add(world.db, [image])


@settings(max_examples=60, deadline=None)
@given(histories(), st.data())
def test_the_result_depends_on_images_and_decisions_alone(
    history: tuple[list[Image], list[tuple[int, int]], list[int]], data: st.DataObject
) -> None:
    """Not on the order of images, on batches, nor on when anything came, went or was decided."""
    made, refused, stay = history
    radius = 4
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        at_once = World(Path(one))
        add(at_once.db, made)
        for i, j in refused:
            groups.declare_different(at_once.db, made[i].id, made[j].id, 0.0)
        for i in stay:
            groups.include(at_once.db, made[i].id, 0.0)
        at_once.dedupe(radius=radius)

        bit_by_bit = World(Path(other))
        there: set[int] = set()
        for number in data.draw(st.permutations(range(len(made)))):
            add(bit_by_bit.db, [made[number]])
            there.add(number)
            if data.draw(st.booleans()):
                bit_by_bit.dedupe(radius=radius)
        come_and_go(bit_by_bit, made, data)
        for i, j in refused:
            groups.declare_different(bit_by_bit.db, made[i].id, made[j].id, 5.0)
            if data.draw(st.booleans()):
                bit_by_bit.dedupe(radius=radius)
        for i in stay:
            groups.include(bit_by_bit.db, made[i].id, 5.0)
        bit_by_bit.dedupe(radius=radius)
        assert bit_by_bit.state() == at_once.state()
        at_once.db.close()
        bit_by_bit.db.close()
