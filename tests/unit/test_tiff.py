"""TIFF files of every kind: read as what they are, or refused by name."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from smearscan.errors import ImageError
from smearscan.io.decode import read_image
from smearscan.io.pyramids import is_tiled_pyramid


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    """48 x 80 px with a white background, whose channels belong together as those of a stain do."""
    y, x = np.mgrid[:48, :80]
    wave = np.sin(x / 7) * np.cos(y / 5)
    levels = [200 + 55 * wave, 180 + 75 * wave, 215 + 40 * np.sin(x / 7 + 0.4) * np.cos(y / 5)]
    return np.round(np.stack(levels, axis=2)).astype(np.uint8)


def written(folder: Path, samples: NDArray[Any], **how: Any) -> Path:
    path = folder / how.pop("name", "field.tif")
    tifffile.imwrite(path, samples, **how)
    return path


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16, 32])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "packbits", "zstd", "lzma"])
def test_color_of_every_depth_and_layout(
    tmp_path: Path, photo: NDArray[np.uint8], bits: int, planar: str, compression: str | None
) -> None:
    """32: floats of 0 to 1; other depths lie in 16 bits."""
    photo[0, 0] = 255  # a background that fills the range tells the depth
    deep: NDArray[Any] = photo
    if bits == 32:
        deep = photo.astype(np.float32) / 255
    elif bits > 8:
        deep = np.round(photo / 255 * (2**bits - 1)).astype(np.uint16)
    samples = np.moveaxis(deep, 2, 0) if planar == "separate" else deep
    if compression == "packbits" and bits == 32:
        pytest.skip("PackBits packs integers")
    path = written(tmp_path, samples, photometric="rgb", planarconfig=planar, compression=compression)
    assert np.abs(read_image(path).astype(int) - photo).max() <= (0 if bits in (8, 32) else 1)


@pytest.mark.parametrize(
    "how", [{"tile": (16, 32)}, {"rowsperstrip": 5}, {"bigtiff": True}, {"byteorder": ">"}]
)
def test_tiles_strips_and_byte_orders(tmp_path: Path, photo: NDArray[np.uint8], how: dict[str, Any]) -> None:
    path = written(tmp_path, photo, photometric="rgb", compression="deflate", predictor=True, **how)
    assert np.array_equal(read_image(path), photo)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_color_in_three_pages(tmp_path: Path, photo: NDArray[np.uint8], dtype: type) -> None:
    photo[0, 0] = 255
    planes = np.moveaxis(photo, 2, 0).astype(dtype) * (257 if dtype is np.uint16 else 1)
    kinds: list[dict[str, Any]] = [
        {"photometric": "minisblack"},
        {"imagej": True, "metadata": {"axes": "CYX", "mode": "composite"}},
        {"photometric": "minisblack", "metadata": {"axes": "CYX"}, "name": "field.ome.tif"},
    ]
    for kind in kinds:
        assert np.array_equal(read_image(written(tmp_path, planes, **kind)), photo)
    with tifffile.TiffWriter(tmp_path / "pages.tif") as file:  # three pages that say nothing of each other
        for plane in planes:
            file.write(plane, photometric="minisblack", metadata=None)
    assert np.array_equal(read_image(tmp_path / "pages.tif"), photo)


def test_channels_are_put_in_the_order_that_their_names_or_colors_give(
    tmp_path: Path, photo: NDArray[np.uint8]
) -> None:
    backwards = np.moveaxis(photo[:, :, ::-1], 2, 0)
    named = {"axes": "CYX", "Channel": {"Name": ["Blue", "Green", "Red"]}}
    path = written(tmp_path, backwards, photometric="minisblack", metadata=named, name="named.ome.tif")
    assert np.array_equal(read_image(path), photo)
    colors = {"axes": "CYX", "Channel": {"Color": [0x0000FFFF, 0x00FF00FF, -0xFFFF01]}}
    path = written(tmp_path, backwards, photometric="minisblack", metadata=colors, name="colored.ome.tif")
    assert np.array_equal(read_image(path), photo)
    ramp, dark = np.arange(256, dtype=np.uint8), np.zeros(256, np.uint8)
    luts = [np.stack(rows) for rows in ((dark, dark, ramp), (dark, ramp, dark), (ramp, dark, dark))]
    path = written(
        tmp_path, backwards, imagej=True, metadata={"axes": "CYX", "mode": "composite", "LUTs": luts}
    )
    assert np.array_equal(read_image(path), photo)


@pytest.mark.parametrize("thumbnail_first", [True, False])
def test_the_picture_is_taken_not_its_thumbnail(
    tmp_path: Path, photo: NDArray[np.uint8], thumbnail_first: bool
) -> None:
    pages = [photo[::4, ::4], photo] if thumbnail_first else [photo, photo[::4, ::4]]
    with tifffile.TiffWriter(tmp_path / "two.tif") as file:
        for page in pages:
            file.write(page, photometric="rgb")
    assert np.array_equal(read_image(tmp_path / "two.tif"), photo)
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as file:
        file.write(photo, photometric="rgb", subifds=1)
        file.write(photo[::2, ::2], photometric="rgb", subfiletype=1)
    assert np.array_equal(read_image(tmp_path / "pyramid.tif"), photo)


def test_several_fields_in_one_file_are_refused_none_is_lost(
    tmp_path: Path, photo: NDArray[np.uint8]
) -> None:
    stack = np.stack([photo, np.roll(photo, 20, axis=1)])
    with pytest.raises(ImageError, match="holds 2 pictures"):
        read_image(written(tmp_path, stack, photometric="rgb"))
    with tifffile.TiffWriter(tmp_path / "two.tif") as file:
        file.write(photo, photometric="rgb")
        file.write(photo[:, :40], photometric="rgb")
    with pytest.raises(ImageError, match="holds 2 pictures"):
        read_image(tmp_path / "two.tif")
    rng = np.random.default_rng(0)
    three = rng.integers(0, 255, (3, 48, 80), np.uint8)
    with pytest.raises(ImageError, match="do not belong together"):
        read_image(written(tmp_path, three, photometric="minisblack"))
    with pytest.raises(ImageError, match="holds 4 pictures"):
        read_image(written(tmp_path, np.stack([photo[:, :, 0]] * 4), photometric="minisblack"))


@pytest.mark.parametrize("bits", [4, 8, 12, 16])
@pytest.mark.parametrize("white_is_zero", [True, False])
def test_gray_of_every_depth(
    tmp_path: Path, photo: NDArray[np.uint8], bits: int, white_is_zero: bool
) -> None:
    """4 bits: written by Pillow's palette-free gray is 8; here packed by hand."""
    full = 2**bits - 1
    gray = np.round(photo[:, :, 1] / 255 * full).astype(np.uint8 if bits <= 8 else np.uint16)
    gray[0, 0] = full
    stored = full - gray if white_is_zero else gray
    path = tmp_path / "gray.tif"
    if bits == 4:
        path.write_bytes(packed_four_bits(stored, 0 if white_is_zero else 1))
    elif bits == 12 and white_is_zero:
        pytest.skip("12 of 16 bits with white at zero cannot be told from 16; see the test below")
    else:
        photometric = "miniswhite" if white_is_zero else "minisblack"
        tifffile.imwrite(path, stored, photometric=photometric)
    expected = np.round(gray / full * 255)
    read = read_image(path)
    assert np.abs(read[:, :, 0] - expected).max() <= 1
    assert (read == read[:, :, :1]).all()


