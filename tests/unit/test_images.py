"""Pictures of every kind a camera or a colleague hands over."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from smearscan.errors import ImageError
from smearscan.io.decode import MIN_SIDE_PX, as_rgb, read_image, read_reduced, write_image

ORIENTATION = 0x0112
_TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    """40 x 64 px, smooth, different in every channel and in every corner."""
    y, x = np.mgrid[:40, :64]
    return np.stack([x * 4, y * 6, 255 - x * 2 - y], axis=2).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp", ".PNG"])
def test_lossless_kinds_come_back_exactly(tmp_path: Path, picture: NDArray[np.uint8], suffix: str) -> None:
    path = tmp_path / f"field{suffix}"
    Image.fromarray(picture).save(path)
    read = read_image(path)
    assert read.dtype == np.uint8
    assert read.flags.c_contiguous
    assert np.array_equal(read, picture)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_jpeg_comes_back_closely(tmp_path: Path, picture: NDArray[np.uint8], suffix: str) -> None:
    path = tmp_path / f"field{suffix}"
    Image.fromarray(picture).save(path, quality=98, subsampling=0)
    assert np.abs(read_image(str(path)).astype(int) - picture).max() <= 6


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".jpg"])
def test_write_then_read(tmp_path: Path, picture: NDArray[np.uint8], suffix: str) -> None:
    path = tmp_path / f"field{suffix}"
    write_image(path, picture)
    error = np.abs(read_image(path).astype(int) - picture)
    assert error.max() == 0 if suffix != ".jpg" else error.mean() < 3


def test_a_path_outside_ascii(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    folder = tmp_path / "Blutausstrich Müller 血液"
    folder.mkdir()
    for name in ("é.png", "涂片.jpg"):
        write_image(folder / name, picture)
        assert read_image(folder / name).shape == picture.shape


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".jpg"])
def test_gray_becomes_three_equal_channels(tmp_path: Path, picture: NDArray[np.uint8], suffix: str) -> None:
    path = tmp_path / f"field{suffix}"
    Image.fromarray(picture[:, :, 0]).save(path, quality=98)
    read = read_image(path)
    assert np.abs(read.astype(int) - picture[:, :, :1]).max() <= (6 if suffix == ".jpg" else 0)
    assert (read == read[:, :, :1]).all()


@pytest.mark.parametrize("alpha_value", [0, 1, 128, 255])
def test_a_photograph_is_shown_whole_whatever_its_alpha(
    tmp_path: Path, picture: NDArray[np.uint8], alpha_value: int
) -> None:
    everywhere = np.full(picture.shape[:2], alpha_value, np.uint8)
    partly = everywhere.copy()
    partly[:, :20] = 0
    for alpha in (everywhere, partly):
        Image.fromarray(np.dstack([picture, alpha])).save(tmp_path / "rgba.png")
        assert np.array_equal(read_image(tmp_path / "rgba.png"), picture)
        assert np.array_equal(as_rgb(Image.fromarray(np.dstack([picture, alpha]))), picture)
        gray = np.dstack([picture[:, :, 0], alpha])
        Image.fromarray(gray).save(tmp_path / "la.png")
        assert np.array_equal(read_image(tmp_path / "la.png")[:, :, 2], picture[:, :, 0])


def test_where_nothing_was_photographed_is_white(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    alpha = np.full(picture.shape[:2], 255, np.uint8)
    alpha[:, :10] = 0
    stitched = picture.copy()
    stitched[:, :10] = 0
    Image.fromarray(np.dstack([stitched, alpha])).save(tmp_path / "rgba.png")
    read = read_image(tmp_path / "rgba.png")
    assert (read[:, :10] == 255).all()
    assert np.array_equal(read[:, 10:], picture[:, 10:])


def test_palette_pictures(tmp_path: Path) -> None:
    index = np.arange(40 * 64, dtype=np.uint8).reshape(40, 64) % 3
    colors = np.array([[250, 10, 20], [30, 240, 60], [70, 80, 230]], np.uint8)
    image = Image.fromarray(index).convert("P")
    image.putpalette(colors.ravel().tolist())
    for suffix in ("png", "bmp", "tif"):
        image.save(tmp_path / f"p.{suffix}")
        assert np.array_equal(read_image(tmp_path / f"p.{suffix}"), colors[index])
    image.save(tmp_path / "transparent.png", transparency=1)
    read = read_image(tmp_path / "transparent.png")
    assert (read[index == 1] == 255).all()
    assert np.array_equal(read[index != 1], colors[index][index != 1])


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("gray", [True, False])
def test_sixteen_bits_are_scaled_to_the_camera_s_depth(
    tmp_path: Path, picture: NDArray[np.uint8], bits: int, suffix: str, gray: bool
) -> None:
    full = 2**bits - 1
    deep = np.round(picture / 255 * full).astype(np.uint16)
    deep[0, 0] = full
    path = tmp_path / f"deep{suffix}"
    assert cv2.imwrite(str(path), deep[:, :, 0] if gray else deep[:, :, ::-1])
    expected = np.repeat(picture[:, :, :1], 3, axis=2) if gray else picture.copy()
    expected[0, 0] = 255
    assert np.abs(read_image(path).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_exif_turns_the_picture_upright(
    tmp_path: Path, picture: NDArray[np.uint8], suffix: str, orientation: int
) -> None:
    image = Image.fromarray(picture)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / f"turned{suffix}"
    image.save(path, exif=exif, quality=98)
    read, upright = read_image(path), _TURNED[orientation](picture)
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).max() <= (8 if suffix == ".jpg" else 0)


def test_exif_turns_sixteen_bit_color_upright(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    deep = picture.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "plain.png"), deep[:, :, ::-1])
    data = (tmp_path / "plain.png").read_bytes()
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(picture).save(tmp_path / "tagged.png", exif=exif)
    tagged = (tmp_path / "tagged.png").read_bytes()
    begin = tagged.index(b"eXIf") - 4
    chunk = tagged[begin : begin + 12 + int.from_bytes(tagged[begin : begin + 4], "big")]
    (tmp_path / "both.png").write_bytes(data[:33] + chunk + data[33:])
    assert np.array_equal(read_image(tmp_path / "both.png"), np.rot90(picture, -1))


def test_content_counts_not_the_suffix(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    Image.fromarray(picture).save(tmp_path / "field.png")
    (tmp_path / "field.png").rename(tmp_path / "field.jpg")
    assert np.array_equal(read_image(tmp_path / "field.jpg"), picture)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_cut_short_is_refused_not_filled_up(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    path = tmp_path / f"cut{suffix}"
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError) as error:
        read_image(path)
    assert str(path) in str(error.value)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.jpg", None, "No such file"),
        ("empty.png", b"", "empty"),
        ("text.jpg", b"this is no picture, it is a letter " * 20, "no readable picture"),
        ("text.tif", b"II*\x00 and no more", "no readable picture"),
        ("broken.png", b"\x89PNG\r\n\x1a\n" + bytes(200), "no readable picture"),
        ("broken.jpg", b"\xff\xd8" + bytes(300) + b"\xff\xd9", "no readable JPEG"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=reason) as error:
        read_image(path)
    assert str(path) in str(error.value)


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as error:
        read_image(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_a_picture_too_small_is_refused_with_its_size(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    Image.new("RGB", (100, MIN_SIDE_PX - 1)).save(path)
    with pytest.raises(ImageError, match=rf"100x{MIN_SIDE_PX - 1} px is too small") as error:
        read_image(path)
    assert str(path) in str(error.value)
    Image.new("RGB", (100, MIN_SIDE_PX)).save(path)
    assert read_image(path).shape == (MIN_SIDE_PX, 100, 3)


def test_as_rgb_takes_arrays_pictures_and_paths(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png")
    same = [
        picture,
        Image.fromarray(picture),
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        picture.astype(np.uint16) * 257,
        picture / np.float32(255),
        np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)]),
    ]
    for kind in same:
        read = as_rgb(kind)
        assert read.dtype == np.uint8
        # an array whose largest value is below the full range cannot be told from a camera of fewer bits
        assert np.abs(read.astype(int) - picture).max() <= 1
    gray = as_rgb(picture[:, :, 0])
    assert np.array_equal(gray, np.repeat(picture[:, :, :1], 3, axis=2))
    assert np.array_equal(as_rgb(picture[:, :, 0] > 100)[:, :, 1] == 255, picture[:, :, 0] > 100)


@pytest.mark.parametrize(
    "thing",
    [
        None,
        [[1, 2], [3, 4]],
        np.zeros((40, 40, 2), np.uint8),
        np.zeros((40, 40, 3, 1), np.uint8),
        np.zeros((0, 40, 3), np.uint8),
        np.zeros(40, np.uint8),
        np.full((40, 40), np.nan),
        np.full((40, 40), -1),
        np.full((40, 40), 70_000),
        np.zeros((8, 8, 3), np.uint8),
    ],
)
def test_as_rgb_refuses_what_is_no_field(thing: object) -> None:
    with pytest.raises(ImageError):
        as_rgb(thing)


def test_a_picture_that_cannot_be_written_is_named(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    path = tmp_path / "missing" / "field.png"
    with pytest.raises(ImageError) as error:
        write_image(path, picture)
    assert str(path) in str(error.value)


def test_a_suffix_that_is_no_format_is_named(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match=r"field\.xyz"):
        write_image(tmp_path / "field.xyz", picture)


# ---------------------------------------------------------------- fewer pixels


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize(("height", "width"), [(400, 640), (333, 501), (97, 257)])
def test_a_reduced_jpeg_is_the_mean_of_blocks(
    tmp_path: Path, reduction: int, height: int, width: int
) -> None:
    y, x = np.mgrid[:height, :width]
    wave = [110 + 90 * np.sin(x / a) * np.cos(y / b) for a, b in ((60, 45), (80, 70), (50, 95))]
    path = tmp_path / "field.jpg"
    Image.fromarray(np.stack(wave, axis=2).astype(np.uint8)).save(path, quality=95, subsampling=0)
    image, shape, made = read_reduced(path, reduction)
    assert (shape, made) == ((height, width), reduction)
    assert image.shape == (-(-height // reduction), -(-width // reduction), 3)
    whole = read_image(path).astype(float)[
        : height // reduction * reduction, : width // reduction * reduction
    ]
    rows, columns = whole.shape[0] // reduction, whole.shape[1] // reduction
    means = whole.reshape(rows, reduction, columns, reduction, 3).mean(axis=(1, 3))
    away = np.abs(image[:rows, :columns] - means)
    assert away.mean() < 1
    assert away.max() < 12


def test_a_reduction_by_one_is_the_picture(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    write_image(path := tmp_path / "field.jpg", picture)
    image, shape, made = read_reduced(path, 1)
    assert np.array_equal(image, read_image(path))
    assert (shape, made) == ((40, 64), 1)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_other_kinds_are_read_whole(tmp_path: Path, picture: NDArray[np.uint8], suffix: str) -> None:
    write_image(path := tmp_path / f"field{suffix}", picture)
    image, shape, made = read_reduced(path, 4)
    assert np.array_equal(image, picture)
    assert (shape, made) == ((40, 64), 1)


@pytest.mark.parametrize("orientation", _TURNED)
def test_a_reduced_picture_is_turned_upright(
    tmp_path: Path, picture: NDArray[np.uint8], orientation: int
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / "field.jpg"
    Image.fromarray(picture[:, :63]).save(path, exif=exif, quality=98, subsampling=0)
    image, shape, _ = read_reduced(path, 2)
    upright = _TURNED[orientation](picture[:, :63])
    assert shape == upright.shape[:2]
    assert image.shape[:2] == tuple(-(-side // 2) for side in shape)
    middle = image[6:14, 6:14].astype(int) - upright[::2, ::2][6:14, 6:14]
    assert np.abs(middle).max() < 20


def test_a_small_picture_is_refused_by_its_own_size(tmp_path: Path) -> None:
    write_image(small := tmp_path / "small.jpg", np.full((MIN_SIDE_PX - 1, 200, 3), 90, np.uint8))
    with pytest.raises(ImageError, match=f"200x{MIN_SIDE_PX - 1} px is too small"):
        read_reduced(small, 8)
    write_image(fits := tmp_path / "fits.jpg", np.full((MIN_SIDE_PX, 200, 3), 90, np.uint8))
    assert read_reduced(fits, 8)[0].shape == (MIN_SIDE_PX // 8, 25, 3)
    (tmp_path / "cut.jpg").write_bytes(fits.read_bytes()[:-200])
    with pytest.raises(ImageError, match="cut short"):
        read_reduced(tmp_path / "cut.jpg", 8)


# ---------------------------------------------------------------- strictly


def jpeg(picture: NDArray[np.uint8], **how: object) -> bytes:
    stream = BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=95, **how)
    return stream.getvalue()


@pytest.fixture
def grainy() -> NDArray[np.uint8]:
    """200 x 300 px with the grain of a camera, so that a JPEG's parts hold something."""
    y, x = np.mgrid[:200, :300]
    smooth = np.stack([150 + 60 * np.sin(x / 20), 140 + 60 * np.cos(y / 15), 160 + 0 * x], axis=2)
    return (smooth + np.random.default_rng(0).normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8)


