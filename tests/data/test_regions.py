"""Regions: worked by hand on a head of boxes, in all orientations, with whatever the labels may lack."""

import itertools
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from tests.data.heads import BOXES, SHAPE, box, head
from tests.test_geometry import AFFINES, affine_of, turned
from weakspot.data.labels import on_grid_of
from weakspot.data.regions import REGIONS, RegionSettings, anatomical_axes, extract, window
from weakspot.data.scans import read_labels, read_scan
from weakspot.errors import InputError
from weakspot.geometry import carried, shifted, to_world

LABELS, VALUES, AFFINE = head()
HARD = RegionSettings((31, 33, 13), smooth_mm=0)


def refusal(*arguments, **options):
    with pytest.raises(InputError) as refused:
        extract(*arguments, **options)
    return str(refused.value)


def test_a_volume_around_the_centre_of_mass():
    found = extract(VALUES, AFFINE, LABELS, "hippocampi", HARD)
    # Boxes 9..11 and 29..31, 20..26, 9..13: the centre is (20, 23, 11), and 31x33x13 begin 15, 16 and 6 before it.
    assert found.start.tolist() == [5, 7, 5]
    assert found.values.shape == (31, 33, 13)
    mask = np.isin(LABELS, (17, 53))
    assert np.array_equal(found.mask, mask)
    expected = np.where(mask, VALUES, 0)[5:36, 7:40, 5:18] / VALUES[mask].max()
    assert np.allclose(found.values, expected, atol=1e-6)
    assert (found.values.min(), found.values.max(), found.held) == (0, 1, 1)
    assert np.allclose(to_world([0, 0, 0], found.affine), to_world([5, 7, 5], AFFINE))
    assert (found.slice_axis, found.slice) == (2, None)


def test_what_becomes_one_may_be_the_tissue_instead_of_the_highest_voxel():
    mask = np.isin(LABELS, (17, 53))
    values = np.where(mask, VALUES, 0)[5:36, 7:40, 5:18]
    tissue = replace(HARD, scale="tissue")
    found = extract(VALUES, AFFINE, LABELS, "hippocampi", tissue)
    assert np.allclose(found.values, np.minimum(values / (4 * np.median(VALUES[mask])), 1), atol=1e-6)
    bright = VALUES.copy()
    bright[tuple(np.argwhere(mask)[0])] = 20 * VALUES[mask].max()
    again = extract(bright, AFFINE, LABELS, "hippocampi", tissue).values
    assert again.max() == 1
    assert np.allclose(found.values[again < 1], again[again < 1], atol=1e-3)
    assert extract(bright, AFFINE, LABELS, "hippocampi", HARD).values[found.values > 0].mean() < 0.1
    huge = VALUES * np.float32(1.4e38 / VALUES.max())
    assert np.allclose(extract(huge, AFFINE, LABELS, "hippocampi", tissue).values, found.values, atol=1e-5)
    order = np.cumsum(mask).reshape(mask.shape)
    few = np.where(mask & (order > mask.sum() / 3), VALUES, 0)  # zeros are of the region, too
    expected = np.minimum(few[5:36, 7:40, 5:18] / (4 * np.median(few[mask])), 1)
    assert np.allclose(extract(few, AFFINE, LABELS, "hippocampi", tissue).values, expected, atol=1e-6)
    few[order < 2 * mask.sum() / 3] = 0
    assert "median is no scale" in refusal(few, AFFINE, LABELS, "hippocampi", tissue)
    with pytest.raises(InputError, match="scale 'median': expected highest or tissue"):
        replace(HARD, scale="median")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", ["highest", "tissue"])
def test_a_volume_that_holds_nothing_of_its_region_is_refused(scale):
    # The boxes are at 9..11 and 29..31: between them a volume of 13 voxels sees their smoothed edges at most.
    said = refusal(VALUES, AFFINE, LABELS, "hippocampi", RegionSettings((17, 33, 13), smooth_mm=2, scale=scale))
    assert "the volume of 17x33x13 holds no voxel of hippocampi: give a larger size" in said


