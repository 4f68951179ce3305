"""The notebooks run from their first cell to their last, and are kept without what they printed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: pip install nbformat")

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    for cell in book.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert set(book.metadata) <= {"kernelspec", "language_info"}, "strip it: nbstripout notebooks/*.ipynb"


@pytest.fixture
def _plots_unseen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import matplotlib
    import matplotlib.pyplot as plt

    former = matplotlib.get_backend()
    plt.switch_backend("Agg")
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "2"))
    yield
    plt.close("all")
    plt.switch_backend(former)


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.usefixtures("_plots_unseen")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:FigureCanvasAgg:UserWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = pytest.importorskip("IPython.core.interactiveshell", reason="IPython is not installed")
    from traitlets.config import Config

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    running = shell.InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            done = running.run_cell(cell.source)
            assert done.success, (
                f"{cell.id}: {done.error_before_exec or done.error_in_exec!r}\n{capsys.readouterr().out}"
            )
