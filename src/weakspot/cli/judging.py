"""What the commands that judge points share: their options, and what they make of them."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weakspot.errors import InputError

if TYPE_CHECKING:
    from weakspot.evaluation import Conventions, Evaluation, Truth
    from weakspot.report.tables import Table
    from weakspot.scenes import Scenes

Averaging = StrEnum("Averaging", ["image", "object"])
Selection = StrEnum("Selection", ["threshold", "top_k"])
Matching = StrEnum("Matching", ["gated", "paper", "greedy"])
Interval = StrEnum("Interval", ["percentile", "bca"])
Format = StrEnum("Format", ["text", "markdown", "latex"])


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of every command that judges points; each field is an option of the command line."""

    cohort: Annotated[
        Path,
        typer.Option(
            help="Table of the images: id; optional subject, split, spacing_y, spacing_x (mm), size_y, size_x (voxels),"
            " slice; in 3D _i, _j, _k."
        ),
    ]
    split: Annotated[str | None, typer.Option(help="Only the images of this split: train, val, test.")] = None
    radius_vox: Annotated[float | None, typer.Option(help="A hit is at most this far from the object, in voxels.")] = (
        None
    )
    radius_mm: Annotated[
        float | None, typer.Option(help="A hit is at most this far from the object, in mm, by the cohort's spacing.")
    ] = None
    inside: Annotated[
        bool, typer.Option("--inside", help="A hit is inside of the object's extent (height, width; extent_i ...).")
    ] = False
    matching: Annotated[Matching, typer.Option(help="Which of the points within reach belong together.")] = (
        Matching.gated
    )
    averaging: Annotated[
        Averaging, typer.Option(help="Mean over the images with objects, or pooled over all objects.")
    ] = Averaging.image
    slice_axis: Annotated[
        str | None,
        typer.Option(help="Only the cohort's slice along i, j or k (or 0, 1, 2); the middle one where it is empty."),
    ] = None
    interval: Annotated[Interval, typer.Option(help="Kind of the 95 % intervals.")] = Interval.percentile
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap resamples of the subjects; 0: no intervals.")] = 1000
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0
    format: Annotated[Format, typer.Option(help="How tables are printed.")] = Format.text
    json: Annotated[Path | None, typer.Option(help="Write all figures here, as fractions.")] = None

    def __post_init__(self) -> None:
        for path in self.outputs():
            if path is not None and not path.parent.is_dir():
                raise InputError(f"{path}: there is no folder {path.parent}; make it first, or name another")

    def outputs(self) -> tuple[Path | None, ...]:
        """Return the files to write."""
        return (self.json,)

    def conventions(self) -> "Conventions":
        """Return the conventions that the options ask for; an `InputError` unless one reach is."""
        from weakspot.evaluation import Conventions

        reaches = {"radius_vox": self.radius_vox, "radius_mm": self.radius_mm, "inside": self.inside or None}
        given: dict[str, Any] = {reach: value for reach, value in reaches.items() if value is not None}
        if len(given) != 1:
            names = " and ".join(f"--{reach.replace('_', '-')}" for reach in given) or "nothing"
            raise InputError(
                f"say when a detection is a hit by one of --radius-vox R, --radius-mm R and --inside; {names} was given"
            )
        ((reach, radius),) = given.items()
        return Conventions(
            reach=reach,
            **({} if self.inside else {"radius": radius}),
            matching=self.matching,
            averaging=self.averaging,
            interval=self.interval,
            resamples=self.resamples,
            seed=self.seed,
            **self.of_curve(),
        )

    def of_curve(self) -> dict[str, Any]:
        """Return the conventions of a FROC curve and its operating point."""
        return {}

    def read(
        self,
        truths: Sequence[Path],
        detections: Mapping[str, Path] | None = None,
        counts: Mapping[str, Path] | None = None,
    ) -> "Scenes":
        """Read points tables, see `weakspot.scenes.read_scenes`."""
        from weakspot.scenes import read_scenes

        reach = self.conventions().reach
        return read_scenes(
            self.cohort, truths, detections, counts, reach=reach, split=self.split, slice_axis=self.slice_axis
        )

    def show(self, result: Mapping[str, Any], tables: "Sequence[Table]") -> None:
        """Write the results as JSON where that is asked for, and print the tables."""
        from weakspot.cli.console import say, write_json
        from weakspot.report.tables import FORMS

        if self.json is not None:
            write_json(self.json, result)
        say("\n".join(map(FORMS[self.format], tables)).rstrip("\n"))


