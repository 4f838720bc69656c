"""Tables that pandas wrote as HDF5.

pandas keeps texts and names of columns in such files as pickles, and a pickle can run any
code when it is opened. So only what tables consist of may come out of one here: numpy arrays,
lists and texts. Anything else is refused with its name. Reading takes PyTables, an extra.
"""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from curate.errors import SourceError, install_hint
from curate.sources.datasets import table
from curate.sources.datasets.base import Found, Options, head, is_file

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HARMLESS = {
    *(
        (module, name)
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name in ("_reconstruct", "scalar")
    ),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class Hdf:
    """See the module."""

    name = "hdf"
    about = "a table that pandas wrote as HDF5 (takes the extra `hdf`)"

    def detects(self, path: Path) -> bool:
        """The file begins as HDF5 does."""
        return is_file(path) and head(path, 8) == _SIGNATURE

    def entries(self, path: Path, options: Options) -> Found:
        """Yield the rows in order.

        Raises:
            SourceError: PyTables is not installed, or the file holds no table, or several.
        """
        yield from table.rows(path, table.frame_batches(_read(path)), options)


def _read(path: Path) -> Any:
    try:
        import tables
    except ImportError as error:
        raise SourceError(
            f"{path} is HDF5, which takes PyTables to read",
            install_hint("hdf"),
        ) from error
    import pandas as pd

    try:
        with warnings.catch_warnings(), _plain_pickles():
            warnings.simplefilter("ignore")  # PyTables and pandas warn of names and of each other
            with pd.HDFStore(str(path), mode="r") as store:
                keys = store.keys()
                if len(keys) != 1:
                    raise ValueError(f"it has {len(keys)} tables, not one")
                return store.get(keys[0])
    except _RefusedError as error:
        raise SourceError(f"{path} holds {error}, which may run code: it was not opened") from error
    except (ValueError, KeyError, TypeError, AttributeError, tables.HDF5ExtError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"{path} holds no table of pandas: {why}") from error


class _RefusedError(Exception):
    """A pickle holds something else than data."""


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _HARMLESS:
            raise _RefusedError(f"{module}.{name}")
        return super().find_class(module, name)


class _PlainPickle:
    """Takes the place of the module `pickle`."""

    UnpicklingError = pickle.UnpicklingError
    HIGHEST_PROTOCOL = pickle.HIGHEST_PROTOCOL

    @staticmethod
    def loads(data: bytes, **_how: str) -> Any:
        return _Plain(io.BytesIO(bytes(data))).load()


@contextmanager
def _plain_pickles() -> Iterator[None]:
    """Let PyTables open harmless pickles only; it has no setting for that."""
    from tables import atom, attributeset

    kept = atom.pickle, attributeset.pickle
    atom.pickle = attributeset.pickle = _PlainPickle
    try:
        yield
    finally:
        atom.pickle, attributeset.pickle = kept
