"""Ordered, bounded read-ahead on threads."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def read_ahead(items: Iterable[S], load: Callable[[S], T], workers: int, ahead: int) -> Iterator[T]:
    """Apply `load` to items on threads and yield the results in order.

    Parameters
    ----------
    items : iterable
        May be endless; at most `ahead` items are drawn beyond the one yielded.
    load : callable
        Runs on a thread; its exception is raised at the item's turn.
    workers, ahead : int
        Threads, and results kept ready.

    Yields
    ------
    object
        ``load(item)`` of each item, in the order of `items`.
    """
    source = iter(items)
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="smearscan-read") as pool:
        try:
            waiting.extend(pool.submit(load, item) for item in islice(source, ahead))
            while waiting:
                done = [waiting.popleft().result()]
                waiting.extend(pool.submit(load, item) for item in islice(source, 1))
                yield done.pop()  # not kept while the consumer works: its copy shall be the only one
        finally:
            for future in waiting:
                future.cancel()


def windows(
    items: Iterable[T], size: int, weigh: Callable[[T], int] = lambda _: 0, enough: int = 1
) -> Iterator[list[T]]:
    """Cut a stream into lists; the list is the consumer's to empty.

    A list ends with its `size`-th item, or with the one that brings the weight of all to `enough`; the last
    one may be shorter.
    """
    window: list[T] = []
    weight = 0
    for item in items:
        window.append(item)
        weight += weigh(item)
        del item  # the consumer's copy shall be the only one
        if len(window) == size or weight >= enough:
            yield window
            window, weight = [], 0
    if window:
        yield window
