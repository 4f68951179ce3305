"""How slides and fields are named in what is written: below the scanned folder, or by pseudonyms."""

import hashlib
import hmac
from pathlib import Path

from smearscan.errors import ConfigError

_LEAST_KEY_BYTES = 16


class Pseudonyms:
    """Names that tell nothing and are the same for the same key (HMAC-SHA-256, RFC 2104).

    Who has the key and a list of candidate names can tell them apart; without the key nobody can.

    Parameters
    ----------
    key : bytes
        Secret; at least 16 bytes.

    Raises
    ------
    ConfigError
        If the key is too short to keep a secret.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < _LEAST_KEY_BYTES:
            raise ConfigError(
                f"the key of pseudonyms has {len(key)} bytes, {_LEAST_KEY_BYTES} are needed; make one with: "
                'python -c "import secrets; print(secrets.token_hex(32))" > KEYFILE'
            )
        self._key = key

    @classmethod
    def read(cls, keyfile: Path) -> "Pseudonyms":
        """Read the key from a file; white space around it does not count."""
        try:
            key = keyfile.read_bytes().strip()
        except OSError as error:
            raise ConfigError(
                f"{keyfile}: the key of pseudonyms cannot be read ({error.strerror}); make one with: "
                f'python -c "import secrets; print(secrets.token_hex(32))" > {keyfile}'
            ) from error
        try:
            return cls(key)
        except ConfigError as error:
            raise ConfigError(f"{keyfile}: {error}") from error

    def of(self, kind: str, name: str) -> str:
        """Pseudonym of a name: 48 bits in hexadecimal; what kind of thing it names goes into the hash."""
        told = f"{kind}\0{name}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, told, hashlib.sha256).hexdigest()[:12]

    @property
    def fingerprint(self) -> str:
        """Tells two keys apart, and nothing else of them."""
        return self.of("fingerprint", "")


class OutputNames:
    """Names of slides and fields in all that is written: no path of the machine, no user, no host.

    Parameters
    ----------
    root : Path
        The scanned folder, or the one picture that was scanned.
    pseudonyms : Pseudonyms, optional
        Replace the names of slides and pictures.
    """

    def __init__(self, root: Path, pseudonyms: Pseudonyms | None = None) -> None:
        self.base = root.parent if root.is_file() else root
        self.pseudonyms = pseudonyms

    def slide(self, slide_id: str) -> str:
        """Name of a slide."""
        return f"slide-{self.pseudonyms.of('slide', slide_id)}" if self.pseudonyms else slide_id

    def field(self, path: Path) -> Path:
        """Name of a picture: relative to the scanned folder."""
        relative = path.relative_to(self.base) if path.is_relative_to(self.base) else Path(path.name)
        if self.pseudonyms is None:
            return relative
        name = f"field-{self.pseudonyms.of('field', relative.as_posix())}{relative.suffix}"
        folder = relative.parent.as_posix()
        return Path(name) if folder == "." else Path(self.slide(folder)) / name

    def text(self, text: str, path: Path | None) -> str:
        """Return a sentence about a picture, with its name as it is written elsewhere."""
        if path is not None:
            name = self.field(path).as_posix()
            text = text.replace(str(path.absolute()), name).replace(str(path), name)
            if self.pseudonyms:
                text = text.replace(path.name, self.field(path).name)
        for base in (str(self.base.absolute()), str(self.base)):
            text = text.replace(f"{base}/", "") if base not in (".", "/") else text
        return text
