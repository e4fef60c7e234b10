"""The paper's brain study (3.2 to 3.8, 4.3) as data: what is made, trained and evaluated, and in which order."""

from collections.abc import Iterable
from pathlib import Path

from weakspot.data.phantom.settings import REGIONS
from weakspot.studies.brain_data import Phantoms
from weakspot.studies.brain_settings import CONDITIONS, BrainSettings
from weakspot.studies.brain_units import Evaluation, Training
from weakspot.studies.mnist import METHODS as WEAK
from weakspot.studies.mnist import known
from weakspot.studies.units import Unit

FIRST = "midbrain"  # trained first; the others are fine-tuned from it (section 3.5)
# The seventh column of the paper's tables; its operating point takes the count of the base network.
METHODS = {**WEAK, "intensity": ("base", "intensity")}
# What is evaluated: under each condition, and under all but the default also by networks that have not seen it.
EVALUATED = ("default", *(f"{name}{ending}" for name in list(CONDITIONS)[1:] for ending in ("", "_unseen")))


def study_units(
    settings: BrainSettings,
    regions: Iterable[str] = REGIONS,
    methods: Iterable[str] = METHODS,
    conditions: Iterable[str] = CONDITIONS,
    seeds: int = 1,
    labels: Path | None = None,
    device: str = "cpu",
) -> list[Unit]:
    """Return the units asked for and those that they need, each after these, the default condition first.

    Under each condition one region after the other, the midbrain first; of each the phantoms, then each network and
    what is evaluated with it. An ablation is evaluated twice: with networks of the default condition, which says what
    they have learnt, and with networks fine-tuned under the condition, which says what 200 more steps make of it.

    Raises
    ------
    InputError
        For names that are not of the study.
    """
    known("region", regions := tuple(regions), REGIONS)
    known("method", methods := tuple(methods), METHODS)
    known("condition", conditions := tuple(conditions), CONDITIONS)
    units: dict[str, Unit] = {}

    def phantoms_of(region: str, condition: str) -> Phantoms:
        made = Phantoms(settings, region, condition, labels)
        units[made.name] = made
        return made

    def training_of(architecture: str, region: str, condition: str, seed: int) -> Training:
        start = None
        if condition != "default":
            start = training_of(architecture, region, "default", seed)
        elif region != FIRST:
            start = training_of(architecture, FIRST, condition, seed)
        training = Training(phantoms_of(region, condition), architecture, seed, start, device)
        units.setdefault(training.name, training)
        return training

    for seed in range(seeds):
        for condition in (each for each in CONDITIONS if each in conditions):
            for region in (each for each in REGIONS if each in regions):
                for method in (each for each in METHODS if each in methods):
                    architecture, attention = METHODS[method]
                    for trained in dict.fromkeys(("default", condition)):
                        training = training_of(architecture, region, trained, seed)
                        evaluation = Evaluation(training, phantoms_of(region, condition), method, attention)
                        units[evaluation.name] = evaluation
    return list(units.values())
