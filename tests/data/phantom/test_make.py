import dataclasses

import numpy as np
import pytest

from weakspot.data.phantom.anatomy import complete
from weakspot.data.phantom.directions import vessels
from weakspot.data.phantom.frame import scan_axes
from weakspot.data.phantom.pvs import APART_MM, place_pvs
from weakspot.data.phantom.settings import REGIONS, PhantomSettings, ScanSettings, scaled, with_changes
from weakspot.data.phantom.signal import acquire
from weakspot.data.phantom.zones import find_zone
from weakspot.errors import InputError
from weakspot.seeding import generator

from .conftest import COARSE

MANY = {name: {"shape": 1e6, "count": 6} for name in REGIONS}  # about six in every phantom
CLEAN = {"scan": COARSE["scan"] | {"noise": 0, "bias": 0, "texture": 0, "resolution_mm": 0}}
UP = np.array([0.0, 0, 1])


def world(phantom, points):
    return points @ phantom.affine[:3, :3].T + phantom.affine[:3, 3]


def settings_of(*changes: dict) -> PhantomSettings:
    found = PhantomSettings()
    for each in changes:
        found = with_changes(found, each)
    return found


@pytest.mark.parametrize("region", REGIONS)
def test_points_are_bright_and_in_their_region(make, region):
    phantom = make(region, settings=scaled(settings_of(MANY, CLEAN), distractors=0))
    truth = phantom.regions[region]
    assert 1 <= len(truth.points) == sum(each.annotated for each in truth.pvs)
    zone = find_zone(region, phantom.labels, phantom.labels_affine, UP)
    assert zone.holds(world(phantom, truth.points)).all()
    bare = make(region, settings=scaled(settings_of(MANY, CLEAN), count=0, distractors=0))
    assert bare.values.shape == phantom.values.shape
    at = tuple(np.rint(truth.points).astype(int).T)
    assert (phantom.values[at] > bare.values[at] + 50).all()
    drawn = phantom.values != bare.values
    assert 0 < drawn.mean() < 0.02  # nothing else has changed


@pytest.mark.parametrize("region", ["basal_ganglia", "centrum_semiovale"])
def test_what_is_counted_crosses_the_annotated_slice_and_the_rest_stays_clear_of_it(make, region):
    phantom = make(region, settings=settings_of(MANY, COARSE))
    truth = phantom.regions[region]
    np.testing.assert_array_equal(truth.points[:, 2], truth.slice)
    height, thickness = world(phantom, np.array([[0, 0, truth.slice]]))[0, 2], 1.2
    others = [each for each in truth.pvs if not each.annotated]
    assert others
    for each in truth.pvs:
        heights = each.tube.line[:, 2] - height
        if each.annotated:
            assert heights.min() <= 1e-9
            assert heights.max() >= -1e-9
            assert each.tube.depth(each.point[None])[0] > 0
            assert each.point[2] == pytest.approx(height)
        else:
            assert np.abs(heights).min() >= thickness / 2
            assert heights.min() * heights.max() > 0


def test_the_slices_are_where_the_anatomy_says(make):
    phantom = make("basal_ganglia", "centrum_semiovale")
    heights = {name: world(phantom, np.array([[0, 0, truth.slice]]))[0, 2] for name, truth in phantom.regions.items()}
    z = np.argwhere(np.isin(phantom.labels, (4, 43))) @ phantom.labels_affine[:3, :3].T + phantom.labels_affine[:3, 3]
    assert heights["centrum_semiovale"] == pytest.approx(z[:, 2].max() + 10, abs=0.6)
    z = np.argwhere(np.isin(phantom.labels, (13, 52))) @ phantom.labels_affine[:3, :3].T + phantom.labels_affine[:3, 3]
    assert heights["basal_ganglia"] == pytest.approx(z[:, 2].mean() - 2, abs=0.6)