def test_the_papers_sizes_are_the_default():
    for name, size in {
        "midbrain": (88, 88, 11),
        "hippocampi": (168, 128, 84),
        "basal_ganglia": (168, 128, 84),
        "centrum_semiovale": (250, 290, 14),
    }.items():
        found = extract(VALUES, AFFINE, LABELS, name)
        assert found.values.shape == size
        # larger than the scan: 0 around it, and nothing lost
        centre = np.round(carried([[20, 23, 11]], AFFINE, found.affine)[0]).astype(int)
        assert np.array_equal(centre, np.array([20, 23, 11]) - found.start)
        assert found.held == 1 or name == "midbrain"


def test_sizes_in_mm():
    labels, values, affine = head((0.5, 0.5, 2.0))
    found = extract(values, affine, labels, "hippocampi", RegionSettings((15.6, 16.4, 26), size_in_mm=True))
    assert found.values.shape == (32, 33, 13)  # 31.2 voxels are not cut off
    affine = np.diag([*np.float32([0.49, 0.49, 0.8]).astype(float), 1])
    found = extract(values, affine, labels, "hippocampi", RegionSettings((0.49 * 32, 0.49 * 20, 0.8 * 9), True))
    assert found.values.shape == (32, 20, 9)


def test_the_upper_brain_stem_where_the_midbrain_has_no_label():
    found = extract(VALUES, AFFINE, LABELS, "midbrain", HARD)
    # Its top is slice 15: 4 to 13 mm below are the slices 11 down to 2.
    assert np.flatnonzero(found.mask.any(axis=(0, 1))).tolist() == list(range(2, 12))
    assert not (found.mask & (LABELS != 16)).any()
    labels, values, affine = head((1, 1, 2.0))
    found = extract(values, affine, labels, "midbrain", HARD)  # 4 to 12 mm
    assert np.flatnonzero(found.mask.any(axis=(0, 1))).tolist() == list(range(9, 14))
    labels[20, 20, 8] = 173
    assert np.argwhere(extract(values, affine, labels, "midbrain", RegionSettings((5, 5, 5))).mask).tolist() == [
        [20, 20, 8]
    ]


def test_centrum_semiovale_lies_around_the_slice_10_mm_above_the_ventricles():
    found = extract(VALUES, AFFINE, LABELS, "centrum_semiovale", RegionSettings((31, 33, 14), smooth_mm=0))
    # The top is slice 25, so the slice is 35; of 14 slices, 28 to 41, it is number 7. White matter ends at slice 41.
    assert (int(found.start[2]), found.slice) == (28, 7)
    assert np.flatnonzero(found.mask.any(axis=(0, 1))).tolist() == list(range(28, 42))
    assert not (found.mask & ~np.isin(LABELS, (2, 41))).any()
    given = extract(VALUES, AFFINE, LABELS, "centrum_semiovale", RegionSettings((31, 33, 14)), scored=30)
    assert (int(given.start[2]), given.slice) == (23, 7)
    assert np.flatnonzero(given.mask.any(axis=(0, 1))).min() == 26  # nothing below the top
    labels, values, affine = head((1, 1, 4.0))
    found = extract(values, affine, labels, "centrum_semiovale", RegionSettings((31, 33, 5)))
    assert found.start[2] + found.slice == 25 + 2  # 8 mm: the nearest to 10
    stray = LABELS.copy()
    stray[3, 3, 40] = 4  # a voxel that was labelled wrongly
    assert extract(VALUES, AFFINE, stray, "centrum_semiovale", HARD).start[2] == 29
    spots = LABELS.copy()
    spots[10:12, 10:12, 35] = 77
    whole = extract(VALUES, AFFINE, LABELS, "centrum_semiovale", HARD).mask
    assert np.array_equal(extract(VALUES, AFFINE, spots, "centrum_semiovale", HARD).mask, whole)


