"""How many of a population are unique in their quasi-identifiers, estimated from a sample of it.

Three published estimators, and the rule by which Dankar et al. 2012 choose among them. Each takes
how many classes of each size the sample has, and how many people the population has; each returns
None where it has no answer. Where the sample has no unique, all say 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bridleway.extract.keys import Numbers

SMALL_SAMPLE = 0.1  # up to this fraction Pitman's estimator is the best (Dankar et al. 2012)
_STEPS = 100
_GOLDEN = (math.sqrt(5) - 1) / 2
_GRID = 400


@dataclass(frozen=True)
class Sizes:
    """The classes of a sample: `number[i]` of them hold `size[i]` people each."""

    size: Numbers
    number: Numbers

    @classmethod
    def of(cls, units: Numbers) -> Sizes:
        """Count classes of so many units each by their size."""
        size, number = np.unique(units[units > 0], return_counts=True)
        return cls(size.astype(np.int64), number.astype(np.int64))

    @property
    def people(self) -> int:
        """How many people the sample has."""
        return int(self.size @ self.number)

    @property
    def classes(self) -> int:
        """How many classes it has."""
        return int(self.number.sum())

    def having(self, size: int) -> int:
        """Return how many classes hold so many people."""
        return int(self.number[self.size == size].sum())


@dataclass(frozen=True)
class Estimates:
    """Expected uniques of a population of so many people; `chosen` names the estimator."""

    people: int
    pitman: float | None
    zayatz: float | None
    snb: float | None
    chosen: str | None
    uniques: float | None


def estimates(units: Numbers, people: int) -> Estimates:
    """Return what each estimator says of classes of so many units each.

    Dankar et al. 2012: Pitman's for samples of up to a tenth, else the lower one of Zayatz's and
    the slide negative binomial's. Where that one has no answer, Zayatz's.
    """
    sizes = Sizes.of(units)
    known: dict[str, float | None] = {
        name: made(sizes, people) for name, made in _ESTIMATORS.items()
    }
    wanted = ("pitman",) if sizes.people <= SMALL_SAMPLE * people else ("snb", "zayatz")
    found = [(value, name) for name in wanted if (value := known[name]) is not None]
    if not found and (value := known["zayatz"]) is not None:
        found = [(value, "zayatz")]
    uniques, chosen = min(found) if found else (None, None)
    return Estimates(people, known["pitman"], known["zayatz"], known["snb"], chosen, uniques)


def zayatz(sizes: Sizes, people: int) -> float | None:
    """Return the expected uniques by Zayatz 1991.

    Takes the sizes of the sample's classes for those of the population: the part of the sample's
    uniques that are the population's is c1 h(1) / sum_i c_i h(i), h(i) the hypergeometric
    probability to draw one of i, and there are as many more as the sample is smaller.
    """
    if not sizes.having(1):
        return 0.0
    drawn = sizes.people
    one = np.array([_drawn_once(int(size), drawn, people) for size in sizes.size])
    weight = float((sizes.number * one).sum())
    if not weight:
        return None
    part = sizes.having(1) * _drawn_once(1, drawn, people) / weight
    return _within(sizes.having(1) * part * people / drawn, people)


def _drawn_once(size: int, drawn: int, people: int) -> float:
    """Return the probability that of `size` among `people` just one is drawn."""
    if people - size < drawn - 1:
        return 0.0
    chosen = _log_choose(people - size, drawn - 1) - _log_choose(people, drawn)
    return size * math.exp(chosen)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def pitman(sizes: Sizes, people: int) -> float | None:
    """Return the expected uniques under Pitman's sampling formula, fitted by maximum likelihood.

    Hoshino 2001. Of a population of N, with concentration t and discount a:
    N gamma(t+1) gamma(t+a+N-1) / (gamma(t+a) gamma(t+N)).
    """
    if not sizes.having(1):
        return 0.0
    if sizes.classes < 2:
        return None
    discount = _highest(lambda a: _likeliest(sizes, a)[0], 1e-6, 1 - 1e-9)
    t = _likeliest(sizes, discount)[1]
    log = (
        math.lgamma(t + 1) - math.lgamma(t + discount)
        + math.lgamma(t + discount + people - 1) - math.lgamma(t + people)
    )  # fmt: skip
    return _within(people * math.exp(log), people)


def _likeliest(sizes: Sizes, discount: float) -> tuple[float, float]:
    """Return for a discount the highest log-likelihood, and the concentration that has it."""
    classes, drawn = sizes.classes, sizes.people
    inside = sum(
        int(number) * (math.lgamma(int(size) - discount) - math.lgamma(1 - discount))
        for size, number in zip(sizes.size, sizes.number, strict=True)
        if size > 1
    )

    def likelihood(log: float) -> float:
        t = math.exp(log) - discount
        from_classes = (
            (classes - 1) * math.log(discount)
            + math.lgamma(classes + t / discount) - math.lgamma(1 + t / discount)
        )  # fmt: skip
        return from_classes - math.lgamma(drawn + t) + math.lgamma(1 + t) + inside

    best = _highest(likelihood, -12.0, math.log(drawn) + 12.0)
    return likelihood(best), math.exp(best) - discount


def _highest(value: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one peak is highest (golden-section search)."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = value(left), value(right)
    for _ in range(_STEPS):
        if at_left >= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = value(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = value(right)
        if high - low < 1e-10 * max(abs(low), abs(high), 1e-3):
            break
    return (low + high) / 2


def snb(sizes: Sizes, people: int) -> float | None:
    """Return the expected uniques under the slide negative binomial model (Chen & McNulty 1998).

    How many classes the population has is `shlosser`'s estimate.
    """
    one, two = sizes.having(1), sizes.having(2)
    if not one:
        return 0.0
    classes, fraction = shlosser(sizes, people), sizes.people / people
    if not two or classes is None or fraction >= 1:
        return None
    found = snb_of(classes, fraction, one, two)
    return None if found is None else _within(found, people)


def snb_of(classes: float, fraction: float, one: float, two: float) -> float | None:
    """Return the uniques among so many classes of a population, by the slide negative binomial.

    A class of the population holds one person and a negative binomial number (a, b) more, so
    that a class is unique with probability b^a. The sample holds each person with probability f;
    a and b are those for which it has as many classes of one and of two as were found:
    c1 = K f (b / (1-d))^a (1 + a d / (1-d)) and c2 / c1 = f a (1-b) (2 - d + a d) /
    (2 (1-d) (1 - d + a d)), with d = (1-f)(1-b). Where several fit, the most uniques are told.
    """
    grid = _grid()
    excess = [_excess(b, classes, fraction, one, two) for b in grid]
    made = []
    for at in range(len(grid) - 1):
        if (excess[at] < 0) != (excess[at + 1] < 0):
            b = _between(grid[at], grid[at + 1], classes, fraction, one, two)
            made.append(float(classes * b ** _shape(b, fraction, two / one)))
    return max(made, default=None)


def _grid() -> list[float]:
    """Return places between 0 and 1, close together at both ends."""
    steps = np.linspace(-16, 16, _GRID)
    return [float(place) for place in 1 / (1 + np.exp(-steps))]


def _shape(b: float, f: float, ratio: float) -> float:
    """Return the a for which classes of two and of one have this ratio."""
    d = (1 - f) * (1 - b)
    square = f * (1 - b) * d
    linear = f * (1 - b) * (2 - d) - 2 * ratio * (1 - d) * d
    constant = -2 * ratio * (1 - d) ** 2
    return (-linear + math.sqrt(linear**2 - 4 * square * constant)) / (2 * square)


def _excess(b: float, classes: float, f: float, one: float, two: float) -> float:
    """Return how many more classes of one than were found there would be."""
    a, d = _shape(b, f, two / one), (1 - f) * (1 - b)
    return float(classes * f * (b / (1 - d)) ** a * (1 + a * d / (1 - d)) - one)


def _between(low: float, high: float, classes: float, f: float, one: float, two: float) -> float:
    """Return the b between two others at which there are as many classes of one as found."""
    rising = _excess(low, classes, f, one, two) < 0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if (_excess(middle, classes, f, one, two) < 0) == rising:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def shlosser(sizes: Sizes, people: int) -> float | None:
    """Return how many classes the population has: Shlosser's third (Haas & Stokes 1998).

    d + c1 (sum i q^2 (1-q^2)^(i-1) c_i / sum (1-q)^i ((1+q)^i - 1) c_i)
    (sum (1-q)^i c_i / sum i q (1-q)^(i-1) c_i)^2, q the fraction drawn.
    """
    q = sizes.people / people
    if q >= 1:
        return float(sizes.classes)
    i, c = sizes.size.astype(float), sizes.number.astype(float)
    first = float((i * q**2 * (1 - q**2) ** (i - 1) * c).sum())
    # (1-q)^i (1+q)^i is (1-q^2)^i: what grows alone would overflow.
    second = float((((1 - q**2) ** i - (1 - q) ** i) * c).sum())
    third = float(((1 - q) ** i * c).sum())
    fourth = float((i * q * (1 - q) ** (i - 1) * c).sum())
    if second <= 0 or fourth <= 0:
        return None
    return float(sizes.classes + sizes.having(1) * first / second * (third / fourth) ** 2)


def _within(uniques: float, people: int) -> float | None:
    """Return an estimate that can be: of no more people than there are."""
    if not math.isfinite(uniques) or uniques < 0:
        return None
    return min(uniques, float(people))


_ESTIMATORS: dict[str, Callable[[Sizes, int], float | None]] = {
    "pitman": pitman, "zayatz": zayatz, "snb": snb,
}  # fmt: skip
