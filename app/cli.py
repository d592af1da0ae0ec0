"""The command line: names, options and exit codes of every command; the work is in `app.commands`.

Each command's module is imported when it is chosen, so reading a disc never waits for Qt or the web.
Exit codes: 0 done; 1 done in part or refused; 2 wrong usage; 3 the environment is
at fault. Never a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.cli_users import users
from app.options import Data, Json, Paths, Verbose, finish
from app.usage import Usage
from core.errors import Busy, KnownError, SourceFault, StorageFault, Unreachable

DONE, REFUSED, USAGE, ENVIRONMENT = 0, 1, 2, 3
EXIT_OF: tuple[tuple[type[KnownError], int], ...] = (
    (Busy, ENVIRONMENT),
    (StorageFault, ENVIRONMENT),
    (Unreachable, ENVIRONMENT),
    (SourceFault, ENVIRONMENT),
    (KnownError, REFUSED),
)

app = typer.Typer(
    name="filmjacket",
    help="Takes imaging studies off discs and folders, shows them, sends them on, and keeps them.\n\n"
    "`filmjacket [PATH]` opens the desktop.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(users, name="users")


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code. *arguments* are those after the program's name."""
    _plain_streams()
    try:
        code = _answered(list(arguments))
        if sys.stdout is not None:
            sys.stdout.flush()  # what is still held back may find its reader gone
    except BrokenPipeError:  # keep the interpreter from complaining about it at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    return code


def _answered(arguments: list[str]) -> int:
    """Run one command and tell the person what went wrong, if anything. Raises BrokenPipeError."""
    try:
        return _run(arguments)
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else (DONE if stopped.code is None else REFUSED)
    except KeyboardInterrupt:
        return _say("Stopped.", code=REFUSED)
    except BrokenPipeError:
        raise
    except KnownError as error:
        return _say(error.message, error.remedy, code=exit_code(error))
    except OSError as error:
        what = f" ({error.filename})" if error.filename else ""
        from app.faults import remedy

        return _say(f"{error.strerror or 'The system refused'}{what}.", remedy(error), code=ENVIRONMENT)
    except Exception as error:  # our bug: the person gets a sentence, the log file the frames
        from app.faults import record

        return _say(f"Something unforeseen went wrong: {record(error, arguments)}", code=ENVIRONMENT)


def exit_code(error: KnownError) -> int:
    """Exit code of a known error."""
    own = getattr(error, "exit_code", None)
    return own if isinstance(own, int) else next(code for kind, code in EXIT_OF if isinstance(error, kind))


def _run(arguments: list[str]) -> int:
    first = arguments[0] if arguments else ""
    if first in ("--version", "-V"):
        sys.stdout.write(f"filmjacket {version()}\n")
        return DONE
    if not arguments or (not first.startswith("-") and first not in _commands()):
        return _desktop(arguments)
    result = app(arguments, prog_name="filmjacket", standalone_mode=True)
    return result if isinstance(result, int) else DONE


def _desktop(arguments: list[str]) -> int:
    if len(arguments) > 1:
        return _say("Give one folder, disc or file to open, or a command (see --help).", code=USAGE)
    path = Path(arguments[0]).absolute() if arguments else None
    if path is not None and not path.exists():
        return _say(f"There is no command and no file or folder called {arguments[0]}.", code=USAGE)
    from app.commands import desktop

    return desktop.run(path)


def version() -> str:
    """The program's version."""
    from app import __version__

    return __version__


def _commands() -> set[str]:
    named = {
        command.name or (command.callback.__name__ if command.callback else "")
        for command in app.registered_commands
    }
    return named | {"users"}


def _say(message: str, remedy: str = "", *, code: int) -> int:
    if sys.stderr is not None:
        sys.stderr.write(f"filmjacket: {message}\n" + (f"  {remedy}\n" if remedy else ""))
    return code


def _plain_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # absent where a test or no console replaced it
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace")


@app.command()
def scan(*, paths: Paths, as_json: Json = False, verbose: Verbose = False) -> None:
    """Read discs, folders and ZIP files; report patients, studies, skipped files and completeness."""
    from app.commands import scan as command

    finish(lambda: command.run(paths, as_json, verbose), verbose)


