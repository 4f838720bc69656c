"""Starts the real Labelme, as its own command does, and uses it like a person.

Run by the Python that Labelme is installed in, never by ours: Labelme is a program of its
own. The window is Labelme's, the mouse clicks and the keys are Qt's own test events, and
what is saved is saved by Labelme. `LABELME_SCRIPT` holds a JSON list of steps:

    ["click", "beach"]       click the box of a flag
    ["key", "D"]             press a key, e.g. D for the next image, Space, Down
    ["wait", 0.5]            let seconds pass
    ["touch", "path"]        make a file, to tell the test
    ["await", "path"]        wait until there is such a file
    ["report", "path"]       write what the window shows, and how much was pressed
    ["audit", {...}]         tick what is wrong in every image, then `reviewed`, then next
    ["close"]                close the window
    ["hang"]                 do nothing, until killed
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

try:
    from PySide6 import QtCore, QtTest, QtWidgets
except ImportError:
    from PyQt5 import QtCore, QtTest, QtWidgets

Qt = QtCore.Qt
CHECKED = Qt.CheckState.Checked if hasattr(Qt, "CheckState") else Qt.Checked


class Person:
    """Clicks and presses keys in Labelme's window, and counts both."""

    def __init__(self) -> None:
        self.clicks = 0
        self.keys = 0

    @property
    def window(self) -> QtWidgets.QMainWindow:
        windows = QtWidgets.QApplication.topLevelWidgets()
        return next(each for each in windows if isinstance(each, QtWidgets.QMainWindow))

    @property
    def flags(self) -> QtWidgets.QListWidget:
        dock = self.window.findChild(QtWidgets.QDockWidget, "Flags")
        return dock.widget()

    def shown(self) -> dict[str, bool]:
        items = [self.flags.item(row) for row in range(self.flags.count())]
        return {each.text(): each.checkState() == CHECKED for each in items}

    def click(self, flag: str) -> None:
        items = [self.flags.item(row) for row in range(self.flags.count())]
        item = next(each for each in items if each.text() == flag)
        self.flags.scrollToItem(item)
        before = item.checkState()
        area = self.flags.visualItemRect(item)
        # The box is at the left; how far in depends on the style.
        option = QtWidgets.QStyleOptionViewItem()
        option.initFrom(self.flags)
        option.rect = area
        features = getattr(option, "ViewItemFeature", option)
        option.features = features.HasCheckIndicator | features.HasDisplay
        element = getattr(QtWidgets.QStyle, "SubElement", QtWidgets.QStyle)
        box = self.flags.style().subElementRect(
            element.SE_ItemViewItemCheckIndicator, option, self.flags
        )
        button = getattr(Qt, "MouseButton", Qt).LeftButton
        QtTest.QTest.mouseClick(
            self.flags.viewport(), button, Qt.KeyboardModifier.NoModifier, box.center()
        )
        self.clicks += 1
        if item.checkState() == before:
            raise SystemExit(f"a click on {flag!r} at {box} did not tick it")

    def key(self, name: str) -> None:
        code = getattr(getattr(Qt, "Key", Qt), f"Key_{name}")
        target = QtWidgets.QApplication.focusWidget() or self.window
        QtTest.QTest.keyClick(target, code)
        self.keys += 1

    def settle(self) -> None:
        """Let Labelme do what is waiting; version 7 saves in a thread of its own."""
        for _ in range(400):
            QtWidgets.QApplication.processEvents()
            writer = getattr(self.window, "_save_writer", None)
            if writer is None or not writer.is_busy:
                return
            time.sleep(0.005)

    def report(self, path: str) -> None:
        files = self.window.findChildren(QtWidgets.QListWidget)
        document = {
            "title": self.window.windowTitle(),
            "flags": self.shown(),
            "files": max(each.count() for each in files if each is not self.flags)
            if len(files) > 1
            else 0,
            "clicks": self.clicks,
            "keys": self.keys,
            "dialogs": [
                each.text()
                for each in QtWidgets.QApplication.topLevelWidgets()
                if isinstance(each, QtWidgets.QMessageBox)
            ],
        }
        Path(path).write_text(json.dumps(document))

    def audit(self, truth: dict[str, list[str]]) -> None:
        """Correct every image the way that costs least, and say that it was seen."""
        while True:
            name = self.current()
            shown = self.shown()
            for flag, is_ticked in shown.items():
                if flag != "reviewed" and is_ticked != (flag in truth[name]):
                    self.click(flag)
            self.click("reviewed")
            self.settle()
            self.key("D")
            self.settle()
            if self.current() == name:
                return

    def current(self) -> str:
        return Path(str(self.window._image_path)).name


def run(person: Person, steps: list[list[object]]) -> None:
    """Take the steps one after the other, then leave the window as it is."""
    for verb, *rest in steps:
        if verb == "wait":
            QtTest.QTest.qWait(int(float(rest[0]) * 1000))
        elif verb == "touch":
            Path(rest[0]).touch()
        elif verb == "await":
            while not Path(rest[0]).exists():
                QtTest.QTest.qWait(20)
        elif verb == "close":
            person.settle()
            person.window.close()
        elif verb == "hang":
            while True:
                QtTest.QTest.qWait(100)
        else:
            getattr(person, verb)(*rest)
        person.settle()


def main() -> None:
    steps = json.loads(os.environ["LABELME_SCRIPT"])
    person = Person()

    def begin() -> None:
        try:
            run(person, steps)
        except BaseException as error:  # noqa: BLE001 - Qt would swallow it
            print(f"driver: {type(error).__name__}: {error}", file=sys.__stderr__, flush=True)
            os._exit(70)

    from labelme.__main__ import main as labelme

    # The window and its application are made inside Labelme's own `main`.
    made = QtWidgets.QMainWindow.show

    def show(window: QtWidgets.QMainWindow) -> None:
        made(window)
        QtCore.QTimer.singleShot(0, begin)

    from labelme import __main__ as program

    program.MainWindow.show = show
    labelme()


if __name__ == "__main__":
    main()