HOW = [{}, {"subsampling": 0}, {"progressive": True}, {"restart_marker_blocks": 10}, {"optimize": True}]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("reduction", [1, 4])
@pytest.mark.parametrize("where", [0.15, 0.4, 0.7, 0.9])
def test_a_damaged_jpeg_is_never_filled_with_gray(
    tmp_path: Path, grainy: NDArray[np.uint8], how: dict[str, object], reduction: int, where: float
) -> None:
    raw = jpeg(grainy, **how)
    at, end = int(len(raw) * where), int(len(raw) * (where + 0.08))
    damaged = {
        "hole": raw[:at] + bytes(end - at) + raw[end:],
        "lost middle": raw[:at] + raw[end:],
        "cut": raw[:at],
        "cut, with an end marker": raw[:at] + b"\xff\xd9",
    }
    for kind, data in damaged.items():
        (tmp_path / "field.jpg").write_bytes(data)
        with pytest.raises(ImageError, match="cut short or damaged"):
            pytest.fail(f"{kind}: {read_reduced(tmp_path / 'field.jpg', reduction)[1]}")


def test_a_hole_after_which_a_jpeg_is_in_step_again_is_noticed(tmp_path: Path) -> None:
    """Zeros are sound codes of the standard's tables: of some blocks, after which the rest may fit again."""
    y, x = np.indices((200, 300))
    shade = 200 + 20 * np.sin(x / 9) + 20 * np.cos(y / 13) + np.random.default_rng(0).normal(0, 4, x.shape)
    stream = BytesIO()
    grain = np.repeat(shade.clip(0, 255)[..., None], 3, axis=2).astype(np.uint8)
    Image.fromarray(grain).save(stream, "JPEG", quality=90)
    raw = stream.getvalue()
    at = len(raw) // 5
    for n in (64, 65, 100, 350, 512, 1000):
        (tmp_path / "field.jpg").write_bytes(raw[:at] + bytes(n) + raw[at + n :])
        with pytest.raises(ImageError, match="cut short or damaged"):
            read_image(tmp_path / "field.jpg")


