"""Frozen row types and enums that the rooms hand to each other.

Rows are small and immutable; JSON and dicts stop at the adapters that make them.
Units stand in the names (`n_bytes`, `width_px`, `due_at` is Unix seconds UTC).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Reason(StrEnum):
    """Why a candidate has no image (yet). One word each, stored and printed as such."""

    # Transient: tried again, later.
    DNS = "dns"
    """The host's name could not be resolved."""
    CONNECT = "connect"
    """No connection: refused, unreachable, or not made in time."""
    RESET = "reset"
    """The connection broke, or spoke something that is not HTTP."""
    TIMEOUT = "timeout"
    """The total deadline for the URL passed."""
    TOO_SLOW = "too_slow"
    """Nothing, or less than the minimum speed, arrived for the idle timeout."""
    SHORT_BODY = "short_body"
    """The body ended before its announced length, or its chunking broke."""
    RATE_LIMITED = "rate_limited"
    """429: the host asks for a pause."""
    UNAVAILABLE = "unavailable"
    """408, 425, 500, 502, 503, 504, 522 or 524."""

    # Permanent: not tried again unless asked.
    NOT_FOUND = "not_found"
    """404 or 410."""
    FORBIDDEN = "forbidden"
    """401, 402, 403, 407 or 451."""
    BAD_STATUS = "bad_status"
    """Any other status that is not 200."""
    TOO_MANY_REDIRECTS = "too_many_redirects"
    """More redirects than allowed, or a loop."""
    BAD_URL = "bad_url"
    """Not a URL that can be requested at all."""
    TLS = "tls"
    """The certificate or the handshake is not acceptable."""
    TOO_BIG = "too_big"
    """More bytes than a body may have."""
    TOO_MANY_PIXELS = "too_many_pixels"
    """The header announces more pixels than an image may have; it was not decoded."""
    EMPTY = "empty"
    """A body of no bytes."""
    HTML = "html"
    """A page instead of an image."""
    NOT_AN_IMAGE = "not_an_image"
    """Bytes of no known image format."""
    UNSUPPORTED = "unsupported"
    """An image format that the installed decoders cannot open."""
    FORMAT_MISMATCH = "format_mismatch"
    """The decoder found another format than the first bytes announce."""
    CORRUPT = "corrupt"
    """Pixels are lost: cut off or damaged inside (seen twice for a download)."""
    PLACEHOLDER = "placeholder"
    """The host's stand-in for a missing picture."""
    DECODER_CRASH = "decoder_crash"
    """The decoder died or hung on these bytes."""
    UNREADABLE = "unreadable"
    """A local file that cannot be read."""

    # Denied: by the guard.
    DENIED = "denied"
    """The address or the scheme is not one that may be reached."""


TRANSIENT = frozenset(
    {
        Reason.DNS,
        Reason.CONNECT,
        Reason.RESET,
        Reason.TIMEOUT,
        Reason.TOO_SLOW,
        Reason.SHORT_BODY,
        Reason.RATE_LIMITED,
        Reason.UNAVAILABLE,
    }
)
"""Reasons that are tried again without being asked."""


class State(StrEnum):
    """Where a candidate stands."""

    PENDING = "pending"
    """Not tried yet, or due for another try."""
    STORED = "stored"
    """Its bytes are the first of their image."""
    DUPLICATE = "duplicate"
    """Its bytes equal those of an earlier candidate."""
    FAILED = "failed"
    """Given up, for a `Reason`."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One image that a source offers.

    `source` and `source_id` together name it: offering it again changes nothing
    but adds the new class hints.
    """

    source: str
    """Name of the source, e.g. `unsplash`."""
    source_id: str
    """The source's own stable id for this image."""
    url: str
    """Where the chosen size variant is; for local files, a `file:` URL."""
    classes: tuple[str, ...] = ()
    """Class hints: proposals of the source or the query, never labels by themselves."""
    query: str | None = None
    """The search text that found it."""
    group: str | None = None
    """Group hint, e.g. `occurrence:4102`: candidates that share it stay on one split side.

    Several are separated by U+001F.
    """
    page_url: str | None = None
    """The page a person would open."""
    author: str | None = None
    """Who made the image, as the source names them."""
    license: str | None = None
    """SPDX id where one is known, else the source's own words."""
    license_url: str | None = None
    """Where the licence can be read."""
    rights_holder: str | None = None
    """Who holds the rights, if that is said."""
    attribution: str | None = None
    """The credit line to print."""
    meta: Mapping[str, str] = field(default_factory=dict)
    """Whatever else the source says that the manifest keeps, as text."""
    split: str | None = None
    """`train`, `val` or `test`: the side that its dataset has put it on, if that is kept."""