def packed_four_bits(gray: NDArray[Any], photometric: int) -> bytes:
    """A TIFF file of one strip, two pixels a byte."""
    height, width = gray.shape
    data = (gray[:, ::2] << 4 | gray[:, 1::2]).astype(np.uint8).tobytes()
    tags = [(256, width), (257, height), (258, 4), (259, 1), (262, photometric), (273, 8), (277, 1),
            (278, height), (279, len(data))]  # fmt: skip
    ifd = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", t, 4, 1, v) for t, v in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + ifd + bytes(4)


def test_twelve_bits_are_told_by_the_files_own_tag(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    """A field without a white pixel is not brightened where the file says what white is."""
    dim = np.minimum(photo, 100).astype(np.uint16) * 16
    path = written(tmp_path, dim, photometric="rgb", extratags=[(281, "H", 1, 4095, True)])
    assert np.abs(read_image(path) - np.minimum(photo, 100) / 255.9 * 255).max() <= 1


@pytest.mark.parametrize("scale", [1.0, 1.02, 1.2])
def test_floats_a_hair_above_one(tmp_path: Path, photo: NDArray[np.uint8], scale: float) -> None:
    photo[:8] = 255
    path = written(tmp_path, (photo / 255 * scale).astype(np.float32), photometric="rgb")
    assert np.abs(read_image(path).astype(int) - photo).max() <= 1


def test_a_few_pixels_that_ring_darken_no_float_picture(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    ringing = (photo / 255).astype(np.float32)
    ringing[0, 0], ringing[1, 0] = 1.2, -0.1
    read = read_image(written(tmp_path, ringing, photometric="rgb")).astype(int)
    assert np.abs(read - photo)[2:].max() <= 1
    assert (read[0, 0] == 255).all()
    assert (read[1, 0] == 0).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_floats_of_255(tmp_path: Path, photo: NDArray[np.uint8], dtype: type) -> None:
    photo[0, 0] = 255
    assert np.array_equal(read_image(written(tmp_path, photo.astype(dtype), photometric="rgb")), photo)


@pytest.mark.parametrize(
    ("low", "high", "reason"),
    [(0, 3.4, "known range"), (-2, 1, "known range"), (0, 1e6, "known range"), (0, np.nan, "no numbers")],
)
def test_floats_of_no_known_range_are_refused(
    tmp_path: Path, photo: NDArray[np.uint8], low: float, high: float, reason: str
) -> None:
    samples = (photo / 255).astype(np.float32)
    samples[0, 0], samples[1, 0] = low, high
    with pytest.raises(ImageError, match=reason):
        read_image(written(tmp_path, samples, photometric="rgb"))


@pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.int32])
def test_other_integers_are_read_or_refused(tmp_path: Path, photo: NDArray[np.uint8], dtype: type) -> None:
    photo[0, 0] = 255
    assert np.array_equal(read_image(written(tmp_path, photo.astype(dtype), photometric="rgb")), photo)
    beyond = photo.astype(dtype)
    beyond[0, 0] = -5 if np.issubdtype(dtype, np.signedinteger) else 100_000
    with pytest.raises(ImageError, match="leave 16 bits"):
        read_image(written(tmp_path, beyond, photometric="rgb"))


