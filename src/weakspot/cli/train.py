"""``weakspot train``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weakspot.cli.console import Nonfinite, among_processes, in_voxels

if TYPE_CHECKING:
    from weakspot.data.cohort import Cohort
    from weakspot.training.run import Run

_LITTLE = 0.9  # of a constant guess's loss: what is not below has learnt little


@among_processes
def train(
    cohort: Annotated[Path, typer.Argument(help="Table (CSV or TSV) with the columns id, image, count.")],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    network: Annotated[
        str,
        typer.Option(help="gp_unet, gp_unet_no_residual, gated_attention, base, gp_unet_no_skip, gp_unet_max_pool."),
    ] = "gp_unet",
    objective: Annotated[
        str, typer.Option(help="regression (the count) or classification (a count above 0).")
    ] = "regression",
    recipe: Annotated[str, typer.Option(help="fast, or paper (Adadelta from N(0, 1); hours).")] = "fast",
    width: Annotated[int | None, typer.Option(min=1, help="Filters of the first scale; 8 in 2D, 32 in 3D.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Length of the training, instead of the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, help="Images a step, instead of the recipe's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Instead of the recipe's.")] = None,
    no_flips: Annotated[
        bool, typer.Option("--no-flips", help="Never mirror images: for what is never met so, as digits.")
    ] = False,
    no_resampling: Annotated[
        bool,
        typer.Option(
            "--no-resampling",
            help="Never rotate images, and move them by whole voxels alone: for objects of a voxel or two.",
        ),
    ] = False,
    validation: Annotated[
        float, typer.Option(help="Share of the training subjects to validate on, where no split column says.")
    ] = 0.2,
    at_once: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Images in one forward pass, for volumes that need much memory; gradients are added up.",
        ),
    ] = None,
    init_from: Annotated[
        Path | None, typer.Option(help="Run folder to fine-tune, such as of another brain region.")
    ] = None,
    shrink: Annotated[
        str | None,
        typer.Option(
            help="Shrink images by this factor, or one for each axis (2,2,1), to means of blocks: for objects much "
            "wider than 16 voxels, as the networks see 8 to each side. predict does the same, and gives points in the "
            "image as it is. That of --init-from unless given."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for decoded scans, read from there instead of being held in memory, and used again."),
    ] = None,
    slice_axis: Annotated[
        str | None,
        typer.Option(
            help="Counts are of the table's slice across i, j or k: peaks are sought in it for tuning. The network "
            "sees all of the volume."
        ),
    ] = None,
    volume: Annotated[int | None, typer.Option(min=0, help="Which volume of 4D scans, from 0.")] = None,
    nonfinite: Annotated[Nonfinite, typer.Option(help="NaN and infinite voxels of scans.")] = Nonfinite.reject,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same machine, same network.")] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; OMP_NUM_THREADS or all cores unless given.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16 (mixed).")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was cut off.")] = False,
) -> Callable[[], None]:
    """Train a network on the counts of a cohort's images, and tune how its maps are searched by the validation images.

    On several GPUs or processes: torchrun --nproc-per-node N -m weakspot train ...
    """
    from weakspot import processes
    from weakspot.cli.console import say, training_bar, warn, whole_numbers
    from weakspot.data.cohort import read_cohort, split_cohort
    from weakspot.data.geometry import axis_named, stated_slices
    from weakspot.data.images import load_together
    from weakspot.data.shrinking import check_slices_stay, factors_for
    from weakspot.devices import choose_device, choose_precision, cores, use_cpu
    from weakspot.errors import InputError
    from weakspot.networks.build import NetworkSettings, check_name
    from weakspot.training.interrupt import Interrupted
    from weakspot.training.memory import check_memory
    from weakspot.training.objectives import choose_objective
    from weakspot.training.recipes import choose_recipe
    from weakspot.training.run import check_free, is_complete, load
    from weakspot.training.run import train as train_run
    from weakspot.training.settings import Examples, FitSettings

    together = processes.on_this_machine()  # torchrun asks for one thread each where nobody asked
    use_cpu(threads or (None if together == 1 else max(1, cores() // together)))
    chosen = choose_device(device)
    # What can be refused at once is, before any image is read.
    check_name(network)
    choose_objective(objective)
    settings = FitSettings(
        choose_recipe(recipe, steps, batch_size, learning_rate, not no_flips, not no_resampling),
        objective=objective,
        seed=seed,
        precision=choose_precision(precision, chosen),
        at_once=at_once,
    )
    begin_with = None if init_from is None else load(init_from)
    if begin_with is not None and begin_with.architecture.name != network:
        raise InputError(f"--init-from {init_from} is of {begin_with.architecture.name}, and --network is {network}")
    factors: tuple[int, ...] = (1,)
    if shrink is not None:
        factors = whole_numbers("--shrink", shrink)
    elif begin_with is not None and max(begin_with.shrink) > 1:
        factors = begin_with.shrink
    if slice_axis is not None:
        check_slices_stay(axis_named(slice_axis, 3), factors_for(factors, 3))
    check_free(out, resume)
    complete = is_complete(out)
    parts = split_cohort(read_cohort(cohort), seed, validation)[:2]
    stores = load_together(parts, volume, nonfinite, cache, factors)
    training, held_out = (Examples(store, part.counts, part.ids) for store, part in zip(stores, parts, strict=True))
    architecture = NetworkSettings(network, len(stores[0].shape), width, stores[0].channels)
    check_memory(architecture, settings, stores[0].shape, chosen)
    axis = None if slice_axis is None else axis_named(slice_axis, architecture.dims)
    if axis is not None:
        stated_slices(parts[1], axis)
    if processes.rank() == 0 and not complete:
        several = f", in {processes.size()} processes" if processes.size() > 1 else ""
        size = "" if max(factors) == 1 else f", shrunk to {'x'.join(map(str, stores[0].shape))}"
        say(f"{len(training.ids)} images to train on, {len(held_out.ids)} to validate{size}, on {chosen}{several}")
    try:
        with training_bar() as report:
            run = train_run(
                out, architecture, training, held_out, settings, chosen, resume, report, begin_with, factors
            )
    except Interrupted as interrupted:
        raise Interrupted(f"{interrupted}; go on with --resume") from interrupted
    if complete:
        say(f"{out} is complete: nothing to train")
    elif processes.rank() == 0:
        said = "" if run.displaced_vox is None else f"; maps lie {in_voxels(run.displaced_vox)} voxels off"
        loss, constant = (run.settings["result"][name] for name in ("validation_loss", "constant_loss"))
        say(f"best validation loss {loss:.4g}, of a constant guess {constant:.4g}{said}; written to {out}")
        if loss > _LITTLE * constant:
            warn(
                f"the network guesses hardly better than a constant. It sees {run.network.halo} voxels to each side: "
                "for objects much wider than that, train with a larger --shrink; else with more images, or --steps"
            )
    return lambda: _tune(out, run, parts[1], axis, volume, str(nonfinite), str(chosen))


def _tune(
    out: Path, run: "Run", held_out: "Cohort", slice_axis: int | None, volume: int | None, nonfinite: str, device: str
) -> None:
    """Tune a run by the images that it was validated on; where that fails, the network is trained all the same."""
    from weakspot.cli.console import say, warn
    from weakspot.cli.tune import tune_on
    from weakspot.data.geometry import names_slices
    from weakspot.errors import InputError
    from weakspot.predict import choose_method
    from weakspot.predict_files import FileSettings
    from weakspot.training.interrupt import Interrupted
    from weakspot.tuning import LEAST, kept_in

    later = f"not tuned; weakspot tune {out} does it"
    try:
        if run.objective != "regression" or kept_in(out):
            return
        if len(held_out) < LEAST:
            say(f"not tuned, for of {len(held_out)} validation images chance tells more: {LEAST} or more are needed")
            return
        if slice_axis is None and names_slices(held_out):
            warn(f"the table names slices, and --slice-axis does not say that they were counted: {later}")
            return
        settings = FileSettings(
            choose_method(run),
            device,
            slice_axis=slice_axis,
            volume=volume,
            nonfinite=nonfinite,
            displaced_vox=run.displaced_vox,
        )
        tune_on(out, run, held_out, settings)
    except KeyboardInterrupt:
        raise Interrupted(f"the network is trained, and {later}") from None
    except (InputError, MemoryError, OSError) as error:
        warn(f"{error}: {later}")
