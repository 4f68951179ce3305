"""The review page in a real browser: everything a reader does, and what the page must never do."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
import drawn_run
from browser import Watched, chromium

from smearscan.differential.conclusions import report_slide
from smearscan.differential.flag import FlagRule
from smearscan.differential.slide_report import StopInfo
from smearscan.differential.statistics.blast_excess import blast_excess
from smearscan.differential.statistics.correction import Corrector
from smearscan.differential.statistics.intervals import clopper_pearson
from smearscan.differential.suspects import Suspect
from smearscan.differential.tally import SlideTally
from smearscan.report.review import write_review
from smearscan.report.review.page import built, dictionaries
from smearscan.results import FieldResult, Scale, Stain
from smearscan.results.doubts import ABOUT_NAMES, Doubt
from smearscan.taxonomy import FINE_PARTS
from smearscan.training.corrections import apply_corrections
from smearscan.training.corrections_file import read_corrections

AXE = Path(__file__).resolve().parents[2] / "web/node_modules/axe-core/axe.min.js"
EVIL = "<img src=x onerror=alert(1)>\"'`</script><script>alert(2)</script>\u202egnp.exe & co"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, drawn_run.Slides]:
    slides = drawn_run.draw(tmp_path_factory.mktemp("drawn"), 8)
    return slides, drawn_run.run(slides)


@pytest.fixture(scope="module")
def page_file(run: tuple[Path, drawn_run.Slides], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("review")
    return write_review(out, drawn_run.facts(), run[1], run[0]).files[0]


@pytest.fixture
def watched(browser: Any, page_file: Path) -> Iterator[Watched]:
    page = Watched(browser, page_file, viewport={"width": 1300, "height": 850}, locale="en-US")
    yield page
    page.close()
    assert page.troubles == []


def n_of(page: Any, name: str) -> int:
    row = page.locator(f"#counts tr[data-row={name}] td").first
    return int(row.inner_text()) if row.count() else 0


def test_open_filter_and_find_a_slide(watched: Watched) -> None:
    page = watched.open()
    assert page.locator("tbody tr").count() == 2
    assert "Research use only" in page.locator(".notice").inner_text()
    page.fill("#filter", "LEUK")
    assert page.locator("tbody tr").count() == 1
    page.click("tbody a")
    page.wait_for_selector("#cells .tile")
    page.select_option("#show", "unclassified")
    assert set(page.locator(".tile").evaluate_all("t => t.map(e => e.dataset.name)")) == {"unclassified"}


def test_name_by_letter_then_undo_and_redo(watched: Watched) -> None:
    page = watched.open("#/slide/1/gallery")
    page.focus("#cells")
    before = n_of(page, "monocyte"), n_of(page, "unclassified")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("m")
    assert (n_of(page, "monocyte"), n_of(page, "unclassified")) == (before[0] + 3, before[1] - 3)
    page.keyboard.press("Control+z")
    assert (n_of(page, "monocyte"), n_of(page, "unclassified")) == before
    page.keyboard.press("Control+Shift+z")
    assert n_of(page, "monocyte") == before[0] + 3


def test_name_by_drag_and_drop(watched: Watched) -> None:
    page = watched.open("#/slide/1/gallery")
    before = n_of(page, "eosinophil")
    page.drag_and_drop(".tile[data-name=unclassified] >> nth=0", "button[data-class=eosinophil]")
    assert n_of(page, "eosinophil") == before + 1
    page.click(".tile[data-name=unclassified] >> nth=0")
    page.click(".tile[data-name=unclassified] >> nth=2", modifiers=["Shift"])
    page.drag_and_drop(".tile.selected >> nth=1", "button[data-class=eosinophil]")
    assert n_of(page, "eosinophil") == before + 4


def test_add_a_missed_cell_and_remove_a_false_box(watched: Watched) -> None:
    page = watched.open("#/slide/1/fields/0")
    boxes = page.locator("#stage .box").count()
    page.click("#add")
    page.locator("#stage svg").click(position={"x": 300, "y": 250})
    assert page.locator("#stage .box").count() == boxes + 1
    unclassified = n_of(page, "unclassified")
    page.keyboard.press("l")
    assert n_of(page, "unclassified") == unclassified - 1
    page.keyboard.press("Delete")
    assert page.locator("#stage .box").count() == boxes
    page.keyboard.press(".")  # the same by keyboard alone
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.locator("#stage .box").count() == boxes + 1
    page.keyboard.press("g")
    page.wait_for_selector("#cells .tile.active")
    assert page.locator(".tile.active").get_attribute("data-name") == "unclassified"
    page.keyboard.press("f")
    page.wait_for_selector("#stage .box.active")


def name_all_unclassified(page: Any, letter: str = "n") -> None:
    page.select_option("#show", "unclassified")
    page.focus("#cells")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+a")
    page.keyboard.press(letter)


def test_sign_only_without_unclassified_cells_and_a_second_reader(watched: Watched) -> None:
    page = watched.open("#/slide/0/gallery")
    page.fill("#reader", "AB")
    assert page.locator("#sign").is_disabled()
    name_all_unclassified(page)
    assert n_of(page, "unclassified") == 0
    page.click("#sign")
    assert "AB" in page.locator("#signed").inner_text()
    counts = page.locator("#counts").inner_text()
    page.select_option("#show", "all")
    page.focus("#cells")
    page.keyboard.press("Home")
    page.keyboard.press("b")  # signed: nothing changes
    assert page.locator("#counts").inner_text() == counts
    page.fill("input[name=second]", "CD")
    page.click("text=Begin a second reading")
    assert n_of(page, "unclassified") > 0  # from the nets' names, not from the first reader's
    name_all_unclassified(page, "l")
    page.click("#sign")
    assert "kappa" in page.locator("#kappa").inner_text()
    differing = page.evaluate("smearscan.desk.compared(0)")
    pairs = page.evaluate("smearscan.desk.readings(0).map(r => r.names)")
    from sklearn.metrics import cohen_kappa_score

    assert differing["kappa"] == pytest.approx(cohen_kappa_score(*pairs))
    page.goto(page.url.split("#")[0] + "#/slide/0/report")
    page.wait_for_selector("#compared tbody tr")
    assert page.locator("#compared tbody tr").count() == len(differing["differing"]) > 0


def test_work_survives_a_reload_and_travels_in_the_file(
    watched: Watched, run: tuple[Path, drawn_run.Slides], tmp_path: Path
) -> None:
    page = watched.open("#/slide/1/gallery")
    page.focus("#cells")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("e")
    page.keyboard.press("Delete")
    counts = page.locator("#counts").inner_text()
    page.reload()
    page.wait_for_selector("#counts")
    assert page.locator("#counts").inner_text() == counts
    with page.expect_download() as waiting:
        page.click("#save")
    saved = tmp_path / "corrections.json"
    waiting.value.save_as(saved)
    page.evaluate("localStorage.clear()")
    page.reload()
    page.wait_for_selector("#counts")
    assert page.locator("#counts").inner_text() != counts
    page.set_input_files("input[type=file]", saved)
    page.wait_for_function("before => document.querySelector('#counts').innerText === before", arg=counts)
    file = json.loads(saved.read_text(encoding="utf-8"))
    assert file["schema"] == "smearscan.corrections/1"
    assert len(file["slides"][0]["readings"][0]["decisions"]) == 2
    done = apply_corrections(read_corrections(saved), run[0], tmp_path / "set")
    assert sum(done.classes.values()) == 2
    assert done.classes["eosinophil"] == done.classes["none"] == 1


def drawn_counts(n: int, seed: int = 1) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    names = drawn_run.errors().classes
    cases = []
    for _ in range(n):
        cells = int(rng.choice([0, 1, 20, 99, 100, 130, 250, 1000]))
        shares = np.array([58, 30, 7, 3, 0.5, 0.5, 0.5, 2, 1, rng.choice([0.01, 3, 30])]) * rng.choice(
            [0.05, 1]
        )
        counts = rng.multinomial(cells, rng.dirichlet(shares + 1e-3))
        unnamed = int(rng.integers(0, cells // 2 + 2))
        possible = int(rng.integers(0, max(1, (cells + unnamed) // 3)))
        types = dict(zip(names, map(int, counts), strict=True)) | {"unclassified": unnamed}
        share = float(rng.choice([1, 1, 0.5, 0.25]))
        doubts = [name for name in sorted(ABOUT_NAMES) if rng.random() < 0.1]
        flag_share = float(rng.choice([1, 0.9, 0.05])) if share < 1 else 1.0
        shares_of_look = {"share": share, "flag_share": flag_share}
        more = {"names_in_doubt": doubts, "restained": bool(rng.random() < 0.5)}
        cases.append({"types": types, "possible": possible, **shares_of_look, **more})
    return cases


@pytest.mark.parametrize("known", ["apart", "alike", "not"])
def test_counts_intervals_and_flag_are_python_s(browser: Any, tmp_path: Path, run: Any, known: str) -> None:
    """Whole reports, with the naming errors known and not, and with others of slides that were restained."""
    errors = drawn_run.errors() if known != "not" else None
    corrector = other = Corrector(errors) if errors else None
    facts, results = drawn_run.facts(), run[1][0][1]
    if errors and known == "apart":
        often = replace(
            errors, counts=errors.counts + 5, overdispersion_high=errors.overdispersion_high + 0.5
        )
        facts, other = replace(facts, unlike_errors=often), Corrector(often)
        stain = Stain((0.5, 0.6, 0.7), 64)
        results = [replace(each, stain=stain) if isinstance(each, FieldResult) else each for each in results]
    report = drawn_run.report("healthy", results, errors)
    file = write_review(tmp_path, facts, [(report, results)], run[0], with_fields=False).files[0]
    cases = drawn_counts(300)
    watched = Watched(browser, file)
    page = watched.open()
    page.set_default_timeout(120_000)
    there = page.evaluate(
        """cases => cases.map(c => {
            const r = smearscan.reportSlide(c, smearscan.run.by, smearscan.say);
            return [r.intervals.flat(), r.flag.state, r.flag.tier, r.flag.reason, r.flag.p_value,
                    r.corrected && [r.corrected.percent, r.corrected.low, r.corrected.high].flat(),
                    r.blast_limit, r.is_like_labeled];
        })""",
        cases,
    )
    for case, (intervals, state, tier, reason, p_value, corrected, limit, like) in zip(
        cases, there, strict=True
    ):
        tally = SlideTally("s", 1, 0, Counter(case["types"]), 0, case["possible"])
        here = report_slide(
            tally, "both", Scale(0.1, "given"), FlagRule(), (), drawn_run.errors().classes[:-1],
            other if case["restained"] else corrector,
            StopInfo(1, "", case["share"], case["flag_share"]),
        )  # fmt: skip
        count = here.differential
        assert intervals[-2:] == pytest.approx(here.blast_interval, abs=1e-9)
        here = replace(here, doubts=tuple(Doubt(name, "") for name in case["names_in_doubt"]))
        assert (state, tier, reason) == (here.flag.state, here.flag.tier, here.flag_reason)
        np.testing.assert_allclose(
            np.float64(np.nan if p_value is None else p_value), here.flag.p_value, atol=1e-9
        )
        assert limit == pytest.approx(count.not_excluded("blast", here.level))
        assert like == here.is_like_labeled
        if here.corrected is not None:
            own = here.corrected
            want = np.concatenate([own.percent, own.low, own.high])
            np.testing.assert_allclose(np.array(corrected, np.float64), want, rtol=2e-5, atol=2e-5)
    watched.close()
    assert watched.troubles == []


def test_intervals_and_the_test_for_blasts_are_python_s_on_thousands_of_counts(watched: Watched) -> None:
    errors = drawn_run.errors()
    cases = drawn_counts(4000, seed=2)
    counts = np.array([[case["types"][name] for name in errors.classes] for case in cases], np.int64)
    counted = tuple(n for n in errors.classes if n not in ("erythroblast", "smudge_cell", "platelet"))
    page = watched.open()
    page.set_default_timeout(60_000)
    tests = page.evaluate(
        """([counts, counted]) => counts.map(c => Object.values(
            smearscan.excess(c, smearscan.run.by.errors, counted, 0.01, 0.95)))""",
        [counts.tolist(), list(counted)],
    )
    there = np.array(tests, np.float64)  # expected, p value, critical count, detectable percent
    here = blast_excess(counts, errors, counted, 0.01, 0.95)
    np.testing.assert_allclose(there[:, 0], here.expected, atol=1e-9)
    np.testing.assert_allclose(there[:, 1], here.p_value, atol=1e-9)
    np.testing.assert_array_equal(there[:, 2], here.critical)
    np.testing.assert_allclose(there[:, 3], here.detectable_percent, atol=1e-9)
    pairs = [(int(k), int(k + n)) for k, n in np.random.default_rng(3).integers(0, 400, (4000, 2))]
    intervals = page.evaluate("pairs => pairs.map(([k, n]) => smearscan.exactInterval(k, n))", pairs)
    exact = np.stack(clopper_pearson(*np.array(pairs).T), axis=1)
    np.testing.assert_allclose(intervals, exact, atol=1e-9)


def test_the_whole_way_equals_python(watched: Watched, run: tuple[Path, drawn_run.Slides]) -> None:
    """What the page says of a slide nobody has touched is the run's own report."""
    page = watched.open("#/slide/1/report")
    report = run[1][1][0]
    assert page.locator("#reason").text_content() == report.flag.reason
    for name in report.differential.classes:
        assert n_of(page, name) == report.differential.count(name)


