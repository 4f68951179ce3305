"""One target, fuzzed in a process of its own: ``python -m references.fuzzing TARGET SECONDS FINDINGS``.

By atheris (coverage-guided) where it is installed, else by plain mutation. Prints how many files were tried;
what broke a promise lies in the folder FINDINGS, a file a finding.
"""

import logging
import sys
import tempfile
import time
import traceback
from itertools import count
from pathlib import Path

from references.fuzzing.mutation import mutated


def main(name: str, seconds: float, findings: Path) -> None:
    """Fuzz one target for so long."""
    logging.getLogger("smearscan").setLevel(logging.CRITICAL)  # what readers warn of is no finding
    try:
        import atheris
    except ImportError:
        _by_mutation(name, seconds, findings)
        return
    with atheris.instrument_imports(include=["smearscan", "tifffile"]):
        from references.fuzzing.targets import targets
    target, work = targets()[name], Path(tempfile.mkdtemp())
    corpus = work / "corpus"
    corpus.mkdir()
    for i, seed in enumerate(target.seeds):
        (corpus / str(i)).write_bytes(seed)
    folder = work / "own"
    folder.mkdir()
    options = [
        f"-max_total_time={seconds:.0f}",
        "-max_len=20000",
        "-timeout=20",
        f"-artifact_prefix={findings}/",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: target.run(folder, data))
    atheris.Fuzz()


def _by_mutation(name: str, seconds: float, findings: Path) -> None:
    from references.fuzzing.targets import targets

    target, until, done = targets()[name], time.monotonic() + seconds, 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in count():
            for data in mutated(target.seeds, 100, seed):
                if time.monotonic() > until:
                    print(f"stat::number_of_executed_units: {done}")
                    return
                done += 1
                try:
                    target.run(Path(folder), data)
                except Exception:
                    (findings / f"{seed}_{done}").write_bytes(data)
                    traceback.print_exc()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
