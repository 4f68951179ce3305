"""The study of a report against counts by hand: reading, joining, figures, page, command."""

import csv
import json
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.cli.validate import command
from smearscan.differential.conclusions import report_slide
from smearscan.differential.flag import FlagRule
from smearscan.differential.slide_report import report_frame
from smearscan.differential.tally import SlideTally
from smearscan.errors import ConfigError, DatasetError
from smearscan.method_comparison.counting_error import FLAGS
from smearscan.method_comparison.manual_counts import read_manual, read_report
from smearscan.method_comparison.page import figure_text, study_page, write_study
from smearscan.method_comparison.study import COLUMNS, validate
from smearscan.report.page import number_text
from smearscan.report.tables import write_csv
from smearscan.results import Scale
from smearscan.taxonomy import FINE_CLASSES, NOTICE

CLASSES = ("neutrophil", "lymphocyte", "monocyte", "eosinophil", "basophil", "immature_granulocyte")
PERCENTS = (*(f"{name}_percent" for name in CLASSES), "blast_percent")
Row = dict[str, Any]


def write(path: Path, rows: list[Row]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def counts_of(seed: int, slides: int = 8, cells: int = 200) -> np.ndarray:  # type: ignore[type-arg]
    """Counts (S, 7) of slides with rising shares of blasts."""
    rng = np.random.default_rng(seed)
    blasts = np.linspace(0, 0.6, slides)[:, None]
    share = np.hstack([(1 - blasts) * [0.6, 0.25, 0.08, 0.03, 0.02, 0.02], blasts])
    return np.stack([rng.multinomial(cells, p) for p in share])


def report_rows(counts: np.ndarray) -> list[Row]:  # type: ignore[type-arg]
    rows = []
    for i, row in enumerate(counts):
        total = row.sum()
        values = [*row[:-1], *np.round(100 * row[:-1] / total, 2), row[-1], round(100 * row[-1] / total, 2)]
        names = [*CLASSES, *PERCENTS[:-1], "blast_count", "blast_percent"]
        flag = "flagged" if row[-1] / total >= 0.2 else "not flagged"
        rows.append(
            {"slide": f"s{i}", "n_counted": total, **dict(zip(names, values, strict=True)), "flag": flag}
        )
    return rows


def manual_rows(counts: np.ndarray, **more: Any) -> list[Row]:  # type: ignore[type-arg]
    return [
        {"slide": f"s{i}", "n_counted": row.sum(), **dict(zip(PERCENTS, 100 * row / row.sum(), strict=True))}
        | more
        for i, row in enumerate(counts)
    ]


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return write(tmp_path / "report.csv", report_rows(counts_of(1, cells=400)))


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    return write(tmp_path / "manual.csv", manual_rows(counts_of(2)))


def ask(*args: object) -> Result:
    return CliRunner().invoke(command, [str(a) for a in args])


# ---- the study


def test_a_report_against_itself_agrees_wholly(report: Path) -> None:
    study, _ = validate(report, [report, report])
    assert tuple(study["classes"]) == (*CLASSES, "blast")
    for part in study["classes"].values():
        figures = part["figures"]
        assert (figures["bias"]["value"], figures["sd"]["value"]) == (0, 0)
        assert figures["slope"]["value"] == 1
        assert figures["pearson"]["value"] == 1
        assert figures["within_counting_error"]["value"] == 100
    assert study["bands"]["figures"]["kappa_linear"]["value"] == 1
    assert study["flag"]["figures"]["agreement"]["value"] == 100
    assert study["repeats"]["classes"]["blast"]["figures"]["total_sd"]["value"] == 0


def test_figures_of_a_class_against_plain_arithmetic(manual: Path, report: Path) -> None:
    study, table = validate(manual, [report])
    hand = 100 * counts_of(2)[:, 1] / 200
    scan = 100 * counts_of(1, cells=400)[:, 1] / 400
    part = study["classes"]["lymphocyte"]
    assert part["manual"] == pytest.approx(hand)
    assert part["report"] == pytest.approx(scan, abs=0.006)
    figures = part["figures"]
    assert figures["bias"]["value"] == pytest.approx((scan - hand).mean(), abs=0.01)
    limit = (scan - hand).mean() + 1.959964 * (scan - hand).std(ddof=1)
    assert figures["upper_limit"]["value"] == pytest.approx(limit, abs=0.02)
    assert figures["pearson"]["value"] == pytest.approx(np.corrcoef(hand, scan)[0, 1], abs=1e-3)
    row = table[(table["subject"] == "lymphocyte") & (table["figure"] == "bias")].iloc[0]
    assert list(table) == list(COLUMNS)
    assert (row["value"], row["n"], row["unit"]) == (figures["bias"]["value"], 8, "percentage points")


@given(shift=st.integers(-40, 40).map(lambda v: v / 10))
@settings(max_examples=10)
def test_a_constant_moves_the_bias_of_that_class_only(
    tmp_path_factory: pytest.TempPathFactory, shift: float
) -> None:
    folder = tmp_path_factory.mktemp("study")
    truth = write(folder / "manual.csv", manual_rows(counts_of(2)))
    rows = report_rows(counts_of(1, cells=400))
    plain, _ = validate(truth, [write(folder / "report.csv", rows)])
    for row in rows:
        row["neutrophil_percent"] += shift
    moved, _ = validate(truth, [write(folder / "moved.csv", rows)])
    for name, part in plain["classes"].items():
        expected = part["figures"]["bias"]["value"] + (shift if name == "neutrophil" else 0)
        assert moved["classes"][name]["figures"]["bias"]["value"] == pytest.approx(expected, abs=1e-4)
        assert moved["classes"][name]["figures"]["sd"] == pytest.approx(part["figures"]["sd"], abs=1e-4)


def test_exchanged_tables_invert_the_slope(tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", report_rows(counts_of(1, 12)))
    other = write(tmp_path / "other.csv", report_rows(counts_of(2, 12)))
    there, back = validate(one, [other])[0], validate(other, [one])[0]
    for name in ("neutrophil", "lymphocyte", "blast"):
        slopes = [study["classes"][name]["figures"]["slope"]["value"] for study in (there, back)]
        assert slopes[0] * slopes[1] == pytest.approx(1, abs=1e-4)


def test_slides_on_one_side_are_named(manual: Path, tmp_path: Path) -> None:
    rows = report_rows(counts_of(1))
    rows[0]["slide"] = "elsewhere"
    rows[1]["monocyte_percent"] = ""
    study, _ = validate(manual, [write(tmp_path / "report.csv", rows)])
    assert study["slides"]["only_in_truth"] == ["s0"]
    assert study["slides"]["only_in_report"] == ["elsewhere"]
    assert study["classes"]["monocyte"]["left_out"] == ["s1"]
    assert len(study["classes"]["monocyte"]["slides"]) == 6
    told = " ".join(study["remarks"])
    for words in (
        "by hand, not compared: s0",
        "in the report, not compared: elsewhere",
        "monocyte on one side: s1",
    ):
        assert words in told
    assert "7 slides are compared; 40 are the usual minimum" in told


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_slides_get_words_for_numbers(n: int, manual: Path, tmp_path: Path) -> None:
    few = write(tmp_path / "few.csv", report_rows(counts_of(1))[:n])
    study, table = validate(manual, [few])
    figures = study["classes"]["blast"]["figures"]
    for name in ("bias", "lower_limit", "slope", "intercept", "pearson"):
        assert figures[name]["value"] is None
        assert "3 are the least, 40 the usual minimum" in figures[name]["reason"]
    assert table[table["figure"] == "slope"]["value"].isna().all()
    assert "not told" in study_page(study)


def test_a_class_that_a_net_did_not_count_is_not_compared(manual: Path, tmp_path: Path) -> None:
    rows = [row | dict.fromkeys(PERCENTS[:-1], "") for row in report_rows(counts_of(1))]
    study, _ = validate(manual, [write(tmp_path / "blast_only.csv", rows)])
    assert list(study["classes"]) == ["blast"]
    assert study["uncompared_classes"] == list(CLASSES)
    assert "By hand only, not compared: neutrophil" in " ".join(study["remarks"])


def test_blasts_without_a_column_leave_flag_and_categories_out(tmp_path: Path, report: Path) -> None:
    rows = [
        {"slide": r["slide"], "lymphocyte_percent": r["lymphocyte_percent"]}
        for r in manual_rows(counts_of(2))
    ]
    study, _ = validate(write(tmp_path / "manual.csv", rows), [report])
    assert study["bands"] is None
    assert study["flag"] == {"reason": "neither leukemia nor blasts were noted by hand"}
    assert "neither leukemia nor blasts" in study_page(study)


def test_categories_of_blasts(tmp_path: Path) -> None:
    hand, scan = [0, 4.9, 5, 10, 19.9, 20, 80], [0, 5, 5, 9.9, 20, 20, 20]
    truth = write(tmp_path / "m.csv", [{"slide": i, "blast_percent": v} for i, v in enumerate(hand)])
    found = write(tmp_path / "r.csv", [{"slide": i, "blast_percent": v} for i, v in enumerate(scan)])
    bands = validate(truth, [found])[0]["bands"]
    assert bands["labels"] == ["<5 %", "5 to <10 %", "10 to <20 %", "20 % and more"]
    assert bands["table"] == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 2]]
    assert validate(truth, [found], bands=[50])[0]["bands"]["table"] == [[6, 0], [1, 0]]


