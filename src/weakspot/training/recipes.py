"""How a network is fitted: the paper's recipe, and the fast one that reaches its quality sooner."""

import math
from dataclasses import dataclass, replace

from weakspot.errors import InputError


@dataclass(frozen=True)
class Recipe:
    """One way of fitting.

    Attributes
    ----------
    optimizer : a key of `weakspot.training.optimizers.OPTIMIZERS`
    learning_rate : the highest, where it is scheduled
    weight_decay : decoupled, per step and learning rate
    one_cycle : warm up over a part of the steps, then anneal to zero along a cosine; else constant
    warm_up : that part, 0-1
    initial : distribution of the weights: "gaussian" is N(0, 1), "he" is He's
    standardise : train on features standardised as the first weights give them, see
        `weakspot.networks.normalisation`, and start from the best constant output
    zero_bias : train the head without a bias, under regression with mean pooling, so that the map's mean is the count
        Where all images hold about as many things in all, counts do not tell a map that is zero on what is not counted
        from one that gives each of these things the same share, for which the bias then makes up. The bias of the
        paper's networks starts at zero and has reason to stay there; that of a head for standardised features has none,
        and the map loses its contrast.
    flipped_until : the part of the steps, 0-1, after which images are no longer flipped
        Mirrored objects ask more of a small network than it will ever meet.
    resampled_until : the part after which they are no longer rotated, and moved by whole voxels alone
        Resampling blurs them, and what is a voxel or two wide all but disappears.
    batch_size : images a step
    steps : the length of the training; or
    patience : stop this many epochs after the best validation loss
    validate_every : epochs between validations, or 250 steps where that is less
    """

    optimizer: str
    learning_rate: float
    weight_decay: float
    one_cycle: bool
    warm_up: float
    initial: str
    standardise: bool
    zero_bias: bool
    flipped_until: float
    resampled_until: float
    batch_size: int
    steps: int | None
    patience: int | None
    validate_every: int


RECIPES = {
    # Section 3.5. Learning rate, decay and epsilon of Adadelta are those of Keras, which the authors used.
    "paper": Recipe(
        optimizer="adadelta",
        learning_rate=1.0,
        weight_decay=0.0,
        one_cycle=False,
        warm_up=0.0,
        initial="gaussian",
        standardise=False,
        zero_bias=False,
        flipped_until=1.0,
        resampled_until=1.0,
        batch_size=64,
        steps=None,
        patience=100,
        validate_every=1,
    ),
    "fast": Recipe(
        optimizer="muon",
        learning_rate=5e-3,
        # Strong, and the rate rises slowly: networks that learn the counts by heart, or are thrown about early, have
        # maps with much else in them (benchmarks/README.md, "Weight decay and the length of the warm-up").
        weight_decay=0.3,
        one_cycle=True,
        warm_up=0.3,
        initial="he",
        standardise=True,
        zero_bias=True,
        flipped_until=0.4,
        resampled_until=0.75,
        batch_size=16,
        steps=3000,
        patience=None,
        validate_every=10,
    ),
}


def choose_recipe(
    name: str,
    steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    flips: bool = True,
    resampling: bool = True,
) -> Recipe:
    """Return the recipe of that name, with what is given in place of its own.

    Without ``flips`` images are never mirrored: for objects that are never met so, such as digits. Without
    ``resampling`` they are never rotated, and moved by whole voxels alone: for objects of a voxel or two.
    """
    if name not in RECIPES:
        raise InputError(f"no recipe {name!r}: choose one of {', '.join(RECIPES)}")
    if learning_rate is not None and not 0 < learning_rate < math.inf:
        raise InputError(f"learning rate {learning_rate}: expected a number above 0, such as 0.01")
    given = {"steps": steps, "batch_size": batch_size, "learning_rate": learning_rate}
    if not flips:
        given["flipped_until"] = 0.0
    if not resampling:
        given["resampled_until"] = 0.0
    return replace(RECIPES[name], **{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
