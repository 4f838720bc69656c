"""Opens every image of a folder as Labelme does, and tells what it cannot open.

Run by the Python that Labelme is installed in. Its own functions read the files that stand
beside the images, and the images that have none; Qt makes the picture.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from labelme._label_file import read_image_file, read_label_file

try:
    from PySide6 import QtGui
except ImportError:
    from PyQt5 import QtGui


def main() -> None:
    folder = Path(sys.argv[1])
    names = [bytes(each.data()).decode() for each in QtGui.QImageReader.supportedImageFormats()]
    listed = tuple(f".{name.lower()}" for name in names)
    trouble = {}
    for image in sorted(folder.glob("0*")):
        if image.suffix == ".json":
            continue
        beside = image.with_suffix(".json")
        try:
            if not image.name.lower().endswith(listed):
                raise ValueError(f"{image.suffix} is not in the list of files")
            data = read_image_file(filename=str(image))
            if beside.exists():
                data = read_label_file(filename=str(beside)).image_data
            if QtGui.QImage.fromData(data).isNull():
                raise ValueError("Qt shows nothing")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
            trouble[image.name] = f"{type(error).__name__}: {error}"
    Path(sys.argv[2]).write_text(json.dumps(trouble))


if __name__ == "__main__":
    main()
