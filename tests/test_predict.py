"""Prediction in tiles, from one pass, and what it says where memory does not suffice."""

import numpy as np
import pytest
import torch

from tests.attention.test_displacement import beside, blob
from tests.networks.test_networks import randomised
from weakspot import predict as module
from weakspot.attention.memory import peak_bytes
from weakspot.data.images import ImageStore
from weakspot.detection import candidates
from weakspot.errors import InputError
from weakspot.networks import NetworkSettings
from weakspot.predict import predict
from weakspot.training.displaced import displaced
from weakspot.training.recipes import choose_recipe
from weakspot.training.run import Run
from weakspot.training.settings import Examples, FitSettings

SHAPE = (60, 44)


def run_of(name="gp_unet", objective="regression", shape=(64, 44)):
    return Run(randomised(name, 2).float().eval(), NetworkSettings(name, 2, 4), objective, shape, {})


def images(number=2, shape=SHAPE):
    return list(np.random.default_rng(0).random((number, 1, *shape), np.float32))


@pytest.mark.parametrize("name", ["gp_unet", "gated_attention", "base"])
@pytest.mark.parametrize("shape", [SHAPE, (71, 80)])  # smaller and larger than those of the training
def test_tiled_equals_whole(name, shape):
    run, given = run_of(name), images(2, shape)
    whole, tiled = (list(predict(run, given, tile=tile)) for tile in (None, 24))
    for one, other in zip(whole, tiled, strict=True):
        assert (one.tile, other.tile) == (None, (24, 24))
        assert other.count == pytest.approx(one.count, abs=1e-5)
        np.testing.assert_allclose(other.attention, one.attention, atol=1e-5 * np.abs(one.attention).max())
        np.testing.assert_allclose(other.candidates.scores, one.candidates.scores, atol=1e-5)
        assert np.array_equal(other.candidates.points, one.candidates.points)


@pytest.mark.parametrize("shape", [(64, 44), (71, 80)])
def test_masses_are_in_the_unit_of_the_count_in_images_of_any_size(shape):
    run = run_of()
    [found] = predict(run, images(1, shape), score="mass")
    negative = np.minimum(found.attention, 0).sum(dtype=float) / (64 * 44)
    explained = run.network.get_submodule("head").bias.item() + found.candidates.scores.sum() + negative
    assert found.count == pytest.approx(explained, rel=1e-4)


def test_prominences_are_of_the_map_in_images_of_any_size():
    [found] = predict(run_of(), images(1, (71, 80)), score="prominence")
    expected = candidates(found.attention, score="prominence")
    np.testing.assert_array_equal(found.candidates.scores, expected.scores)
    assert (found.candidates.scores < found.candidates.heights).any()


def test_the_count_is_the_networks_and_comes_from_the_pass_of_the_map():
    run, passes = run_of(shape=SHAPE), []
    with torch.inference_mode():
        expected = run.network(torch.from_numpy(np.stack(images()))).count
    run.network.register_forward_pre_hook(lambda network, inputs: passes.append(len(inputs[0])))
    found = [prediction.count for prediction in predict(run, images())]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert passes == [2]


def test_maps_are_moved_back_by_how_far_mirrored_images_say_that_they_lie_off():
    run = Run(beside(2), NetworkSettings("gp_unet_no_residual", 2, 1), "regression", (24, 26), {})
    places = [(10, 12), (14, 8), (9, 15)]
    given = [blob((24, 26), place).float().numpy()[None] for place in places]
    validation = Examples(ImageStore(tuple(given)), np.ones(3), ("a", "b", "c"))
    off = displaced(beside(2), "cam", FitSettings(choose_recipe("fast")), validation, (24, 26))
    assert off is not None
    assert off == pytest.approx((2, 0), abs=0.05)
    for (y, x), found, as_it_is in zip(
        places, predict(run, given, displaced_vox=off), predict(run, given), strict=True
    ):
        assert found.candidates.points[0] == pytest.approx([y, x], abs=0.05)
        assert as_it_is.candidates.points[0].tolist() == [y + 2, x]
        np.testing.assert_array_equal(found.attention[:-2], as_it_is.attention[2:])
        assert found.count == as_it_is.count
    # An object at the end of a small image, to whose response the padding is home.
    [cut] = predict(run, [blob((20, 26), (18, 12)).float().numpy()[None]], displaced_vox=off)
    assert cut.candidates.points[0] == pytest.approx([18, 12], abs=0.05)
    # The rest, exactly, but not beyond the image, nor out of a slice.
    network = Run(beside(3), NetworkSettings("gp_unet_no_residual", 3, 1), "regression", (16, 17, 12), {})
    volume = [blob((16, 17, 12), (8, 16, 6)).float().numpy()[None]]
    given = {"displaced_vox": (1.7, -0.4, 0.3)}
    [whole], [flat] = (predict(network, volume, slices=slices, **given) for slices in (None, [(2, 6)]))
    assert whole.candidates.points[0] == pytest.approx([8.3, 16, 5.7])
    assert flat.candidates.points[0] == pytest.approx([8.3, 16, 6])


def test_auto_takes_whole_what_fits_and_tiles_what_does_not(monkeypatch):
    run = run_of()
    [small] = predict(run, images(1), tile="auto")
    assert small.tile is None
    large = images(1, (500, 400))
    [whole] = predict(run, large, tile="auto", memory_gb=1)
    [tiled] = predict(run, large, tile="auto", memory_gb=0.064)
    assert whole.tile is None
    assert tiled.tile is not None
    assert tiled.count == pytest.approx(whole.count, abs=1e-4)
    monkeypatch.setattr(module, "available_memory", lambda device: 0.064e9)
    [asked] = predict(run, large, tile="auto")
    assert asked.tile == tiled.tile
    # Peaks are up to 1.3 times the estimate (benchmarks/README.md), and what is given is not exceeded.
    assert 1.3 * peak_bytes("cam", run.network, (500, 400), tiled.tile) <= 0.064e9
    with pytest.raises(InputError, match="the candidates of an image of 500x400 take about"):
        list(predict(run, large, tile="auto", memory_gb=0.01, score="mass"))


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_out_of_memory_is_said_with_sizes_and_a_smaller_tile(error, monkeypatch):
    def fail(*arguments, **keywords):
        raise error

    monkeypatch.setattr(module, "attend_and_count", fail)
    with pytest.raises(InputError, match=r"out of memory with an image of 64x44, taken whole: .* \(--tile 32,22\)"):
        list(predict(run_of(), images()))
    with pytest.raises(InputError, match=r"in tiles of 48x48: .* \(--tile 24,24\)"):
        list(predict(run_of(), images(), tile=48))


def test_other_errors_are_not_taken_for_it(monkeypatch):
    def fail(*arguments, **keywords):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(module, "attend_and_count", fail)
    with pytest.raises(RuntimeError, match="mat1"):
        list(predict(run_of(), images()))
