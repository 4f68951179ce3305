"""A short smoke of the fuzzing targets: sound files are read, mutated ones are read or refused by name."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from references.__main__ import command
from references.fuzzing.mutation import mutated
from references.fuzzing.session import _without_places
from references.fuzzing.targets import BrokenPromiseError, Target, targets

TARGETS = targets()


@pytest.mark.parametrize("name", TARGETS)
def test_sound_and_mutated_files_keep_the_promise(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    for data in (*target.seeds, *mutated(target.seeds, 25, seed=7)):
        target.run(tmp_path, data)


def test_the_same_seed_makes_the_same_files() -> None:
    one, same, other = (list(mutated((b"abc" * 20, b"xyz"), 30, seed)) for seed in (1, 1, 2))
    assert one == same != other
    assert len(set(one)) > 20


def test_a_broken_promise_is_a_finding() -> None:
    def read(_: Path, data: bytes) -> None:
        if b"b" not in data:
            raise BrokenPromiseError("lost")

    target = Target((b"ab",), read)
    target.run(Path(), b"ab")
    with pytest.raises(BrokenPromiseError):
        target.run(Path(), b"a")


@pytest.mark.parametrize("packages", ["/opt/python", f"{Path.cwd()}/.venv"])
def test_a_finding_names_no_place_of_the_machine(monkeypatch: pytest.MonkeyPatch, packages: str) -> None:
    monkeypatch.setattr(sys, "prefix", packages)
    told = f'File "{Path.cwd()}/smearscan/io/tiff.py", line 3; File "{sys.prefix}/lib/x.py", line 4'
    assert _without_places(told) == 'File "smearscan/io/tiff.py", line 3; File "lib/x.py", line 4'


def test_an_unknown_target_is_refused() -> None:
    done = CliRunner().invoke(command, ["fuzz", "--target", "nothing"])
    assert done.exit_code == 2
    assert "--target nothing: is none of picture, folder" in done.output
