"""Scans: what is written is read back, points survive, every fault of a file is named."""

import gzip
import re
import struct
import warnings

import nibabel as nib
import numpy as np
import pytest

from tests.test_geometry import AFFINES
from weakspot.data.scan_files import ScanWarning
from weakspot.data.scans import is_scan, read_labels, read_scan, unit_range, write_scan
from weakspot.errors import InputError
from weakspot.geometry import to_voxel, to_world

VALUES = np.random.default_rng(0).normal(500, 100, (7, 6, 5)).astype(np.float32)
AFFINE = AFFINES["oblique"]


def refusal(path, **options):
    with pytest.raises(InputError) as refused:
        read_scan(path, **options)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def saved(path, values=VALUES, affine=AFFINE, kind=nib.Nifti1Image, **header):
    image = kind(values, affine)
    for name, value in header.items():
        image.header[name] = value
    nib.save(image, path)
    return path


@pytest.mark.parametrize(
    ("ending", "name"),
    [
        (ending, name)
        for ending in ("nii", "nii.gz", "mgz", "mgh", "NII.GZ")
        for name in AFFINES
        if name != "sheared" or "mg" not in ending  # MGH holds rotations and spacings alone
    ],
)
def test_every_format_and_position(tmp_path, ending, name):
    affine = AFFINES[name]
    kind = nib.MGHImage if "mg" in ending else nib.Nifti1Image
    path = tmp_path / f"scan.{ending}"
    content = kind(VALUES, affine).to_bytes()
    path.write_bytes(gzip.compress(content) if ending.lower().endswith("z") else content)
    scan = read_scan(path)
    assert (scan.values.dtype, scan.values.shape) == (np.float32, VALUES.shape)
    assert np.array_equal(scan.values, VALUES)
    assert np.allclose(scan.affine, affine, atol=1e-4)
    assert np.allclose(scan.spacing_mm, np.linalg.norm(affine[:3, :3], axis=0), atol=1e-5)
    points = np.random.default_rng(1).uniform(-0.5, 7, (40, 3))
    assert np.allclose(to_world(points, scan.affine), to_world(points, affine), atol=1e-4)
    assert np.allclose(to_voxel(to_world(points, scan.affine), scan.affine), points, atol=1e-9)


def test_nifti_2_and_other_byte_orders(tmp_path):
    assert np.array_equal(read_scan(saved(tmp_path / "a.nii.gz", kind=nib.Nifti2Image)).values, VALUES)
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    image = nib.Nifti1Image(VALUES.astype(">i2"), AFFINE, header)
    nib.save(image, tmp_path / "b.nii")
    assert np.array_equal(read_scan(tmp_path / "b.nii").values, VALUES.astype(np.int16))


def test_the_headers_slope_and_intercept(tmp_path):
    image = nib.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), AFFINE)
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "a.nii.gz")
    expected = np.asarray(nib.load(tmp_path / "a.nii.gz").dataobj)
    content = bytearray(gzip.decompress((tmp_path / "a.nii.gz").read_bytes()))
    content[112:120] = struct.pack("<ff", 0.5, 10)
    (tmp_path / "b.nii").write_bytes(content)
    stored = np.frombuffer(bytes(content[352:]), "<i2").reshape(2, 2, 2, order="F")
    assert np.array_equal(read_scan(tmp_path / "b.nii").values, stored * 0.5 + 10)
    assert np.array_equal(read_scan(tmp_path / "a.nii.gz").values, expected)


