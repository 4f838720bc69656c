"""What several people who do not agree amount to: by majority, or by Dawid and Skene.

Majority counts heads. Dawid-Skene learns from all answers how often each person takes which
class for which, and weighs them by it: better as soon as people differ in care and there are
at least three of them. Two have nothing but their disagreements to be told apart by, which
suffices where classes are uneven and errors scattered, and misleads elsewhere; what a trusted
third person says of some of the images makes up for it. With an exclusive class list the whole
answer is estimated, else each class by itself.

Source: Dawid and Skene 1979, doi:10.2307/2346806, by the library crowd-kit.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from curate.errors import UsageError, install_hint
from curate.label.resolve import Verdict
from curate.records import Annotation, Kind

METHODS = ("majority", "dawid-skene")
TIE = 1e-6
"""Two answers whose probabilities differ by no more are equally likely."""
Votes = Mapping[str, Sequence[Annotation]]
"""Image id to what is in force, one annotation of each person."""
Answer = tuple[str, str, str]
"""Image id, person, what they say."""
Decide = Callable[[Sequence[Answer]], dict[str, tuple[str, float]]]
"""From answers to the winning one of each image, with its share or probability."""
_REJECTED, _YES, _NO = "\x00rejected", "yes", "no"


def consensus(
    images: Votes, method: str, *, exclusive: bool, trusted: str = ""
) -> dict[str, Verdict]:
    """Return what people amount to; images on which they tie are absent.

    Args:
        images: all images that people have decided about: how far somebody can be trusted
            shows in all their answers.
        method: one of `METHODS`.
        exclusive: an image has one class at most.
        trusted: whose answers are true, and what the others' are measured by; empty: nobody's.

    Raises:
        UsageError: no such method, or the packages it needs are not installed.
    """
    if method not in METHODS:
        raise UsageError(f"{method!r} is no way to a consensus", f"known are: {', '.join(METHODS)}")
    decide = _by(method, trusted)
    votes = {
        image_id: [each for each in decisions if each.kind is not Kind.UNSURE]
        for image_id, decisions in images.items()
    }
    if exclusive:
        found = decide([(key, each.annotator, _whole(each)) for key, each in _flat(votes)])
        return {key: _verdict(text, share) for key, (text, share) in found.items()}
    rejected = decide(
        [
            (key, each.annotator, _YES if each.kind is Kind.REJECT else _NO)
            for key, each in _flat(votes)
        ]
    )
    verdicts = {
        key: Verdict((), share, rejected=True)
        for key, (text, share) in rejected.items()
        if text == _YES
    }
    open_ = {key: votes[key] for key, (text, _) in rejected.items() if text == _NO}
    return {**verdicts, **_class_by_class(open_, decide)}


def _class_by_class(votes: Votes, decide: Decide) -> dict[str, Verdict]:
    labels = [(key, each) for key, each in _flat(votes) if each.kind is Kind.LABEL]
    names = sorted({name for _, each in labels for name in each.classes or ()})
    chosen: dict[str, list[str]] = {key: [] for key, _ in labels}
    shares = dict.fromkeys(chosen, 1.0)
    for name in names:
        found = decide(
            [
                (key, each.annotator, _YES if name in (each.classes or ()) else _NO)
                for key, each in labels
            ]
        )
        for key in list(chosen):
            if key not in found:
                del chosen[key]  # a tie on one class leaves the image open
                continue
            text, share = found[key]
            shares[key] = min(shares[key], share)
            if text == _YES:
                chosen[key].append(name)
    return {key: Verdict(tuple(classes), shares[key]) for key, classes in chosen.items()}


def _flat(votes: Votes) -> Iterable[tuple[str, Annotation]]:
    return ((key, each) for key, decisions in votes.items() for each in decisions)


def _whole(vote: Annotation) -> str:
    return _REJECTED if vote.kind is Kind.REJECT else "\x1f".join(vote.classes or ())


def _verdict(text: str, share: float) -> Verdict:
    if text == _REJECTED:
        return Verdict((), share, rejected=True)
    return Verdict(tuple(text.split("\x1f")) if text else (), share)


def _by(method: str, trusted: str) -> Decide:
    def decide(answers: Sequence[Answer]) -> dict[str, tuple[str, float]]:
        known = {key: text for key, who, text in answers if who == trusted}
        others = [each for each in answers if each[1] != trusted]
        found = _majority(others) if method == "majority" else _dawid_skene(others, known)
        return {**found, **{key: (text, 1.0) for key, text in known.items()}}

    return decide


def _majority(answers: Sequence[Answer]) -> dict[str, tuple[str, float]]:
    by_image: dict[str, Counter[str]] = {}
    for key, _, text in answers:
        by_image.setdefault(key, Counter())[text] += 1
    found = {}
    for key, counts in by_image.items():
        (text, n), *others = counts.most_common(2)
        if not others or others[0][1] < n:
            found[key] = (text, n / counts.total())
    return found


def _dawid_skene(
    answers: Sequence[Answer], known: Mapping[str, str]
) -> dict[str, tuple[str, float]]:
    # In one order, whatever the order of the rows: floating-point sums must not depend on it.
    answers = _teaching(sorted(answers), known)
    if len({text for _, _, text in answers}) < 2:
        return {key: (text, 1.0) for key, _, text in answers}
    try:
        import pandas as pd
        from crowdkit.aggregation.classification.dawid_skene import DawidSkene
    except ImportError:
        raise UsageError(
            "dawid-skene needs crowd-kit", f"{install_hint('people')}, or choose majority"
        ) from None
    table = pd.DataFrame(answers, columns=["task", "worker", "label"])
    tasks = set(table["task"])
    true = pd.Series({key: text for key, text in sorted(known.items()) if key in tasks}, dtype=str)
    with warnings.catch_warnings():
        # crowd-kit asks pandas for what a later version will not have.
        warnings.simplefilter("ignore", DeprecationWarning)
        chances = DawidSkene(n_iter=100).fit_predict_proba(table, true)
    names = [str(name) for name in chances.columns]
    shares = chances.to_numpy()
    found = {}
    for key, row in zip(chances.index.tolist(), shares, strict=True):
        best, second = row.argsort()[::-1][:2]
        if row[best] - row[second] > TIE:
            found[str(key)] = (names[best], min(1.0, float(row[best])))
    return found


def _teaching(answers: Sequence[Answer], known: Mapping[str, str]) -> Sequence[Answer]:
    """Leave out images known to be what nobody says of those that stay: they teach nothing."""
    while True:
        texts = {text for _, _, text in answers}
        kept = [each for each in answers if known.get(each[0], each[2]) in texts]
        if len(kept) == len(answers):
            return kept
        answers = kept
