"""``weakspot agreement``."""

from pathlib import Path
from typing import Annotated

import typer

from weakspot.cli.judging import Options, names_of
from weakspot.cli.options import with_options


@with_options
def agreement(
    first: Annotated[Path, typer.Argument(help="Points table of one rater.")],
    second: Annotated[Path, typer.Argument(help="Points table of the other, or of the same one again.")],
    *,
    options: Options,
) -> None:
    """Judge two sets of points of the same images against each other, each in turn as the reference."""
    from weakspot.evaluation import agree
    from weakspot.report.evaluation_tables import agreement_table

    one, other = options.read([first, second]).truths
    result = agree(one, other, options.conventions()).to_dict()
    options.show(result, [agreement_table(result, *names_of([first, second]))])
