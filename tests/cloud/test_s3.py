"""A server that speaks S3 (moto), on this machine alone: what lies there comes here, and errors are told."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smearscan.errors import ImageError
from smearscan.io.folders import survey
from smearscan.io.remote import fetch

s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'smearscan[cloud]'")
moto = pytest.importorskip("moto.server", reason="moto is not installed: pip install 'moto[server]'")
pytestmark = pytest.mark.filterwarnings("default")  # of libraries of the store
FILES = {"patient 1/field_1.jpg": b"one", "patient 1/field_2.jpg": b"two", "ünïcode/3.jpg": b"three"}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "of no use",
        "AWS_SECRET_ACCESS_KEY": "of no use",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = s3fs.S3FileSystem(use_listings_cache=False)
    bucket.makedirs("lab", exist_ok=True)
    for name, content in FILES.items():
        bucket.pipe(f"lab/slides/{name}", content)
    yield bucket
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_slides_come_from_s3_once(tmp_path: Path, store: Any) -> None:
    done = fetch(Path("s3://lab/slides"), tmp_path)
    assert (done.n_fetched, done.n_kept, done.failures) == (3, 0, {})
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES
    assert [slide.slide_id for slide in survey(tmp_path).slides] == ["patient 1", "ünïcode"]
    store.pipe("lab/slides/patient 1/field_2.jpg", b"six")
    s3fs.S3FileSystem.clear_instance_cache()  # as another process
    again = fetch("s3://lab/slides", tmp_path)
    assert (again.n_fetched, again.n_kept) == (1, 2)
    assert (tmp_path / "patient 1" / "field_2.jpg").read_bytes() == b"six"


@pytest.mark.usefixtures("store")
def test_a_bucket_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"s3://nothing/slides"):
        fetch("s3://nothing/slides", tmp_path)
    assert list(tmp_path.iterdir()) == []