@pytest.mark.parametrize("name", REGIONS)
def test_every_orientation_gives_the_same_volume(name):
    labels_here, values_here, affine_here = head((1, 1, 1.3))  # by which every centre of mass is a voxel's centre
    expected = extract(values_here, affine_here, labels_here, name, RegionSettings((31, 33, 13)))
    image = nib.Nifti1Image(values_here, affine_here)
    for order, senses in itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)):
        turn = np.array([[axis, sense] for axis, sense in zip(order, senses, strict=True)])
        turned_image = image.as_reoriented(turn)
        labels = nib.orientations.apply_orientation(labels_here, turn)
        affine = turned_image.affine
        found = extract(np.asarray(turned_image.dataobj), affine, labels, name, RegionSettings((31, 33, 13)))
        back = nib.orientations.io_orientation(affine)
        assert np.allclose(nib.orientations.apply_orientation(found.values, back), expected.values, atol=1e-6)
        axes = anatomical_axes(affine)
        assert [found.values.shape[axis] for axis, _ in axes] == [31, 33, 13]
        assert found.slice_axis == axes[2][0]
        # the same voxel is at the same place in the world
        places = np.argwhere(found.values > 0.9)[:20]
        there = np.rint(carried(places, found.affine, expected.affine)).astype(int)
        assert np.allclose(found.values[tuple(places.T)], expected.values[tuple(there.T)], atol=1e-6)
        if found.slice is not None:
            mirrored = 12 - found.slice if axes[2][1] < 0 else found.slice
            assert mirrored == expected.slice


def test_what_is_outside_is_nulled_by_the_mask_smoothed_on_the_whole_scan():
    settings = RegionSettings((25, 5, 3), smooth_mm=1.5)  # the mask goes on outside of the volume
    labels, values, affine = head((1.0, 0.5, 2.0))
    found = extract(values, affine, labels, "hippocampi", settings)
    mask = np.isin(labels, (17, 53)).astype(np.float32)
    weights = ndimage.gaussian_filter(mask, (1.5, 3, 0.75), truncate=3, mode="constant")
    assert found.start.tolist() == [8, 21, 10]
    expected = window(values * weights, found.start, (25, 5, 3))
    assert np.allclose(found.values, expected / expected.max(), atol=1e-5)
    assert found.held == pytest.approx((3 * 5 * 3) / (3 * 7 * 5))


def test_negative_intensities():
    found = extract(VALUES - 150, AFFINE, LABELS, "hippocampi", HARD)
    mask = np.isin(LABELS, (17, 53))
    low, high = VALUES[mask].min(), VALUES[mask].max()
    inside = window(mask, found.start, found.values.shape)
    expected = (window(VALUES, found.start, found.values.shape) - low) / (high - low)
    assert np.allclose(found.values, np.where(inside, expected, 0), atol=1e-5)


def test_beyond_the_scan_there_is_nothing_whatever_its_values():
    shown, start = VALUES[10:] - 150, (10, 0, 0)  # the left hippocampus is at 9 to 11
    labels, affine = LABELS[10:], shifted(AFFINE, start)
    for settings in (HARD, RegionSettings((31, 33, 13), smooth_mm=2.0)):
        found = extract(shown, affine, labels, "hippocampi", settings)
        there = window(np.ones(shown.shape, bool), found.start, found.values.shape)
        assert 0 < (~there).sum() < there.size / 2
        assert (found.values[~there] == 0).all()


def test_the_largest_intensities_do_not_overflow():
    huge = ((VALUES - 150) * 6e36).astype(np.float32)
    assert np.abs(huge).max() > 2.9e38
    found = extract(huge, AFFINE, LABELS, "hippocampi", HARD)
    assert np.allclose(found.values, extract(VALUES - 150, AFFINE, LABELS, "hippocampi", HARD).values, atol=1e-5)


