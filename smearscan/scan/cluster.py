"""Slides scanned by the workers of a cluster, on Ray Data: each worker keeps its networks.

Ray starts the workers, gives each a few slides at a time, starts a lost one anew, and has its slides
scanned again (https://docs.ray.io/en/latest/data/data.html). Results come back in any order, and are kept as
they come: the run folder, and all that is made of it, is that of a run on one machine.
"""

import json
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from smearscan.config import ScanConfig
from smearscan.errors import ConfigError, RunError
from smearscan.io import Slide
from smearscan.io.naming import OutputNames
from smearscan.scan.packed_slides import PackedSlide, scan_and_pack
from smearscan.scan.run import ScanAll, answer_settings
from smearscan.scan.scanner import SmearScanner

Batch = dict[str, Any]
"""Columns, each as long as there are slides."""
_MOST_AT_ONCE = 16
_BATCHES = 4
"""A worker is given its share of the slides in so many batches at least: a lost one costs one of them."""

_PATHS = ("detector", "blast", "differential", "cells", "calibration", "reference_ranges")


class SlideWorker:
    """Scans slides with networks of its own.

    Parameters
    ----------
    config : ScanConfig
    settings : str
        JSON of what the run's own scanner answers by, :func:`smearscan.scan.run.answer_settings`.
    names : OutputNames

    Raises
    ------
    RunError
        If this machine has another version of smearscan, or other weights.
    """

    def __init__(self, config: ScanConfig, settings: str, names: OutputNames) -> None:
        self._names, self._settings = names, json.loads(settings)
        self._scanner = SmearScanner.load(config)
        own = json.loads(json.dumps(answer_settings(self._scanner, names)))
        if differing := sorted(k for k in own if own[k] != self._settings.get(k)):
            raise RunError(
                f"a worker of the cluster has another {', '.join(differing)}: give every machine the same "
                "version of smearscan, the same weights and the same calibration card"
            )

    def __call__(self, batch: Batch) -> Iterator[Batch]:
        """Scan the slides of a batch in one go; one that cannot be scanned is told as in any run."""
        for done in scan_and_pack(self._scanner, self._settings, batch["slide"], self._names):
            yield {name: [value] for name, value in asdict(done).items()}


def scan_on_ray(
    config: ScanConfig,
    settings: Mapping[str, Any],
    names: OutputNames,
    address: str | None = None,
    cores: int | None = None,
) -> ScanAll:
    """Make what :func:`smearscan.scan.run.scan_into` takes as `scan_all`.

    Parameters
    ----------
    config : ScanConfig
        With ``device`` ``cuda`` each worker has a GPU.
    settings : mapping
        Of the run.
    names : OutputNames
    address : str, optional
        Of the cluster, as ``ray.init`` takes it; by default that of ``RAY_ADDRESS``, else this machine alone.
    cores : int, optional
        Of each worker; by default all of the smallest machine.

    Returns
    -------
    callable
        Scans slides. It raises RunError where the cluster gives up, or has no machine of so many cores.

    Raises
    ------
    ConfigError
        If Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray tells its maker of each start otherwise
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ConfigError(
            "--engine-cluster ray: Ray is not installed; pip install 'smearscan[ray]'"
        ) from error

    def scan_all(slides: Sequence[Slide]) -> Generator[PackedSlide, None, None]:
        if not slides:
            return
        own = not ray.is_initialized()
        if own:
            ray.init(
                address=address, include_dashboard=False if address is None else None, log_to_driver=False
            )
        try:
            rows = _scanned(ray, slides, _absolute(config), json.dumps(dict(settings)), names, cores)
            for row in rows.iter_rows():
                yield PackedSlide(row["slide_id"], bytes(row["content"]), bool(row["was_scanned"]))
        except ray.exceptions.RayError as error:
            told = str(error.__cause__ or error).strip().splitlines()[-1]
            raise RunError(f"the cluster gave up: {told}; what was scanned is kept") from error
        finally:
            if own:
                ray.shutdown()

    return scan_all


def _scanned(
    ray: Any, slides: Sequence[Slide], config: ScanConfig, settings: str, names: OutputNames,
    cores: int | None,
) -> Any:  # fmt: skip
    """Dataset of the slides' results, computed while it is read."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    each, n_workers = share_of(machines, cores, config.device.startswith("cuda"))
    n_workers = min(n_workers, len(slides))
    pool = ray.data.ActorPoolStrategy(
        min_size=1, max_size=n_workers, initial_size=n_workers, max_tasks_in_flight_per_actor=1
    )
    at_once = max(1, min(_MOST_AT_ONCE, len(slides) // (n_workers * _BATCHES)))
    batches = ray.data.from_items(
        [{"slide": slide} for slide in slides], override_num_blocks=-(-len(slides) // at_once)
    )
    return batches.map_batches(
        SlideWorker,
        batch_size=None,
        fn_constructor_args=(config, settings, names),
        compute=pool,
        num_cpus=each,
        num_gpus=1 if config.device.startswith("cuda") else None,
        runtime_env={"env_vars": {"SMEARSCAN_CORES": str(each)}},
    )


def share_of(machines: Sequence[Mapping[str, float]], cores: int | None, needs_gpu: bool) -> tuple[int, int]:
    """Cores of each worker, and how many workers the cluster has room for.

    Parameters
    ----------
    machines : sequence of mapping
        Resources of each machine: ``CPU``, and ``GPU`` where it has some.
    cores : int or None
        Of each worker; None is all of the smallest machine, or its part for one GPU.
    needs_gpu : bool

    Raises
    ------
    RunError
        If no machine has room for one.
    """
    gpus = [int(machine.get("GPU", 0)) if needs_gpu else 1 for machine in machines]
    cpus = [int(machine.get("CPU", 0)) for machine in machines]
    each = cores or min((cpu // gpu for cpu, gpu in zip(cpus, gpus, strict=True) if gpu and cpu), default=0)
    room = [
        min(cpu // each, gpu if needs_gpu else cpu) if each else 0
        for cpu, gpu in zip(cpus, gpus, strict=True)
    ]
    if not sum(room):
        told = f"{each} cores" + (" and a GPU" if needs_gpu else "")
        raise RunError(
            f"no machine of the cluster has {told} for a worker; ask for fewer with --worker-cores"
        )
    return each, sum(room)


def _absolute(config: ScanConfig) -> ScanConfig:
    """Return settings whose files a worker finds, whatever folder it runs in."""
    given = {name: getattr(config, name) for name in _PATHS}
    return config.model_copy(
        update={name: path.absolute() for name, path in given.items() if isinstance(path, Path)}
    )
