"""Programs that take turns in processes of their own, so that a ratio of their times is of one session."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

_ROOT = Path(__file__).resolve().parents[1]
Told = dict[str, Any]


class Worker:
    """A process of :mod:`benchmarks.worker`; a context manager that ends it.

    Parameters
    ----------
    job : str
    folder : Path
    root : Path
        Source of the version that does it.
    **options
        Of the job.
    """

    def __init__(self, job: str, folder: Path, root: Path = _ROOT, **options: object) -> None:
        # each library chooses its own number of threads, as it does for a user
        env = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
        path = os.pathsep.join(p for p in (str(root), env.get("PYTHONPATH", "")) if p)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", job, str(folder), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**env, "PYTHONPATH": path},
        )

    def ready(self) -> Told:
        """Wait, once, until it is ready; ``ready_seconds``, and ``peak_mb`` of what has just loaded."""
        told: Told = self._answer()
        return told

    def go(self) -> Told:
        """Do the job once; ``seconds``, ``peak_mb`` so far, and what the job tells."""
        told: Told = self._ask("go")
        return told

    def cells(self) -> list[Told]:
        """Leukocytes of each field of the last run."""
        told: list[Told] = self._ask("cells")
        return told

    def _ask(self, what: str) -> Any:
        assert self._process.stdin
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()  # the end of input is its end
        if kind is not None:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()


def in_turns(
    jobs: Mapping[str, Callable[[], Worker]],
    rounds: int,
    cells_of: tuple[str, ...] = (),
    twice: tuple[str, ...] = (),
) -> dict[str, Told]:
    """Let several workers do their jobs in turns, after one unmeasured round.

    Parameters
    ----------
    jobs : mapping of str to callable
        Name to what starts the worker.
    rounds : int
    cells_of : tuple of str
        Whose cells are to be told.
    twice : tuple of str
        What takes long and is not compared: two rounds at most.

    Returns
    -------
    dict
        Name to ``seconds`` and ``core_seconds`` (one a round), ``ms_per_field`` (of the median),
        ``core_ms_per_field``, ``peak_mb`` and what the last run told; with ``cells`` where asked for.
    """
    with ExitStack() as stack:
        workers = {name: stack.enter_context(start()) for name, start in jobs.items()}
        for worker in workers.values():  # they start side by side
            worker.ready()
        first = {name: worker.go() for name, worker in workers.items()}
        found = {name: workers[name].cells() for name in cells_of}
        runs: dict[str, list[Told]] = {name: [] for name in workers}
        for i in range(rounds):
            for name, worker in workers.items():
                if i < 2 or name not in twice:
                    runs[name].append(worker.go())
    return {name: summary(own, first[name]) | _with(found.get(name)) for name, own in runs.items()}


def summary(runs: list[Told], first: Told) -> Told:
    last, seconds = runs[-1], [run["seconds"] for run in runs]
    same = {k: v for k, v in last.items() if k not in ("seconds", "core_seconds")}
    return {
        **same,
        "seconds": [round(s, 4) for s in seconds],
        "core_seconds": [round(run["core_seconds"], 4) for run in runs],
        "ms_per_field": round(1000 * median(seconds) / last["fields"], 3),
        "core_ms_per_field": round(1000 * median(r["core_seconds"] for r in runs) / last["fields"], 3),
        "same_counts": all(run.get("types") == first.get("types") for run in runs),
    }


def _with(cells: list[Told] | None) -> Told:
    return {} if cells is None else {"cells": cells}
