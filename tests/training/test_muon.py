"""Muon: orthogonal steps for weights of convolutions, Adam's for all else."""

import pytest
import torch
from torch import nn

from weakspot.training.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(8, 72), (16, 16), (72, 8)])
def test_all_singular_values_come_near_one_and_the_directions_stay(shape):
    torch.manual_seed(0)
    left, values, right = torch.linalg.svd(torch.randn(shape, dtype=torch.float64), full_matrices=False)
    values = values.max() * torch.logspace(0, -1.5, len(values), dtype=torch.float64)  # far from orthogonal
    found = left.T @ orthogonalised(left @ torch.diag(values) @ right) @ right.T
    assert float((found - torch.diag(found.diag())).abs().max()) < 1e-10
    assert 0.6 < float(found.diag().min()) <= float(found.diag().max()) < 1.3


def test_nothing_to_go_by_is_no_step():
    assert torch.equal(orthogonalised(torch.zeros(3, 5)), torch.zeros(3, 5))


def steps(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, gradients: list[torch.Tensor]) -> torch.Tensor:
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach()


def test_a_matrix_moves_as_under_torch_s_muon():
    # PyTorch's iterates in bfloat16, which has 8 bits: hence the tolerance, a tenth of the way gone.
    torch.manual_seed(0)
    start, gradients = torch.randn(6, 20), [torch.randn(6, 20) for _ in range(5)]
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    ended = steps(Muon([ours], 0.1, 0.5), ours, gradients)
    reference = torch.optim.Muon(
        [theirs], 0.1, weight_decay=0.5, momentum=0.95, nesterov=True, adjust_lr_fn="match_rms_adamw"
    )
    expected = steps(reference, theirs, gradients)
    torch.testing.assert_close(ended, expected, rtol=0, atol=0.1 * float((expected - start).abs().max()))
    assert float((ended - start).norm()) == pytest.approx(float((expected - start).norm()), rel=0.02)


def test_a_kernel_is_a_matrix_of_its_filters_and_the_step_has_adam_s_size():
    torch.manual_seed(0)
    start, gradient = torch.randn(8, 4, 3, 3), torch.randn(8, 4, 3, 3)
    kernel = nn.Parameter(start.clone(memory_format=torch.channels_last))
    matrix = nn.Parameter(start.flatten(1).clone())
    moved = steps(Muon([kernel], 0.1), kernel, [gradient]) - start
    torch.testing.assert_close(
        moved.flatten(1), steps(Muon([matrix], 0.1), matrix, [gradient.flatten(1)]) - start.flatten(1)
    )
    assert float(moved.square().mean().sqrt()) == pytest.approx(0.1 * 0.2, rel=0.2)


@pytest.mark.parametrize("shape", [(7,), ()])
def test_a_vector_moves_as_under_adam_without_decay(shape):
    torch.manual_seed(0)
    start, gradients = torch.randn(shape), [torch.randn(shape) for _ in range(5)]
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    expected = steps(torch.optim.Adam([theirs], 0.1), theirs, gradients)
    torch.testing.assert_close(steps(Muon([ours], 0.1, 0.5), ours, gradients), expected)


def test_a_parameter_without_a_gradient_stays():
    parameter = nn.Parameter(torch.ones(2, 2))
    Muon([parameter], 0.1, 0.5).step()
    assert torch.equal(parameter.detach(), torch.ones(2, 2))
