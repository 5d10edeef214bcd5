"""The command line: one thin function per verb, and one place where errors become one line."""

import os
import sys

import typer

app = typer.Typer(
    name="topodelin",
    help="Follow neurites through brain images without breaking them.",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

USAGE_ERROR = 2


@app.callback()
def common(
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> None:
    if version:
        from topodelin import __version__

        print(f"topodelin {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line. Bad input ends in one line on stderr and exit code 2."""
    from topodelin.cli import verbs  # noqa: F401  (registers the verbs)

    if os.environ.get("TOPODELIN_DEBUG"):
        app()
        return
    try:
        app()
    except (ValueError, TypeError, OSError, FloatingPointError, MemoryError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        sys.exit(USAGE_ERROR)


def one_line(error: BaseException) -> str:
    """The message of an error without line breaks, file name first where the system gave one."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
