"""Versions of packages are those that the standard library tells."""

from importlib.metadata import distributions, version

from smearscan.io.installed import installed_version


def test_it_tells_what_the_standard_library_tells() -> None:
    names = {found.metadata["Name"] for found in distributions()}
    assert {name: installed_version(name) for name in names} == {name: version(name) for name in names}


def test_of_what_is_not_installed_it_tells_none() -> None:
    assert installed_version("no-such-package-of-anybody") == ""
