"""Noise that is keyed to the people of a cell: the lookup of cell-key perturbation.

A cell's key is the sum of its people's record keys modulo 256 (see `techniques.perturb`). The
table gives symmetric noise of mean zero within +-3, variance 1.7 (the shape of the perturbation
tables of Fraser & Wooton 2005: bounded, unbiased, most counts little changed). Counts too small
to be lowered so far take the noise cut at zero; they are never released.
"""

from __future__ import annotations

from decimal import Decimal

MOST = 3  # the largest noise
# How many of the 256 keys give each noise.
_SHARES = {0: 88, 1: 52, -1: 52, 2: 24, -2: 24, 3: 8, -3: 8}
# Neighbouring keys give unrelated noise: 89 is coprime to 256, so this is a permutation.
_STRIDE = 89
_SPREAD = tuple(noise for noise, share in _SHARES.items() for _ in range(share))
TABLE = tuple(_SPREAD[(key * _STRIDE) % len(_SPREAD)] for key in range(len(_SPREAD)))


def of_count(number: int, key: int) -> int:
    """Return the noise of a count of people with this cell key."""
    return max(TABLE[key % len(TABLE)], -number)


def share(key: int) -> Decimal:
    """Return the noise of a magnitude, from -1 to 1: how much of the largest contribution."""
    return Decimal(TABLE[(key + len(TABLE) // 2) % len(TABLE)]) / MOST
