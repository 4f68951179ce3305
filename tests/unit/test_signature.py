"""A signed pair is known by its publisher's key; any change of card, weights, signature or key is noticed."""

import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from smearscan.cli import main
from smearscan.differential.calibration_card import shipped_calibration
from smearscan.weights.pairs import ClassifierCard, save_weights

CARD = ClassifierCard(
    name="net", architecture="none", classes=("a", "b"), task="custom", crop_um=20, crop_px=32,
    mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5),
)  # fmt: skip


def keys(folder: Path, name: str, own: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> Path:
    """Write NAME.pem and NAME.pub.pem, in the forms that OpenSSL writes."""
    private = own.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    public = own.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pem").write_bytes(private)
    (folder / f"{name}.pub.pem").write_bytes(public)
    return folder / f"{name}.pem"


def ask(*told: object) -> Result:
    return CliRunner().invoke(main, ["weights", *map(str, told)])


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return keys(tmp_path, "key", ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


@pytest.fixture
def pair(tmp_path: Path, key: Path) -> Path:
    """A signed pair."""
    save_weights(tmp_path / "net", CARD, {"x": torch.ones(3)})
    done = ask("sign", tmp_path / "net.safetensors", "--key", key)
    assert done.exit_code == 0, done.output
    assert len((tmp_path / "net.yaml.sig").read_bytes()) == 64
    return tmp_path / "net.safetensors"


def test_what_was_signed_is_verified(pair: Path, tmp_path: Path) -> None:
    done = ask("verify", pair, "--key", tmp_path / "key.pub.pem")
    assert done.exit_code == 0, done.output
    assert "net: intact" in done.output
    assert "signed by the owner of" in done.output


def test_a_calibration_card_is_signed_alone(tmp_path: Path, key: Path) -> None:
    shutil.copy(shipped_calibration(), tmp_path / "site.yaml")
    assert ask("sign", tmp_path / "site.yaml", "--key", key).exit_code == 0
    assert ask("verify", tmp_path / "site.yaml", "--key", tmp_path / "key.pub.pem").exit_code == 0
    (tmp_path / "site.yaml").write_text((tmp_path / "site.yaml").read_text().replace("0.7", "0.9", 1))
    assert ask("verify", tmp_path / "site.yaml", "--key", tmp_path / "key.pub.pem").exit_code == 2


@pytest.mark.parametrize("part", ["net.yaml", "net.safetensors", "net.yaml.sig"])
def test_any_change_is_noticed(pair: Path, tmp_path: Path, part: str) -> None:
    data = bytearray((tmp_path / part).read_bytes())
    data[-2] ^= 1
    (tmp_path / part).write_bytes(data)
    done = ask("verify", pair, "--key", tmp_path / "key.pub.pem")
    assert done.exit_code == 2
    assert str(tmp_path / part) in done.output


def test_a_forged_pair_with_a_right_hash_is_noticed(pair: Path, tmp_path: Path) -> None:
    save_weights(pair, CARD, {"x": torch.zeros(3)})
    assert ask("verify", pair).exit_code == 0
    done = ask("verify", pair, "--key", tmp_path / "key.pub.pem")
    assert done.exit_code == 2
    assert "is not the signature of net.yaml by" in done.output


def test_another_s_key_and_a_missing_signature_are_refused(pair: Path, tmp_path: Path) -> None:
    keys(tmp_path, "other", ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))
    assert "is not the signature" in ask("verify", pair, "--key", tmp_path / "other.pub.pem").output
    (tmp_path / "net.yaml.sig").unlink()
    done = ask("verify", pair, "--key", tmp_path / "key.pub.pem")
    assert (done.exit_code, "net.yaml.sig: the signature cannot be read" in done.output) == (2, True)


def test_a_broken_pair_is_not_signed(pair: Path, tmp_path: Path, key: Path) -> None:
    (tmp_path / "net.yaml.sig").unlink()
    pair.write_bytes(pair.read_bytes()[:-1])
    assert "does not match the sha256" in ask("sign", pair, "--key", key).output
    assert not (tmp_path / "net.yaml.sig").exists()


def test_keys_of_another_kind_are_refused(pair: Path, tmp_path: Path) -> None:
    keys(tmp_path, "curve", ec.generate_private_key(ec.SECP256R1()))
    (tmp_path / "text").write_text("no key")
    for order, name in (
        ("sign", "curve.pem"),
        ("verify", "curve.pub.pem"),
        ("sign", "text"),
        ("verify", "text"),
        ("sign", "gone"),
    ):
        done = ask(order, pair, "--key", tmp_path / name)
        assert done.exit_code == 2
        assert f"{tmp_path / name}: " in done.output


@pytest.mark.skipif(shutil.which("openssl") is None, reason="OpenSSL is not installed")
def test_openssl_verifies_the_same_signature(pair: Path, tmp_path: Path) -> None:
    told = "pkeyutl -verify -pubin -inkey key.pub.pem -rawin -in net.yaml -sigfile net.yaml.sig"
    done = subprocess.run(
        ["openssl", *told.split()], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