def test_a_blank_jpeg_whose_code_of_zeros_ends_blocks_is_read(tmp_path: Path) -> None:
    blank = np.full((1600, 1600, 3), 255, np.uint8)
    blank[:32, :32] = np.random.default_rng(0).integers(0, 255, (32, 32, 3))
    raw = jpeg(blank, optimize=True)
    assert bytes(64) in raw
    for data in (raw, raw + bytes(1000)):
        (tmp_path / "field.jpg").write_bytes(data)
        assert read_image(tmp_path / "field.jpg").shape == blank.shape
    (tmp_path / "field.jpg").write_bytes(jpeg(blank[:64, :64]) + bytes(1000))  # zeros after the end
    assert read_image(tmp_path / "field.jpg").shape == (64, 64, 3)


@pytest.mark.parametrize("how", HOW)
def test_what_follows_a_jpeg_is_left_alone(
    tmp_path: Path, grainy: NDArray[np.uint8], how: dict[str, object]
) -> None:
    raw = jpeg(grainy, **how)
    (tmp_path / "plain.jpg").write_bytes(raw)
    film = b"\0\0\0\x18ftypmp42" + np.random.default_rng(0).bytes(300_000).replace(b"\xff\xd9", b"\0\0")
    for after in (film, np.random.default_rng(1).bytes(10_240), raw, b"\0" * 5000):
        (tmp_path / "more.jpg").write_bytes(raw + after)
        assert np.array_equal(read_image(tmp_path / "more.jpg"), read_image(tmp_path / "plain.jpg"))


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
@pytest.mark.parametrize("gray", [False, True])
def test_a_jpeg_gives_the_pixels_that_opencv_gives(
    tmp_path: Path, grainy: NDArray[np.uint8], reduction: int, gray: bool
) -> None:
    """OpenCV read JPEG files before: reports made then stay as they are."""
    opencv = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4,
              8: cv2.IMREAD_REDUCED_COLOR_8}  # fmt: skip
    for how in HOW:
        raw = jpeg(grainy[:195, :287, 0] if gray else grainy[:195, :287], **how)
        (tmp_path / "field.jpg").write_bytes(raw)
        expected = cv2.imdecode(np.frombuffer(raw, np.uint8), opencv[reduction])[:, :, ::-1]
        assert np.array_equal(read_reduced(tmp_path / "field.jpg", reduction)[0], expected)


