"""What benchmarks compute from what they time; the timing itself is no test."""

import ast
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import cluster, commands, fields, limits, performance, profile, sizing, soak, tables, whole
from benchmarks.limits import Recorder, stacks
from benchmarks.machine import described, in_words, peak_mb
from benchmarks.sessions import summary
from benchmarks.versions import ratios
from smearscan.io import find_slides, read_image
from smearscan.results import Detections, FieldResult, Scale
from tests.unit import fakes

PACKAGE = Path(__file__).resolve().parents[2] / "smearscan"
A, B, C = [0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]


def cells(boxes: list[list[int]], types: list[str]) -> dict[str, Any]:
    return {"xyxy": boxes, "types": types}


def test_the_package_knows_no_benchmark() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            named += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "benchmarks" for name in named), path


def test_agreement_counts_cells_of_both_once() -> None:
    one = [cells([A, B], ["x", "y"]), cells([], [])]
    other = [cells([B, A, C], ["y", "z", "z"]), cells([A], ["x"])]
    assert whole.agreement(one, other) == {"one": 2, "other": 4, "both": 2, "same_name": 1}


def test_a_box_is_matched_once() -> None:
    near = np.array([[0, 0, 10, 10], [1, 0, 11, 10]], np.float32)
    assert whole.matched(near[:1], near) == [(0, 0)]


def test_bounds() -> None:
    ms = {"decode": 2.0, "network": 6.0, "both": 9.0, whole.OURS: 12.0, whole.OURS_GIVEN: 10.0}
    told = whole.bounds({name: {"ms_per_field": value} for name, value in ms.items()})
    assert told["bounds_ms"] == {"slower of the two": 6, "one after the other": 8, "side by side": 9}
    assert told["share_of_bound"][whole.OURS]["slower of the two"] == pytest.approx(0.5)
    assert told["share_of_bound"][whole.OURS_GIVEN]["side by side"] == pytest.approx(0.9)


def test_the_summary_of_rounds_is_their_median() -> None:
    runs = [
        {"fields": 10, "seconds": s, "core_seconds": 2 * s, "peak_mb": 5, "types": {}}
        for s in (1.0, 9.0, 2.0)
    ]
    told = summary(runs, {"types": {"x": 1}})
    assert told["ms_per_field"] == pytest.approx(200)
    assert told["core_ms_per_field"] == pytest.approx(400)
    assert told["seconds"] == [1, 9, 2]
    assert told["core_seconds"] == [2, 18, 4]
    assert told["same_counts"] is False


def test_what_an_engine_was_given_is_kept_by_shape() -> None:
    class Engine:
        name = "none"

        def run(self, images: np.ndarray) -> np.ndarray:
            return images.astype(np.float32)

    recorder = Recorder(Engine())
    for shape in ((1, 32, 64, 3), (1, 64, 32, 3), (2, 32, 64, 3)):
        recorder.run(np.zeros(shape, np.uint8))
    assert [s.shape for s in stacks(recorder.seen)] == [(3, 32, 64, 3), (1, 64, 32, 3)]


def spend(seconds: float) -> None:
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        pass


def test_a_step_is_not_charged_for_the_steps_it_calls() -> None:
    meter = profile.Meter()
    inner = meter.wrapped("inner", lambda: spend(0.02))

    def twice() -> None:
        spend(0.01)
        inner()
        inner()

    meter.wrapped("outer", twice)()
    inner()
    assert meter.seconds["inner"] == pytest.approx(0.06, rel=0.2)
    assert meter.seconds["outer"] == pytest.approx(0.01, rel=0.2)


def test_every_profiled_step_is_a_function_of_the_scan() -> None:
    for places in profile._STEPS.values():
        for place in places:
            owner, name = profile._owner(place)
            assert callable(getattr(owner, name)), place


def test_shares_of_a_profile_are_of_its_sum() -> None:
    figures = {"640x480": {"core_ms": {"decoding": 1.0, "networks": 3.0}}}
    lines = list(tables._profile(figures))
    assert lines[2:] == ["| networks | 3.00 | 75.0% |", "| decoding | 1.00 | 25.0% |", "| all | 4.00 | |"]


def test_decoding_alone_reads_as_a_scan_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields.write_slides(tmp_path, soak.SPEC, 2, 2, 2)
    fakes.use_fake_nets(monkeypatch)
    assert limits.Decode(tmp_path, fields.SMALL)() == {"fields": 2}


def test_the_machine_is_told() -> None:
    told = described()
    assert set(told["weights"]) == {"detector", "differential", "blast"}
    assert told["packages"]["numpy"] in in_words(told)
    assert peak_mb() > 10


def test_a_table_takes_the_place_of_the_last_one() -> None:
    page = "a\n<!-- x -->\n<!-- /x -->\n### b\n<!-- y -->\nold\n<!-- /y -->\n"
    once = performance.filled(performance.filled(page, "x", "new\n"), "y", "newer")
    assert once == "a\n<!-- x -->\n\nnew\n\n<!-- /x -->\n### b\n<!-- y -->\n\nnewer\n\n<!-- /y -->\n"
    assert performance.filled(once, "x", "new") == once
    with pytest.raises(ValueError, match="put them"):
        performance.filled(page, "z", "")


def test_the_page_has_a_place_for_every_part() -> None:
    page = (PACKAGE.parent / "docs" / "performance.md").read_text(encoding="utf-8")
    for part in (*performance.PARTS, "machine"):
        performance.filled(page, part, "")