@dataclass(frozen=True, kw_only=True)
class CurveOptions(Options):
    """The options of the commands that draw FROC curves."""

    max_fp: Annotated[float, typer.Option(help="FROC up to this many false positives an image.")] = 5.0
    selection: Annotated[
        Selection, typer.Option(help="The curve by one threshold on the scores, or by the k best of every image.")
    ] = Selection.threshold
    threshold: Annotated[
        float | None, typer.Option(help="Operating point: scores of at least this; the predicted counts unless given.")
    ] = None
    k: Annotated[int | None, typer.Option(min=0, help="Operating point: the k best of each image.")] = None
    raters: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="FIRST SECOND", help="Two raters' points, drawn as triangles, each against the other."),
    ] = None
    figure: Annotated[Path | None, typer.Option(help="Draw the FROC: FIGURE.svg and FIGURE.png.")] = None

    def outputs(self) -> tuple[Path | None, ...]:
        """Return the files to write."""
        return self.json, self.figure

    def of_curve(self) -> dict[str, Any]:
        """Return the conventions of a FROC curve and its operating point."""
        if self.threshold is not None and self.k is not None:
            raise InputError("--threshold and --k are two operating points: give one of them")
        point: dict[str, Any] = {}
        if self.threshold is not None:
            point = {"operating_point": "threshold", "operating_value": self.threshold}
        elif self.k is not None:
            point = {"operating_point": "top_k", "operating_value": self.k}
        return {"max_fp": self.max_fp, "selection": self.selection, **point}

    def finish(
        self,
        result: dict[str, Any],
        tables: "list[Table]",
        evaluations: "Mapping[str, Evaluation]",
        raters: "Sequence[Truth]",
    ) -> None:
        """Add what the two raters say of each other, if there are any; then draw, write and print everything."""
        triangles: list[tuple[str, float, float]] = []
        if self.raters is not None:
            from weakspot.evaluation import agree
            from weakspot.report.evaluation_tables import agreement_table

            agreement = agree(raters[0], raters[1], self.conventions())
            first, second = names_of(self.raters)
            result = {**result, "raters": agreement.to_dict()}
            tables = [*tables, agreement_table(result["raters"], first, second)]
            for name, side in (
                (f"{second} against {first}", agreement.first_as_reference),
                (f"{first} against {second}", agreement.second_as_reference),
            ):
                triangles.append((name, side["fp_avg"].value, side["sensitivity"].value))
        if self.figure is not None:
            _draw(self.figure, evaluations, self.max_fp, triangles)
        self.show(result, tables)


def _draw(
    path: Path, evaluations: "Mapping[str, Evaluation]", max_fp: float, triangles: Sequence[tuple[str, float, float]]
) -> None:
    from weakspot.report.figures import Curve, froc_figure, save

    curves = []
    for name, each in evaluations.items():
        # Where every detection is kept, the operating point is the curve's own end.
        kept = each.conventions["operating_point"] != "all"
        point = (each.fp_avg.value, each.sensitivity.value) if kept else None
        curves.append(Curve(name, each.curve.fp, each.curve.sensitivity, each.band, point))
    chosen = next(iter(evaluations.values())).conventions
    value = chosen["operating_value"]
    operating = {
        "count": "at the predicted count",
        "threshold": f"at a score of {value}",
        "top_k": f"the {value} best of each image",
    }.get(chosen["operating_point"], "")
    stem = path.with_suffix("") if path.suffix in (".svg", ".png") else path
    save(froc_figure(curves, max_fp, triangles, operating), stem)


def names_of(paths: Sequence[Path]) -> list[str]:
    """Return what to call tables: their files' names without the ending, the whole paths where these are alike."""
    stems = [path.stem for path in paths]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in paths]


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Have typer see each field of a command's parameter ``options`` as an option of its own."""
    signature = inspect.signature(command)
    kind = signature.parameters["options"].annotation
    own = [parameter for parameter in signature.parameters.values() if parameter.name != "options"]
    shared = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=field.type,
        )
        for field in fields(kind)
    ]

    @wraps(command)
    def taking(**given: Any) -> None:
        options = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        command(**given, options=options)

    taking.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
    return taking