def test_a_jpeg_of_print_colors_is_refused(tmp_path: Path, grainy: NDArray[np.uint8]) -> None:
    Image.fromarray(grainy).convert("CMYK").save(tmp_path / "print.jpg")
    with pytest.raises(ImageError, match="print colors"):
        read_image(tmp_path / "print.jpg")


def test_a_jpeg_of_very_many_scans_is_refused(tmp_path: Path, grainy: NDArray[np.uint8]) -> None:
    raw = jpeg(grainy, progressive=True)
    scan = raw[raw.rindex(b"\xff\xda") : -2]
    (tmp_path / "scans.jpg").write_bytes(raw[:-2] + scan * 600 + b"\xff\xd9")
    with pytest.raises(ImageError, match="more than 500 scans"):
        read_image(tmp_path / "scans.jpg")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
def test_the_limit_of_pixels_is_checked_before_decoding(
    tmp_path: Path, grainy: NDArray[np.uint8], suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(path := tmp_path / f"field{suffix}", grainy)
    assert read_image(path, max_pixels=60_000).shape == (200, 300, 3)

    def never(*_: object, **__: object) -> None:
        pytest.fail("decoded")

    monkeypatch.setattr("simplejpeg.decode_jpeg", never)
    monkeypatch.setattr("imagecodecs.png_decode", never)
    monkeypatch.setattr(Image.Image, "load", never)
    with pytest.raises(ImageError, match=r"300x200 px is too large.*max_field_pixels"):
        read_image(path, max_pixels=59_999)


def test_a_file_far_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    with path.open("wb") as file:
        file.truncate(40_000_000_000)  # zeros that take no room on the disk
    with pytest.raises(ImageError, match=r"film\.png: the file holds 40000000000 bytes.*max_field_pixels"):
        read_image(path)
    Image.new("RGB", (40, 40)).save(path)
    with path.open("ab") as file:
        file.truncate(63 * 2**20)  # a small picture may have so much beside it
    assert read_image(path, max_pixels=2000).shape == (40, 40, 3)


def test_a_bomb_of_a_png_costs_nothing(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "bomb.png").write_bytes(data + bytes(100))
    with pytest.raises(ImageError, match="60000x60000 px is too large"):
        read_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("compress_level", [0, 6])
@pytest.mark.parametrize("where", [0.3, 0.6, 0.95])
def test_a_hole_in_a_png_is_noticed(
    tmp_path: Path, grainy: NDArray[np.uint8], compress_level: int, where: float
) -> None:
    Image.fromarray(grainy).save(path := tmp_path / "field.png", compress_level=compress_level)
    data = bytearray(path.read_bytes())
    at = int(len(data) * where)
    data[at] ^= 4  # one bit
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match="no readable picture"):
        read_image(path)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_every_depth_and_number_of_channels(
    tmp_path: Path, picture: NDArray[np.uint8], bits: int, channels: int
) -> None:
    colors = picture if channels > 2 else picture[:, :, :1]
    colors[0, 0] = 255
    alpha = np.full((*picture.shape[:2], 1), 77, np.uint8)
    samples = np.concatenate([colors, alpha], axis=2) if channels in (2, 4) else colors
    deep = samples.astype(np.uint16) * 257 if bits == 16 else samples
    (tmp_path / "field.png").write_bytes(imagecodecs.png_encode(np.ascontiguousarray(deep.squeeze())))
    assert np.array_equal(read_image(tmp_path / "field.png"), np.broadcast_to(colors, picture.shape))


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"RIFF\x10\0\0\0WEBPVP8 ", "WebP"),
        (b"\0\0\0\x18ftypheic", "HEIC or AVIF"),
        (b"GIF89a", "GIF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG-2000"),
        (b"%PDF-1.7", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "neither JPEG"),
    ],
)
def test_kinds_that_are_not_read_are_named_whatever_their_suffix(
    tmp_path: Path, start: bytes, kind: str
) -> None:
    (tmp_path / "field.jpg").write_bytes(start + bytes(500))
    with pytest.raises(ImageError, match=kind):
        read_image(tmp_path / "field.jpg")
    (tmp_path / "gif.png").write_bytes(b"")
    Image.new("RGB", (50, 50)).save(tmp_path / "real.png", "GIF")
    with pytest.raises(ImageError, match="a GIF file is not read"):
        read_image(tmp_path / "real.png")


