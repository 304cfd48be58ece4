"""The minimality attack: why was this class not split? (Wong, Fu, Wang and Pei, VLDB 2007)

The attacker has the file, the hierarchies, the recipe and this code, and a register of everybody's
quasi-identifiers. So for every class and column the sizes of the groups are known into which the
level below would have split it, and the class's sensitive values are in the file, without their
owners. Where k alone does not tell why the class was not split, some group must have failed l, t or
another model of the sensitive column, and the attacker asks by which value:

- a group of g people fails because of a value as soon as x of them have it: x = g - l + 2 for l
  values, (q + t) g for t-closeness, q (1 + beta) g for beta-likeness, g c / (1 + c) for recursive
  (c,l), and where entropy or a distance over an order is asked for, g;
- before anything is known of the reason, x of the class's m such values fall on g of its n people
  with the hypergeometric probability w = C(m, x) C(n - m, g - x) / C(n, g);
- that something failed makes each of these worlds likelier in proportion: with local recoding
  until they add up to one group per class; with one level per column until they add up to one
  group, and their rows, with those of groups too small for k, to more than the file left out.

The baseline is the class's most frequent value for everybody in it; the attack is the value that
is likeliest in one's group. Only records for which the two differ decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridleway.extract.classes import Pairs
from bridleway.extract.downcoding import Released
from bridleway.extract.keys import Numbers
from bridleway.extract.models import Floats
from bridleway.extract.recipe import Sensitive

MOST_PAIRS = (
    400_000  # of a group and a value that are weighed in one column; else classes are drawn
)
_UNLIKELY = -700.0  # a logarithm that is nothing


@dataclass(frozen=True)
class Column:
    """A sensitive column. values: of each combination that left; q: how it is spread in all."""

    asked: Sensitive
    values: Numbers
    q: Floats


@dataclass(frozen=True)
class Inferred:
    """Guesses of one sensitive column.

    records: how many are guessed; before, after: how many rightly, by the most frequent value of
    the class and by minimality; gained, lost: right only with minimality, and only without.
    """

    column: str
    records: int
    before: int
    after: int
    gained: int
    lost: int


@dataclass(frozen=True)
class _Groups:
    """What classes would be split into. side: of each combination; owner: the class of each."""

    side: Numbers
    owner: Numbers
    size: Numbers


def infer(
    released: Released, column: Column, k: int, local: bool, left_out: int, rng: np.random.Generator
) -> Inferred:
    """Guess a sensitive column of every record that left."""
    values = len(column.q)
    table = _pairs(released.owner, column.values, released.counts, values)
    size = np.bincount(released.owner, released.counts, released.number).astype(np.int64)
    usual = _heaviest(table, table.weight.astype(float), released.number)
    thresholds = _shares(column)
    surest = np.zeros(len(released.counts))
    guess = usual[released.owner].copy()
    for at in range(len(released.hierarchies)):
        groups = _split(released, at)
        if groups is None:
            continue
        found, trust = _weighed(groups, table, size, usual, thresholds, k, local, left_out, rng)
        mine = trust[groups.side]
        better = mine > surest
        surest[better], guess[better] = mine[better], found[groups.side][better]
    guess = np.where(surest > 0, guess, usual[released.owner])
    was, now = usual[released.owner] == column.values, guess == column.values
    count = released.counts
    return Inferred(
        column.asked.name, int(count.sum()), int(count[was].sum()), int(count[now].sum()),
        int(count[now & ~was].sum()), int(count[was & ~now].sum()),
    )  # fmt: skip


def _split(released: Released, column: int) -> _Groups | None:
    """Return the groups into which the level below would split the classes, None where none."""
    one = released.hierarchies[column]
    level = released.levels[:, column]
    if not (level > 0).any():
        return None
    finer = one.codes[np.maximum(level - 1, 0), released.leaves[:, column]]
    width = int(finer.max()) + 1
    keys, side = np.unique(released.owner * width + finer, return_inverse=True)
    size = np.bincount(side, released.counts).astype(np.int64)
    return _Groups(side, keys // width, size)


def _weighed(
    groups: _Groups, table: Pairs, size: Numbers, usual: Numbers,
    thresholds: tuple[Floats, Floats], k: int, local: bool, left_out: int, rng: np.random.Generator,
) -> tuple[Numbers, Floats]:  # fmt: skip
    """Return per group the likeliest value, and how much likelier it is than the usual one."""
    number = len(size)
    guess, trust = np.zeros(len(groups.size), dtype=np.int64), np.zeros(len(groups.size))
    small = groups.size < k
    few = np.bincount(groups.owner, groups.size * small, number).astype(np.int64)
    large = np.bincount(groups.owner, ~small, number)
    parts = np.bincount(groups.owner, minlength=number)
    if local:  # k explains what is too small, or what would leave too few behind
        open_ = (parts > 1) & (large > 0) & ((few == 0) | (few >= k) | (large > 1))
    elif few.sum() > left_out:
        return guess, trust
    else:
        open_ = large > 0
    asked = np.flatnonzero(open_[groups.owner] & ~small)
    kinds = np.bincount(table.owner, minlength=number)
    asked = asked[_affordable(kinds[groups.owner[asked]], rng)]
    if not len(asked):
        return guess, trust
    # Every group beside every value of its class.
    begin = np.cumsum(kinds) - kinds
    width = kinds[groups.owner[asked]]
    which = np.repeat(np.arange(len(asked)), width)
    place = np.arange(width.sum()) - np.repeat(np.cumsum(width) - width, width)
    at = begin[groups.owner[asked]][which] + place
    value, m = table.value[at], table.weight[at]
    g, n = groups.size[asked][which], size[groups.owner[asked]][which]
    share, offset = thresholds
    x = np.ceil(share[value] * g + offset[value] - 1e-9).astype(np.int64)
    weight = np.exp(_hypergeometric(x, n, m, g))
    owner = groups.owner[asked][which]
    if local:
        total = np.bincount(owner, weight, number)[owner]
        fails = weight * np.maximum(1.0, 1.0 / np.maximum(total, 1e-300))
    else:
        rows = max(float((weight * g).sum()), 1e-300)
        needed = left_out - int(few.sum()) + 1
        scale = max(1.0, 1 / max(float(weight.sum()), 1e-300), needed / rows)
        fails = np.minimum(1.0, weight * scale)
    likely = _likely(which, fails, np.minimum(x / g, 1.0), m, n)
    best = _heaviest(Pairs(which, value, m), likely, len(asked))
    # How much likelier the best is than the value that is usual in the class.
    gain = np.bincount(which, likely * (value == best[which]))
    gain -= np.bincount(which, likely * (value == usual[groups.owner[asked]][which]))
    guess[asked] = best
    trust[asked] = gain
    return guess, trust


def _likely(which: Numbers, fails: Floats, part: Floats, m: Numbers, n: Numbers) -> Floats:
    """Return how likely each value is in its group.

    fails: how likely the group fails because of it, where it then has the part. Otherwise, and
    beside a value that fails, values are as frequent as in the class.
    """
    total = np.bincount(which, fails)
    fails = fails / np.maximum(total, 1.0)[which]
    rest = fails * (1 - part) / np.maximum(n - m, 1)
    beside = np.bincount(which, rest)[which] - rest
    nothing = 1 - np.minimum(total, 1.0)[which]
    return np.asarray(fails * part + m * beside + nothing * m / n)


def _affordable(kinds: Numbers, rng: np.random.Generator) -> Numbers:
    """Return which groups are weighed: all, or as many drawn ones as are affordable."""
    total = int(kinds.sum())
    if total <= MOST_PAIRS:
        return np.arange(len(kinds))
    number = max(1, int(len(kinds) * MOST_PAIRS / total))
    return np.sort(rng.choice(len(kinds), number, replace=False))


def _shares(column: Column) -> tuple[Floats, Floats]:
    """Return, per value, how many of g people with it make a group fail: share * g + offset."""
    one, q = column.asked, column.q
    share, offset = np.full(len(q), np.inf), np.zeros(len(q))
    if one.distinct is not None:
        share, offset = np.ones(len(q)), np.full(len(q), 2.0 - one.distinct)
    if one.entropy is not None and one.entropy > 1:
        share, offset = np.minimum(share, 1.0), np.minimum(offset, 0.0)
    others: list[Floats] = []
    if one.recursive is not None:
        others.append(np.full(len(q), one.recursive[0] / (1 + one.recursive[0])))
    if one.t is not None:
        # Over an order or a hierarchy people move less far: that all have one value is enough.
        others.append(q + one.t + 1e-6 if one.distance == "equal" else np.ones(len(q)))
    if one.beta is not None:
        most = np.minimum(one.beta, -np.log(np.maximum(q, 1e-300))) if one.enhanced else one.beta
        others.append(q * (1 + most) + 1e-6)
    for other in others:
        lower = other < share
        share, offset = np.where(lower, other, share), np.where(lower, 0.0, offset)
    return share, offset


def _pairs(owner: Numbers, value: Numbers, counts: Numbers, values: int) -> Pairs:
    keys, place = np.unique(owner * values + value, return_inverse=True)
    return Pairs(keys // values, keys % values, np.bincount(place, counts).astype(np.int64))


def _heaviest(pairs: Pairs, weight: Floats, number: int) -> Numbers:
    """Return for each owner the value of most weight."""
    order = np.lexsort((weight, pairs.owner))
    made = np.zeros(number, dtype=np.int64)
    made[pairs.owner[order]] = pairs.value[order]  # the last of each owner stays
    return made


def _hypergeometric(x: Numbers, n: Numbers, m: Numbers, g: Numbers) -> NDArray[np.float64]:
    """Return log(C(m, x) C(n - m, g - x) / C(n, g)), hopelessly low where it cannot be."""
    possible = (x <= m) & (x <= g) & (g - x <= n - m) & (x >= 0)
    x, m, n, g = (np.where(possible, part, 0) for part in (x, m, n, g))
    made = _choose(m, x) + _choose(n - m, g - x) - _choose(n, g)
    return np.where(possible, made, _UNLIKELY)


def _choose(n: Numbers, k: Numbers) -> NDArray[np.float64]:
    return np.asarray(_factorial(n) - _factorial(k) - _factorial(n - k))


def _factorial(n: Numbers) -> NDArray[np.float64]:
    """Return log n! (exact below 16, else Stirling's series with an error below 1e-9)."""
    z = np.maximum(n, 16).astype(float)
    series = 1 / (12 * z) - 1 / (360 * z**3) + 1 / (1260 * z**5)
    large = z * np.log(z) - z + 0.5 * np.log(2 * math.pi * z) + series
    return np.where(n < 16, _SMALL[np.minimum(n, 15)], large)


_SMALL = np.array([math.lgamma(n + 1) for n in range(16)])
