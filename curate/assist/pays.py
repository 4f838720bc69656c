"""Does pre-labelling pay here? From what people decided, and how long it took them.

Three questions, each answered with its uncertainty, or with "not known yet":

- *Time.* Mean seconds for a decision with a proposal against one without; the interval of the
  ratio comes from a bootstrap. Longer than `PAUSE_S` is a pause, and left out.
- *Trust.* From which score on a proposal may be confirmed unseen: the least of `SCORES` for
  which at least the wanted share is right with 95 % confidence, for all of them together
  (exact binomial bounds, Bonferroni).
- *Sway.* People who see a proposal agree with it more than it deserves. Some images are shown
  blind; agreement with what they were not shown is the honest one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np

from curate.assist.evaluate import shown as readable
from curate.assist.evaluate import wilson

PAUSE_S = 120.0
ENOUGH = 20
"""Decisions on each side before two are compared."""
SCORES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Scores that are tried, so that chance has few tries."""
WANTED = 0.95
"""Share of proposals that must be right for confirming unseen to be called safe."""
CONFIDENCE = 0.95
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about one image, and what was proposed for it."""

    classes: tuple[str, ...] | None
    """Its classes, sorted; None: the image was rejected."""
    shown: tuple[str, ...] | None
    """What the person saw proposed, sorted; None: decided without."""
    hidden: tuple[str, ...] | None = None
    """What was proposed but not shown, sorted; None: nothing was."""
    score: float | None = None
    """Score of either proposal."""
    seconds: float | None = None
    """How long it took."""
    queue: str = ""
    """Where it came from: agreement is compared within queues."""
    is_blind: bool = False
    """Its proposal was withheld on purpose."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A share and how sure it is."""

    n: int
    """Decisions it was counted among."""
    share: float
    """Of them, 0-1."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end."""


@dataclass(frozen=True, slots=True)
class Pays:
    """Whether pre-labelling pays."""

    n_with: int
    """Timed decisions with a proposal."""
    n_without: int
    """Timed decisions without."""
    seconds_with: float | None
    """Mean time of one with a proposal; None where there is none."""
    seconds_without: float | None
    """Mean time of one without."""
    saved: float | None
    """Share of time that proposals save (below 0: that they cost); None: not known yet."""
    saved_low: float | None
    """Lower end of its 95 % interval."""
    saved_high: float | None
    """Upper end."""
    corrected: Mapping[str, Rate]
    """Proposed class to the share of its proposals that were not confirmed."""
    safe_score: float | None
    """Score from which confirming unseen is safe; None: no such score is known."""
    safe_agreement: Rate | None
    """Share that is right from there on; its lower end is what safe means."""
    agreement_shown: Rate | None
    """Agreement with proposals that were seen, in queues that have blind images too."""
    agreement_blind: Rate | None
    """Agreement with proposals that were not."""
    sway_low: float | None
    """Lower end of the interval of the difference of the two."""
    sway_high: float | None
    """Upper end."""
    verdict: tuple[str, ...]
    """All that in sentences."""
    waiting: int = 0
    """Proposals that nobody has decided about yet."""
    waiting_safe: int = 0
    """Of them, those from the safe score on."""

    def to_json(self) -> dict[str, Any]:
        """Return what `curate status --json` says under `pays`."""
        return asdict(self)


def does_it_pay(decisions: Sequence[Decision], seed: int = 0) -> Pays:
    """Work out whether proposals save time, and how far they can be trusted.

    Args:
        decisions: all that are in force.
        seed: of the bootstrap.
    """
    timed = [each for each in decisions if each.seconds and each.seconds <= PAUSE_S]
    with_ = np.array([each.seconds for each in timed if each.shown is not None], dtype=float)
    without = np.array([each.seconds for each in timed if each.shown is None], dtype=float)
    saved = _saved(with_, without, seed)
    safe = safe_score(decisions)
    seen, blind = _agreements(decisions)
    sway = None if seen is None or blind is None else _difference(seen, blind)
    means = [float(each.mean()) if len(each) else None for each in (with_, without)]
    return Pays(
        n_with=len(with_),
        n_without=len(without),
        seconds_with=means[0],
        seconds_without=means[1],
        saved=saved[0] if saved else None,
        saved_low=saved[1] if saved else None,
        saved_high=saved[2] if saved else None,
        corrected=corrections(decisions),
        safe_score=safe[0] if safe else None,
        safe_agreement=safe[1] if safe else None,
        agreement_shown=seen,
        agreement_blind=blind,
        sway_low=sway[0] if sway else None,
        sway_high=sway[1] if sway else None,
        verdict=(
            _say_time(len(with_), len(without), means, saved),
            _say_safe(safe),
            _say_sway(seen, blind, sway),
        ),
    )


def corrections(decisions: Sequence[Decision]) -> dict[str, Rate]:
    """Return for each proposed class how often it was not confirmed, most often first.

    Where nothing was proposed (the empty text), any class is a correction.
    """
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for each in decisions:
        for name in () if each.shown is None else each.shown or ("",):
            kept = each.classes is not None and (name in each.classes if name else not each.classes)
            counts[name][0] += not kept
            counts[name][1] += 1
    rates = {name: _rate(wrong, n) for name, (wrong, n) in counts.items()}
    return dict(sorted(rates.items(), key=lambda item: (-item[1].share, item[0])))


