"""What the audit page reads: ties the grid of all images to the catalog and to people.

One `Auditing` lives in one thread of the server. It reads all images when it is first asked
for anything (a second or two for 100,000, so the server does it meanwhile), and then only what
the ledger has gained: what other processes decide, rename or propose shows with the next
request. Only a change of images or proposals makes it read everything again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import chain, compress
from typing import TYPE_CHECKING, Any

from curate.catalog import annotations as ledger_rows
from curate.catalog import class_lists, pages, queues
from curate.catalog.queues import Queued
from curate.errors import UsageError
from curate.label.grid import SORTS, STATES, Grid, View, standing
from curate.records import Annotation, Kind, Proposal

if TYPE_CHECKING:
    from curate.carriers.folder import ProjectFolder

MOST_TILES = 200
"""Images in one answer at most."""
MOST_CHANGES = 2000
"""Rows of the ledger followed one by one; after more, whoever asks reads anew."""
LOOK_EVERY_S = 3.0
"""Changes of images, proposals and queues show after so long."""
LOOK_SHARE = 20
"""Looking for them takes one part in so many of the time."""
_OFFERED_TOGETHER = 2000
"""Images that somebody else may have been given already, looked at together."""
_GUESSES = 4
"""Best scores of a model that a tile has."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One image of the grid, as one annotator sees it."""

    image_id: str
    """SHA-256 of the bytes."""
    width_px: int
    """Width as displayed."""
    height_px: int
    """Height as displayed."""
    blind: bool
    """It is shown without a proposal."""
    proposed: tuple[str, ...] | None
    """What is proposed; None: nothing, or it must not be shown."""
    score: float | None
    """Score of that, 0-1."""
    by: str | None
    """SHA-256 of the model, `hint` or `queue`."""
    guesses: tuple[tuple[str, float], ...]
    """The model's best classes with their scores."""
    state: str
    """Where it stands, all people taken together."""
    mine: Mapping[str, Any] | None
    """This annotator's decision: `key`, `queue`, `kind`, `classes`."""
    others: tuple[Mapping[str, Any], ...]
    """Decisions of others: `annotator`, `kind`, `classes`."""