def test_what_a_scan_writes_is_what_a_study_reads(tmp_path: Path, manual: Path) -> None:
    reports = []
    for i, row in enumerate(counts_of(5, cells=300)):
        types = Counter(dict(zip((*CLASSES, "blast"), map(int, row), strict=True)))
        tally = SlideTally(f"s{i}", n_fields=3, types=types + Counter(erythroblast=4))
        tally = replace(tally, fine_types=Counter(promyelocyte=4, lymphocyte=3))
        scale = Scale(0.07, "red cells", 30)
        reports.append(report_slide(tally, "both", scale, FlagRule(), (), fine_classes=FINE_CLASSES))
    path = tmp_path / "scan.csv"
    write_csv(report_frame(reports), path)
    found = read_report(path)
    assert list(found.percent) == [*CLASSES, "blast"]
    assert set(found.flag.values()) <= set(FLAGS)
    assert (found.cells == 300).all(axis=None)
    study, _ = validate(manual, [path])
    assert list(study["classes"]) == [*CLASSES, "blast"]
    # a report may stand in for the count by hand: two nets, two microscopes
    assert validate(path, [path])[0]["classes"]["blast"]["figures"]["bias"]["value"] == 0


# ---- the flag


def flagged(tmp_path: Path, flags: list[str], **columns: list[object]) -> dict[str, Any]:
    names = [f"s{i}" for i in range(len(flags))]
    report = [{"slide": s, "blast_percent": 1, "flag": f} for s, f in zip(names, flags, strict=True)]
    truth = [{"slide": s, **{k: v[i] for k, v in columns.items()}} for i, s in enumerate(names)]
    study, _ = validate(write(tmp_path / "m.csv", truth), [write(tmp_path / "r.csv", report)])
    flag: dict[str, Any] = study["flag"]
    return flag


