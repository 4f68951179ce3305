"""What the end of a slide needs is imported beside the first fields."""

import subprocess
import sys

import pytest

from smearscan.cli import warm_up as module


def test_it_imports_what_the_end_of_a_slide_needs() -> None:
    code = (
        "import sys\nfrom smearscan.cli.warm_up import AT_THE_END, warm_up\n"
        "assert not set(AT_THE_END) & set(sys.modules)\nwarm_up().join()\n"
        "assert set(AT_THE_END) <= set(sys.modules)\n"
        "idle = ('f2py', 'testing')\n"
        "assert not {f'numpy.{part}' for part in idle} & set(sys.modules)\n"
        "import numpy\n"
        "assert [getattr(numpy, part).__name__ for part in idle] == [f'numpy.{part}' for part in idle]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_not_installed_is_told_where_it_is_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "AT_THE_END", ("no_such_package_of_anybody", "json"))
    module.warm_up().join()
    assert not capsys.readouterr().err