@pytest.mark.parametrize(
    "axes",
    [
        turned(20, 0) @ turned(-10, 2) @ np.diag([0.8, 0.9, -1.7]),
        np.diag([-0.8, 0.9, 1.7]),
        np.diag([0.8, 0.9, -1.7])[[1, 2, 0]],
    ],
    ids=["oblique", "flipped", "axes in turn"],
)
def test_labels_on_another_grid(axes):
    full = np.where(LABELS == 0, 99, LABELS)  # up to the border
    other = affine_of(axes, -axes @ (14.5, 19.5, 9.5) + (1.1, -2.2, 0.3))
    labels, origin = on_grid_of(full, AFFINE, (30, 40, 20), other)
    moved = window(labels, -origin, (30, 40, 20))
    outside = 0
    for index in np.ndindex(30, 40, 20):
        nearest = np.rint(carried([index], other, AFFINE)[0]).astype(int)
        inside = ((nearest >= 0) & (nearest < SHAPE)).all()
        outside += not inside
        assert moved[index] == (full[tuple(nearest)] if inside else 0)
    assert 0 < outside < moved.size / 2


def test_labels_beyond_a_grid_and_close_to_it():
    close = AFFINE.copy()
    close[0, 3] += 1e-7
    assert on_grid_of(LABELS, AFFINE, SHAPE, close)[0] is LABELS
    close[0, 3] += 0.3
    labels, origin = on_grid_of(LABELS, AFFINE, SHAPE, close)
    assert np.array_equal(window(labels, -origin, SHAPE)[:-1], LABELS[:-1])
    for shape in ((9, 9, 9), (50, 40, 60)):  # all labels are there, whatever the scan shows
        labels, origin = on_grid_of(LABELS, AFFINE, shape, shifted(AFFINE, (12, 9, 11)))
        assert np.array_equal(window(labels, np.negative((12, 9, 11)) - origin, SHAPE), LABELS)
    close[0, 3] += 1000
    with pytest.raises(InputError, match="outside of the scan"):
        on_grid_of(LABELS, AFFINE, SHAPE, close)


def test_what_is_not_there_is_named():
    assert "no voxel of hippocampi (labels 17, 53)" in refusal(VALUES, AFFINE, LABELS * 0, "hippocampi")
    other = np.where(LABELS == 17, 3, np.where(LABELS == 53, 1024, 0))
    assert "labels 0, 3, 1024: expected those of FreeSurfer" in refusal(VALUES, AFFINE, other, "hippocampi")
    without = np.where(np.isin(LABELS, (4, 43)), 0, LABELS)
    assert "lateral ventricles" in refusal(VALUES, AFFINE, without, "centrum_semiovale")
    assert "white matter" in refusal(VALUES, AFFINE, np.where(np.isin(LABELS, (2, 41)), 0, LABELS), "centrum_semiovale")
    assert "brain stem" in refusal(VALUES, AFFINE, np.where(LABELS == 16, 0, LABELS), "midbrain")
    low = np.where(np.arange(45) < 27, LABELS, 0)
    assert "does not reach so far up" in refusal(VALUES, AFFINE, low, "centrum_semiovale", HARD)
    short = np.where((LABELS == 16) & (np.arange(45) < 12), 0, LABELS)
    assert "the brain stem (16) is 4 mm high, and no slice of it lies 4 to 13 mm" in refusal(
        VALUES, AFFINE, short, "midbrain"
    )
    flat = np.full(SHAPE, 7, np.float32)
    assert "the same value" in refusal(flat, AFFINE, LABELS, "basal_ganglia")
    assert "has the slices 0 to 44 along k" in refusal(VALUES, AFFINE, LABELS, "basal_ganglia", scored=45)
    assert "is not in the volume" in refusal(VALUES, AFFINE, LABELS, "basal_ganglia", HARD, scored=2)
    assert extract(VALUES, AFFINE, LABELS, "basal_ganglia", HARD, scored=20).slice == 20 - (23 - 6)