def test_the_flag_is_judged_by_blasts_by_hand(tmp_path: Path) -> None:
    flags = ["flagged", "not flagged", "insufficient", "not flagged"]
    found = flagged(tmp_path, flags, blast_percent=[20, 19.9, 60, ""])
    assert found["truth"] == "blasts by hand at or above 20 %"
    assert found["table"]["leukemia"] == {"flagged": 1, "not flagged": 0, "insufficient": 1}
    assert found["table"]["no leukemia"] == {"flagged": 0, "not flagged": 1, "insufficient": 0}
    assert (found["insufficient"], found["without_truth"], found["wrong"]) == (["s2"], ["s3"], [])
    assert found["figures"]["sensitivity"]["value"] == 100
    assert found["figures"]["sensitivity_all"]["value"] == 50


def test_a_column_of_truths_wins_over_blasts(tmp_path: Path) -> None:
    flags = ["flagged", "not flagged", "flagged", "not flagged"]
    found = flagged(tmp_path, flags, blast_percent=[0, 90, 0, 5], leukemia=["Yes", "0", "no", "true"])
    assert found["truth"] == "column 'leukemia' by hand"
    assert found["wrong"] == ["s2", "s3"]
    assert found["figures"]["agreement"]["value"] == 50


def test_a_report_without_flags_says_so(tmp_path: Path, manual: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "flag"} for row in report_rows(counts_of(1))]
    study, _ = validate(manual, [write(tmp_path / "r.csv", rows)])
    assert study["flag"] == {"reason": "the report has no column 'flag'"}


