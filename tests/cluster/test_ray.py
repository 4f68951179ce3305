"""Two nodes of Ray on this machine: the tables of one run, to the byte, though a worker is killed."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smearscan.io import find_slides
from smearscan.io.naming import OutputNames
from smearscan.scan.cluster import scan_on_ray
from smearscan.scan.run import answer_settings, open_run, scan_into
from smearscan.scan.run_reports import write_run_reports
from smearscan.scan.scanner import SmearScanner
from smearscan.synthetic import HEALTHY, write_slides

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'smearscan[ray]'")
pytestmark = pytest.mark.filterwarnings("default")  # Ray warns of its own settings
SMALL = replace(HEALTHY, height=240, width=320, leukocytes=2.0)
N_SLIDES, N_FIELDS = 6, 2
AGENTS = ("metrics_agent", "runtime_env_agent", "dashboard_agent_listen", "metrics_export")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Two nodes of one core each; ends with all processes that it began."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # a machine with other work starts workers and agents slowly, and Ray waits 15 s for the ports of agents:
    # the small agents will do
    patient = {"worker_register_timeout_seconds": 600, "agent_register_timeout_ms": 600_000}
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": patient, **free_ports()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray._private.utils.get_dashboard_dependency_error", lambda: ImportError("not wanted"))
        nodes = Cluster(initialize_head=True, head_node_args=head)
        nodes.add_node(num_cpus=1, **free_ports())
    yield nodes.address
    ray.shutdown()
    nodes.shutdown()


def free_ports() -> dict[str, int]:
    """Ports for a node's agents."""
    agents = (
        "metrics_agent_port",
        "runtime_env_agent_port",
        "dashboard_agent_listen_port",
        "metrics_export_port",
    )
    with ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(("", 0))) for _ in agents]
        return {name: own.getsockname()[1] for name, own in zip(agents, free, strict=True)}


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn") / "slides"
    write_slides(root, {f"slide_{i}": SMALL for i in range(N_SLIDES)}, N_FIELDS, seed=5)
    (root / "slide_3" / "field_0002.jpg").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def scanner() -> SmearScanner:
    return SmearScanner()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, scanner: SmearScanner, slides: Path) -> list[bytes]:
    return tables(scanner, slides, tmp_path_factory.mktemp("plain") / "r.run")


def tables(scanner: SmearScanner, root: Path, folder: Path, **scan: Any) -> list[bytes]:
    """Scan and return the tables; tells how long the scan took."""
    found, names = find_slides(root), OutputNames(root)
    began = time.perf_counter()
    with open_run(scanner, found, names, folder, None) as state:
        scan_into(state, scanner, found, names, **scan)
    print(f"\n{len(found)} slides in {time.perf_counter() - began:.1f} s", flush=True)
    files = [folder / name for name in ("report.csv", "cells.csv")]
    write_run_reports(folder, report=files[0], cells=files[1])
    return [file.read_bytes() for file in files]


@pytest.mark.parametrize("kills", [True, False])
def test_a_cluster_gives_the_bytes_of_one_run_though_a_worker_is_killed(
    tmp_path: Path, scanner: SmearScanner, slides: Path, plain: list[bytes], cluster: str, kills: bool
) -> None:
    names = OutputNames(slides)
    scan_all = scan_on_ray(scanner.config, answer_settings(scanner, names), names, cluster, 1)
    killed: list[int] = []

    def kill_one(_: object) -> None:
        if kills and not killed:
            killed.append(a_worker())
            os.kill(killed[0], signal.SIGKILL)

    scanned = tables(scanner, slides, tmp_path / "r.run", scan_all=scan_all, on_slide=kill_one)
    assert len(killed) == kills
    assert scanned == plain


def a_worker() -> int:
    """Process of one of this test's workers that scans."""
    import psutil

    own = [
        process.pid
        for process in psutil.process_iter(["cmdline", "environ"])
        if "MapWorker" in " ".join(process.info["cmdline"] or ())
        and (process.info["environ"] or {}).get("SMEARSCAN_CORES") == "1"
    ]
    assert own, "no worker of Ray Data is alive"
    return own[0]