def test_written_and_read_back_to_the_same_bytes(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz", "c.nii"):
        write_scan(tmp_path / name, VALUES, AFFINE)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert (tmp_path / "a.nii.gz").read_bytes()[4:8] == bytes(4)  # gzip's time stamp
    for name in ("a.nii.gz", "c.nii"):
        scan = read_scan(tmp_path / name)
        assert np.array_equal(scan.values, VALUES)
        assert np.allclose(scan.affine, AFFINE, atol=1e-5)
    assert len(list(tmp_path.iterdir())) == 3
    for kind in (bool, np.uint8, np.int16, np.int64):
        write_scan(tmp_path / "labels.nii.gz", (VALUES > 500).astype(kind), AFFINE)
        labels = read_labels(tmp_path / "labels.nii.gz")
        assert labels.values.dtype == np.int32
        assert np.array_equal(labels.values, VALUES > 500)
    write_scan(tmp_path / "nowhere.nii.gz", VALUES, None)
    with pytest.warns(ScanWarning):
        assert read_scan(tmp_path / "nowhere.nii.gz").affine is None


def test_labels_are_whole_numbers_however_stored(tmp_path):
    labels = np.array([[[0, 173, 251]]], np.float64)
    assert read_labels(saved(tmp_path / "a.nii.gz", labels)).values.tolist() == [[[0, 173, 251]]]
    for wrong in (0.5, np.nan, 1e12):
        saved(tmp_path / "a.nii.gz", np.array([[[0, 1, wrong]]]))
        with pytest.raises(InputError, match=f"{re.escape(str(tmp_path))}.*1 voxels are no labels"):
            read_labels(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("ending", ["nii.gz", "mgz", "nii", "mgh"])
def test_cut_off_at_any_place(tmp_path, ending):
    whole = tmp_path / f"whole.{ending}"
    saved(whole, kind=nib.MGHImage if "mg" in ending else nib.Nifti1Image)
    content, cut = whole.read_bytes(), tmp_path / f"cut.{ending}"
    for share in (0.001, 0.05, 0.5, 0.9, 0.97):
        cut.write_bytes(content[: max(1, int(share * len(content)))])
        refusal(cut)
    cut.write_bytes(content[:-5] if ending.endswith("z") else content[:400])
    assert "cut off" in refusal(cut)


def test_a_corrupt_byte_is_found_by_the_checksum(tmp_path):
    content = bytearray(gzip.compress(nib.Nifti1Image(VALUES, AFFINE).to_bytes(), compresslevel=0))
    content[-100] ^= 1  # stored, not deflated: the data still unpack
    (tmp_path / "a.nii.gz").write_bytes(content)
    assert "corrupt" in refusal(tmp_path / "a.nii.gz")


def test_the_content_is_not_what_the_name_says(tmp_path):
    plain = nib.Nifti1Image(VALUES, AFFINE).to_bytes()
    for name, content, found in (
        ("a.nii.gz", plain, "uncompressed NIfTI"),
        ("a.nii", gzip.compress(plain), "gzip"),
        ("a.nii.gz", b"PK\x03\x04" + plain, "ZIP"),
        ("a.nii.gz", b"<!DOCTYPE html><html>", "HTML"),
        ("a.nii.gz", b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        ("a.mgz", nib.MGHImage(VALUES, AFFINE).to_bytes(), "uncompressed MGH"),
        ("a.mgz", b"This study was removed upon request", "text ('This study"),
        ("a.nii.gz", b"\x07\x08\x09" * 20, "unknown"),
    ):
        (tmp_path / name).write_bytes(content)
        assert found in refusal(tmp_path / name)
    (tmp_path / "b.nii").write_bytes(b"\x07" * 1000)
    refusal(tmp_path / "b.nii")
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(b"not an image at all"))
    refusal(tmp_path / "c.nii.gz")
    assert "ends in" in refusal(saved(tmp_path / "d.img"))


def test_no_file_to_read(tmp_path):
    path = tmp_path / "a.nii.gz"
    assert "no such file" in refusal(path)
    path.symlink_to("gone.nii.gz")
    assert "the link leads to gone.nii.gz" in refusal(path)
    (tmp_path / "b.nii").write_bytes(b"")
    assert "the file is empty" in refusal(tmp_path / "b.nii")


def test_voxels_that_are_not_finite(tmp_path):
    values = VALUES.copy()
    values[0, 0, 0], values[1, 2, 3], values[2, 2, 2] = np.nan, np.inf, -np.inf
    path = saved(tmp_path / "a.nii.gz", values)
    assert "3 of its 210 voxels are NaN or infinite" in refusal(path)
    with pytest.warns(ScanWarning, match="3 voxels"):
        scan = read_scan(path, nonfinite="zero")
    assert scan.values[0, 0, 0] == scan.values[1, 2, 3] == scan.values[2, 2, 2] == 0
    assert np.array_equal(scan.values != VALUES, ~np.isfinite(values))
    assert "1 of its 210" in refusal(saved(path, np.where(VALUES.max() == VALUES, 1e300, 1.0)))  # beyond float32
    with pytest.raises(InputError, match="reject or zero"):
        read_scan(path, nonfinite="mean")


def test_several_volumes(tmp_path):
    four = np.stack([VALUES, VALUES + 1, VALUES + 2], axis=3)
    path = saved(tmp_path / "a.nii.gz", four)
    assert "it holds 3 volumes (shape (7, 6, 5, 3)): choose one with --volume, 0 to 2" in refusal(path)
    assert np.array_equal(read_scan(path, volume=2).values, VALUES + 2)
    assert "no volume 3" in refusal(path, volume=3)
    assert "no volume -1" in refusal(path, volume=-1)
    for shape in ((7, 6, 5, 1), (7, 6, 5, 1, 1)):
        assert np.array_equal(read_scan(saved(path, VALUES.reshape(shape))).values, VALUES)
    assert np.array_equal(read_scan(path, volume=0).values, VALUES)
    assert "no volume 1" in refusal(path, volume=1)
    with pytest.raises(InputError, match=r"it holds 3 volumes \(shape .*\): save one as a file of its own$"):
        read_labels(saved(tmp_path / "b.nii.gz", four))  # for which no command has an option
    vectors = saved(path, four[:, :, :, None])  # (i, j, k, 1, 3)
    assert np.array_equal(read_scan(vectors, volume=1).values, VALUES + 1)
    assert "2 by 3 volumes" in refusal(saved(path, np.zeros((2, 2, 2, 2, 3), np.float32)))
    assert "three dimensions" in refusal(saved(path, np.zeros((4, 4), np.float32)))
    assert np.array_equal(read_scan(saved(path, VALUES[:, :, :1])).values, VALUES[:, :, :1])  # a single slice


def test_colours_and_complex_numbers(tmp_path):
    colours = np.zeros((3, 3, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert "its voxels are colours" in refusal(saved(tmp_path / "a.nii.gz", colours))
    assert "complex numbers" in refusal(saved(tmp_path / "a.nii.gz", VALUES.astype(np.complex64)))


def test_no_position_is_not_made_up(tmp_path):
    path = saved(tmp_path / "a.nii.gz", affine=None, sform_code=0, qform_code=0)
    assert nib.load(path).affine is not None  # what would have been believed
    with pytest.warns(ScanWarning, match="no sform, no qform"):
        scan = read_scan(path)
    assert scan.affine is None
    with pytest.raises(InputError, match="mm"):
        _ = scan.spacing_mm
    content = bytearray(nib.MGHImage(VALUES, AFFINE).to_bytes())
    content[28:30] = bytes(2)  # goodRASFlag
    (tmp_path / "b.mgz").write_bytes(gzip.compress(bytes(content)))
    with pytest.warns(ScanWarning, match="no sform, no qform"):
        assert read_scan(tmp_path / "b.mgz").affine is None


def test_sform_and_qform(tmp_path):
    rigid = AFFINES["oblique"]
    image = nib.Nifti1Image(VALUES, None)
    for apart, said in ((0, False), (1e-7, False), (3.0, True)):
        moved = rigid.copy()
        moved[0, 3] += apart
        image.set_sform(moved, code=2)
        image.set_qform(rigid, code=1)
        nib.save(image, tmp_path / "a.nii.gz")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            scan = read_scan(tmp_path / "a.nii.gz")
        assert np.allclose(scan.affine, moved, atol=1e-4)
        assert [str(each.message).endswith("disagree, by up to 3 mm; the sform is used") for each in caught] == (
            [True] * said
        )
    image.set_sform(None, code=0)
    nib.save(image, tmp_path / "a.nii.gz")
    assert np.allclose(read_scan(tmp_path / "a.nii.gz").affine, rigid, atol=1e-4)


@pytest.mark.parametrize("quaternion", [(2, 2, 2), (np.nan, 0, 0)])
def test_a_damaged_qform_harms_no_good_sform(tmp_path, quaternion):
    image = nib.Nifti1Image(VALUES, None)
    image.set_sform(AFFINE, code=2)
    image.set_qform(np.eye(4), code=1)
    content = bytearray(image.to_bytes())
    content[256:268] = struct.pack("<fff", *quaternion)
    path = tmp_path / "a.nii"
    path.write_bytes(content)
    with pytest.warns(ScanWarning, match=r"a\.nii: its qform is damaged, .*; the sform is used$") as caught:
        assert np.allclose(read_scan(path).affine, AFFINE, atol=1e-4)
    assert len(caught) == 1
    content[254:256] = bytes(2)  # sform_code
    path.write_bytes(content)
    assert "its qform is damaged, its quaternion being no rotation, and it has no sform" in refusal(path)


def test_data_types_that_there_are_not(tmp_path):
    content = bytearray(nib.Nifti1Image(VALUES, AFFINE).to_bytes())
    content[70:72] = struct.pack("<h", 4242)
    (tmp_path / "a.nii").write_bytes(content)
    assert refusal(tmp_path / "a.nii").endswith("names the data type 4242, which there is not: it is damaged")
    content = bytearray(nib.MGHImage(VALUES, AFFINE).to_bytes())
    content[20:24] = struct.pack(">i", 77)
    (tmp_path / "a.mgh").write_bytes(content)
    assert "names the data type 77, which there is not" in refusal(tmp_path / "a.mgh")


@pytest.mark.parametrize("row", [[0, 0, 0, 5], [1, 0, 0, 5], [np.nan, 0, 0, 5]], ids=["zero", "repeated", "nan"])
def test_a_singular_affine(tmp_path, row):
    image = nib.Nifti1Image(VALUES, None)
    image.header["sform_code"] = 1
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = [1, 0, 0, 0], row, [0, 0, 1, 0]
    (tmp_path / "a.nii").write_bytes(image.to_bytes())
    assert "its affine is singular" in refusal(tmp_path / "a.nii")


def test_lengths_in_other_units(tmp_path):
    image = nib.Nifti1Image(VALUES, np.diag([250.0, 250, 1000, 1]))
    image.header.set_xyzt_units("micron")
    nib.save(image, tmp_path / "a.nii.gz")
    with pytest.warns(ScanWarning, match="micrometres"):
        assert np.allclose(read_scan(tmp_path / "a.nii.gz").spacing_mm, [0.25, 0.25, 1])


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_a_header_that_claims_terabytes(tmp_path, ending):
    content = bytearray(nib.Nifti1Image(VALUES, AFFINE).to_bytes())
    content[40:56] = struct.pack("<8h", 3, 32000, 32000, 32000, 1, 1, 1, 1)
    path = tmp_path / f"a.{ending}"
    path.write_bytes(gzip.compress(bytes(content)) if ending.endswith("gz") else bytes(content))
    assert "its header claims 131,072,000,000,352 bytes (32000x32000x32000 voxels)" in refusal(path)
    content[40:56] = struct.pack("<8h", 3, 7, 6, 50, 1, 1, 1, 1)
    path.write_bytes(gzip.compress(bytes(content)) if ending.endswith("gz") else bytes(content))
    assert "claims 8,752 bytes" in refusal(path)
    content[40:56] = struct.pack("<8h", 3, 7, 0, 5, 1, 1, 1, 1)
    path.write_bytes(gzip.compress(bytes(content)) if ending.endswith("gz") else bytes(content))
    assert "no voxels" in refusal(path)


def test_the_range_of_intensities():
    inside = np.array([[[0, 0.25, 0.7]]], np.float32)
    assert unit_range(inside) is inside
    ramp = np.zeros(2001, np.float32)
    ramp[1:] = np.arange(1, 2001)  # percentiles of 1..2000: 0.1 % lies at 1 + 1.999
    scaled = unit_range(ramp.reshape(3, 23, 29)).ravel()
    low, high = 1 + 0.001 * 1999, 1 + 0.999 * 1999
    assert np.allclose(scaled[1:], np.clip((ramp[1:] - low) / (high - low), 0, 1), atol=1e-5)
    assert (scaled[0], scaled.min(), scaled.max()) == (0, 0, 1)
    assert np.allclose(unit_range(5 * ramp.reshape(3, 23, 29)).ravel(), scaled, atol=1e-5)  # the unit does not matter
    largest = np.array([[[-3e38, 3e38, 1e38]]], np.float32)
    assert np.allclose(unit_range(largest), [[[0, 1, 2 / 3]]], atol=0.01)
    for value in (0, 7, -7):  # constant: never 0/0
        assert np.array_equal(unit_range(np.full((2, 2, 2), value, np.float32)), np.zeros((2, 2, 2)))


def test_names_of_scans():
    assert [name for name in ("a.nii", "b.NII.gz", "c.mgz", "d.gz", "nii", "e.png") if is_scan(name)] == [
        "a.nii",
        "b.NII.gz",
        "c.mgz",
    ]


def test_real_scans(shared_data):
    scan = read_scan(shared_data / "ms_lesions" / "patient07_t2.nii.gz")
    assert (scan.values.shape, scan.orientation) == ((182, 218, 182), "LAS")
    assert np.allclose(scan.spacing_mm, 1)
    labels = read_labels(shared_data / "label_maps" / "training_seg_01.nii.gz")  # whole numbers, stored as floats
    assert labels.orientation == "LIA"
    assert np.count_nonzero(labels.values == 16) == 19893
