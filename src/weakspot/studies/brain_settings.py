"""What the brain study is run with: its sizes, its recipes, and the conditions that phantoms are made under."""

from dataclasses import dataclass, field, replace
from typing import Any

from weakspot.data.phantom.settings import REGIONS, PhantomSettings, scaled, with_changes
from weakspot.errors import InputError
from weakspot.training.recipes import Recipe, choose_recipe

SPACING_MM = (0.49, 0.49, 0.8)  # the paper's voxels
REACH_VOX = 6.0  # of them: how near a hit is, and the size of the maximum filter (section 3.7)
MAX_FP = 15.0  # of the FROC (section 3.7)
SLICED = ("basal_ganglia", "centrum_semiovale")  # where one slice is annotated (section 3.2)
SLICE_AXIS = 2

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Sizes:
    """How large a study is.

    Attributes
    ----------
    coarser : voxels are the paper's 0.49 x 0.49 x 0.8 mm times this, along each axis
        So the reach of a hit and the maximum filter, so many times fewer voxels, are the paper's lengths in mm.
    phantoms : of a region; of every eleven five train, one validates, five test
    width : filters of the first scale
    at_once : volumes in one forward pass
    midbrain, hippocampi, basal_ganglia, centrum_semiovale : volumes in voxels
    """

    coarser: int
    phantoms: int
    width: int
    at_once: int
    midbrain: Shape
    hippocampi: Shape
    basal_ganglia: Shape
    centrum_semiovale: Shape

    def __post_init__(self) -> None:
        for region in REGIONS:  # JSON has no tuples
            object.__setattr__(self, region, tuple(self.volume(region)))

    def volume(self, region: str) -> Shape:
        """Return the size of a region's volume."""
        found: Shape = getattr(self, region)
        return found

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Size of a voxel."""
        first, second, third = (round(each * self.coarser, 6) for each in SPACING_MM)
        return first, second, third

    @property
    def reach_vox(self) -> float:
        """How near a detection is to what it hits, in voxels of this size."""
        return REACH_VOX / self.coarser


SIZES = {
    # Half the paper's resolution. Volumes hold the regions of MNI152's phantoms whole, but for the basal ganglia: 14
    # slices around and above the annotated one are a third of the voxels, and less that is seen and not counted.
    # In a trial with GP-Unet in the hippocampi, 50 phantoms to train on were learnt by heart (FAUC 27 after 300 steps),
    # 200 were not (81 after 500, the lowest validation loss at 390).
    "laptop": Sizes(
        coarser=2,
        phantoms=660,
        width=8,
        at_once=4,
        midbrain=(44, 44, 8),
        hippocampi=(84, 52, 32),
        basal_ganglia=(90, 62, 14),
        centrum_semiovale=(140, 164, 7),
    ),
    # Sections 2.2, 3.4 and 3.5: 1001 phantoms to train, 200 to validate, 1001 to test.
    "paper": Sizes(
        coarser=1,
        phantoms=2202,
        width=32,
        at_once=1,
        midbrain=(88, 88, 11),
        hippocampi=(168, 128, 84),
        basal_ganglia=(168, 128, 84),
        centrum_semiovale=(250, 290, 14),
    ),
}


@dataclass(frozen=True)
class Recipes:
    """How networks are fitted.

    Attributes
    ----------
    first : the midbrain's, from random weights
    further : the other regions', from the midbrain's weights (section 3.5)
    changed : a region's under another condition, from its own weights under the default
    """

    first: Recipe
    further: Recipe
    changed: Recipe


# Steps of the recipe "fast" under each of `Recipes`, and learning rates.
STEPS = {"first": 800, "further": 600, "changed": 200}
RATES = {"first": 5e-3, "further": 5e-3, "changed": 2e-3}


def brain_recipes(name: str = "fast", steps: tuple[int, int, int] | None = None) -> Recipes:
    """Return the recipes of that name; the paper's takes single volumes, patience deciding how long (section 3.5).

    The fast one moves volumes by whole voxels alone. Small PVS are a voxel wide, and with rotations and translations
    between voxels the base network, GP-Unet no residual and gated attention learnt nothing of the hippocampi in 300,
    380 and 600 steps, while without them the base network had a third of the loss gone after 125. It flips to the
    end, as the paper does.

    Parameters
    ----------
    name : "fast" or "paper"
    steps : first, further, changed, instead of the recipe's own
    """
    own = list(STEPS.values()) if name == "fast" else [None] * 3
    chosen: dict[str, Recipe] = {}
    for stage, length in zip(STEPS, steps or own, strict=True):
        fast = name == "fast"
        rate, batch = (RATES[stage], None) if fast else (None, 1)
        recipe = choose_recipe(name, length, batch, rate, resampling=not fast)
        chosen[stage] = replace(recipe, flipped_until=1.0)
    return Recipes(**chosen)


@dataclass(frozen=True)
class BrainSettings:
    """What every unit of a study shares; a folder holds results of one such setting.

    Attributes
    ----------
    sizes : see `SIZES`
    recipes : see `brain_recipes`
    label_maps : names and hashes of what phantoms are made from
    data_seed : of the phantoms, which are the same under every seed of a training
    """

    sizes: Sizes
    recipes: Recipes
    label_maps: dict[str, str] = field(default_factory=dict)
    data_seed: int = 1


@dataclass(frozen=True)
class Condition:
    """How phantoms are changed, all else alike: the same brains, perivascular spaces (PVS) in the same places.

    Attributes
    ----------
    text : in words
    contrast, distractors : factors of `weakspot.data.phantom.settings.scaled`
    """

    text: str
    contrast: float = 1.0
    distractors: float = 1.0


CONDITIONS = {
    "default": Condition("phantoms as they are"),
    "no_distractors": Condition("without distractors", distractors=0.0),
    "bright": Condition("PVS twice as bright, at most as fluid", contrast=2.0),
    "faint": Condition("PVS half as bright", contrast=0.5),
}


def choose_sizes(name: str, **changes: Any) -> Sizes:
    """Return the sizes of that name, with what is given in place of its own.

    Raises
    ------
    InputError
        There are none of that name.
    """
    if name not in SIZES:
        raise InputError(f"no sizes {name!r}: choose one of {', '.join(SIZES)}")
    return replace(SIZES[name], **{key: value for key, value in changes.items() if value is not None})


def phantom_settings(sizes: Sizes, condition: str) -> PhantomSettings:
    """Return what phantoms of these sizes are made with under a condition of `CONDITIONS`."""
    change = CONDITIONS[condition]
    coarse = with_changes(PhantomSettings(), {"scan": {"spacing_mm": sizes.spacing_mm}})
    return scaled(coarse, contrast=change.contrast, distractors=change.distractors)
