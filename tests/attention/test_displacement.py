"""How far maps lie off: by hand, and for networks that respond beside what they count."""

import numpy as np
import pytest
import torch
from torch import Tensor

from weakspot.attention import attend
from weakspot.attention.displacement import half_shift, mirrored_maps
from weakspot.networks import build


def blob(shape: tuple[int, ...], centre: tuple[float, ...], width: float = 1.5) -> Tensor:
    axes = np.meshgrid(*map(np.arange, shape), indexing="ij")
    apart = sum((axis - at) ** 2 for axis, at in zip(axes, centre, strict=True))
    return torch.from_numpy(np.exp(-apart / (2 * width**2)))


@pytest.mark.parametrize("off", [(0.0, 0.0), (2.0, -1.0), (-1.3, 0.4), (2.9, 2.9)])
def test_half_of_the_shift_to_a_part_of_a_voxel(off: tuple[float, float]):
    places = [(8, 9), (12, 20), (20, 11)]
    pairs = [
        tuple(blob((30, 31), tuple(at + side * each for at, each in zip(place, off, strict=True))) for side in (1, -1))
        for place in places
    ]
    assert half_shift(pairs, 3) == pytest.approx(off, abs=0.05)


def test_no_answer_where_maps_have_too_little_in_common_or_it_is_too_far():
    rng = torch.Generator().manual_seed(0)
    noise = [tuple(torch.rand(30, 30, generator=rng) - 0.5 for _ in range(2)) for _ in range(3)]
    assert half_shift(noise, 4) is None
    assert half_shift([(blob((30, 30), (20, 15)), blob((30, 30), (10, 15)))], 4) is None  # 5 is more than 4
    assert half_shift([(torch.zeros(9, 9), torch.ones(9, 9))], 2) is None
    assert half_shift([], 2) is None


def beside(dims: int) -> torch.nn.Module:
    """Return a network of one filter that copies the image two voxels further along the first axis."""
    network = build("gp_unet_no_residual", dims, width=1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        middle, before = (slice(None), 0, *[1] * dims), (slice(None), 0, 0, *[1] * (dims - 1))
        network.conv1.weight[middle] = 1
        network.conv2.weight[before] = 1  # what is a voxel before
        network.conv7.weight[before] = 1
        network.head.weight.fill_(1)
    return network.eval()


@pytest.mark.parametrize("shape", [(24, 26), (23, 25), (16, 17, 12)])
def test_a_network_that_responds_beside_what_it_counts(shape: tuple[int, ...]):
    network, dims = beside(len(shape)), len(shape)
    centres = [tuple(size // 2 + step for size in shape) for step in (-2, 0, 1)]
    images = [blob(shape, centre).float()[None] for centre in centres]
    for image, centre in zip(images, centres, strict=True):
        at = np.unravel_index(int(attend("cam", network, image[None])[0].argmax()), shape)
        assert tuple(np.subtract(at, centre)) == (2, *[0] * (dims - 1))
    given = [image.numpy() for image in images]
    for method, off in (("cam", (2, *[0] * (dims - 1))), ("intensity", [0] * dims)):
        pairs = mirrored_maps(method, network, given, shape)
        assert half_shift(pairs, int(network.halo)) == pytest.approx(off, abs=0.05)
    small = [image[:, 2:] for image in given]  # padded as in training
    assert mirrored_maps("cam", network, small, shape)[0][0].shape == shape
