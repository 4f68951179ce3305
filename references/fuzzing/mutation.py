"""A plain mutator of bytes, for machines without atheris and for the smoke test: one seed, one answer."""

from collections.abc import Iterator, Sequence

import numpy as np

_TOKENS = (
    b"\0",
    b"\xff",
    b"\xff\xd8",
    b"-1",
    b"nan",
    b"1e999",
    b"99999999999",
    b'"',
    b"'",
    b"<",
    b"]",
    b"{",
    b",",
    b"\n",
    b"\xef\xbb\xbf",
    b"!!",
)


def mutated(seeds: Sequence[bytes], n: int, seed: int) -> Iterator[bytes]:
    """Yield `n` files, each a seed with one to eight changes."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        data = bytearray(seeds[rng.integers(len(seeds))])
        for _ in range(rng.integers(1, 9)):
            _change(data, seeds, rng)
        yield bytes(data)


def _change(data: bytearray, seeds: Sequence[bytes], rng: np.random.Generator) -> None:
    at = int(rng.integers(len(data) + 1))
    length = int(rng.integers(1, 17))
    kind = rng.integers(6)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        data[at : at + length] = rng.bytes(length)
    elif kind == 2:
        data[at:at] = _TOKENS[rng.integers(len(_TOKENS))]
    elif kind == 3:
        del data[at : at + length]
    elif kind == 4:
        other = seeds[rng.integers(len(seeds))]
        start = int(rng.integers(len(other)))
        data[at : at + length] = other[start : start + length]
    elif rng.random() < 0.2:
        del data[at:]