def test_no_two_pvs_touch(make):
    found = make("centrum_semiovale", settings=settings_of(MANY, COARSE)).regions["centrum_semiovale"].pvs
    for place, one in enumerate(found):
        for other in found[:place]:
            assert np.linalg.norm(one.tube.line[:, None] - other.tube.line, axis=2).min() >= APART_MM
    assert max(each.diameter_mm for each in found) <= 3


def test_ablations_leave_the_rest_as_it_was(make):
    usual = make("midbrain", "hippocampi", settings=settings_of(MANY, COARSE))
    bare = make("midbrain", "hippocampi", settings=scaled(settings_of(MANY, COARSE), distractors=0, contrast=0.5))
    alone = make("hippocampi", settings=settings_of(MANY, COARSE))
    truth = usual.regions["hippocampi"]
    assert truth.distractors
    assert not bare.regions["hippocampi"].distractors
    np.testing.assert_array_equal(truth.points, bare.points["hippocampi"])
    np.testing.assert_array_equal(usual.labels, bare.labels)
    np.testing.assert_allclose(world(usual, truth.points), world(alone, alone.points["hippocampi"]))
    assert (usual.values != bare.values).any()


def test_same_generator_same_phantom_and_others_differ(make):
    one, again, other = make("midbrain"), make("midbrain"), make("midbrain", number=1)
    np.testing.assert_array_equal(one.values, again.values)
    assert one.labels.shape == other.labels.shape
    assert (one.labels != other.labels).any()


def test_counts_are_overdispersed_with_the_mean_asked_for(anatomy):
    zone = find_zone("centrum_semiovale", anatomy.labels, anatomy.affine, UP)
    zone = dataclasses.replace(zone, slice_mm=None)  # all are counted, and there is room
    along = vessels(zone, anatomy.labels, anatomy.affine)
    numbers = dataclasses.replace(PhantomSettings().midbrain, count=2.7)
    counts = [len(place_pvs(zone, numbers, along, 0.8, generator(0, "count", n))) for n in range(400)]
    assert np.mean(counts) == pytest.approx(2.7, abs=0.5)  # standard error 0.16
    assert np.var(counts) == pytest.approx(2.7 + 2.7**2, rel=0.4)
    assert np.mean(np.array(counts) == 0) == pytest.approx(1 / 3.7, abs=0.07)


def test_directions_follow_the_vessels(anatomy):
    def along(region):
        zone = find_zone(region, anatomy.labels, anatomy.affine, UP)
        return vessels(zone, anatomy.labels, anatomy.affine)

    np.testing.assert_allclose(along("midbrain")(np.zeros(3)), UP)
    # Above the ventricle's roof straight down; far to the side towards its upper edge at (12, ., 14).
    down = along("centrum_semiovale")(np.array([6.0, 0, 24]))
    assert down @ [0, 0, -1] > 0.95
    aside = along("centrum_semiovale")(np.array([40.0, 0, 24]))
    np.testing.assert_allclose(aside, np.array([-28, 0, -10]) / np.hypot(28, 10), atol=0.1)
    # Out of the putamen's floor, upwards and to both sides.
    left, right = along("basal_ganglia")(np.array([-30.0, 0, 8])), along("basal_ganglia")(np.array([30.0, 0, 8]))
    assert min(left[2], right[2]) > 0.7
    # The hippocampi are longest from back to front.
    assert abs(along("hippocampi")(np.array([26.0, -30, -27]))[1]) > 0.99


@pytest.mark.parametrize(("orientation", "oblique"), [("RAS", 0), ("LPI", 0), ("ARS", 0), ("LAS", 20)])
def test_orientation_and_slope_change_the_grid_alone(make, orientation, oblique):
    scan = COARSE["scan"] | {"orientation": orientation, "oblique_deg": oblique}
    phantom = make("hippocampi", settings=settings_of(MANY, {"scan": scan}))
    assert np.linalg.norm(phantom.affine[:3, :3], axis=0) == pytest.approx([0.8, 0.9, 1.2])
    axes = scan_axes(ScanSettings(orientation=orientation, oblique_deg=oblique))
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert axes[2, 2] * (1 if orientation[2] == "S" else -1) == pytest.approx(np.cos(np.radians(oblique)), abs=0.02)
    usual = make("hippocampi", settings=settings_of(MANY, COARSE))
    expected = world(usual, usual.points["hippocampi"])
    np.testing.assert_allclose(world(phantom, phantom.points["hippocampi"]), expected, atol=1e-9)


