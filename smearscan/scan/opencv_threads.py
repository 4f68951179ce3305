"""OpenCV's own threads, which a scan can do without: it reads several fields at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import cv2

_lock, _scans, _before = Lock(), 0, 0


@contextmanager
def opencv_in_one_thread() -> Iterator[None]:
    """Let OpenCV compute each call in the thread that made it, until the last of several scans is over.

    Its pool helps no crop of 80 pixels, and waits for one busily: to measure cells took 1.7 times the cores'
    time with it. What is computed stays the same.
    """
    global _scans, _before
    with _lock:
        if not _scans:
            _before = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _scans += 1
    try:
        yield
    finally:
        with _lock:
            _scans -= 1
            if not _scans:
                cv2.setNumThreads(_before)
