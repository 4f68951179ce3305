"""Names of files as text that any file, table and terminal takes."""


def escaped(name: str) -> str:
    r"""Return a name with the bytes that are no UTF-8 written as ``\udcff``; Python keeps them as surrogates.

    Tables, pages and files take no surrogates; a name without any stays as it is.
    """
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
