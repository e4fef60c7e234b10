"""Images: every format read back by hand-made values, every fault named."""

import re
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image

from weakspot.data.cohort import CohortWarning, cohort_of_images, read_cohort, split_cohort
from weakspot.data.images import ImageStore, load_images, load_together, read_image, read_placed
from weakspot.errors import InputError

GREY = np.arange(30, dtype=np.uint8).reshape(5, 6) * 8
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)
DEEP = GREY.astype(np.uint16) * 250
REAL = GREY.astype(np.float32) / 100 - 1


def saved(path, pixels, mode=None, **options):
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def refusal(path):
    with pytest.raises(InputError) as refused:
        read_image(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "npy", "PNG"])
@pytest.mark.parametrize(("pixels", "channels"), [(GREY, 1), (COLOUR, 3)])
def test_lossless_formats(tmp_path, ending, pixels, channels):
    path = tmp_path / f"image.{ending}"
    if ending == "npy":
        np.save(path, pixels)
    else:
        saved(path, pixels)
    image = read_image(path)
    assert (image.dtype, image.shape) == (np.float32, (channels, 5, 6))
    for channel in range(channels):
        expected = (pixels if channels == 1 else pixels[..., channel]) / np.float32(255)
        assert np.array_equal(image[channel], expected)
    assert read_placed(path).stored.dtype == np.uint8


def test_jpeg(tmp_path):
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    image = read_image(saved(tmp_path / "a.jpeg", flat, quality=100))
    assert np.allclose(image, np.array([200, 100, 50])[:, None, None] / 255, atol=2 / 255)
    assert read_image(saved(tmp_path / "b.jpg", flat[..., 0])).shape == (1, 16, 16)


@pytest.mark.parametrize("ending", ["png", "tif", "npy"])
def test_sixteen_bits_are_kept(tmp_path, ending):
    path = tmp_path / f"image.{ending}"
    if ending == "npy":
        np.save(path, DEEP.astype(">u2"))
    else:
        saved(path, DEEP)
    assert np.array_equal(read_placed(path).stored, DEEP[None])
    assert read_placed(path).stored.dtype == np.uint16
    assert np.array_equal(read_image(path)[0], DEEP.astype(np.float32) / np.float32(65535))


def test_the_scale_of_each_type(tmp_path):
    for pixels, expected in (
        (np.array([[0, 255]], np.uint8), [0, 1]),
        (np.array([[0, 65535]], np.uint16), [0, 1]),
        (np.array([[-32767, 32767]], np.int16), [-1, 1]),
        (np.array([[False, True]]), [0, 1]),
        (np.array([[-3.5, 700.0]], np.float64), [-3.5, 700]),
        (np.array([[0.5, 1]], np.float16), [0.5, 1]),
    ):
        np.save(tmp_path / "a.npy", pixels)
        assert read_image(tmp_path / "a.npy")[0, 0].tolist() == expected


def test_a_constant_image_is_an_image(tmp_path):
    for value in (0, 255):
        image = read_image(saved(tmp_path / "a.png", np.full((4, 4), value, np.uint8)))
        assert np.array_equal(image, np.full((1, 4, 4), value / 255))


def test_transparency_is_left_out_unblended(tmp_path):
    alpha = np.array([[0, 128, 255, 0, 1, 2]] * 5, np.uint8)
    with_alpha = np.dstack([COLOUR, alpha])
    grey_alpha = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)])
    grey_alpha.save(tmp_path / "grey.png")
    for path in (saved(tmp_path / "a.png", with_alpha), saved(tmp_path / "a.tif", with_alpha)):
        assert np.array_equal(read_placed(path).stored, np.moveaxis(COLOUR, 2, 0))
    assert np.array_equal(read_placed(tmp_path / "grey.png").stored, GREY[None])


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_palettes_are_looked_up(tmp_path, ending):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "L").convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    options = {"transparency": b"\x00\x80"} if ending == "png" else {}
    image.save(tmp_path / f"a.{ending}", **options)
    expected = np.array([[[10, 40], [70, 40]], [[20, 50], [80, 50]], [[30, 60], [90, 60]]]) / 255
    assert np.allclose(read_image(tmp_path / f"a.{ending}"), expected, atol=1e-7)


