"""What the commands that judge points share: their options, and what they make of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weakspot.errors import InputError

if TYPE_CHECKING:
    from weakspot.evaluation import Conventions, Evaluation
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
            " slice, slice_axis, region; in 3D _i, _j, _k."
        ),
    ]
    split: Annotated[str | None, typer.Option(help="Only the images of this split: train, val, test.")] = None
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="Only the images with this value in a column; may be given again."),
    ] = None
    region: Annotated[
        str | None,
        typer.Option(help="Only the rows whose column region says so; the slice may be in a column slice_REGION."),
    ] = None
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
        typer.Option(
            help="Only the points whose i, j or k (or 0, 1, 2) rounds to the cohort's slice, the middle one where that"
            " is empty."
        ),
    ] = None
    interval: Annotated[Interval, typer.Option(help="Kind of the 95 % intervals.")] = Interval.percentile
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap resamples of the subjects; 0: no intervals.")] = 1000
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0
    format: Annotated[Format, typer.Option(help="How tables are printed.")] = Format.text
    json: Annotated[Path | None, typer.Option(help="Write all figures here, as fractions.")] = None

    def __post_init__(self) -> None:
        for path in self.outputs():
            if not path.parent.is_dir():
                raise InputError(f"{path}: there is no folder {path.parent}; make it first, or name another")
            if path.is_dir():
                raise InputError(f"{path} is a folder: name a file, in it or elsewhere")

    def outputs(self) -> list[Path]:
        """Return the files to write."""
        return [] if self.json is None else [self.json]

    def conventions(self) -> "Conventions":
        """Return the conventions that the options ask for; an `InputError` unless one reach is."""
        from weakspot.evaluation import Conventions

        reaches = {"radius_vox": self.radius_vox, "radius_mm": self.radius_mm, "inside": self.inside or None}
        given: dict[str, Any] = {reach: value for reach, value in reaches.items() if value is not None}
        if len(given) != 1:
            names = " and ".join(f"--{reach.replace('_', '-')}" for reach in given) or "nothing"
            raise InputError(
                "say when a detection is a hit by one of --radius-vox R, --radius-mm R and --inside;"
                f" {names} {'were' if len(given) > 1 else 'was'} given"
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

        inputs = [self.cohort, *truths, *(detections or {}).values(), *(counts or {}).values()]
        _refuse_overwriting(self.outputs(), inputs)
        reach = self.conventions().reach
        return read_scenes(
            self.cohort,
            truths,
            detections,
            counts,
            reach=reach,
            split=self.split,
            where=[_condition(text) for text in self.where or ()],
            region=self.region,
            slice_axis=self.slice_axis,
        )

    def show(self, result: Mapping[str, Any], tables: "Sequence[Table]") -> None:
        """Write the results as JSON where that is asked for, and print the tables."""
        from weakspot.cli.console import say, write_json
        from weakspot.report.tables import FORMS

        if self.json is not None:
            chosen = {"cohort": str(self.cohort), "split": self.split, "where": self.where, "region": self.region}
            write_json(self.json, {**result, "images": chosen})
        say("\n".join(map(FORMS[self.format], tables)).rstrip("\n"))


def _condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals or not column.strip():
        raise InputError(f"--where {text!r}: expected COLUMN=VALUE, such as site=B")
    return column.strip(), value.strip()


def _refuse_overwriting(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Refuse to write over a table that is read, or two results into one file."""
    read, written = {path.resolve() for path in inputs}, set[Path]()
    for path in outputs:
        resolved = path.resolve()
        if resolved in read:
            raise InputError(f"{path} is read by this command, and would be written over: name another file")
        if resolved in written:
            raise InputError(f"{path} is to hold two different results: name a file for each")
        written.add(resolved)


