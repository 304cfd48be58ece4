"""Estimated uniques of a population: closed forms, and populations whose truth is known."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest

from bridleway.extract.keys import Numbers
from bridleway.extract.uniqueness import Sizes, estimates, pitman, shlosser, snb, snb_of, zayatz


def of(told: dict[int, int]) -> Sizes:
    """Return so many classes of each size."""
    return Sizes(np.array(list(told)), np.array(list(told.values())))


def drawn(population: Numbers, part: float, seed: int = 1) -> Numbers:
    """Draw a simple random sample of people; return its class sizes."""
    whose = np.repeat(np.arange(len(population)), population)
    chosen = np.random.default_rng(seed).choice(whose, int(part * len(whose)), replace=False)
    return np.bincount(chosen, minlength=len(population))


def slide_negative_binomial(classes: int, a: float, b: float) -> Numbers:
    """Return a population of the model: one person per class, and a negative binomial more."""
    return 1 + np.random.default_rng(2).negative_binomial(a, b, classes)


def pitmans(people: int, t: float, a: float) -> Numbers:
    """Return a population seated by Pitman's two-parameter restaurant."""
    draw = random.Random(3)
    counts: list[int] = []
    seats: list[int] = []
    for n in range(people):
        if draw.random() < (t + a * len(counts)) / (n + t):
            counts.append(0)
            at = len(counts) - 1
        else:
            at = seats[draw.randrange(n)]
            while draw.random() >= (counts[at] - a) / counts[at]:
                at = seats[draw.randrange(n)]
        counts[at] += 1
        seats.append(at)
    return np.array(counts)


def test_zayatz_by_its_definition() -> None:
    """With exact fractions: 3 of 4 uniques of 10 out of 40."""
    sizes, n, people = of({1: 4, 2: 3}), 10, 40

    def once(i: int) -> Fraction:
        return Fraction(i * math.comb(people - i, n - 1), math.comb(people, n))

    part = 4 * once(1) / (4 * once(1) + 3 * once(2))
    assert zayatz(sizes, people) == pytest.approx(float(4 * part * people / n), rel=1e-12)
    assert zayatz(sizes, n) == pytest.approx(4)  # everybody was drawn


def test_shlosser_by_its_definition() -> None:
    """Written out for two sizes."""
    q = 0.25
    first = q**2 * 4 + 2 * q**2 * (1 - q**2) * 3
    second = (1 - q) * q * 4 + (1 - q) ** 2 * ((1 + q) ** 2 - 1) * 3
    third = (1 - q) * 4 + (1 - q) ** 2 * 3
    fourth = q * 4 + 2 * q * (1 - q) * 3
    wanted = 7 + 4 * first / second * (third / fourth) ** 2
    assert shlosser(of({1: 4, 2: 3}), 40) == pytest.approx(wanted, rel=1e-12)


def test_pitman_is_the_likeliest_of_a_grid() -> None:
    """No other parameters are likelier; the uniques are the formula's, by its product form."""
    told = {1: 60, 2: 25, 3: 8, 7: 2, 20: 1}
    n, u, people = 60 + 50 + 24 + 14 + 20, 96, 2000

    def likelihood(t: float, a: float) -> float:
        value = sum(math.log(t + i * a) for i in range(1, u))
        value -= sum(math.log(t + i) for i in range(1, n))
        return value + sum(
            number * math.log(j - a) for size, number in told.items() for j in range(1, size)
        )

    grid = [(t, a) for t in np.arange(1.0, 120.0, 1.0) for a in np.arange(0.01, 1.0, 0.01)]
    t, a = max(grid, key=lambda at: likelihood(*at))
    uniques = people * math.prod((t + a + i) / (t + 1 + i) for i in range(people - 1))
    found = pitman(of(told), people)
    assert found == pytest.approx(uniques, rel=0.02)