def test_one_bit(tmp_path):
    pixels = GREY > 100
    for ending in ("png", "tif"):
        path = saved(tmp_path / f"a.{ending}", pixels)
        assert np.array_equal(read_image(path)[0], pixels)
    tifffile.imwrite(tmp_path / "b.tif", pixels)
    assert np.array_equal(read_image(tmp_path / "b.tif")[0], pixels)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "packbits"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR, DEEP, REAL])
def test_tiff_compressions(tmp_path, compression, pixels):
    path = saved(tmp_path / "a.tif", pixels, compression=compression)
    assert np.array_equal(read_placed(path).stored, np.moveaxis(np.atleast_3d(pixels), 2, 0))


def test_tiff_of_other_makes(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.moveaxis(COLOUR, 2, 0), photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_placed(path).stored, np.moveaxis(COLOUR, 2, 0))
    tifffile.imwrite(path, COLOUR.astype(np.uint16) * 257, photometric="rgb")
    assert np.array_equal(read_placed(path).stored, np.moveaxis(COLOUR, 2, 0).astype(np.uint16) * 257)
    tifffile.imwrite(path, DEEP, byteorder=">", tile=(16, 16))
    assert np.array_equal(read_placed(path).stored, DEEP[None])
    assert read_placed(path).stored.dtype.isnative
    tifffile.imwrite(path, GREY, photometric="miniswhite")  # values as stored
    assert np.array_equal(read_placed(path).stored, GREY[None])
    tifffile.imwrite(path, DEEP, imagej=True)
    assert np.array_equal(read_placed(path).stored, DEEP[None])


def test_tiff_with_more_than_one_image(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((4, 20, 30), np.uint8), photometric="minisblack")
    assert "it holds 4 pages; save each 2D image as a file of its own" in refusal(path)
    tifffile.imwrite(path, np.zeros((2, 20, 30), np.uint16), imagej=True)
    assert "it holds 2 pages" in refusal(path)
    saved(path, np.zeros((5, 6), bool), compression="group4")
    assert read_image(path).shape == (1, 5, 6)
    tifffile.imwrite(path, np.zeros((20, 30), np.complex64))
    assert "its values are of type complex64" in refusal(path)


def test_tiff_that_needs_another_decoder_says_so(tmp_path):
    saved(tmp_path / "a.tif", DEEP, compression="tiff_lzw")
    content = (tmp_path / "a.tif").read_bytes()
    entry = bytes.fromhex("03010300010000000500")  # the tag of the compression, holding 5 for LZW
    assert content.count(entry) == 1
    (tmp_path / "a.tif").write_bytes(content.replace(entry, entry[:-2] + (34887).to_bytes(2, "little")))
    assert "(MINISBLACK, LERC) is not read; save it uncompressed or with Deflate" in refusal(tmp_path / "a.tif")


@pytest.mark.parametrize("ending", ["jpg", "tif", "png"])
def test_an_image_stored_turned_is_refused(tmp_path, ending):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / f"a.{ending}", COLOUR, exif=exif)
    assert "orientation tag 6" in refusal(path)
    exif[0x0112] = 1
    assert read_image(saved(path, COLOUR, exif=exif)).shape == (3, 5, 6)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif", "npy"])
def test_damaged_at_any_place(tmp_path, ending):
    rng = np.random.default_rng(0)
    whole = tmp_path / f"whole.{ending}"
    pixels = rng.integers(0, 256, (40, 50), np.uint8)
    if ending == "npy":
        np.save(whole, pixels)
    else:
        saved(whole, pixels)
    content = whole.read_bytes()
    path = tmp_path / f"cut.{ending}"
    for share in (0.01, 0.1, 0.5, 0.9):
        path.write_bytes(content[: max(1, int(share * len(content)))])
        refusal(path)
    path.write_bytes(b"")
    assert "the file is empty" in refusal(path)
    path.write_bytes(b"this is text, not an image")
    refusal(path)