DAMAGED = "damaged: "
"""How the note of an image begins that has lost pixels."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What one decode of good bytes tells. All measures are of the reduced grey image."""

    image_id: str
    """SHA-256 of the bytes, 64 lower-case hexadecimal digits."""
    format: str
    """True format, lower case: `jpeg`, `png`, `webp`, `gif`, `avif`, `tiff`, `bmp`, `ico`."""
    n_bytes: int
    """Length of the file."""
    width_px: int
    """Stored width, before any EXIF orientation is applied."""
    height_px: int
    """Stored height, before any EXIF orientation is applied."""
    orientation: int
    """EXIF orientation 1-8; 1 where none is given."""
    phash: int
    """64-bit DCT perceptual hash, unsigned, of the image as displayed."""
    phash256: bytes
    """256-bit DCT perceptual hash (32 bytes), which confirms a match of `phash`."""
    brightness: float
    """Mean grey value, 0-255."""
    contrast: float
    """Standard deviation of the grey values, 0-127.5."""
    sharpness: float
    """Variance of the Laplacian of the reduced grey image."""
    entropy: float
    """Shannon entropy of the grey histogram, 0-8 bits."""
    note: str = ""
    """A benign warning of the decoder, e.g. bytes after the end; empty if none. After `DAMAGED`
    what is wrong with an image that has lost pixels, and was taken all the same."""

    def __reduce__(self) -> tuple[type[Verified], tuple[object, ...]]:
        # One travels from a worker for every image: twice as fast as the default for slots.
        return Verified, (
            self.image_id,
            self.format,
            self.n_bytes,
            self.width_px,
            self.height_px,
            self.orientation,
            self.phash,
            self.phash256,
            self.brightness,
            self.contrast,
            self.sharpness,
            self.entropy,
            self.note,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """Why bytes, or a download, did not become an image."""

    reason: Reason
    """The one word that is counted."""
    detail: str = ""
    """One line for a person: what the decoder, the server or the guard said."""


class Origin(StrEnum):
    """Where a label comes from, strongest first."""

    HUMAN = "human"
    """A person, or several who agree."""
    CONSENSUS = "consensus"
    """Several people who do not all agree, reconciled."""
    MODEL = "model"
    """A model, above its threshold."""
    SOURCE = "source"
    """What the source itself knows, e.g. GBIF's species."""
    QUERY = "query"
    """The search text that found the image."""


class Kind(StrEnum):
    """What an annotation says."""

    LABEL = "label"
    """The classes of an image; none of them where the list is empty."""
    REJECT = "reject"
    """The image does not belong into the dataset."""
    UNSURE = "unsure"
    """The annotator cannot tell."""
    UNDO = "undo"
    """An earlier annotation of the same person is taken back."""
    RENAME = "rename"
    """A class has another name from now on, or goes up in another class."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One decision by one annotator; a row that is never changed."""

    key: str
    """Made where it was decided; the same key twice is the same decision."""
    kind: Kind
    """What it says."""
    annotator: str
    """Who decided."""
    decided_at: float
    """Unix seconds."""
    image_id: str | None = None
    """The image; None for a rename."""
    classes: tuple[str, ...] | None = None
    """Classes of a label, sorted; of a rename: the old and the new name; else None."""
    undoes: str | None = None
    """Of an undo: the key of what it takes back."""
    shown: tuple[str, ...] | None = None
    """Classes that were proposed to the person; None: decided without a proposal."""
    shown_score: float | None = None
    """Score of that proposal, 0-1."""
    shown_by: str | None = None
    """SHA-256 of the model that proposed, or `source` or `query`."""
    tool: str = "audit"
    """Where it was decided: `audit`, `labelme`, `import` or `cli`."""
    queue: str = ""
    """The queue that it came from; empty: the usual order."""
    mode: str = ""
    """How: `one`, `page` (confirmed with the rest of a page), `blind` (without proposal)."""
    seconds: float | None = None
    """Time that the person took for it."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Classes that a model proposes for an image."""

    image_id: str
    """The image."""
    model: str
    """SHA-256 of the model's file."""
    classes: tuple[str, ...]
    """What it proposes; empty: none of the classes."""
    score: float
    """Confidence in that, 0-1."""
    scores: Mapping[str, float]
    """Score of each class, the best first."""
    made_at: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Label:
    """What the dataset says of an image in the end, with what was proposed for it."""

    classes: tuple[str, ...] = ()
    """Its classes, sorted; empty: none of them (or not known: `origin` is None)."""
    origin: Origin | None = None
    """Where they come from; None: nobody and nothing said anything."""
    annotators: tuple[str, ...] = ()
    """Who decided, sorted."""
    score: float | None = None
    """Confidence, 0-1, where there is one."""
    conflict: bool = False
    """People, or sources, contradict each other: nothing is chosen."""
    rejected: bool = False
    """A person said that it does not belong into the dataset."""
    audited: bool = False
    """A person has looked at it."""
    outside: tuple[str, ...] = ()
    """What people say it shows, sorted, if the class list has none of it: it has no label then."""
    proposed: tuple[str, ...] = ()
    """Classes that the newest model, else the source or query, proposes."""
    proposed_score: float | None = None
    """The model's score for them, 0-1."""
    proposed_by: str | None = None
    """SHA-256 of that model; None: the source or query."""