class Auditing:
    """The reading side of the audit page.

    Args:
        project: opened in the thread that uses this.
        manifest: only the images of this manifest; empty: all kept images.
        queue: the queue that pages begin with; empty: none.

    Raises:
        UsageError: there is no such queue.
        PackError: there is no such manifest.
    """

    def __init__(self, project: ProjectFolder, manifest: str = "", queue: str = "") -> None:
        self.project = project
        self.people = project.people
        self.db = project.look()
        self.manifest = manifest
        self._last = 0
        self._renamed = 0
        self._version = -1
        self._signature: tuple[Any, ...] = ()
        self._queues: dict[str, tuple[Any, ...]] = {}
        self._look_again = 0.0
        self._unlooked = True
        sizes = queues.queue_sizes(self.db)
        if queue and queue not in sizes:
            known = f"there are: {', '.join(sizes)}" if sizes else "there are none yet"
            raise UsageError(f"there is no queue {queue!r}", known)
        self._only = project.manifests.image_ids(manifest) if manifest else None

    def refresh(self) -> None:
        """Take in what has changed since the last time.

        Who decided what is followed at once, row by row. Whether images, proposals or queues
        have changed costs a look at all of them, and is found out now and then.
        """
        version = pages.data_version(self.db)
        began = time.monotonic()
        is_new = version != self._version
        self._version = version
        self._unlooked |= is_new
        is_renamed = is_new and ledger_rows.last_rename(self.db) != self._renamed
        if self._unlooked and (is_renamed or began >= self._look_again):
            self._look()
            self._unlooked = False
            took = time.monotonic() - began
            self._look_again = began + max(LOOK_EVERY_S, LOOK_SHARE * took)
        elif is_new:
            self._follow()

    def _look(self) -> None:
        signature = pages.signature(self.db)
        if signature != self._signature or ledger_rows.last_rename(self.db) != self._renamed:
            self._read_all()
            self._signature = signature
        else:
            self._follow()
        for queue, made in pages.queue_signatures(self.db).items():
            if self._queues.get(queue) != made:
                self.grid.set_queue(queue, pages.places(self.db, queue))
                self._queues[queue] = made

    def _read_all(self) -> None:
        self._last = ledger_rows.last_id(self.db)
        self._renamed = ledger_rows.last_rename(self.db)
        self._queues.clear()
        ids: list[str] = []
        proposed: list[tuple[str, ...] | None] = []
        scores: list[float | None] = []
        renames = self.people.renames()
        named = cache(renames.names)
        for offered in pages.offered(self.db):
            wanted = [self._only is None or each in self._only for each in offered.image_ids]
            ids += compress(offered.image_ids, wanted)
            classes = compress(offered.classes, wanted)
            proposed += [None if each is None else named(each) for each in classes]
            scores += compress(offered.scores, wanted)
        self.grid = Grid(ids, proposed, scores)
        self.grid.set_classes(self.people.class_list().names)
        for page in ledger_rows.all_decisions(self.db):
            of: dict[str, list[Annotation]] = {}
            for row in page:
                of.setdefault(str(row[1].image_id), []).append(renames.apply(row))
            self.grid.decide_many(of)
        self.grid.page(View(), "", 1)  # sorts everything before anybody asks

    def _follow(self) -> None:
        """Take in the rows that the ledger has gained."""
        changed = {}
        for page in ledger_rows.history(self.db, self._last):
            changed.update({each.image_id: True for _, each in page if each.image_id})
            self._last = page[-1][0]
        current = self.people.current(changed)
        self.grid.decide_many({image_id: current.get(image_id, []) for image_id in changed})

    # What the page asks for

    def start(self, annotator: str) -> dict[str, Any]:
        """Return what a page needs to begin with."""
        self.refresh()
        chosen = self.people.class_list()
        self.grid.set_classes(chosen.names)
        return {
            "annotator": annotator,
            "classes": list(chosen.names),
            "exclusive": chosen.exclusive,
            "closed": chosen.is_set,
            "people": sorted({*self.grid.people(), annotator}),
            "queues": queues.queue_sizes(self.db),
            "manifest": self.manifest,
            "images": len(self.grid),
            "last": self._last,
            "list": self._list(),
        }

    def page(self, annotator: str, view: View, after: str, size: int) -> dict[str, Any]:
        """Return a page of tiles, and how many images the view has.

        Args:
            annotator: who looks.
            view: what to show.
            after: the last image of the page before; empty: from the start.
            size: as many tiles at most.

        Raises:
            UsageError: there is no such state, order or queue.
        """
        self.refresh()
        self._check(view)
        ids, total = self.grid.page(view, after, min(size, MOST_TILES))
        return self._shown(annotator, view, ids, total)

    def before(self, annotator: str, view: View, image_id: str, size: int) -> dict[str, Any]:
        """Return the page that ends just before an image. Raises as `page` does."""
        self.refresh()
        self._check(view)
        ids = self.grid.before(view, image_id, min(size, MOST_TILES))
        return self._shown(annotator, view, ids, None)

    def batch(self, annotator: str, queue: str, overlap: int, size: int) -> dict[str, Any]:
        """Return images that are this annotator's to decide, each given to `overlap` people."""
        self.refresh()
        view = View(queue=queue, person=annotator)
        given: list[str] = []
        after = ""
        while len(given) < min(size, MOST_TILES):
            among, _ = self.grid.page(view, after, _OFFERED_TOGETHER)
            if not among:
                break
            after = among[-1]
            wanted = min(size, MOST_TILES) - len(given)
            given += self.people.next_batch(annotator, wanted, queue, overlap=overlap, among=among)
        return self._shown(annotator, view, given, None)

    def counts(self, person: str, queue: str) -> dict[str, Any]:
        """Return how many images there are by state and by class."""
        self.refresh()
        return {
            "states": self.grid.counts(person, queue),
            "classes": {
                name: asdict(n) for name, n in self.grid.class_counts(person, queue).items()
            },
        }

    def tiles(self, annotator: str, image_ids: Sequence[str], queue: str) -> list[Tile]:
        """Return tiles of images that are here, in the order asked for."""
        ids = list(image_ids)[:MOST_TILES]
        sizes = pages.upright_sizes(self.db, ids)
        current = self.people.current(ids)
        proposals = self.people.proposals(ids)
        hints = pages.hints(self.db, [each for each in ids if proposals[each] is None])
        blind = pages.blind(self.db, ids)
        queued = queues.in_queue(self.db, queue, ids) if queue else {}
        renames = self.people.renames()
        found = []
        for each in ids:
            if each not in sizes:
                continue
            said = current.get(each, [])
            is_blind = each in blind and not any(by.annotator == annotator for by in said)
            hint = hints.get(each)
            offer = _offer(
                None if is_blind else proposals[each],
                None if is_blind or hint is None else renames.names(hint),
                None if is_blind else queued.get(each),
            )
            found.append(_tile(each, sizes[each], annotator, said, offer, is_blind))
        return found

    def seen(self, annotator: str, image_ids: Sequence[str], queue: str) -> dict[str, Any]:
        """Return tiles by image id, as they stand now."""
        self.refresh()
        tiles = self.tiles(annotator, image_ids, queue)
        return {
            "annotator": annotator,
            "tiles": [asdict(each) for each in tiles],
            "last": self._last,
        }

    def changes(self, after: int) -> dict[str, Any]:
        """Return which images have new rows in the ledger after a row, and what list holds."""
        self.refresh()
        if self._last - after > MOST_CHANGES:
            return {"last": self._last, "images": None, "list": self._list()}
        rows = chain.from_iterable(ledger_rows.history(self.db, after))
        return {
            "last": self._last,
            "images": sorted({each.image_id for _, each in rows if each.image_id}),
            "list": self._list(),
        }

    def _list(self) -> str:
        """Return a text that differs when the class list was set anew or a class renamed."""
        chosen = class_lists.newest(self.db)
        return f"{chosen.version if chosen else 0}.{self._renamed}"

    def facts(self, image_id: str) -> dict[str, Any] | None:
        """Return what is known of an image, and what was ever said of it; None: nothing."""
        found = pages.facts(self.db, image_id)
        if found is None:
            return None
        said = [
            {"annotator": each.annotator, "kind": each.kind, "classes": each.classes,
             "decided_at": each.decided_at, "tool": each.tool}
            for each in ledger_rows.of_image(self.db, image_id)
        ]  # fmt: skip
        return {**asdict(found), "said": said}

    def _shown(
        self, annotator: str, view: View, ids: list[str], total: int | None
    ) -> dict[str, Any]:
        tiles = self.tiles(annotator, ids, view.queue)
        return {
            "annotator": annotator,
            "tiles": [asdict(each) for each in tiles],
            "total": total,
            "last": self._last,
        }

    def _check(self, view: View) -> None:
        if view.state not in STATES:
            raise UsageError(f"there is no state {view.state!r}", f"one of {', '.join(STATES)}")
        if view.sort not in SORTS:
            raise UsageError(f"there is no order {view.sort!r}", f"one of {', '.join(SORTS)}")


