"""Settings: option over file over default; what is wrong is named."""

from pathlib import Path

import pytest

from smearscan.config import ScanConfig, scan_config
from smearscan.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scan.yaml"
    path.write_text("task: blast\nwindow: 4\num_per_px: 0.07\n")
    return path


def test_nothing_given_is_the_default() -> None:
    assert scan_config() == ScanConfig()
    assert scan_config(None, task=None, window=None) == ScanConfig()


def test_the_file_wins_over_the_default(file: Path) -> None:
    config = scan_config(file)
    assert (config.task, config.window, config.um_per_px) == ("blast", 4, 0.07)
    assert config.workers == ScanConfig().workers


def test_an_option_wins_over_the_file(file: Path) -> None:
    config = scan_config(file, window=9, task="both")
    assert (config.task, config.window, config.um_per_px) == ("both", 9, 0.07)


def test_none_is_not_given(file: Path) -> None:
    assert scan_config(file, window=None, task=None, um_per_px=None) == scan_config(file)


def test_an_empty_file_gives_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing yet\n")
    assert scan_config(tmp_path / "empty.yaml") == ScanConfig()


def test_paths_become_paths(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("detector: my/net.safetensors\n")
    assert scan_config(tmp_path / "c.yaml").detector == Path("my/net.safetensors")


def test_tiers_are_percentages() -> None:
    assert scan_config(None, flag_tiers=[5, 20.5]).flag_tiers == (5.0, 20.5)
    with pytest.raises(ConfigError, match=r"flag_tiers\.1 = 200: Input should be less than or equal to 100"):
        scan_config(None, flag_tiers=[10, 200])


def test_settings_of_the_flag_and_of_reading_are_kept(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("until_resolved: true\nfirst_look: 50\ncalibration: site.yaml\n")
    config = scan_config(tmp_path / "c.yaml", resolve_width_percent=8.0, flag_level=0.001)
    assert (config.read, config.first_look, config.calibration) == ("resolved", 50, Path("site.yaml"))
    assert (config.resolve_width_percent, config.flag_level) == (8.0, 0.001)
    assert ScanConfig.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("task", "all"),
        ("window", 0),
        ("window", 1025),
        ("window", "many"),
        ("workers", 0),
        ("read_ahead", 0),
        ("ruler_fields", 0),
        ("um_per_px", 0.0),
        ("um_per_px", -0.1),
        ("um_per_px", 70),
        ("flag_blast_percent", 0),
        ("flag_blast_percent", 101),
        ("flag_min_cells", 0),
        ("flag_level", 0),
        ("flag_level", 0.5),
        ("flag_tiers", [20, 10]),
        ("flag_tiers", [10, 10]),
        ("flag_tiers", []),
        ("flag_tier_probability", 1),
        ("flag_power", 0),
        ("flag_min_detectable_percent", 0),
        ("first_look", 19),
        ("resolve_width_percent", 0.5),
        ("resolve_width_percent", 101),
        ("windows", 3),
    ],
)
def test_a_wrong_value_is_named_with_its_place(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "scan.yaml"
    path.write_text(f"{key}: {value}\n")
    with pytest.raises(ConfigError) as error:
        scan_config(path)
    for told in (key, str(value), str(path)):
        assert told in str(error.value)
    with pytest.raises(ConfigError) as error:
        scan_config(None, **{key: value})
    assert f"{key} = {value!r}" in str(error.value)


def test_every_wrong_value_is_named(tmp_path: Path) -> None:
    path = tmp_path / "scan.yaml"
    path.write_text("window: 0\nworkers: 0\n")
    with pytest.raises(ConfigError, match=r"window = 0.*workers = 0"):
        scan_config(path)


def test_a_wrong_option_is_not_blamed_on_the_file(file: Path) -> None:
    with pytest.raises(ConfigError, match="window = 0") as error:
        scan_config(file, window=0)
    assert str(file) not in str(error.value)


@pytest.mark.parametrize("content", [b"window: [", b"- window\n", b"just words\n", b"\xff\xd8\xff\xe0\x00"])
def test_what_is_no_file_of_settings_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scan.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"scan\.yaml"):
        scan_config(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        scan_config(tmp_path / "none.yaml")


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        scan_config().window = 3  # type: ignore[misc]


def test_the_settings_there_are_are_named_where_one_is_not() -> None:
    with pytest.raises(ConfigError, match=r"weights = 'x'.*; settings are: task, device") as refused:
        scan_config(weights="x")
    assert all(name in str(refused.value) for name in ScanConfig.model_fields)
    with pytest.raises(ConfigError) as other:
        scan_config(window=0)
    assert "settings are" not in str(other.value)


@pytest.mark.parametrize(("net", "task"), [("blast", "differential"), ("differential", "blast")])
def test_weights_that_the_task_does_not_run_are_refused(net: str, task: str) -> None:
    with pytest.raises(ConfigError, match=f"{net} = .*mine.*the task is '{task}'; take the task both"):
        scan_config(None, **{net: Path("mine.safetensors")}, task=task)
    for fits in (net, "both"):
        assert getattr(scan_config(None, **{net: Path("mine.safetensors")}, task=fits), net) is not None
