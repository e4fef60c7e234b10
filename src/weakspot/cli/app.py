"""The commands, and how they end."""

import os
import signal
import sys

import typer

import weakspot
from weakspot.cli.agreement import agreement
from weakspot.cli.compare import compare
from weakspot.cli.demo import demo
from weakspot.cli.evaluate import evaluate
from weakspot.cli.phantom import phantom
from weakspot.cli.predict import predict
from weakspot.cli.regions import regions
from weakspot.cli.review import review
from weakspot.cli.study import study
from weakspot.cli.train import train
from weakspot.cli.tune import tune
from weakspot.errors import InputError

_INTERRUPTED = 130  # 128 and the number of SIGINT, as of any command

app = typer.Typer(
    name="weakspot",
    help="Count what you see; weakspot finds where it is: train a detector from counts alone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"weakspot {weakspot.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    pass


for command in (demo, train, tune, predict, review, evaluate, compare, agreement, phantom, regions):
    app.command()(command)


app.add_typer(study, name="study")


def main() -> None:
    """Run the command line: exit code 0, 1 (failed, one clear line says why), 2 (wrong usage) or 130 (interrupted)."""
    from weakspot.cli.console import plain_warnings
    from weakspot.training.interrupt import Interrupted

    # As an interruption from the keyboard: what is half written goes, and the line and the exit code are the same.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with plain_warnings():
            app()
    except InputError as error:
        sys.exit(_failed(str(error)))
    except Interrupted as interrupted:
        _failed(str(interrupted))
        sys.exit(_INTERRUPTED)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != _INTERRUPTED:  # typer makes the former into the latter
            raise
        _failed("interrupted")
        sys.exit(_INTERRUPTED)
    except MemoryError as error:
        sys.exit(_failed(f"out of memory ({error}): use smaller images, or a machine with more"))
    except BrokenPipeError:  # whoever reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the interpreter flushes to at its end
    except OSError as error:
        sys.exit(_failed(f"{error.filename or 'the system'}: {error.strerror or error}"))


def _failed(reason: str) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return 1
