"""What the audit page sends, checked field by field before anything else sees it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from curate.carriers.deciding import Decision
from curate.records import Annotation, Kind

MOST_DECISIONS = 500
"""Decisions in one request at most: a page's worth, many times over."""

ImageId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
Known = Annotated[str, Field(min_length=1, max_length=500)]
"""The key of a decision that is there: made by this page, or wherever else it comes from."""
Name = Annotated[str, Field(min_length=1, max_length=500)]
Names = Annotated[list[Name], Field(max_length=200)]
Seconds = Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False)]


class SentDecision(BaseModel):
    """One decision as the page sends it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    key: Key
    kind: Literal["label", "reject", "unsure", "undo"]
    image_id: ImageId
    classes: Names | None = None
    undoes: Known | None = None
    shown: Names | None = None
    shown_score: Annotated[float, Field(ge=0, le=1)] | None = None
    shown_by: Annotated[str, Field(max_length=64)] | None = None
    queue: Annotated[str, Field(max_length=200)] = ""
    mode: Literal["one", "page", "blind"] = "one"
    seconds: Seconds | None = None
    ago_s: Seconds = 0.0
    """How long before it was sent it was decided: clocks of two machines need not agree."""
    base: Known | None = None

    @model_validator(mode="after")
    def _fits(self) -> SentDecision:
        if (self.kind == "label") != (self.classes is not None):
            raise ValueError("classes: a label has a list of classes, nothing else does")
        if (self.kind == "undo") != (self.undoes is not None):
            raise ValueError("undoes: an undo names what it takes back, nothing else does")
        return self

    def decision(self, annotator: str, now: float) -> Decision:
        """Return it as the ledger takes it.

        Args:
            annotator: whose session it came through; the page does not get to say.
            now: Unix seconds.
        """
        made = Annotation(
            key=self.key,
            kind=Kind(self.kind),
            annotator=annotator,
            decided_at=max(0.0, now - self.ago_s),
            image_id=self.image_id,
            classes=None if self.classes is None else tuple(self.classes),
            undoes=self.undoes,
            shown=None if self.shown is None else tuple(self.shown),
            shown_score=self.shown_score,
            shown_by=self.shown_by,
            tool="audit",
            queue=self.queue,
            mode=self.mode,
            seconds=self.seconds,
        )
        return Decision(made, self.base)


class Sent(BaseModel):
    """The body of `POST /api/decisions`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    decisions: Annotated[list[SentDecision], Field(min_length=1, max_length=MOST_DECISIONS)]
    annotator: Annotated[str, Field(max_length=500)]
    """Who the page thinks it works for: a session of somebody else must not take its work."""
    queue: Annotated[str, Field(max_length=200)] = ""
    """The queue that is shown, for the tiles in the answer."""


class Wanted(BaseModel):
    """The body of `POST /api/tiles`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    images: Annotated[list[ImageId], Field(max_length=200)]
    queue: Annotated[str, Field(max_length=200)] = ""
