"""The command line.

Belongs here: what commands share (options, consoles, progress, summaries) and, in `commands`, each
command. Does not: logic that Python users need too.
"""

from __future__ import annotations

import atexit
import errno
import gc
import logging
import os
import sys
import warnings

GARBAGE = 50_000  # new objects after which circles are looked for: 700 is for small programs


def main() -> None:
    """Run the command line and exit; see `cascade --help`."""
    from cascade.cli.stopping import stoppable
    from cascade.cli.streams import mend_streams

    gc.set_threshold(GARBAGE, *gc.get_threshold()[1:])
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # looks through all that is installed
    atexit.register(gc.freeze)  # at the end nothing is looked through for circles, which takes long
    mend_streams()
    with stoppable():
        _main()


def _main() -> None:
    from cascade.cli.app import app_for
    from cascade.cli.console import closed_pipe
    from cascade.errors import CascadeError

    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of pictures with odd metadata
    try:
        with closed_pipe():
            app_for(sys.argv[1:])()
    except CascadeError as error:
        _tell(str(error))
        sys.exit(error.exit_status)
    except OSError as error:
        why = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        why += "; give a shorter one" if error.errno == errno.ENAMETOOLONG else ""
        _tell(why)
        sys.exit(2)


def _tell(message: str) -> None:
    """Tell what is wrong; names in it come from files, so no control character may come through."""
    from cascade.cli.console import err, shown

    if not err.is_terminal:
        err.write(f"error: {shown(message)}")
        return
    from rich.markup import escape

    told = escape(shown(message))
    err.print(f"[bold red]error:[/] {told}", soft_wrap=True, highlight=False)