@dataclass(frozen=True, kw_only=True)
class CurveOptions(Options):
    """The options of the commands that draw FROC curves."""

    max_fp: Annotated[float, typer.Option(help="FROC up to this many false positives an image.")] = 5.0
    rates: Annotated[
        str, typer.Option(help="Read the sensitivity at these false positives an image, separated by commas.")
    ] = "0.25,0.5,1,2,4,8"
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
    per_image: Annotated[
        Path | None, typer.Option(help="Write the figures of every image, at the operating point, as .csv or .tsv.")
    ] = None
    figure: Annotated[Path | None, typer.Option(help="Draw the FROC: FIGURE.svg and FIGURE.png.")] = None

    def outputs(self) -> list[Path]:
        """Return the files to write."""
        from weakspot.data.tables import separator

        if self.per_image is not None:
            separator(self.per_image)
        return [*super().outputs(), *self.figures(), *([self.per_image] if self.per_image else [])]

    def figures(self) -> list[Path]:
        """Return the files of the figure; an `InputError` for a name that ends otherwise."""
        if self.figure is None:
            return []
        if self.figure.suffix not in ("", ".svg", ".png"):
            stem = self.figure.with_suffix("")
            raise InputError(f"{self.figure}: figures are SVG and PNG; name it {stem}, which gives {stem}.svg and .png")
        return [self.figure.with_suffix(".svg"), self.figure.with_suffix(".png")]

    def of_curve(self) -> dict[str, Any]:
        """Return the conventions of a FROC curve and its operating point."""
        if self.threshold is not None and self.k is not None:
            raise InputError("--threshold and --k are two operating points: give one of them")
        point: dict[str, Any] = {}
        if self.threshold is not None:
            point = {"operating_point": "threshold", "operating_value": self.threshold}
        elif self.k is not None:
            point = {"operating_point": "top_k", "operating_value": self.k}
        try:
            rates = tuple(float(rate) for rate in self.rates.split(",") if rate.strip())
        except ValueError:
            raise InputError(
                f"--rates {self.rates!r}: expected numbers with commas between them, as 0.25,1,4"
            ) from None
        return {"max_fp": self.max_fp, "rates": rates, "selection": self.selection, **point}

    def finish(
        self,
        result: dict[str, Any],
        tables: "list[Table]",
        evaluations: "Mapping[str, Evaluation]",
        scenes: "Scenes",
    ) -> None:
        """Add what the two raters say of each other, if there are any; then draw, write and print everything."""
        triangles: list[tuple[str, float, float]] = []
        if self.raters is not None:
            from weakspot.evaluation import agree
            from weakspot.report.evaluation_tables import agreement_table

            _, one, other = scenes.truths
            agreement = agree(one, other, self.conventions())
            first, second = names_of(self.raters)
            result = {**result, "raters": agreement.to_dict()}
            tables = [*tables, agreement_table(result["raters"], first, second)]
            for name, side in (
                (f"{second} against {first}", agreement.first_as_reference),
                (f"{first} against {second}", agreement.second_as_reference),
            ):
                triangles.append((name, side["fp_avg"].value, side["sensitivity"].value))
        if self.figure is not None:
            _draw(self.figure.with_suffix(""), evaluations, self.max_fp, triangles)
        if self.per_image is not None:
            _write_images(self.per_image, evaluations, scenes)
        self.show(result, tables)


def _draw(
    stem: Path, evaluations: "Mapping[str, Evaluation]", max_fp: float, triangles: Sequence[tuple[str, float, float]]
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
        "threshold": f"at scores of at least {value}",
        "top_k": f"at k = {value}",
    }.get(chosen["operating_point"], "")
    save(froc_figure(curves, max_fp, triangles, operating), stem)


def _write_images(path: Path, evaluations: "Mapping[str, Evaluation]", scenes: "Scenes") -> None:
    """Write a row for each image, and method where there are several; what is not defined stays empty."""
    from weakspot.data.tables import write_table

    whose = {} if scenes.subjects is None else {"subject": scenes.subjects}
    rows: list[dict[str, Any]] = []
    for name, evaluation in evaluations.items():
        method = {"method": name} if len(evaluations) > 1 else {}
        found = {key: column.tolist() for key, column in evaluation.point.per_image().items()}
        columns = {"id": scenes.truths[0].names, **whose, **found}
        rows += [{**method, **dict(zip(columns, row, strict=True))} for row in zip(*columns.values(), strict=True)]
    header = list(dict.fromkeys(key for row in rows for key in row))
    write_table(path, header, [["" if (cell := row.get(key, "")) != cell else cell for key in header] for row in rows])


def names_of(paths: Sequence[Path]) -> list[str]:
    """Return what to call tables: their files' names without the ending, the whole paths where these are alike."""
    stems = [path.stem for path in paths]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
