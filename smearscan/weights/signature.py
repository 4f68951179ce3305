"""Detached signatures of cards: who published a pair, where its hash tells only that it is whole.

A signature is that of the card's bytes, by Ed25519 (RFC 8032), 64 bytes in ``NAME.yaml.sig``. The card holds
the SHA-256 of the weights, so one signature binds both. Keys are PEM files as OpenSSL makes and reads them::

    openssl genpkey -algorithm ed25519 -out key.pem
    openssl pkey -in key.pem -pubout -out key.pub.pem
    openssl pkeyutl -verify -pubin -inkey key.pub.pem -rawin -in NAME.yaml -sigfile NAME.yaml.sig
"""

from pathlib import Path
from typing import TYPE_CHECKING

from smearscan.errors import ConfigError, WeightsError
from smearscan.io.atomic import write_bytes
from smearscan.weights.tensors import pair_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def signature_file(path: Path) -> Path:
    """Path of the signature of a pair or card."""
    return pair_file(path, ".yaml.sig")


def sign(path: Path, key: Path) -> Path:
    """Sign a pair's card, or a calibration card, which is to be checked before.

    Parameters
    ----------
    path : Path
        The card, or the weights beside it.
    key : Path
        Private key, PEM.

    Returns
    -------
    Path
        Of the signature that was written.

    Raises
    ------
    ConfigError
        If the key cannot be used, or the package ``cryptography`` is not installed.
    WeightsError
        If the card cannot be read.
    """
    own = _private(key)
    write_bytes(signature_file(path), own.sign(_card(path)))
    return signature_file(path)


def verify(path: Path, key: Path) -> None:
    """Check the signature of a card against a public key, PEM; raises as :func:`sign`.

    Raises
    ------
    WeightsError
        If there is no signature, or it is not that of this card by this key.
    """
    from_publisher, file = _public(key), signature_file(path)
    from cryptography.exceptions import InvalidSignature

    try:
        signature = file.read_bytes()
    except OSError as error:
        raise WeightsError(f"{file}: the signature cannot be read ({error.strerror})") from error
    try:
        from_publisher.verify(signature, _card(path))
    except InvalidSignature as error:
        raise WeightsError(
            f"{file}: is not the signature of {pair_file(path, '.yaml').name} by {key}; the card was changed "
            "after it was signed, or somebody else signed it: take both from their publisher again"
        ) from error


def _card(path: Path) -> bytes:
    card = pair_file(path, ".yaml")
    try:
        return card.read_bytes()
    except OSError as error:
        raise WeightsError(f"{card}: the card cannot be read ({error.strerror})") from error


def _private(path: Path) -> "Ed25519PrivateKey":
    data = _key(path)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: is no private key in PEM without a password ({error})") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: is no Ed25519 key; make one: openssl genpkey -algorithm ed25519")
    return key


def _public(path: Path) -> "Ed25519PublicKey":
    data = _key(path)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(data)
    except ValueError as error:
        raise ConfigError(f"{path}: is no public key in PEM ({error})") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{path}: is no Ed25519 key; give the one that belongs to the signature")
    return key


def _key(path: Path) -> bytes:
    from importlib.util import find_spec

    if find_spec("cryptography") is None:
        raise ConfigError("signatures need the package cryptography: pip install cryptography")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: the key cannot be read ({error.strerror})") from error