def test_complex_samples_are_refused(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match="no colors"):
        read_image(written(tmp_path, photo[:, :, 0].astype(np.complex64), photometric="minisblack"))


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha", "unspecified"])
def test_the_fourth_sample_hides_nothing(tmp_path: Path, photo: NDArray[np.uint8], kind: str) -> None:
    four = np.dstack([photo, np.zeros(photo.shape[:2], np.uint8)])
    path = written(tmp_path, four, photometric="rgb", extrasamples=[kind])
    assert np.array_equal(read_image(path), photo)


def test_colors_multiplied_by_their_alpha_are_laid_on_white(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    alpha = np.full(photo.shape[:2], 255, np.uint8)
    alpha[:, :10], alpha[:, 10:20] = 0, 51
    dark = np.round(photo * (alpha[:, :, None] / 255)).astype(np.uint8)
    path = written(tmp_path, np.dstack([dark, alpha]), photometric="rgb", extrasamples=["assocalpha"])
    read = read_image(path)
    assert (read[:, :10] == 255).all()
    assert np.abs(read[:, 10:20] - (photo[:, 10:20] * 0.2 + 255 * 0.8)).max() <= 1
    assert np.array_equal(read[:, 20:], photo[:, 20:])


def test_a_palette_is_applied(tmp_path: Path) -> None:
    index = (np.arange(48 * 80) % 7).astype(np.uint8).reshape(48, 80)
    colors = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint16)
    for factor in (1, 257):  # some write 8-bit values
        path = written(tmp_path, index, photometric="palette", colormap=(colors.T * factor).astype(np.uint16))
        assert np.array_equal(read_image(path), colors[index])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_tag_turns_every_kind(
    tmp_path: Path, photo: NDArray[np.uint8], orientation: int
) -> None:
    tag = [(274, "H", 1, orientation, True)]
    eight = read_image(written(tmp_path, photo, photometric="rgb", extratags=tag))
    floats = (photo / 255).astype(np.float32)
    assert np.array_equal(read_image(written(tmp_path, floats, photometric="rgb", extratags=tag)), eight)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(photo).save(tmp_path / "pillow.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "pillow.png"), eight)


@pytest.mark.parametrize("compression", ["jpeg2000", "webp", "jpegxl"])
def test_compressions_in_which_damage_is_not_noticed_are_refused(
    tmp_path: Path, photo: NDArray[np.uint8], compression: str
) -> None:
    with pytest.raises(ImageError, match="compression is not read"):
        read_image(written(tmp_path, photo, photometric="rgb", compression=compression))


@pytest.mark.parametrize("photometric", ["separated", "cielab", "ycbcr"])
def test_colors_that_are_not_rgb_are_refused(
    tmp_path: Path, photo: NDArray[np.uint8], photometric: str
) -> None:
    samples = np.dstack([photo, photo[:, :, 0]]) if photometric == "separated" else photo
    how = {"compression": None} if photometric != "ycbcr" else {"subsampling": (1, 1)}
    with pytest.raises(ImageError, match="colors is not read"):
        read_image(written(tmp_path, samples, photometric=photometric, **how))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "jpeg"])
