"""``weakspot tune``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weakspot.cli.options import with_options
from weakspot.cli.seeking import SeekOptions

if TYPE_CHECKING:
    from weakspot.data.cohort import Cohort
    from weakspot.predict_files import FileSettings
    from weakspot.training.run import Run


@with_options
def tune(
    run: Annotated[Path, typer.Argument(help="Run folder of weakspot train.")],
    cohort: Annotated[Path, typer.Argument(help="Table (CSV or TSV) with the columns id, image, count.")],
    *,
    options: SeekOptions,
) -> None:
    """Find by counts how far to smooth maps, and above which score a detection counts: RUN/tuned.json, for predict.

    train does it with the images that it validates on; this is for another filter or method, for slices, and for older
    runs. Unless --split is given, of the table those are taken that the network was validated on; where it has none of
    them, all.
    """
    import numpy as np

    from weakspot.devices import use_cpu
    from weakspot.training.run import load
    from weakspot.tuning import check_writable

    use_cpu(options.threads, keep_memory=False)
    trained = load(run)
    check_writable(run)
    settings = options.settings(run, trained)
    table = options.cohort([cohort], counts=True)
    validated = [name in trained.validation_ids for name in table.ids]
    if options.split is None and any(validated):
        table = table.select(np.array(validated))
    tune_on(run, trained, table, settings)


def tune_on(run: Path, trained: "Run", cohort: "Cohort", settings: "FileSettings") -> None:
    """Tune a run, say what came of it, and keep it."""
    from weakspot.cli.console import counting_bar, say, warn
    from weakspot.cli.seeking import files_of
    from weakspot.tuning import keep_in, tune

    files = files_of(cohort, settings, trained.architecture.dims)
    counts = dict(zip(cohort.ids, cohort.counts.tolist(), strict=True))
    left_out: list[str] = []
    with counting_bar("tuning", len(cohort)) as advance:
        tuned = tune(trained, files, counts, settings, advance, left_out.append)
    for reason in left_out:
        warn(f"left out: {reason}")
    keep_in(run, tuned)
    how = f"smoothed by {tuned.sigma_vox:g} voxels" if tuned.sigma_vox else "as they are"
    unsmoothed = f"as they are by {tuned.unsmoothed_count_error:.2f}, " if tuned.sigma_vox else ""
    chosen = "the threshold" if tuned.by_threshold else "the network"
    say(
        f"tuned by {tuned.images} images: by a threshold on maps {how} counts are off by {tuned.count_error:.2f}, "
        f"{unsmoothed}the network's by {tuned.network_count_error:.2f}; predict counts by {chosen}, compared by square "
        f"roots of counts ({run}/tuned.json)"
    )
