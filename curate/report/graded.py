"""What a model is worth, as a page: measures, confusion, calibration, and its mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from curate.report.facts import Thumb
from curate.report.html import picture, section, whole_page

NONE = "none of them"
WIDEST = 40
"""Classes of which the confusion is drawn as a table."""
ID_SHOWN = 12


@dataclass(frozen=True, slots=True)
class WrongPicture:
    """An image that the model gets wrong."""

    image_id: str
    """The image."""
    thumb: Thumb | None
    """Its picture; None: it cannot be read."""
    truth: str
    """What it shows."""
    said: str
    """What the model says."""
    score: float
    """How sure the model is of that, 0-1."""


def write_graded(path: Path, document: Mapping[str, Any], wrong: Sequence[WrongPicture]) -> Path:
    """Write a page of its own.

    Args:
        path: the file; replaced if it is there.
        document: what `curate evaluate --json` prints.
        wrong: the mistakes that are shown, the surest first.

    Returns:
        The path.
    """
    model = document["model"]
    body = (
        _tiles(document)
        + section("Class by class", "", _classes(document))
        + section(
            "What is taken for what", "Rows are true, columns are said.", _confusion(document)
        )
        + section("Calibration", _said_of_calibration(document), _calibration(document))
        + _gallery(document, wrong)
    )
    title = f"How good is {model['name']}?"
    notes = [f"Model {model['sha256']}", f"{document['n']:,} labelled images."]
    path.write_text(whole_page(title, document["verdict"], body, notes), encoding="utf-8")
    return path


def _tiles(document: Mapping[str, Any]) -> str:
    shown = [
        (f"{document['accuracy']:.1%}", "accuracy"),
        (f"{document['majority_accuracy']:.1%}", f"always saying {document['majority']}"),
        (f"{document['balanced_accuracy']:.1%}", "balanced accuracy"),
        (f"{document['macro_f1']:.1%}", "macro F1"),
        (f"{document['ece']:.1%}", "calibration error"),
    ]
    cells = "".join(
        f"<div class='tile'><b>{escape(value)}</b><span>{escape(what)}</span></div>"
        for value, what in shown
    )
    return f"<div class='tiles'>{cells}</div>"


def _classes(document: Mapping[str, Any]) -> str:
    head = "".join(
        f"<th class='n'>{name}</th>"
        for name in ("images", "proposed", "precision", "recall", "F1", "ROC AUC", "PR AUC")
    )
    rows = "".join(
        f"<tr><td>{escape(name or NONE)}</td>"
        f"<td class='n'>{each['support']:,}</td><td class='n'>{each['proposed']:,}</td>"
        + "".join(f"<td class='n'>{each[key]:.1%}</td>" for key in ("precision", "recall", "f1"))
        + "".join(
            f"<td class='n'>{'' if each[key] is None else format(each[key], '.3f')}</td>"
            for key in ("roc_auc", "pr_auc")
        )
        + "</tr>"
        for name, each in document["classes"].items()
    )
    return f"<div class='wide'><table><tr><th>class</th>{head}</tr>{rows}</table></div>"


def _confusion(document: Mapping[str, Any]) -> str:
    names = [name or NONE for name in document["classes"]]
    if not document["is_exclusive"]:
        head = "<th>class</th>" + "".join(
            f"<th class='n'>{each}</th>"
            for each in ("right no", "wrong yes", "missed", "right yes")
        )
        rows = "".join(
            f"<tr><td>{escape(name)}</td>"
            + "".join(f"<td class='n'>{n:,}</td>" for line in cells for n in line)
            + "</tr>"
            for name, cells in zip(names, document["confusion"], strict=True)
        )
        return f"<div class='wide'><table><tr>{head}</tr>{rows}</table></div>"
    if len(names) > WIDEST:
        return f"<p>{len(names):,} classes are too many for a table; --json has all.</p>"
    head = "<th></th>" + "".join(f"<th class='n'>{escape(name)}</th>" for name in names)
    rows = "".join(
        f"<tr><th>{escape(name)}</th>"
        + "".join(_cell(n, is_right=row == column) for column, n in enumerate(counts))
        + "</tr>"
        for row, (name, counts) in enumerate(zip(names, document["confusion"], strict=True))
    )
    return f"<div class='wide'><table><tr>{head}</tr>{rows}</table></div>"


def _cell(n: int, *, is_right: bool) -> str:
    if not n:
        return "<td class='n'></td>"
    return f"<td class='n {'ok' if is_right else 'bad'}'>{n:,}</td>"


def _said_of_calibration(document: Mapping[str, Any]) -> str:
    return (
        "A calibrated model is right as often as it is sure: both columns are the same. "
        f"They are {document['ece']:.1%} apart on average."
    )


def _calibration(document: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{each['low']:.0%} to {each['high']:.0%}</td><td class='n'>{each['n']:,}</td>"
        f"<td class='n'>{each['confidence']:.1%}</td><td class='n'>{each['accuracy']:.1%}</td></tr>"
        for each in document["bins"]
    )
    head = "<th>sure by</th><th class='n'>decisions</th><th class='n'>sure</th>"
    return f"<table><tr>{head}<th class='n'>right</th></tr>{rows}</table>"


def _gallery(document: Mapping[str, Any], wrong: Sequence[WrongPicture]) -> str:
    total = len(document["misclassified"])
    if not total:
        return section("Mistakes", "There are none.", "")
    said = f"{total:,} images, the surest mistake first."
    if total > len(wrong):
        said += f" The first {len(wrong):,} are shown."
    said += " A sure mistake is often a wrong label."
    shown = "".join(map(_figure, wrong))
    return section("Mistakes", said, f"<div class='copies'>{shown}</div>")


def _figure(each: WrongPicture) -> str:
    shown = picture(each.thumb) if each.thumb else "<div class='gone'>no picture</div>"
    return (
        f"<figure>{shown}<figcaption><b class='ok'>{escape(each.truth)}</b><br>"
        f"<span class='bad'>{escape(each.said)}</span> {each.score:.0%}<br>"
        f"<code title='{escape(each.image_id)}'>{escape(each.image_id[:ID_SHOWN])}</code>"
        "</figcaption></figure>"
    )