def fine_rows(page: Any) -> dict[str, list[str]]:
    rows = page.locator("#fine tbody tr").all()
    return {row.get_attribute("data-fine"): row.locator("td").all_text_contents() for row in rows}


def test_fine_types_are_the_report_s_until_a_person_names_otherwise(
    watched: Watched, run: tuple[Path, drawn_run.Slides]
) -> None:
    page = watched.open("#/slide/1/gallery")
    assert page.locator("#fine").get_attribute("open") is None  # the differential comes first
    told = {
        share.name: [str(share.count), f"{share.percent:.1f}", f"{share.low:.1f}\N{EN DASH}{share.high:.1f}"]
        for share in run[1][1][0].fine_shares
        if share.count
    }
    assert fine_rows(page) == told
    page.click(".tile[data-name=blast] >> nth=0")
    tile = page.locator(".tile.active")
    cell = int(tile.get_attribute("id").removeprefix("cell-"))
    own, field = [(c, k) for k, result in enumerate(run[1][1][1][:-1]) for c in result][cell]
    told_on_it = f"fine type {own.fine_type}, {round(100 * own.fine_probability)} %"
    assert tile.locator(".finer").get_attribute("title") == told_on_it
    page.keyboard.press("Enter")  # confirmed, the type holds, and so does what is within it
    assert page.locator(f"#cell-{cell} .finer").get_attribute("title") == told_on_it
    page.keyboard.press("Control+z")
    page.click(f"#cell-{cell}")
    page.keyboard.press("i")
    page.select_option("#show", "person")
    lost = "no fine type: a person decided otherwise"
    assert page.locator(f"#cell-{cell} .finer").get_attribute("title") == lost
    assert int(fine_rows(page)[own.fine_type][0]) == int(told[own.fine_type][0]) - 1
    assert page.locator("#without-fine").text_content().endswith(": 1")
    page.goto(page.url.split("#")[0] + f"#/slide/1/fields/{field}/{cell}")
    assert lost in page.locator(".beside button.selected").inner_text()
    page.keyboard.press("Control+z")
    assert fine_rows(page) == told
    assert told_on_it in page.locator(".beside button.selected").inner_text()


