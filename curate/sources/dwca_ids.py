"""Where the record with an id stands: sorted numbers where all ids are numbers, as GBIF's are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_NUMBER = r"^[1-9]\d{0,17}$"
_NONE = 0
"""No id that is a number is less than 1."""


class Places:
    """The places of records by their ids.

    Args:
        ids: strings, null where a record has none. Of equal ones the first counts.
    """

    def __init__(self, ids: pa.Array) -> None:
        self._texts: pa.Array | None = None
        if not pc.all(pc.match_substring_regex(ids, _NUMBER), skip_nulls=True).as_py():
            self._texts = ids
            return
        numbers = pc.fill_null(ids, str(_NONE)).cast(pa.int64()).to_numpy()
        # A table without rows is found nothing in, by the same steps.
        numbers = numbers if len(numbers) else np.zeros(1, np.int64)
        order = np.argsort(numbers, kind="stable")
        self._numbers, self._places = numbers[order], order.astype(np.int32)

    def find(self, ids: pa.Array) -> pa.Array:
        """Return the place of each id (int32); null if no record has it.

        Args:
            ids: strings.
        """
        if self._texts is not None:
            return pc.index_in(ids, value_set=self._texts, skip_nulls=True)
        is_number = pc.match_substring_regex(ids, _NUMBER)
        wanted = pc.if_else(is_number, ids, str(_NONE)).cast(pa.int64()).to_numpy()
        at = np.minimum(np.searchsorted(self._numbers, wanted), len(self._numbers) - 1)
        is_there = (wanted != _NONE) & (self._numbers[at] == wanted)
        return pa.array(self._places[at], pa.int32(), mask=~is_there)
