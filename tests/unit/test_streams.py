"""Reading ahead: in order, bounded, equal to a plain map; errors at their turn."""

import threading
import time
import weakref
from collections.abc import Iterator
from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.io.streams import read_ahead, windows


class Counted:
    """An endless source that tells how many items were drawn from it."""

    def __init__(self) -> None:
        self.drawn = 0

    def __iter__(self) -> Iterator[int]:
        for i in count():
            self.drawn += 1
            yield i


@given(items=st.lists(st.integers(), max_size=30), workers=st.integers(1, 4), ahead=st.integers(1, 12))
def test_equals_map(items: list[int], workers: int, ahead: int) -> None:
    assert list(read_ahead(items, lambda i: i * 2, workers, ahead)) == [i * 2 for i in items]


def test_order_holds_when_early_items_are_slow() -> None:
    def load(i: int) -> int:
        time.sleep(0.02 if i % 4 == 0 else 0)
        return i

    assert list(read_ahead(range(24), load, 4, 8)) == list(range(24))


def test_several_items_load_at_once() -> None:
    together = threading.Barrier(3, timeout=10)

    def load(i: int) -> int:
        together.wait()
        return i

    assert list(read_ahead(range(6), load, 3, 3)) == list(range(6))


@pytest.mark.parametrize("ahead", [1, 3, 8])
def test_at_most_ahead_items_are_drawn_beyond_the_one_yielded(ahead: int) -> None:
    source = Counted()
    stream = read_ahead(source, lambda i: i, 2, ahead)
    assert source.drawn == 0  # nothing happens before the first is asked for
    for i in islice(stream, 20):
        assert source.drawn == i + 1 + ahead
    stream.close()
    assert source.drawn == 20 + ahead


def test_an_exception_is_raised_at_its_turn() -> None:
    def load(i: int) -> int:
        if i == 5:
            raise ValueError("the fifth")
        return i

    stream = read_ahead(count(), load, 2, 4)
    assert list(islice(stream, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="the fifth"):
        next(stream)
    assert next(stream, None) is None


def test_closing_cancels_what_waits_and_ends_the_threads() -> None:
    gate, begun = threading.Event(), []

    def load(i: int) -> int:
        begun.append(i)
        if i:
            gate.wait(10)
        return i

    before = threading.active_count()
    stream = read_ahead(count(), load, 1, 50)
    assert next(stream) == 0
    opener = threading.Timer(0.05, gate.set)
    opener.start()
    stream.close()
    opener.join()
    assert len(begun) <= 3  # the first, the one under way, at most one more; the other 48 were cancelled
    assert threading.active_count() == before


@given(n=st.integers(0, 40), size=st.integers(1, 9))
def test_windows_joined_are_the_stream(n: int, size: int) -> None:
    cut = list(windows(range(n), size))
    assert [i for window in cut for i in window] == list(range(n))
    assert all(len(window) == size for window in cut[:-1])
    assert all(0 < len(window) <= size for window in cut)


def test_windows_draw_no_further_than_the_window() -> None:
    source = Counted()
    stream = windows(source, 4)
    assert next(stream) == [0, 1, 2, 3]
    assert source.drawn == 4


def test_nothing_handed_on_is_held() -> None:
    class Picture:
        pass

    def check(stream: Iterator[Picture]) -> None:
        for _ in range(5):
            item = next(stream)
            watched = weakref.ref(item)
            del item
            until = time.monotonic() + 2  # the thread that made it may be on its way out of the call
            while watched() is not None and time.monotonic() < until:
                time.sleep(0.001)
            assert watched() is None

    check(read_ahead(range(9), lambda _: Picture(), 1, 3))

    def drained(stream: Iterator[list[Picture]]) -> Iterator[Picture]:
        for window in stream:
            yield window.pop()

    check(drained(windows((Picture() for _ in range(9)), 1)))


@given(weights=st.lists(st.integers(0, 9), max_size=60), size=st.integers(1, 9), enough=st.integers(1, 30))
def test_windows_end_when_they_weigh_enough(weights: list[int], size: int, enough: int) -> None:
    cut = list(windows(weights, size, lambda w: w, enough))
    assert [w for window in cut for w in window] == weights
    for i, window in enumerate(cut):
        assert sum(window[:-1]) < enough
        assert 1 <= len(window) <= size
        assert len(window) == size or sum(window) >= enough or i == len(cut) - 1