def test_cells_are_found_and_ordered_by_fine_type(watched: Watched) -> None:
    page = watched.open("#/slide/1/gallery")
    n = int(fine_rows(page)["promyelocyte"][0])
    page.select_option("#show", "fine promyelocyte")
    titles = page.locator(".finer").evaluate_all("all => all.map(e => e.title.split(',')[0])")
    assert titles == ["fine type promyelocyte"] * n
    page.select_option("#show", "all")
    page.select_option("#order", "fine")
    blasts = page.locator(".row[data-section=blast] .finer bdi").all_inner_texts()
    order = ["promyelocyte", "myeloblast", "monoblast", "lymphoblast"]
    assert blasts == sorted(blasts, key=order.index)
    assert len(set(blasts)) > 1


def test_without_a_net_of_fine_types_nothing_tells_of_them(browser: Any, run: Any, tmp_path: Path) -> None:
    slides, two = run
    bare = {"fine_classes": (), "fine_types": (), "fine_probs": np.empty(0, np.float32)}
    fields = [replace(field, **bare) for field in two[0][1]]
    report = replace(two[0][0], fine_classes=())
    file = write_review(tmp_path, drawn_run.facts(), [(report, fields)], slides).files[0]
    watched = Watched(browser, file)
    page = watched.open("#/slide/0/gallery")
    assert page.locator("#fine, .finer, optgroup, option[value=fine]").count() == 0
    watched.close()
    assert watched.troubles == []