def test_noise_is_rician_and_the_bias_smooth():
    settings = ScanSettings(noise=0.1, bias=0, texture=0, resolution_mm=0)
    spacing = np.ones(3)
    deviation = 0.1 * 0.31 * 1000
    empty = acquire(np.zeros((60, 60, 60), np.float32), spacing, settings, np.random.default_rng(0))
    assert empty.mean() == pytest.approx(deviation * np.sqrt(np.pi / 2), rel=0.01)  # Rayleigh
    fluid = acquire(np.ones((60, 60, 60), np.float32), spacing, settings, np.random.default_rng(0))
    assert fluid.mean() == pytest.approx(np.hypot(1000, deviation), rel=0.001)
    assert fluid.std() == pytest.approx(deviation, rel=0.02)
    settings = dataclasses.replace(settings, noise=0, bias=0.1)
    biased = acquire(np.ones((60, 60, 60), np.float32), spacing, settings, np.random.default_rng(0)).astype(float)
    assert biased.std() > 10
    assert np.abs(np.diff(biased, axis=0)).max() < 15


def test_fluid_fills_the_skull_and_codes_of_areas_become_tissue():
    labels = np.zeros((40, 40, 40), int)
    labels[8:19, 8:32, 8:32], labels[21:32, 8:32, 8:32] = 2, 41  # two blocks, a cleft of 2 mm between
    labels[8, 8:32, 8:32], labels[31, 8:32, 8:32] = 1023, 2023
    labels[2:4] = 511
    found = complete(labels, np.eye(4))
    assert set(np.unique(found.labels)) == {0, 2, 41, 3, 42, 24}
    place = np.linalg.solve(found.affine, [20, 20, 20, 1])[:3].astype(int)
    assert found.labels[tuple(place)] == 24  # the cleft
    moved = found.affine[:3, :3] @ np.argwhere(found.labels == 3)[0] + found.affine[:3, 3]
    assert moved[0] == 8  # still where it was in the world


def test_a_label_map_without_the_region_is_refused(anatomy):
    labels = np.where(np.isin(anatomy.labels, (17, 53)), 2, anatomy.labels)
    with pytest.raises(InputError, match=r"no voxel of hippocampi \(labels 17, 53\)"):
        find_zone("hippocampi", labels, anatomy.affine, UP)
    with pytest.raises(InputError, match="without a single voxel"):
        complete(np.zeros((5, 5, 5), int), np.eye(4))


def test_a_stray_voxel_of_a_label_does_not_move_what_is_found_by_its_top(anatomy):
    usual = find_zone("centrum_semiovale", anatomy.labels, anatomy.affine, UP)
    labels = anatomy.labels.copy()
    cortex = np.argwhere(labels == 3)
    labels[tuple(cortex[cortex[:, 2].argmax()])] = 4
    strayed = find_zone("centrum_semiovale", labels, anatomy.affine, UP)
    assert strayed.slice_mm == usual.slice_mm


@pytest.mark.parametrize("region", ["hippocampi", "basal_ganglia", "centrum_semiovale"])
def test_distractors_do_not_tell_how_many_pvs_there_are(make, region):
    """Were they crowded out by PVS, a network could count what is missing."""
    few, many = (
        make(region, settings=scaled(settings_of(MANY, COARSE), count=factor)).regions[region].distractors
        for factor in (0, 2)
    )
    assert [each.kind for each in few] == [each.kind for each in many]