@pytest.mark.parametrize("kind", ["rgb", "pages"])
def test_a_cut_is_noticed(tmp_path: Path, share: float, compression: str | None, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (160, 200, 3), np.uint8)
    samples = noise if kind == "rgb" else np.repeat(noise[None, :, :, 0], 3, axis=0)
    photometric = "rgb" if kind == "rgb" else "minisblack"
    path = written(tmp_path, samples, photometric=photometric, compression=compression, rowsperstrip=16)
    read_image(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError) as error:
        read_image(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("where", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("compression", ["lzw", "deflate", "zstd", "jpeg"])
def test_a_hole_in_compressed_parts_is_noticed(tmp_path: Path, where: float, compression: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (160, 200, 3), np.uint8)
    path = written(tmp_path, noise, photometric="rgb", compression=compression, rowsperstrip=16)
    data = bytearray(path.read_bytes())
    at, n = int(len(data) * where), int(len(data) * 0.1)
    data[at : at + n] = bytes(n)
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError):
        read_image(path)


def test_a_part_that_is_not_there_is_not_filled_with_black(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    path = written(tmp_path, photo, photometric="rgb", rowsperstrip=8)
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags[279]
        at, size = tag.valueoffset, struct.calcsize(tag.dtype_name and "<H") if tag.dtype == 3 else 4
    data = bytearray(path.read_bytes())
    data[at + size : at + 2 * size] = bytes(size)
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match="part of the TIFF picture is missing"):
        read_image(path)


def test_the_size_is_judged_by_the_header(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    path = written(tmp_path, photo, photometric="rgb", compression="deflate")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].tags[256].valueoffset
    data = bytearray(path.read_bytes())
    struct.pack_into("<I" if data[offset - 6] == 4 else "<H", data, offset, 60_000)
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match="60000x48 px is too large"):
        read_image(path, max_pixels=1_000_000)


def test_a_part_that_swells_is_not_swelled(tmp_path: Path) -> None:
    """A strip of a megabyte that unpacks to a gigabyte costs neither time nor memory."""
    small = np.zeros((64, 64, 3), np.uint8)
    path = written(tmp_path, small, photometric="rgb", compression="deflate")
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        counts, offsets = tags[279], tags[273]
    bomb = zlib.compress(bytes(1 << 28), 9)
    data = bytearray(path.read_bytes())
    for tag, value in ((counts, len(bomb)), (offsets, len(data))):
        struct.pack_into("<H" if tag.dtype == 3 else "<I", data, tag.valueoffset, value)
    path.write_bytes(bytes(data) + bomb)
    with pytest.raises(ImageError, match="no readable picture"):
        read_image(path)


@pytest.mark.parametrize("page", [0, 1])
def test_pages_that_lead_back_to_themselves_end_in_a_word(
    tmp_path: Path, photo: NDArray[np.uint8], page: int
) -> None:
    path = tmp_path / "field.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(photo, photometric="rgb", tile=(16, 16), metadata=None)
        writer.write(photo[::4, ::4], photometric="rgb", tile=(16, 16), metadata=None)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        offsets = [one.offset for one in file.pages]
    (n_tags,) = struct.unpack_from("<H", data, offsets[1])
    struct.pack_into("<I", data, offsets[1] + 2 + 12 * n_tags, offsets[page])
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match=r"field\.tif: .*circular"):
        read_image(path)
    assert is_tiled_pyramid(path, 10)  # ends, too