def test_suspicions_and_doubts_are_told(browser: Any, run: Any, tmp_path: Path) -> None:
    slides, two = run
    suspects = Suspect("blasts", "told by the flag"), Suspect("neutropenia", f"too few neutrophils {EVIL}")
    doubts = (Doubt("scale", f"{slides}/a.jpg is coarse {EVIL}", (slides / "a.jpg",)),)
    report = replace(two[0][0], suspects=suspects, doubts=doubts)
    file = write_review(tmp_path, drawn_run.facts(), [(report, two[0][1]), two[1]], slides).files[0]
    watched = Watched(browser, file)
    row = watched.open().locator("tbody tr", has_text=report.slide_id).inner_text()
    assert "suspected: 1" in row
    assert "doubts: 1" in row
    page = watched.open("#/slide/0/report")
    assert page.locator(".suspects li").all_inner_texts() == [f"too few neutrophils {EVIL}"]
    assert page.locator(".doubts li").all_inner_texts() == [f"a.jpg is coarse {EVIL}"]
    assert watched.open("#/slide/1/report").locator(".doubts").count() == 0
    watched.close()
    assert watched.troubles == []


def test_no_blast_percentage_where_too_many_have_no_name(browser: Any, run: Any, tmp_path: Path) -> None:
    slides, two = run
    fields = [replace(f, types=("unclassified",) * len(f.types)) for f in two[0][1]]
    unknown = drawn_run.report("healthy", list(fields), drawn_run.errors())
    file = write_review(tmp_path, drawn_run.facts(), [(unknown, fields), two[1]], slides).files[0]
    watched = Watched(browser, file)
    assert "too few named" in watched.open().locator("tbody tr", has_text="healthy").inner_text()
    page = watched.open("#/slide/0/gallery")
    told = "No blast percentage: 100 % of the leukocytes have no name"
    assert told in page.locator("#flag").inner_text()
    assert page.locator("aside .blasts").count() == len(fine_rows(page)) == 0
    name_all_unclassified(page)
    assert page.locator("aside .blasts strong").inner_text() == "0.0 %"
    watched.close()
    assert watched.troubles == []