@app.command()
def upload(
    *,
    paths: Paths,
    to: Annotated[str, typer.Option("--to", help="Saved name, v3:/stow:/exams:URL, dimse:NODE or archive.")],
    study: Annotated[list[str] | None, typer.Option(help="Only this Study Instance UID; repeatable.")] = None,
    namespace: Annotated[str, typer.Option(help="Namespace at the destination.")] = "default",
    attach: Annotated[list[Path] | None, typer.Option(help="Attach this file; repeatable.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the unfinished upload.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Send also where another file is held under the same UID.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Upload what was picked, ask the destination what it holds, and print the receipt."""
    from app.commands import upload as command

    def send() -> int:
        return command.run(
            paths,
            to=to,
            study=study or [],
            namespace=namespace,
            attach=attach or [],
            resume=resume,
            replace=replace,
            data=data,
            as_json=as_json,
            verbose=verbose,
        )

    finish(send, verbose)


@app.command()
def serve(
    *,
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="HTTP port; 0 is any free one.", min=0, max=65535)] = None,
    internal_port: Annotated[int | None, typer.Option(help="Internal API's port.", min=0, max=65535)] = None,
    dimse_port: Annotated[str | None, typer.Option(help="DIMSE port, or off.")] = None,
    ae_title: Annotated[str | None, typer.Option(help="Our AE title.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate (PEM).", metavar="FILE")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).", metavar="FILE")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A reverse proxy on this host or network ends TLS.")
    ] = False,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Every caller is an administrator; loopback only.")
    ] = False,
    embedded: Annotated[bool, typer.Option("--embedded", hidden=True)] = False,
    verbose: Verbose = False,
) -> None:
    """Run the archive until SIGTERM or Ctrl-C."""
    from app.commands import serve as command

    options = command.Options(
        data=data,
        host=host,
        port=port,
        internal_port=internal_port,
        dimse_port=dimse_port,
        ae_title=ae_title,
        tls_cert=tls_cert,
        tls_key=tls_key,
        behind_proxy=behind_proxy,
        no_auth=no_auth,
        embedded=embedded,
        verbose=verbose,
    )
    raise typer.Exit(command.run(options))


@app.command()
def stow(
    *,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="DICOM files, or jpg, png, jp2, pdf, mpg, mp4 files.", metavar="FILE...", readable=False
        ),
    ],
    url: Annotated[str, typer.Option("-u", "--url", help="Address of the studies, or of one study.")],
    attributes: Annotated[
        list[str] | None,
        typer.Option(
            "-m", "-s", help="An attribute of what is no DICOM file; repeatable.", metavar="KEY=VALUE"
        ),
    ] = None,
    form: Annotated[str, typer.Option("-t", help="Form of metadata and answer.", metavar="json|xml")] = "",
    photographs: Annotated[bool, typer.Option("--xc", help="Pictures are photographs.")] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Store files at an archive by STOW-RS (also installed as stowrs)."""
    from app.commands import stow as command

    if form not in ("", "json", "xml"):
        raise Usage("-t is json or xml.")
    options = command.Options(files, url, attributes or [], form, photographs, as_json)
    finish(lambda: command.run(options), verbose)


@app.command()
def render(
    *,
    file: Annotated[Path, typer.Argument(help="A DICOM file.", readable=False)],
    out: Annotated[Path, typer.Option("--out", help="Picture to write: .jpg, .jpeg or .png.")],
    frame: Annotated[int, typer.Option(help="Which frame, from 1.", min=1)] = 1,
    window: Annotated[str | None, typer.Option(help="Window as CENTRE,WIDTH.", metavar="C,W")] = None,
    size: Annotated[int | None, typer.Option(help="Longest edge in pixels.", min=1, max=16384)] = None,
    verbose: Verbose = False,
) -> None:
    """Write one frame as a picture, as the viewer shows it."""
    from app.commands import render as command

    finish(lambda: command.run(file, out, frame, window, size), verbose)


@app.command()
def export(
    *,
    what: Annotated[str, typer.Argument(help="A path, or a study of the archive.", metavar="PATH|STUDY_UID")],
    out: Annotated[Path, typer.Option("--out", help="A new or empty folder, FILE.zip or FILE.iso.")],
    namespace: Annotated[str, typer.Option(help="Namespace of the study.")] = "",
    no_viewer: Annotated[bool, typer.Option("--no-viewer", help="Leave out the page for browsers.")] = False,
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write interchange media, and read it back."""
    from app.commands import export as command

    options = command.Options(what, out, namespace, not no_viewer, data, as_json)
    finish(lambda: command.run(options), verbose)


@app.command()
def check(
    *,
    data: Data = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Prove every stored object against its digest."""
    from app.commands import check as command

    finish(lambda: command.run(data=data, repair=repair, as_json=as_json), verbose)


@app.command()
def backup(
    *,
    destination: Annotated[
        Path, typer.Argument(help="Folder to make; must be new or empty.", metavar="DEST")
    ],
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Copy the archive while it may be in use."""
    from app.commands import backup as command

    finish(lambda: command.run(destination, data=data, as_json=as_json), verbose)


@app.command()
def demo(
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder for what it makes.")] = Path("demo-output"),
    screenshots: Annotated[
        Path | None, typer.Option("--screenshots", help="Also write the README's pictures here.", hidden=True)
    ] = None,
    verbose: Verbose = False,
) -> None:
    """The main job on a made-up disc: scan, upload, kill and resume, read back, render."""
    from app.commands import demo as command

    finish(lambda: command.run(out=out, screenshots=screenshots, verbose=verbose), verbose)
