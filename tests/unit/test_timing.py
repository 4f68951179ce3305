"""The account of a scan adds up, and says what bounds it."""

import threading
import time

import pytest

from smearscan.scan.timing import STAGES, StageTimer, Stopwatch, TimingReport, peak_memory


def account(**changed: object) -> TimingReport:
    given = {
        "n_fields": 40, "n_cells": 60, "seconds": 4.0, "processor_seconds": 7.6, "cores": 2,
        "stages": {"decode": 1.0, "detect": 5.0, "classify": 2.0}, "peak_bytes": 300 * 2**20,
    }  # fmt: skip
    return TimingReport(**(given | changed))  # type: ignore[arg-type]


def test_what_threads_did_is_added_up() -> None:
    clock = StageTimer()

    def work() -> None:
        with clock("detect"):
            time.sleep(0.02)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.seconds["detect"] >= 3 * 0.02


def test_a_stage_that_fails_counts_too() -> None:
    clock = StageTimer()
    with pytest.raises(KeyError), clock("decode"):
        raise KeyError
    assert clock.seconds["decode"] >= 0


def test_shares_are_of_the_whole_in_the_order_of_the_work() -> None:
    shares = account().shares
    assert tuple(shares) == STAGES
    assert sum(shares.values()) == pytest.approx(1)
    assert (shares["detect"], shares["write"]) == (0.625, 0)


def test_rates_are_end_to_end() -> None:
    told = "\n".join(account().lines())
    assert "40 fields in 4.00 s: 10.0 fields/s, 15.0 leukocytes/s" in told
    assert "decode 12.5%" in told
    assert "peak memory: 300 MiB" in told
    assert "not known here" in account(peak_bytes=None).lines()[-1]


def test_the_bound_is_the_processor_or_waiting() -> None:
    assert account().share_busy == pytest.approx(0.95)
    assert account().bound == "the processor, 95% of 2 cores busy; most of it: detect"
    assert account(processor_seconds=2.0).bound == "waiting: only 25% of 2 cores busy; longest: detect"


def test_a_scan_of_nothing_has_an_account() -> None:
    empty = account(n_fields=0, n_cells=0, seconds=0.0, processor_seconds=0.0, stages={})
    assert empty.lines()[0].startswith("0 fields in 0.00 s: 0.0 fields/s")


def test_the_stopwatch_tells_what_passed() -> None:
    watch, clock = Stopwatch(), StageTimer()
    with clock("crop"):
        time.sleep(0.02)
    taken = watch.stop(clock, 1, 2, 2)
    assert taken.seconds >= taken.stages["crop"] >= 0.02
    assert taken.processor_seconds < taken.seconds  # asleep
    assert taken.peak_bytes == peak_memory()


def test_memory_held_shows_in_the_peak() -> None:
    before = peak_memory()
    if before is None:
        pytest.skip("this system does not tell")
    assert 2**20 < before < 2**40