def test_a_part_of_another_run_says_so() -> None:
    new, old = described(), described()
    new["when"], old["when"] = "2026-02-01 10:00 UTC", "2026-01-01 10:00 UTC"
    figures = {"help_seconds": 0.1, "libraries_seconds": 0.7, "first_field_seconds": 2.0}
    known = {
        "start_up": {"machine": old, "took_seconds": 20, "figures": figures},
        "batches": {"machine": new, "took_seconds": 120, "figures": {"f32, batches of 8": 1.5}},
    }
    assert "2026-02-01" in tables.about(known)
    assert "took 2 minutes" in tables.about(known)
    assert "Of another run: 2026-01-01" in tables.table("start_up", known)
    assert "Of another run" not in tables.table("batches", known)
    assert "| f32, batches of 8 | 1.50 |" in tables.table("batches", known)


def fields_of(n: int) -> FieldResult:
    found = Detections(np.zeros((n, 4), np.float32), np.ones(n, np.float32), np.zeros(n, np.int64))
    types = ("neutrophil",) * n
    empty = np.zeros((n, 0), np.float32)
    return FieldResult(
        "s", None, (9, 9), found, empty, (), np.ones(n, np.float32), types, Scale(0.1, "given")
    )


def test_the_benchmark_of_the_page_gives_each_slide_its_share_of_cells() -> None:
    review_page = pytest.importorskip("benchmarks.review_page")
    pool = [fields_of(n) for n in (3, 0, 4)]
    slides = review_page.slides_of(pool, 4, 40)
    assert [report.slide_id for report, _ in slides] == [f"slide {i:02d}" for i in range(1, 5)]
    for report, results in slides:
        assert report.n_leukocytes == sum(map(len, results))
        assert 10 <= report.n_leukocytes < 14


def test_memory_that_grows_is_told_from_memory_that_was_fetched_once() -> None:
    once = [(50 * i, 100.0 + 300 * min(i, 5) / 5) for i in range(1, 60)]
    assert abs(soak.growth_mb(once)) < 1e-6
    leak = [(fields, held + fields / 50) for fields, held in once]
    assert soak.growth_mb(leak) == pytest.approx(39, abs=1)  # 1 MB a slide over the last 40 slides
    assert not soak.growth_mb([(50, 100.0)]) <= soak.GROWTH_MB


def test_no_field_of_a_long_slide_is_another_s_copy(tmp_path: Path) -> None:
    fields.write_slides(tmp_path, soak.SPEC, 60, 50, 2)
    files = sorted(tmp_path.rglob("*.jpg"))
    assert [len(slide.paths) for slide in find_slides(tmp_path)] == [50, 10]
    assert len({file.read_bytes() for file in files}) == 60
    first, again = read_image(files[0]), read_image(files[2])  # of one drawn square, turned otherwise
    assert first.shape == again.shape == (soak.SPEC.height, soak.SPEC.width, 3)
    assert np.abs(first.astype(int) - again).mean() > 5
    assert first.min() > 0  # a turned square fills the field's corners, too


def test_the_sizing_page_is_what_its_command_makes_of_the_figures() -> None:
    text = sizing.PAGE.read_text(encoding="utf-8")
    assert performance.filled(text, "sizing", sizing.table(price=0.05, shared_mb=1000)) == text


def test_shared_storage_ends_what_more_machines_gain() -> None:
    rows = [line.split(" | ") for line in sizing.table(1.0, 10.0).splitlines()[2:]]
    for (name, _, _, size), row in zip(sizing.slides(), rows, strict=True):
        assert row[0] == f"| {name}"
        assert row[-3] == f"{3600 * 10 / size:,.0f} (storage)"


def test_commands_take_turns_and_one_that_fails_is_told() -> None:
    taken = commands.in_turns({"one": ["-c", "pass"], "other": ["-c", "import time; time.sleep(0.3)"]}, 1)
    assert taken["other"] > 0.3
    with pytest.raises(subprocess.CalledProcessError):
        commands.in_turns({"broken": ["-c", "raise SystemExit(1)"]}, 1)


def test_whole_commands_are_told_beside_each_other() -> None:
    told = {"fields": 10, "rounds": 5, "seconds": {"smearscan": 2.5, "peer": 10.0}, "times_faster": 4.0}
    known = {"whole_command": {"machine": described(), "figures": {"10 drawn": told}, "took_seconds": 1}}
    assert "| 10 drawn | 2.50 | 10.00 | 4.0 | 5 |" in tables.table("whole_command", known)


def test_versions_are_compared_round_by_round() -> None:
    """A round in which the machine was busy slows both, and changes no ratio."""
    assert ratios([1, 1, 50, 1], [1.1, 1.1, 55, 1.1]) == {"ratio": 1.1, "low": 1.1, "high": 1.1}
    assert ratios([2, 2, 2], [1, 2, 4])["ratio"] == 1


def test_a_slide_of_a_camera_has_no_copies_of_which_a_scan_reads_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fields, "FOLDER", tmp_path)
    kind = fields.Kind("small", replace(fields.SMALL.spec, height=64, width=64), 1, 2)
    (slide,) = find_slides(fields.slide(kind, 5))
    assert len(slide.paths) == 5


def test_what_a_cluster_costs_is_parted_into_its_start_and_its_slides() -> None:
    def took(start: float, a_slide: float) -> dict[int, list[dict[str, float]]]:
        return {n: [{"seconds": s, "core_seconds": 2 * s}] for n in (4, 20) for s in [start + n * a_slide]}

    cost = cluster.costs({"plain": took(1, 2), "ray": took(30, 2.2)}, 4, 20)
    assert cost["ray"]["seconds"] == pytest.approx({"all": 74, "a_slide": 2.2, "start": 30})
    assert cost["plain"]["core_seconds"] == pytest.approx({"all": 82, "a_slide": 4, "start": 2})
    told = cluster.table({"many": 20, "fields": 25, "cost": cost, "machine": described()})
    assert "| Ray takes | +80 % | +10 % | | +80 % | +10 % |" in told