# ---- readers, repeats, cells


def test_readers_are_averaged_and_their_cells_add_up(tmp_path: Path) -> None:
    rows = [
        {"slide": "a", "reader": "1", "n_counted": 100, "blast_percent": 10},
        {"slide": "b", "reader": "1", "n_counted": 100, "blast_percent": 40},
        {"slide": "a", "reader": "2", "n_counted": 300, "blast_percent": 14},
        {"slide": "b", "reader": "2", "n_counted": "", "blast_percent": 44},
        {"slide": "c", "reader": "2", "n_counted": 200, "blast_percent": ""},
    ]
    found = read_manual(write(tmp_path / "m.csv", rows))
    assert found.percent["blast"].dropna().to_dict() == {"a": 12, "b": 42}
    assert found.cells.loc["a", "blast"] == 400
    assert np.isnan(found.cells.loc["b", "blast"])
    assert list(found.readers) == ["1", "2"]
    assert found.readers["2"].percent["blast"].dropna().to_dict() == {"a": 14, "b": 44}


def test_precision_of_readers_and_repeats(tmp_path: Path) -> None:
    readers = [r | {"reader": "A"} for r in manual_rows(counts_of(2))]
    readers += [r | {"reader": "B"} for r in manual_rows(counts_of(3))[:6]]
    reports = [write(tmp_path / f"{k}.csv", report_rows(counts_of(4 + k))) for k in range(3)]
    write(reports[2], report_rows(counts_of(6))[1:])
    study, table = validate(write(tmp_path / "m.csv", readers), reports)
    by_hand, scans = study["readers"], study["repeats"]
    assert by_hand["names"] == ["A", "B"]
    assert by_hand["classes"]["blast"]["left_out"] == ["s6", "s7"]
    assert (scans["runs"], scans["classes"]["blast"]["left_out"]) == (3, ["s0"])
    values = np.stack([100 * counts_of(4 + k)[1:, 0] / 200 for k in range(3)], axis=1)
    assert scans["classes"]["neutrophil"]["sd"] == pytest.approx(values.std(axis=1, ddof=1), rel=1e-4)
    error = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    figures = scans["classes"]["neutrophil"]["figures"]
    assert figures["repeatability_sd"]["value"] == pytest.approx(np.sqrt((error**2).sum() / 12), rel=1e-4)
    expected = np.sqrt(np.mean(values * (100 - values) / 200))
    assert figures["counting_sd"]["value"] == pytest.approx(expected, rel=1e-4)
    assert set(table["part"]) == {"agreement", "categories", "flag", "repeats", "readers"}
    told = " ".join(study["remarks"])
    assert "Not in every report, no part of that precision (some classes or all): s0." in told
    assert "Not counted by every reader, no part of that precision (some classes or all): s6, s7." in told


def test_counts_by_hand_make_percentages(tmp_path: Path) -> None:
    rows = [{"slide": "a", "neutrophil": 60, "lymphocyte": 30, "blast": 10, "erythroblast": 5, "note": "x"}]
    found = read_manual(write(tmp_path / "m.csv", rows))
    assert found.percent.loc["a"].to_dict() == {"neutrophil": 60, "lymphocyte": 30, "blast": 10}
    assert found.cells.loc["a", "blast"] == 100
    assert found.ignored == ("erythroblast", "note")
    rows[0]["n_counted"] = 200
    found = read_manual(write(tmp_path / "m.csv", rows))
    assert (found.percent.loc["a", "blast"], found.cells.loc["a", "blast"]) == (5, 200)