def test_names_from_outside_change_nothing(browser: Any, run: Any, tmp_path: Path) -> None:
    slides, two = run
    renamed = drawn_run.renamed(two, EVIL, EVIL)
    report, results = renamed[0]
    evil_types = tuple(EVIL if t == "neutrophil" else t for t in results[0].types)
    evil_fine = (EVIL,) * len(evil_types)
    results[0] = replace(
        results[0], types=evil_types, fine_types=evil_fine, path=Path("/nowhere") / EVIL.replace("/", "_")
    )
    file = write_review(
        tmp_path, drawn_run.facts(), [(report, results), renamed[1]], slides, title=EVIL
    ).files[0]
    text = file.read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert text.lower().count("<script") == text.lower().count("</script>")
    watched = Watched(browser, file)
    for place in ("#/", "#/slide/0/gallery", "#/slide/0/fields/0", "#/slide/0/report"):
        page = watched.open(place)
        assert page.locator("img").count() == 0
        assert page.locator("h1").first.inner_text().replace("\n", " ") == EVIL
    watched.close()
    assert watched.troubles == []


def test_nothing_tells_of_the_machine(page_file: Path, run: tuple[Path, drawn_run.Slides]) -> None:
    text = page_file.read_text(encoding="utf-8")
    assert str(run[0]) not in text
    assert str(Path.home()) not in text