def test_other_kinds_of_file(tmp_path):
    path = tmp_path / "a.png"
    assert "no such file" in refusal(path)
    path.symlink_to("gone.png")
    assert "the link leads to gone.png, which does not exist" in refusal(path)
    (tmp_path / "b.png").mkdir()
    assert "a folder" in refusal(tmp_path / "b.png")
    Image.fromarray(GREY).save(tmp_path / "c.png", "GIF")
    assert "not a PNG or JPEG or BMP image" in refusal(tmp_path / "c.png")
    (tmp_path / "d.docx").write_bytes(b"PK")
    assert ".png" in refusal(tmp_path / "d.docx")
    saved(tmp_path / "e.png", GREY)
    (tmp_path / "e.png").rename(tmp_path / "e.jpg")
    assert read_image(tmp_path / "e.jpg").shape == (1, 5, 6)  # the content counts
    saved(tmp_path / "f.jpg", COLOUR, "CMYK")
    assert "stored as CMYK; convert it to grey or RGB" in refusal(tmp_path / "f.jpg")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 3, 4)), "shape (2, 3, 4); expected (height, width), or (height, width, 3)"),
        (np.zeros(3), "shape (3,)"),
        (np.zeros((3, 4), np.int64), "of type int64, whose range is no scale"),
        (np.zeros((3, 4), complex), "of type complex128"),
        (np.array([["a", "b"]]), "of type <U1"),
        (np.array([[1.0, np.nan], [np.inf, 0]]), "2 of its 4 values are NaN or infinite"),
        (np.array([[1e300]]), "1 of its 1 values"),
        (np.zeros((0, 4)), "without pixels, of shape (0, 4)"),
        (np.array([[{}, None]], object), "cannot be read"),
    ],
)
def test_arrays_that_are_no_images(tmp_path, array, words):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    assert words in refusal(tmp_path / "a.npy")


