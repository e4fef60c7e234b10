"""The derivative of the count with respect to the image (section 2.1.2)."""

from torch import Tensor, nn

from weakspot.attention.scalar import counts_of, derivative


def grad(network: nn.Module, images: Tensor) -> Tensor:
    """Differentiate the count by the image: ``M = d count / d I`` (equation 5).

    Over several channels the derivatives are summed. That is the change of the count when all channels of a voxel grow
    alike: of a grey image stored in three channels it is the map of the grey image, and its sign is kept.

    Parameters
    ----------
    network : any module with one number per image, in evaluation mode
    images : (batch, channels, *spatial)

    Returns
    -------
    (batch, *spatial)
        Signed, in objects per unit of intensity.

    Raises
    ------
    InputError
        For a network that returns anything else, or that autograd cannot differentiate.

    Examples
    --------
    >>> import torch
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(6, 1))
    >>> maps = grad(network, torch.rand(4, 1, 2, 3))
    >>> torch.equal(maps[0], network[1].weight.reshape(2, 3))
    True
    """
    images = images.detach().requires_grad_()
    return derivative(counts_of(network, images), images).sum(1)