def test_counts_of_a_class_that_only_the_report_knows(tmp_path: Path) -> None:
    rows = [{"slide": "a", "neutrophil": 60, "plasma_cell": 40}]
    assert list(read_manual(write(tmp_path / "m.csv", rows), ["plasma_cell"]).percent) == [
        "neutrophil",
        "plasma_cell",
    ]
    own = [{"slide": "a", "n_counted": 10, "plasma_cell": 4, "plasma_cell_percent": 40, "limit_percent": 250}]
    assert list(read_report(write(tmp_path / "r.csv", own)).percent) == ["plasma_cell"]


def test_unknown_numbers_of_cells_can_be_given(tmp_path: Path, report: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "n_counted"} for row in manual_rows(counts_of(2))]
    manual = write(tmp_path / "m.csv", rows)
    part = validate(manual, [report])[0]["classes"]["blast"]
    assert part["figures"]["within_counting_error"]["value"] is None
    assert "n_counted" in part["figures"]["within_counting_error"]["reason"]
    assert len(part["without_cells"]) == 8
    part = validate(manual, [report], truth_cells=200)[0]["classes"]["blast"]
    assert part["figures"]["within_counting_error"]["n"] == 8
    assert part["without_cells"] == []


def test_a_slide_beyond_counting_error_is_named(tmp_path: Path, report: Path) -> None:
    rows = manual_rows(counts_of(1, cells=400))
    rows[7]["blast_percent"] += rows[7]["neutrophil_percent"]
    rows[7]["neutrophil_percent"] = 0
    study, _ = validate(write(tmp_path / "m.csv", rows), [report])
    assert study["classes"]["neutrophil"]["outside_counting_error"] == ["s7"]
    assert study["classes"]["neutrophil"]["figures"]["within_counting_error"]["value"] == 87.5
    assert study["classes"]["lymphocyte"]["outside_counting_error"] == []


# ---- refusals


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,blast_percent\na,3\n", ["no column 'slide'", "image, blast_percent"]),
        ("", ["no column 'slide'", "nothing"]),
        ("slide,blast_percent\n", ["no slide", "one row a slide"]),
        ("slide,blast_percent\n,3\n", ["line 2", "slide is empty"]),
        ("slide,blast_percent\na,3\nb,1\na,4\n", ["line 4, slide a", "second time", "'reader'"]),
        ("slide,reader,blast_percent\na,X,3\na,X,4\n", ["line 3, slide a, reader X", "second time"]),
        ("slide,blast_percent\na,3\nb,120\n", ["line 3, slide b", "blast_percent is 120", "0 to 100"]),
        ("slide,blast_percent\na,-1\n", ["blast_percent is -1", "0 to 100"]),
        ("slide,blast_percent\na,many\n", ["line 2, slide a", "'many'", "no number", "12.5"]),
        ('slide,blast_percent\na,"3,500"\n', ["line 2, slide a", "'3,500'", "may be 3500 or 3.500"]),
        ("slide,blast_percent\na,nan\n", ["'nan'", "leave the cell empty"]),
        ("slide,blast_percent\na,inf\n", ["'inf'", "no number"]),
        ("slide,blast_percent\na,3,5\n", ["line 2 has 3 cells", "header 2", "decimal point"]),
        ("slide,blast_percent,blast_percent\na,3,5\n", ["'blast_percent' occurs 2 times"]),
        ("slide,neutrophil_percent,blast_percent\na,80,40\n", ["slide a", "add up to 120", "5 off 100"]),
        (
            "slide,neutrophil_percent,lymphocyte_percent,monocyte_percent,eosinophil_percent\na,40,20,5,1\n",
            ["add up to 66", "class that is missing"],
        ),
        ("slide,neutrophil_percent,blast\na,80,4\n", ["neutrophil in percent and blast as a count"]),
        ("slide,neutrophil,blast\na,80.5,4\n", ["neutrophil is 80.5", "neutrophil_percent"]),
        ("slide,neutrophil,blast\na,3,4\nb,,4\n", ["line 3", "neutrophil is empty", "n_counted"]),
        ("slide,neutrophil,blast\na,-3,4\n", ["neutrophil is -3", "no number of cells"]),
        ("slide,n_counted,neutrophil,blast\na,100,98,4\n", ["add up to 102", "n_counted, 100"]),
        ("slide,blast\na,4\n", ["counts blast alone", "n_counted"]),
        ("slide,segs\na,4\n", ["counts neutrophil alone"]),
        ("slide,unicorns\na,4\n", ["no class", "blast_percent", "neutrophil"]),
        ("slide,blast_percent,leukemia\na,4,maybe\n", ["leukemia is 'maybe'", "yes or no"]),
        (
            "slide,reader,blast_percent,leukemia\na,X,4,yes\na,Y,5,no\n",
            ["slide a, reader Y", "another reader", "agree"],
        ),
    ],
)
def test_a_table_by_hand_is_refused_with_the_place_and_the_cure(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    path = tmp_path / "manual.csv"
    path.write_text(text)
    with pytest.raises(DatasetError) as caught:
        read_manual(path)
    for word in (str(path), *words):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("slide,blast_percent\na,3\na,4\n", ["line 3, slide a", "second time", "--report"]),
        ("slide,blast_percent,flag\na,3,red\n", ["slide a", "'red'", "insufficient"]),
        ("slide,blast_percent,n_counted\na,3,1.5\n", ["n_counted is 1.5", "no number of cells"]),
    ],
)
def test_a_report_is_refused_with_the_place_and_the_cure(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "report.csv"
    path.write_text(text)
    with pytest.raises(DatasetError) as caught:
        read_report(path)
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"missing.csv: cannot be read .*--truth"):
        read_manual(tmp_path / "missing.csv")
    (tmp_path / "binary.csv").write_bytes(b"slide,\x81\n")
    with pytest.raises(DatasetError, match="UTF-8"):
        read_report(tmp_path / "binary.csv")


