"""The chunker polynomial of a repository: irreducible over GF(2), of degree 53.

We cut files by another rule, yet the format wants one, and stock restic cuts by it when it adds to our repository.
Test after Ben-Or, as in https://en.wikipedia.org/wiki/Factorization_of_polynomials_over_finite_fields#Irreducible_polynomials
"""

from __future__ import annotations

import os

DEGREE = 53


def random_irreducible() -> int:
    """A new one; one in about fifty tries is irreducible."""
    while True:
        found = (1 << DEGREE) | (int.from_bytes(os.urandom(8), "little") >> (64 - DEGREE)) | 1
        if is_irreducible(found):
            return found


def is_irreducible(polynomial: int) -> bool:
    """Whether it has no factors. Bit i is the coefficient of x^i."""
    power = 2  # x
    for _ in range((polynomial.bit_length() - 1) // 2):
        power = _remainder(_square(power), polynomial)  # x^(2^i) mod polynomial
        if _gcd(polynomial, power ^ 2) != 1:
            return False
    return True


def _square(value: int) -> int:
    """Over GF(2) a square has a zero between every two coefficients: read the binary digits in base 4."""
    return int(f"{value:b}", 4)


def _remainder(value: int, by: int) -> int:
    size = by.bit_length()
    while (over := value.bit_length() - size) >= 0:
        value ^= by << over
    return value


def _gcd(one: int, other: int) -> int:
    while other:
        one, other = other, _remainder(one, other)
    return one