def test_an_archive_and_a_header_that_lies(tmp_path):
    np.savez(tmp_path / "a.npz", x=GREY)
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    assert "not an array that numpy.save wrote" in refusal(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", GREY)
    content = (tmp_path / "b.npy").read_bytes()
    lie = re.sub(rb"\(5, 6\), \} {13}", b"(900000000, 600000), }", content)
    (tmp_path / "b.npy").write_bytes(lie)
    assert len(lie) == len(content)
    refusal(tmp_path / "b.npy")  # 540 TB: refused before anything is allocated


def test_a_cohort_in_memory_as_stored(tmp_path):
    np.save(tmp_path / "a.npy", GREY)
    np.save(tmp_path / "b.npy", DEEP[:3])
    np.save(tmp_path / "c.npy", REAL[:, :4])
    store = load_images(cohort_of_images([tmp_path / f"{name}.npy" for name in "abc"]))
    assert [image.dtype for image in store.images] == [np.uint8, np.uint16, np.float32]
    assert (len(store), store.channels, store.shape) == (3, 1, (5, 6))
    batch = store.batch([2, 0, 1])
    assert (batch.shape, batch.dtype) == ((3, 1, 5, 6), np.float32)
    assert np.array_equal(batch[0, 0, :, :4], REAL[:, :4])
    assert not batch[0, 0, :, 4:].any()
    assert np.array_equal(batch[1], read_image(tmp_path / "a.npy"))
    assert np.array_equal(batch[2, 0, :3], DEEP[:3] / np.float32(65535))
    assert not batch[2, 0, 3:].any()
    assert store.batch(np.array([1])).shape == (1, 1, 5, 6)  # padded alike in every batch
    wider = ImageStore(store.images, least_shape=(4, 9))
    assert wider.shape == (5, 9)
    assert np.array_equal(wider.batch([1])[..., :6], store.batch([1]))


def test_all_problems_of_a_cohort_at_once(tmp_path):
    names = ["grey1", "grey2", "colour", "bad", "nan"]
    for name in names:
        np.save(tmp_path / f"{name}.npy", COLOUR if name == "colour" else GREY)
    (tmp_path / "bad.npy").write_bytes(b"x")
    np.save(tmp_path / "nan.npy", np.full((2, 2), np.nan))
    table = tmp_path / "cohort.csv"
    table.write_text("id,image,count\n" + "".join(f"{k},{name}.npy,{k}\n" for k, name in enumerate(names)))
    with pytest.raises(InputError) as refused:
        load_images(read_cohort(table))
    lines = str(refused.value).split("\n  ")
    assert lines[0] == "the cohort's images: 3 problems"
    assert lines[1].startswith(f"id 3: {tmp_path / 'bad.npy'}: not an array that numpy.save wrote")
    assert lines[2].startswith(f"id 4: {tmp_path / 'nan.npy'}: 4 of its 4 values")
    assert lines[3] == "id 2: 3 channel(s) in 2D, where most images have 1 channel(s) in 2D"


def test_training_and_validation_images_are_checked_as_one(tmp_path):
    rows = ["id,image,count,split"]
    for index, (size, split) in enumerate([((4, 6), "train"), ((5, 3), "train"), ((7, 2), "val")]):
        np.save(tmp_path / f"{index}.npy", np.full(size, index, np.uint8))
        rows.append(f"{index},{index}.npy,{index},{split}")
    path = tmp_path / "cohort.csv"
    path.write_text("\n".join(rows))
    train, val, _ = split_cohort(read_cohort(path), 0)
    stores = load_together((train, val))
    assert [(len(store), store.shape) for store in stores] == [(2, (7, 6)), (1, (7, 6))]
    assert stores[1].images[0].tolist() == [[[2, 2]] * 7]
    (tmp_path / "0.npy").write_bytes(b"none")
    np.save(tmp_path / "2.npy", np.full((4, 4), np.nan))
    with pytest.raises(InputError, match=r"2 problems\n  id 0: (.|\n)*id 2: "):
        load_together((train, val))


@pytest.mark.parametrize(
    ("highest", "warned"), [((1, 0.9, 0.2, 0), False), ((0, 0), False), ((1, 0.9, 255, 0.8), True)]
)
def test_values_of_several_scales_are_warned_of(tmp_path, highest, warned):
    paths = [tmp_path / f"{index}.npy" for index in range(len(highest))]
    for path, high in zip(paths, highest, strict=True):
        np.save(path, np.array([[0, high]], np.float32))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        load_images(cohort_of_images(paths))
    assert [str(each.message).split(":")[0] for each in said if each.category is CohortWarning] == warned * [
        "the highest values of the images, integers divided by the largest of their type, go from 0.8 to 255"
    ]


def test_values_far_above_one_are_warned_of(tmp_path):
    for value in (4000, 2):
        np.save(tmp_path / f"{value}.npy", np.array([[0, value]], np.float32))
    with pytest.warns(CohortWarning, match=r"go up to 4000, and training expects about 0 to 1"):
        load_images(cohort_of_images([tmp_path / "4000.npy"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_images(cohort_of_images([tmp_path / "2.npy"]))


def test_dark_images_of_one_integer_type_are_of_one_scale(tmp_path):
    paths = [tmp_path / f"{index}.npy" for index in range(4)]
    for path, high in zip(paths, (3, 2, 255, 1), strict=True):
        np.save(path, np.array([[0, high]], np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_images(cohort_of_images(paths))


def test_the_store_takes_a_plain_array():
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 1, 3, 4)
    assert np.array_equal(ImageStore(tuple(images)).batch([1, 0]), images[::-1] / np.float32(255))


def test_real_images(shared_data):
    for name, shape in (("nuclei_dsb2018", (1, 256, 256)), ("platelets_bccd", (3, 480, 640))):
        cohort = read_cohort(shared_data / name / "cohort.csv")
        store = load_images(cohort.select(np.arange(len(cohort)) < 10))
        batch = store.batch(range(10))
        assert batch.shape == (10, *shape)
        assert 0 <= batch.min() < batch.max() <= 1