def safe_score(decisions: Sequence[Decision], wanted: float = WANTED) -> tuple[float, Rate] | None:
    """Return the least score from which proposals are right often enough, and how often.

    Args:
        decisions: with proposals that were seen or withheld.
        wanted: share that must be right.

    Returns:
        None where no score is known to be safe.
    """
    judged = [
        (each.score, _agrees(each))
        for each in decisions
        if each.score is not None and (each.shown is not None or each.hidden is not None)
    ]
    scores = np.array([score for score, _ in judged], dtype=float)
    right = np.array([agrees for _, agrees in judged], dtype=bool)
    alpha = (1 - CONFIDENCE) / len(SCORES)
    for threshold in SCORES:
        chosen = scores >= threshold
        n, hits = int(chosen.sum()), int(right[chosen].sum())
        if n and (low := _lower_bound(hits, n, alpha)) >= wanted:
            return threshold, Rate(n, hits / n, low, 1.0)
    return None


def _lower_bound(hits: int, n: int, alpha: float) -> float:
    """Return the exact (Clopper-Pearson) one-sided lower bound of a share."""
    from scipy.stats import beta

    return float(beta.ppf(alpha, hits, n - hits + 1)) if hits else 0.0


def _saved(
    with_: np.ndarray[Any, Any], without: np.ndarray[Any, Any], seed: int
) -> tuple[float, float, float] | None:
    if min(len(with_), len(without)) < ENOUGH:
        return None
    chance = np.random.default_rng(seed)
    ratios = [
        chance.choice(with_, len(with_)).mean() / chance.choice(without, len(without)).mean()
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return 1 - float(with_.mean() / without.mean()), 1 - float(high), 1 - float(low)


def _agreements(decisions: Sequence[Decision]) -> tuple[Rate | None, Rate | None]:
    """Agreement with proposals that were seen, and with those that were withheld."""
    queues = {each.queue for each in decisions if each.is_blind}
    seen = [_agrees(each) for each in decisions if each.shown is not None and each.queue in queues]
    blind = [_agrees(each) for each in decisions if each.is_blind and each.hidden is not None]
    return (
        _rate(sum(seen), len(seen)) if seen else None,
        _rate(sum(blind), len(blind)) if blind else None,
    )


def _agrees(each: Decision) -> bool:
    return each.classes == (each.shown if each.shown is not None else each.hidden)


def _rate(hits: int, n: int) -> Rate:
    return Rate(n, hits / n if n else 0.0, *wilson(hits, n))


def _difference(one: Rate, other: Rate) -> tuple[float, float]:
    """Return the interval of the difference of two shares (Newcombe, 1998)."""
    middle = one.share - other.share
    low = middle - sqrt((one.share - one.low) ** 2 + (other.high - other.share) ** 2)
    high = middle + sqrt((one.high - one.share) ** 2 + (other.share - other.low) ** 2)
    return low, high


def _say_time(
    n_with: int,
    n_without: int,
    means: Sequence[float | None],
    saved: tuple[float, float, float] | None,
) -> str:
    if saved is None:
        return (
            f"Whether proposals save time is not known yet: {n_with:,} timed decisions with one "
            f"and {n_without:,} without; {ENOUGH} of each are needed."
        )
    share, low, high = saved
    times = f"{means[0]:.1f} s an image with a proposal, {means[1]:.1f} s without"
    if low > 0:
        return (
            f"Pre-labelling saves time here: {times} ({share:.0%} less, {low:.0%} to {high:.0%})."
        )
    if high < 0:
        between = f"{-high:.0%} to {-low:.0%}"
        return f"Pre-labelling costs time here: {times} ({-share:.0%} more, {between})."
    return f"Pre-labelling makes no clear difference in time: {times}."


def _say_safe(safe: tuple[float, Rate] | None) -> str:
    if safe is None:
        return (
            f"No score is known from which confirming unseen is safe ({WANTED:.0%} right): look at "
            "all proposals, or decide more of them."
        )
    score, rate = safe
    return (
        f"From a score of {score:g} on confirming is safe: {rate.share:.1%} of {rate.n:,} such "
        f"proposals were right, at least {rate.low:.1%} with {CONFIDENCE:.0%} confidence."
    )


def _say_sway(seen: Rate | None, blind: Rate | None, sway: tuple[float, float] | None) -> str:
    if seen is None or blind is None or sway is None or min(seen.n, blind.n) < ENOUGH:
        n = blind.n if blind else 0
        return (
            f"Whether proposals sway people is not known yet: {n:,} decisions on images whose "
            f"proposal was withheld; {ENOUGH} are needed."
        )
    shares = (
        f"they agree with {seen.share:.0%} of what they see and {blind.share:.0%} of what is "
        "withheld"
    )
    if sway[0] > 0:
        return f"Proposals sway people: {shares} (difference {sway[0]:.0%} to {sway[1]:.0%})."
    return f"No sign that proposals sway people: {shares}."


def describe(corrected: Mapping[str, Rate], most: int = 5) -> str:
    """Return the classes that are corrected most often, in one line; empty if none is."""
    often = [(name, rate) for name, rate in corrected.items() if rate.share > 0][:most]
    return ", ".join(f"{readable(name)} {rate.share:.0%} of {rate.n:,}" for name, rate in often)