def test_a_byte_order_mark_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes("\ufeffslide , blast_percent\r\n\r\n a , 3 \r\n,\r\nb,bad\r\n".encode())
    with pytest.raises(DatasetError, match="line 5, slide b"):
        read_manual(path)
    path.write_bytes("\ufeffslide , blast_percent\r\n\r\n a , 3 \r\n,\r\n".encode())
    assert read_manual(path).percent["blast"].to_dict() == {"a": 3}


def test_laboratory_words_and_excel_s_ways_are_read(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    header = "Slide;Seg (%);Band (%);Lymphs %;Plasmazellen_percent;Mono %;EOS %;Blasts %;n_counted"
    path.write_bytes(f"{header}\r\n001;50,5;9,5;20;1;10;;9;200\r\n".encode("utf-16"))
    found = read_manual(path)
    assert found.percent.loc["001"].dropna().to_dict() == {
        "neutrophil": 60, "lymphocyte": 21, "monocyte": 10, "blast": 9,
    }  # fmt: skip
    assert found.renamed["neutrophil"] == ["Seg (%)", "Band (%)"]
    assert found.ignored == ()


def test_a_study_tells_what_columns_were_taken_for(tmp_path: Path, report: Path) -> None:
    rows = [
        {("segs_percent" if k == "neutrophil_percent" else k): v for k, v in row.items()}
        for row in manual_rows(counts_of(2))
    ]
    study, _ = validate(write(tmp_path / "m.csv", rows), [report])
    assert "By hand, neutrophil is segs_percent." in study["remarks"]
    assert "neutrophil" in study["classes"]


def test_tables_without_a_common_slide_or_class_are_refused(tmp_path: Path, report: Path) -> None:
    other = write(tmp_path / "m.csv", [{"slide": f"x{i}", "blast_percent": 1} for i in range(5)])
    with pytest.raises(DatasetError, match=r"no slide is in both.*x0, x1, x2, \.\.\..*s0, s1, s2"):
        validate(other, [report])
    other = write(tmp_path / "m.csv", [{"slide": "s1", "hairy_cell_percent": 1}])
    with pytest.raises(DatasetError, match=r"no class is in both.*hairy_cell.*neutrophil"):
        validate(other, [report])


# ---- page and command


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "img":
            self.images.append(found)
        self.addresses += [v for k, v in attrs if k in ("src", "href") and v]
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_beside_it(manual: Path, report: Path) -> None:
    study, _ = validate(manual, [report, report])
    text = study_page(study)
    page = Page(text)
    assert len(page.images) == 2 * 7
    assert all(address.startswith("data:image/svg+xml;base64,") for address in page.addresses)
    for name, image in zip(np.repeat([*CLASSES, "blast"], 2), page.images, strict=True):
        assert str(name).replace("_", " ") in str(image["alt"])
        assert "8 slides" in str(image["alt"])
    assert text.index(NOTICE) < text.index("Agreement by class")
    assert "<script" not in text
    assert study_page(json.loads(json.dumps(study))) == text


def test_names_of_slides_cannot_break_the_page(tmp_path: Path) -> None:
    rows = [{"slide": f"<b>{i}&", "blast_percent": i} for i in range(3)]
    found = [row | {"flag": "insufficient"} for row in rows]
    study, _ = validate(write(tmp_path / "m.csv", rows), [write(tmp_path / "r.csv", found)])
    text = study_page(study)
    assert "&lt;b&gt;0&amp;" in text
    assert "<b>0" not in text


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        ({"value": 1.234, "low": 1.0, "high": 1.5, "reason": ""}, "1.23 (1.00 to 1.50)"),
        ({"value": 1.0, "low": None, "high": 1.5, "reason": "open"}, "1.00 (open to 1.50)"),
        ({"value": 1.0, "low": None, "high": None, "reason": "few"}, "1.00 (no interval: few)"),
        ({"value": 1.0, "low": None, "high": None, "reason": ""}, "1.00"),
        ({"value": None, "low": None, "high": None, "reason": "few"}, "not told: few"),
    ],
)
def test_figures_as_text(figure: dict[str, Any], text: str) -> None:
    assert figure_text(figure) == text