@pytest.mark.parametrize("last", [26, 30, 34])
def test_the_slice_above_the_ventricles_is_held_against_the_scan(last):
    shown = VALUES[:, :, : last + 1]
    for labels in (LABELS, LABELS[:, :, : last + 1]):  # of the whole head, or of the scan's slices alone
        said = refusal(shown, AFFINE, labels, "centrum_semiovale")
        assert "10 mm above the lateral ventricles (which end at slice 25) would be 35" in said
        assert f"the scan has the slices 0 to {last} along k" in said
        assert extract(shown, AFFINE, labels, "centrum_semiovale", HARD, scored=last).slice == 6
    assert extract(VALUES[:, :, :36], AFFINE, LABELS, "centrum_semiovale", HARD).slice == 6


def test_an_annotated_slice_without_the_region_is_refused():
    said = refusal(VALUES, AFFINE, LABELS, "centrum_semiovale", HARD, scored=24)
    assert "slice 24 has no voxel of centrum_semiovale above the lateral ventricles, which end at slice 25" in said
    assert "slice 3 has no voxel of basal_ganglia: " in refusal(VALUES, AFFINE, LABELS, "basal_ganglia", scored=3)


def test_what_the_field_of_view_cuts_off_is_not_held():
    # Hippocampi are in the slices 9 to 13, of which the scan has those from 11; the ventricles end at 25.
    start = (10, 0, 11)
    found = extract(VALUES[10:, :, 11:], shifted(AFFINE, start), LABELS, "hippocampi", HARD, origin=np.negative(start))
    assert found.in_scan == found.held == pytest.approx((2 * 3 + 3 * 3) / (2 * 3 * 5))
    assert found.mask.shape == VALUES[10:, :, 11:].shape
    assert extract(VALUES, AFFINE, LABELS, "hippocampi", HARD).in_scan == 1
    # Where a structure's own end lies beyond the scan, places are still told from it.
    stem = extract(VALUES[:, :, :14], AFFINE, LABELS, "midbrain", HARD)
    assert np.flatnonzero(stem.mask.any(axis=(0, 1))).tolist() == list(range(2, 12))
    assert "lies outside of the scan's field of view" in refusal(
        VALUES[:, :, 20:], AFFINE, LABELS, "hippocampi", origin=(0, 0, -20)
    )


def test_windows_that_leave_the_array():
    values = np.arange(24).reshape(4, 6)
    assert np.array_equal(window(values, (1, 2), (2, 3)), values[1:3, 2:5])
    assert window(values, (-1, 4), (3, 4)).tolist() == [[0, 0, 0, 0], [4, 5, 0, 0], [10, 11, 0, 0]]
    assert not window(values, (9, -9), (2, 2)).any()


def test_anatomical_axes():
    assert anatomical_axes(AFFINES["oblique"]) == ((0, 1), (1, 1), (2, 1))
    assert anatomical_axes(AFFINES["sagittal"]) == ((2, 1), (0, -1), (1, -1))


def test_boxes_do_not_hide_each_other():
    assert all((LABELS[box(label)] == label).all() for label in BOXES if label not in (2, 41, 4, 43))


def test_real_labels(shared_data):
    folder = shared_data / "t2_template"
    scan = read_scan(folder / "MNI152_T2_1mm_brain.nii.gz")
    segmentation = read_labels(folder / "HCP_Avgwmparc_collapsed_to_aseg_1mm.nii.gz")
    labels, origin = on_grid_of(segmentation.values, segmentation.placed, scan.values.shape, scan.placed)
    # Where the centres of the regions are in MNI space, in mm (z of centrum semiovale: the ventricles end about 27).
    for name, place in {"midbrain": (0, -29, -10), "hippocampi": (0, -24, -14), "basal_ganglia": (0, 4, 2)}.items():
        found = extract(
            scan.values, scan.placed, labels, name, RegionSettings((80, 80, 60), size_in_mm=True), origin=origin
        )
        centre = to_world([np.array(ndimage.center_of_mass(found.mask))], scan.placed)[0]
        assert np.linalg.norm(centre - place) < 6, (name, centre)
        assert found.held == 1
    found = extract(scan.values, scan.placed, labels, "centrum_semiovale", origin=origin)
    assert 32 < to_world([[0, 0, found.start[2] + found.slice]], scan.placed)[0, 2] < 42