def test_pitman_without_discount_is_ewens() -> None:
    """A population of N with concentration t has N t / (N + t - 1) uniques."""
    population = pitmans(30_000, 300.0, 0.0)
    found = pitman(Sizes.of(drawn(population, 0.1)), 30_000)
    assert found == pytest.approx(30_000 * 300 / 30_299, rel=0.25)


@pytest.mark.parametrize("f", [0.1, 0.3, 0.7])
@pytest.mark.parametrize(("a", "b"), [(0.5, 0.2), (2.0, 0.3), (1.0, 0.9)])
def test_snb_solves_its_own_equations(a: float, b: float, f: float) -> None:
    """From the classes of one and two that the model expects, summed over all class sizes."""
    one = two = 0.0
    chance = b**a  # of a class of one
    for size in range(1, 2000):
        one += chance * size * f * (1 - f) ** (size - 1)
        two += chance * math.comb(size, 2) * f**2 * (1 - f) ** (size - 2) if size > 1 else 0
        chance *= (1 - b) * (a + size - 1) / size
    assert snb_of(1000, f, 1000 * one, 1000 * two) == pytest.approx(1000 * b**a, rel=1e-6)


@pytest.mark.parametrize("part", [0.5, 0.7, 0.9])
@pytest.mark.parametrize(("a", "b"), [(0.5, 0.2), (2.0, 0.3)])
def test_snb_finds_the_truth_of_its_own_model(a: float, b: float, part: float) -> None:
    """Within 8 %, from half of the people on: before, how many classes there are is unsure."""
    population = slide_negative_binomial(20_000, a, b)
    found = snb(Sizes.of(drawn(population, part)), int(population.sum()))
    assert found == pytest.approx(int((population == 1).sum()), rel=0.08)


@pytest.mark.parametrize("part", [0.05, 0.1])
@pytest.mark.parametrize(("t", "a"), [(200.0, 0.5), (1000.0, 0.8)])
def test_pitman_finds_the_truth_of_its_own_model(t: float, a: float, part: float) -> None:
    """Within 15 %, for small samples; that is where Dankar's rule asks it."""
    population = pitmans(60_000, t, a)
    told = estimates(drawn(population, part), 60_000)
    assert told.chosen == "pitman"
    assert told.uniques == pytest.approx(int((population == 1).sum()), rel=0.15)


def test_the_rule_of_dankar() -> None:
    """Small samples: Pitman. Larger ones: the lower of SNB and Zayatz."""
    population = slide_negative_binomial(20_000, 0.5, 0.2)
    people = int(population.sum())
    for part, names in ((0.02, {"pitman"}), (0.4, {"snb", "zayatz"})):
        told = estimates(drawn(population, part), people)
        assert told.chosen in names
        assert told.zayatz is not None and told.snb is not None
        if part > 0.1:
            assert told.uniques == min(told.zayatz, told.snb)
    # Where nothing was found twice there is no slide negative binomial.
    alone = estimates(np.array([1, 1, 1, 3]), 12)
    assert alone.snb is None
    assert alone.chosen == "zayatz"


@pytest.mark.parametrize("units", [[2, 2, 5], []])
def test_a_sample_without_uniques_has_none(units: list[int]) -> None:
    """Whatever the estimator."""
    told = estimates(np.array(units, dtype=np.int64), 100)
    assert (told.pitman, told.zayatz, told.snb, told.uniques) == (0, 0, 0, 0)


@pytest.mark.parametrize("units", [[1], [1, 1], [1] * 50, [1, 2], [1, 10_000]])
@pytest.mark.parametrize("people", [1, 10, 10**9])
def test_no_estimate_is_more_than_there_are_people(units: list[int], people: int) -> None:
    """Corner cases end in a number that can be, or in none."""
    number = max(people, sum(units))
    told = estimates(np.array(units), number)
    for found in (told.pitman, told.zayatz, told.snb, told.uniques):
        assert found is None or 0 <= found <= number