def test_numbers_as_text() -> None:
    assert number_text(-0.001) == "0.00"
    assert number_text(-1.25, 1) == "-1.2"
    assert number_text(None) == "open"


def test_the_command_writes_three_files_and_tells_what_matters(
    manual: Path, report: Path, tmp_path: Path
) -> None:
    rows = report_rows(counts_of(9))
    rows[0]["slide"] = "stray"
    out = tmp_path / "study"
    result = ask(
        "--truth", manual, "--report", report, "--report", write(tmp_path / "2.csv", rows), "--out", out
    )
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == [f"validation.{s}" for s in ("csv", "html", "json")]
    study = json.loads((out / "validation.json").read_text())
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["class", "slides"]
    assert [line.split()[0] for line in lines[1:8]] == [*CLASSES, "blast"]
    assert lines[7].split()[2] == number_text(study["classes"]["blast"]["figures"]["bias"]["value"], 1)
    assert "flag, percent: sensitivity" in lines[-1]
    assert result.stdout.isascii()
    for words in ("40 are the usual minimum", "stray", "validation.html", "never a diagnosis"):
        assert words in " ".join(result.stderr.split())
    written = (out / "validation.csv").read_text().splitlines()
    assert written[0] == ",".join(COLUMNS)
    again = tmp_path / "again"
    ask("--truth", manual, "--report", report, "--report", tmp_path / "2.csv", "--out", again)
    for name in ("validation.csv", "validation.html", "validation.json"):
        assert (again / name).read_bytes() == (out / name).read_bytes()


def test_two_slides_get_a_summary_in_words(manual: Path, tmp_path: Path) -> None:
    few = write(tmp_path / "few.csv", report_rows(counts_of(1))[:2])
    result = ask("--truth", manual, "--report", few, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "not told: 2 slides; 3 are the least" in result.stdout


@pytest.mark.parametrize("bands", ["", "a", "20,10", "0,5", "5,100", "5,5"])
def test_wrong_bands_are_refused(bands: str, manual: Path, report: Path, tmp_path: Path) -> None:
    result = ask("--truth", manual, "--report", report, "--out", tmp_path / "out", "--bands", bands)
    assert result.exit_code == 2
    assert "5,10,20" in result.output


def test_places_that_cannot_be_written_are_refused(manual: Path, report: Path, tmp_path: Path) -> None:
    result = ask("--truth", manual, "--report", report, "--out", report)
    assert isinstance(result.exception, ConfigError)
    assert "--out is the folder" in str(result.exception)
    study, table = validate(manual, [report])
    with pytest.raises(ConfigError, match="cannot be written"):
        write_study(study, table, report / "below")
