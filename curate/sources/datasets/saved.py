"""What `Dataset.save_to_disk` of Hugging Face's library writes: Arrow files and descriptions.

`dataset_info.json` has the types of the columns, `state.json` the names of the files;
`dataset_dict.json` above them names the splits. Images are read from their rows when they are
stored, or from the paths that the rows give.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from curate.errors import SourceError
from curate.sources.datasets.base import Files, Found, Options, is_file, read_json, split_of
from curate.sources.datasets.features import Roles, features_of, roles
from curate.sources.datasets.parquet import image_cells, row_entry

_INFO, _STATE, _DICT = "dataset_info.json", "state.json", "dataset_dict.json"


class Saved:
    """See the module."""

    name = "saved"
    about = "a dataset that Hugging Face's library saved to disk (Arrow)"

    def detects(self, path: Path) -> bool:
        """Its descriptions are there."""
        return is_file(path / _DICT) or (is_file(path / _STATE) and is_file(path / _INFO))

    def entries(self, path: Path, options: Options) -> Found:
        """Yield the rows, split by split.

        Raises:
            SourceError: it cannot be read, or has no images.
        """
        if not is_file(path / _DICT):
            yield from _entries(path, None, options, path)
            return
        said = read_json(path / _DICT)
        names = said.get("splits") if isinstance(said, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise SourceError(f"{path / _DICT} names no splits")
        for name in names:
            yield from _entries(_below(path, name), split_of(name), options, path)


def _below(folder: Path, name: Any) -> Path:
    """Return what a description names; a name is one part, so that it cannot lead elsewhere.

    Raises:
        SourceError: it does.
    """
    if not isinstance(name, str) or Path(name).name != name:
        raise SourceError(f"{folder} names {name!r}, which is not in it")
    return folder / name


def _entries(folder: Path, side: str | None, options: Options, root: Path) -> Found:
    state, info = read_json(folder / _STATE), read_json(folder / _INFO)
    try:
        names = [each["filename"] for each in state["_data_files"]]
        features = info.get("features") or {}
    except (KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{folder} is not a saved dataset: {error!r} is missing") from error
    files = Files(root, options)
    for name in names:
        yield from _rows(_below(folder, name), side, features, options, files)


def _rows(
    path: Path, side: str | None, features: dict[str, Any], options: Options, files: Files
) -> Found:
    import pyarrow as pa
    import pyarrow.compute as pc

    number = 0
    try:
        with pa.memory_map(str(path)) as memory, pa.ipc.open_stream(memory) as stream:
            found = roles(path, stream.schema, features or features_of(stream.schema), options)
            if found is None:
                raise SourceError(f"{path} has no column with images")
            for batch in stream:
                has, paths = image_cells(batch.column(found.image), pa, pc)
                values = _values(batch, found)
                for i in range(len(has)):
                    row = {name: column[i] for name, column in values.items()}
                    yield row_entry(path, number, has[i], paths[i], row, found, side, files)
                    number += 1
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} is not a readable Arrow file: {error}") from error


def _values(batch: Any, found: Roles) -> dict[str, list[Any]]:
    names = [name for name in (found.label, *found.rest) if name]
    return {name: batch.column(name).to_pylist() for name in names}
