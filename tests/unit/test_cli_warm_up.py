"""What the end of a slide needs is imported beside the first fields."""

import subprocess
import sys


def test_it_imports_what_the_end_of_a_slide_needs() -> None:
    code = (
        "import sys\nfrom smearscan.cli.warm_up import warm_up\n"
        "needed = {'cattrs', 'scipy.special._ufuncs'}\n"
        "assert not needed & set(sys.modules)\nwarm_up().join()\n"
        "assert needed <= set(sys.modules)\n"
        "idle = {'numpy.f2py', 'numpy.testing', 'numpy.ma', 'scipy._lib._array_api'}\n"
        "assert not idle & set(sys.modules), idle & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_not_installed_is_told_where_it_is_used() -> None:
    code = (
        "import sys\nsys.modules['cattrs'] = None\n"
        "from smearscan.cli.warm_up import warm_up\nwarm_up().join()"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not done.stderr