def test_a_pillow_picture_of_a_cut_file_is_refused(tmp_path: Path, grainy: NDArray[np.uint8]) -> None:
    raw = jpeg(grainy)
    with Image.open(BytesIO(raw[: len(raw) // 2])) as opened, pytest.raises(ImageError, match="no readable"):
        as_rgb(opened)


# ---------------------------------------------------------------- color profiles


def profile_of(colors: str) -> bytes:
    """A profile whose red, green and blue curves are sRGB's, with primaries in the order of `colors`."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", made[128:132])[0]
    entries = {bytes(made[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    places = {
        c: bytes(made[entries[c.encode() + b"XYZ"] + 4 : entries[c.encode() + b"XYZ"] + 12]) for c in "rgb"
    }
    for target, source in zip("rgb", colors, strict=True):
        at = entries[target.encode() + b"XYZ"] + 4
        made[at : at + 8] = places[source]
    return bytes(made)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_a_profile_is_applied_where_it_shows(tmp_path: Path, picture: NDArray[np.uint8], suffix: str) -> None:
    swapped = Image.fromarray(picture[:, :, ::-1])
    swapped.save(tmp_path / f"bgr{suffix}", icc_profile=profile_of("bgr"), quality=98, subsampling=0)
    assert np.abs(read_image(tmp_path / f"bgr{suffix}").astype(int) - picture).max() <= 12
    for profile in (profile_of("rgb"), b"no profile", b""):
        Image.fromarray(picture).save(tmp_path / f"plain{suffix}", quality=98)
        Image.fromarray(picture).save(tmp_path / f"own{suffix}", icc_profile=profile, quality=98)
        own, plain = read_image(tmp_path / f"own{suffix}"), read_image(tmp_path / f"plain{suffix}")
        assert np.array_equal(own, plain)


@pytest.mark.parametrize("kind", ["JPEG", "BMP"])
def test_a_refusal_names_no_place_in_memory(tmp_path: Path, kind: str) -> None:
    stream = BytesIO()
    Image.new("RGB", (40, 40)).save(stream, kind)
    data = bytearray(stream.getvalue())
    start = data.find(b"\xff\xc0") + 5 if kind == "JPEG" else 18
    data[start : start + (4 if kind == "JPEG" else 8)] = bytes(4 if kind == "JPEG" else 8)  # no side at all
    (tmp_path / f"a.{kind.lower()}").write_bytes(data)
    with pytest.raises(ImageError, match="its header is not understood"):
        read_image(tmp_path / f"a.{kind.lower()}")