def test_the_built_page_is_what_its_source_makes(tmp_path: Path) -> None:
    web, node = AXE.parents[2], shutil.which("node")
    if node is None or not (web / "node_modules").is_dir():
        pytest.skip("the page's tools are not installed: npm ci --prefix web")
    subprocess.run([node, "build.mjs", str(tmp_path)], cwd=web, check=True, capture_output=True)
    for name in ("page.js", "page.css"):
        assert (tmp_path / name).read_text(encoding="utf-8") == built(name), "run 'make page'"


def test_languages_hold_the_same_words() -> None:
    words = dictionaries()
    assert next(iter(words)) == "en"
    assert {"pt", "es"} <= set(words)
    assert {f"fine_type.{name}" for name in FINE_PARTS} <= set(words["en"])
    for own in words.values():
        assert set(own) == set(words["en"])
        for key, text in own.items():
            holes = {part.split("}")[0] for part in text.split("{")[1:]}
            assert holes == {part.split("}")[0] for part in words["en"][key].split("{")[1:]}, key


@pytest.mark.parametrize("locale", ["pt-BR", "es-MX"])
def test_other_languages_say_everything(browser: Any, page_file: Path, locale: str) -> None:
    watched = Watched(browser, page_file, locale=locale)
    page = watched.open("#/slide/1/report")
    assert page.locator("html").get_attribute("lang") == locale[:2]
    assert "pesquisa" in page.inner_text(".notice") or "investigación" in page.inner_text(".notice")
    watched.close()
    assert watched.troubles == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, page_file: Path, scheme: str) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm ci --prefix web")
    watched = Watched(browser, page_file, color_scheme=scheme, bypass_csp=True)
    found = []
    places = ("#/", "#/slide/1/gallery", "#/slide/1/fields/1", "#/slide/1/report")
    rules = (
        {} if scheme == "light" else {"runOnly": ["color-contrast"]}
    )  # all else is the same by day and night
    for place in places:
        page = watched.open(place)
        for summary in page.locator("#fine summary").all():
            summary.click()
        page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
        result = page.evaluate("rules => axe.run(rules)", rules)
        found += [
            (place, v["id"], v["impact"], v["nodes"][0]["html"][:150])
            for v in result["violations"]
            if v["impact"] in ("serious", "critical")
        ]
    watched.close()
    assert found == []


def test_it_prints_on_two_pages(watched: Watched) -> None:
    page = watched.open("#/slide/1/gallery")
    pdf = page.pdf(prefer_css_page_size=True, print_background=True)
    assert pdf.count(b"/Type /Page\n") == 2


def test_a_large_run_is_split_by_slide(
    browser: Any, run: tuple[Path, drawn_run.Slides], tmp_path: Path
) -> None:
    written = write_review(tmp_path, drawn_run.facts(), run[1], run[0], most_bytes=1000)
    assert [file.name for file in written.files] == ["index.html", "slide_0001.html", "slide_0002.html"]
    watched = Watched(browser, written.files[0])
    page = watched.open()
    page.click("text=leukemic")
    page.wait_for_selector("#cells .tile")
    assert page.url.endswith("slide_0002.html")
    page.click("a.brand")
    page.wait_for_selector("table.list")
    watched.close()
    assert watched.troubles == []
