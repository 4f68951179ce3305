"""A whole scan beside the peer script, in turns: `make bench`; at length in docs/performance.md."""

from statistics import median

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.fields import KINDS, slide
from benchmarks.sessions import Worker

N_FIELDS = {"640x480": 50, "2592x1944": 20}


@pytest.mark.parametrize("size", KINDS)
def test_end_to_end(benchmark: BenchmarkFixture, size: str) -> None:
    kind, folder = KINDS[size], slide(KINDS[size], N_FIELDS[size])
    with Worker("ours", folder) as ours:
        ours.ready()
        ours.go()
        cells = [field["xyxy"] for field in ours.cells()]
        with Worker("peer", folder, um_per_px=kind.um_per_px, cells=cells) as peer:
            peer.ready()
            seconds = [peer.go()["seconds"]]  # the first one warms up and is not counted

            def the_peer_first() -> None:
                seconds.append(peer.go()["seconds"])

            told = benchmark.pedantic(ours.go, setup=the_peer_first, rounds=5)
    assert told["fields"] == N_FIELDS[size]
    if benchmark.stats is not None:
        ratio = median(seconds[1:]) / benchmark.stats.stats.median
        benchmark.extra_info["times_faster_than_peer"] = round(ratio, 2)
        print(f"\n{size}: {ratio:.1f} times the peer's speed")
