"""Options of commands that listen over HTTP, and what they make of the config's `serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cascade.config.serving import ServeConfig

HostOption = Annotated[
    str | None,
    typer.Option(
        "--host",
        metavar="ADDRESS",
        help="Address to listen at, by default 127.0.0.1, which this machine alone can reach. "
        "Any other, such as 0.0.0.0, needs a token, which browsers ask for as a password.",
    ),
]
PortOption = Annotated[
    int | None,
    typer.Option(
        "--port",
        min=0,
        max=65_535,
        help="Port to listen at, by default 8000; 0: any that is free.",
    ),
]
TokenFileOption = Annotated[
    str | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="File with the token that requests must bring (Authorization: Bearer TOKEN); else "
        "it is read from the environment variable CASCADE_TOKEN.",
    ),
]


def settle_listening(
    settings: ServeConfig, host: str | None, port: int | None, token_file: str | None
) -> tuple[ServeConfig, str | None]:
    """Where to listen, as options and the config say it, and the token.

    Raises
    ------
    UsageError
        There is no address, or one beyond this machine and no token.
    """
    from cascade.errors import UsageError
    from cascade.serving.http.app import check_token
    from cascade.serving.http.running import read_token

    given = {"host": host, "port": port, "token_file": token_file}
    named = {name: value for name, value in given.items() if value is not None}
    serving = settings.model_copy(update=named)
    if not serving.host:
        raise UsageError("--host: expected an address, such as 127.0.0.1")
    token = read_token(serving)
    check_token(serving, token)
    return serving, token
