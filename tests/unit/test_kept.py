"""Cards kept as JSON are read as their YAML is, and never in place of another."""

from pathlib import Path

import pytest

from smearscan.config import read_yaml
from smearscan.errors import ConfigError
from smearscan.io import kept
from smearscan.io.kept import read_kept_yaml
from smearscan.weights.pairs import shipped_folder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMEARSCAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("name", ["detector", "differential", "blast", "cells", "calibration"])
def test_shipped_cards_are_read_alike(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    card = shipped_folder("weights") / f"{name}.yaml"
    wanted = read_yaml(card)
    assert read_kept_yaml(card) == wanted
    if name != "calibration":  # its date is no JSON
        monkeypatch.setattr(kept, "read_yaml", lambda *_: pytest.fail("was read as YAML again"))
    again = read_kept_yaml(card)
    assert again == wanted
    assert repr(again) == repr(wanted)  # 1 is no 1.0, and neither is true


def test_a_changed_card_is_read_anew(tmp_path: Path) -> None:
    card = tmp_path / "card.yaml"
    for text, content in (("a: 1", {"a": 1}), ("a: 2", {"a": 2}), ("a: 1.0", {"a": 1.0})):
        card.write_text(text)
        assert repr(read_kept_yaml(card)) == repr(read_kept_yaml(card)) == repr(content)


@pytest.mark.parametrize("text", ["1: one", "made: 2026-01-02", "a: .nan", "a: .inf", ""])
def test_what_json_has_no_form_for_stays_as_it_is(tmp_path: Path, text: str) -> None:
    card = tmp_path / "card.yaml"
    card.write_text(text)
    assert repr(read_kept_yaml(card)) == repr(read_kept_yaml(card)) == repr(read_yaml(card))


@pytest.mark.parametrize("harm", [b"", b"{}", b"no card\n{}", b"\xff\n", None])
def test_a_broken_file_is_made_again(tmp_path: Path, folder: Path, harm: bytes | None) -> None:
    card = tmp_path / "card.yaml"
    card.write_text("a: 1")
    read_kept_yaml(card)
    (file,) = folder.iterdir()
    file.write_bytes(harm if harm is not None else file.read_bytes().replace(b"1}", b"2}"))
    assert read_kept_yaml(card) == {"a": 1}
    assert b'{"a": 1}' in file.read_bytes()


def test_it_refuses_as_the_reader_of_yaml(tmp_path: Path) -> None:
    card = tmp_path / "card.yaml"
    with pytest.raises(ConfigError, match="is not there"):
        read_kept_yaml(card, missing="is not there")
    card.write_text("a: 1\na: 2")
    for _ in range(2):
        with pytest.raises(ConfigError, match="stands twice"):
            read_kept_yaml(card)


def test_without_a_folder_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setenv("SMEARSCAN_CACHE", "off")
    card = tmp_path / "card.yaml"
    card.write_text("a: 1")
    assert read_kept_yaml(card) == {"a": 1}
    assert not folder.exists()
