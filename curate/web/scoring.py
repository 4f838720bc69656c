"""From the bytes of an upload to scores, or to a refusal with a status and a reason.

An upload is judged by the same strict gate as a download (`curate.fetch.verify`): announced size
first, then every coded bit, so a broken picture gets no score. As many are worked on at a time as
there are cores; the others wait.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np

from curate.assist.decode import PictureError, pixels
from curate.assist.model import Model
from curate.fetch.verify import Limits, verify
from curate.records import Reason, Refused

TOO_LARGE, UNKNOWN_KIND, BROKEN = 413, 415, 422
_STATUS = {
    Reason.TOO_BIG: TOO_LARGE,
    Reason.TOO_MANY_PIXELS: TOO_LARGE,
    Reason.HTML: UNKNOWN_KIND,
    Reason.NOT_AN_IMAGE: UNKNOWN_KIND,
    Reason.UNSUPPORTED: UNKNOWN_KIND,
    Reason.FORMAT_MISMATCH: UNKNOWN_KIND,
}


class RefusedError(Exception):
    """An upload gets no score.

    Args:
        status: HTTP status, 4xx.
        reason: one word.
        detail: one line.
    """

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores pictures with one model; may be shared by threads."""

    model: Model
    """The model."""
    names: tuple[str, ...]
    """Names of its classes, in order."""
    max_pixels: int
    """Larger pictures are refused from their header."""
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, repr=False)
    """The gate changes warning filters of the process while it runs."""

    def scores(self, data: bytes) -> dict[str, float]:
        """Return the score of each class, the best first.

        Args:
            data: a whole file.

        Raises:
            RefusedError: it is no picture, broken or too large.
            ModelError: the model fails.
        """
        with self._one_at_a_time:
            seen = verify(data, Limits(self.max_pixels))
        if isinstance(seen, Refused):
            detail = seen.detail or str(seen.reason)
            raise RefusedError(_STATUS.get(seen.reason, BROKEN), str(seen.reason), detail)
        try:
            picture = pixels(data, self.model.preprocess, self.max_pixels)
        except PictureError as error:
            status = TOO_LARGE if error.is_too_large else BROKEN
            raise RefusedError(status, str(Reason.CORRUPT), str(error)) from error
        (row,) = self.model.scores(picture[np.newaxis])
        found: dict[str, float] = {}
        for at in np.argsort(-row, kind="stable"):
            if self.names[at]:  # the empty name is "none of the classes"
                found.setdefault(self.names[at], round(float(row[at]), 6))
        return found


def names_of(model: Model) -> tuple[str, ...]:
    """Return a name for each class of a model: its own, else numbers."""
    return model.classes or tuple(str(place) for place in range(model.n_classes))
