"""Mixed precision: convolutions in bfloat16, counts in float32."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.networks.test_networks import each_architecture
from tests.training.test_fit import FAST, disks
from weakspot.networks import build, normalisation
from weakspot.training.fit import fit
from weakspot.training.settings import FitSettings


@each_architecture
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("norms", [False, True])
def test_counts_and_gradients_are_nearly_those_of_float32(name: str, dims: int, norms: bool):
    torch.manual_seed(0)
    network = build(name, dims, width=4)
    images = torch.rand(4, 1, *[20] * dims) * torch.arange(1, 5).view(4, *[1] * (dims + 1))
    if norms:
        normalisation.standardise(network, lambda: [images])
    found = []
    for enabled in (False, True):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            count = network(images).count
        assert count.dtype == torch.float32
        count.square().sum().backward()
        found.append((count.detach(), network.get_submodule("head").weight.grad.clone()))
    (exact, slope), (count, other) = found
    assert not torch.equal(exact, count)
    torch.testing.assert_close(count, exact, rtol=0.1, atol=0.1 * float(exact.abs().max()))
    torch.testing.assert_close(other, slope, rtol=0.1, atol=0.1 * float(slope.abs().max()))


def test_counts_of_images_that_hardly_differ_are_told_apart():
    network = build("gp_unet", 2, width=4)
    images = torch.rand(1, 1, 64, 64).repeat(2, 1, 1, 1)
    images[1, 0, 20:24, 20:24] += 1
    with torch.inference_mode():
        exact = network(images).count
        with torch.autocast("cpu", torch.bfloat16):
            count = network(images).count
    assert float(count[1] - count[0]) == pytest.approx(float(exact[1] - exact[0]), rel=0.1)


@pytest.mark.parametrize("dims", [2, 3])
def test_it_learns_in_bfloat16(dims: int, tmp_path: Path):
    size = 12 if dims == 3 else 24
    train, validation = disks(64, 0, size, dims), disks(32, 1, size, dims)
    settings = FitSettings(replace(FAST, steps=120, validate_every=5), precision="bfloat16")
    history = fit(build("gp_unet", dims, width=4), train, validation, settings, tmp_path)
    assert min(row["validation_loss"] for row in history) < 0.5 * np.var(validation.counts)