@dataclass(frozen=True, slots=True)
class _Offer:
    """What is proposed for an image, and by what."""

    classes: tuple[str, ...] | None = None
    score: float | None = None
    by: str | None = None
    guesses: tuple[tuple[str, float], ...] = ()


def _offer(
    proposal: Proposal | None, hints: tuple[str, ...] | None, queued: Queued | None
) -> _Offer:
    """Another opinion of the queue comes first, then the model, then hints."""
    if queued is not None and queued.blind:
        return _Offer()
    guesses = () if proposal is None else tuple(proposal.scores.items())[:_GUESSES]
    if queued is not None and queued.suggested is not None:
        same = proposal is not None and proposal.classes == queued.suggested
        if not same:
            return _Offer(queued.suggested, None, "queue", guesses)
    if proposal is not None:
        return _Offer(proposal.classes, proposal.score, proposal.model, guesses)
    return _Offer() if hints is None else _Offer(hints, None, "hint")


def _tile(
    image_id: str,
    size: tuple[int, int],
    annotator: str,
    said: Sequence[Annotation],
    offer: _Offer,
    is_blind: bool,
) -> Tile:
    mine = next((each for each in said if each.annotator == annotator), None)
    return Tile(
        image_id=image_id,
        width_px=size[0],
        height_px=size[1],
        blind=is_blind,
        proposed=offer.classes,
        score=offer.score,
        by=offer.by,
        guesses=offer.guesses,
        state=standing(said)[0].name.lower(),
        mine=None if mine is None else {"key": mine.key, "queue": mine.queue, **_said(mine)},
        # Who decides blindly must not see what others decided either.
        others=()
        if is_blind
        else tuple(
            {"annotator": each.annotator, **_said(each)}
            for each in said
            if each.annotator != annotator
        ),
    )


def _said(each: Annotation) -> dict[str, Any]:
    return {"kind": each.kind, "classes": each.classes if each.kind is Kind.LABEL else None}
