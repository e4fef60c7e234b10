"""The paper's MNIST study (3.1, 4.1, 4.2) as data: what is trained, what is evaluated, and in which order."""

from collections.abc import Iterable, Iterator

from weakspot.errors import InputError
from weakspot.studies.mnist_data import MnistSettings
from weakspot.studies.mnist_units import Evaluation, Training
from weakspot.studies.units import Unit

DIGITS = tuple(range(10))
OBJECTIVES = ("regression", "classification")

# How each method makes its maps: with which network, read in which way (section 2.2).
METHODS = {
    "gp_unet": ("gp_unet", "cam"),
    "gp_unet_no_residual": ("gp_unet_no_residual", "cam"),
    "gated_attention": ("gated_attention", "gated"),
    "grad_cam": ("base", "grad_cam"),
    "grad": ("base", "grad"),
    "guided_backprop": ("base", "guided_backprop"),
}
VARIANTS = {"gp_unet_no_skip": ("gp_unet_no_skip", "cam"), "gp_unet_max_pool": ("gp_unet_max_pool", "cam")}  # 4.2
ALL = METHODS | VARIANTS

# What each group of four tables compares, in the order of its columns.
COMPARED = {
    "regression": tuple(METHODS),
    "classification": tuple(METHODS),
    "architecture": ("gp_unet", *VARIANTS),
}


def objective_of(group: str) -> str:
    """Return the objective that a group of `COMPARED` is trained under."""
    return "classification" if group == "classification" else "regression"


def group_of(objective: str, method: str) -> str:
    """Return the group of `COMPARED` that a method's tables are in; GP-Unet itself is in two."""
    return objective if method in METHODS else "architecture"


def study_units(
    settings: MnistSettings,
    digits: Iterable[int] = DIGITS,
    methods: Iterable[str] = ALL,
    objectives: Iterable[str] = OBJECTIVES,
    seeds: int = 1,
    source: str | None = None,
    device: str = "cpu",
) -> list[Unit]:
    """Return the trainings and evaluations asked for, in the order in which they tell most soonest.

    Digit 4, then GP-Unet and no residual under regression, the other methods under regression, classification, the
    variants; all of this for one seed after the other. Each evaluation follows its training.

    Raises
    ------
    InputError
        For names or digits that are not of the study, and where nothing is left to do (the variants have no
        classification).
    """
    known("digit", digits := tuple(digits), DIGITS)
    known("method", methods := tuple(methods), ALL)
    known("objective", objectives := tuple(objectives), OBJECTIVES)
    units: dict[str, Unit] = {}
    for seed in range(seeds):
        for objective, method, digit in CELLS:
            if objective in objectives and method in methods and digit in digits:
                architecture, attention = ALL[method]
                training = Training(settings, objective, architecture, digit, seed, source, device)
                units[training.name] = training
                evaluation = Evaluation(training, method, attention)
                units[evaluation.name] = evaluation
    if not units:
        raise InputError("nothing to do: the variants of GP-Unet are trained under regression only")
    return list(units.values())


def _in_order() -> Iterator[tuple[str, str, int]]:
    """Yield all cells of the study."""
    first = ("gp_unet", "gp_unet_no_residual")
    others = [method for method in METHODS if method not in first]
    digits = [4, *(digit for digit in DIGITS if digit != 4)]
    yield from ((objective, method, 4) for objective in OBJECTIVES for method in METHODS)
    for objective, methods in (
        ("regression", first),
        ("regression", others),
        ("classification", METHODS),
        ("regression", VARIANTS),
    ):
        yield from ((objective, method, digit) for digit in digits for method in methods)


CELLS = tuple(dict.fromkeys(_in_order()))  # (objective, method, digit), one evaluation each


def known(what: str, given: Iterable[object], choices: Iterable[object]) -> None:
    """Refuse what is not of the study."""
    if strange := [each for each in given if each not in choices]:
        raise InputError(f"no {what} {strange[0]!r} in the study: choose from {', '.join(map(str, choices))}")
