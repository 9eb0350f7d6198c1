"""Settings of `cascade serve`: where it listens, what one request may ask, how much may wait."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from cascade.config.base import LOCAL_FILE, Section

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ServeConfig(Section):
    """The HTTP service. No answer depends on it."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        max_length=255,
        description="Address to listen at. Any but this machine's own (127.0.0.1) needs a token.",
    )
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen at; 0: any that is free.")
    token_file: Annotated[str | None, LOCAL_FILE] = Field(
        None,
        description="File with the token that requests must bring; else it is read from the "
        "environment variable CASCADE_TOKEN.",
    )
    hosts: list[str] = Field(
        default_factory=list,
        description="Names that requests may call this service by, in the header Host. On this "
        "machine alone its own names are known; elsewhere, without any, all names pass.",
    )
    batch: int = Field(
        256,
        ge=1,
        le=10_000,
        description="Items that are answered together, fewer where that takes over a second.",
    )
    wait_ms: float = Field(
        5.0,
        ge=0,
        le=1000,
        description="Milliseconds that a batch waits at most for items of other clients; it does "
        "not wait for a client that is alone.",
    )
    queue: int = Field(
        2_000,
        ge=1,
        le=10**7,
        description="Items that may wait; who comes when it is full gets the status 503.",
    )
    timeout: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Seconds from the head of a request to its answer, else its status is 504 (408 "
        "where its body has not come). The header X-Timeout of a request asks for less.",
    )
    stop_seconds: float = Field(
        30.0, gt=0, le=3600, description="Seconds in which what waits is answered at the end."
    )
    connections: int = Field(
        1_000,
        ge=1,
        le=10**6,
        description="Connections at the same time; others get the status 503.",
    )
    max_body: int = Field(
        8 << 20, ge=1, le=1 << 30, description="Bytes of a request's body; 413 above."
    )
    max_items: int = Field(1_000, ge=1, le=10**6, description="Items of one request; 413 above.")
    max_chars: int = Field(
        20_000,
        ge=1,
        le=10**9,
        description="Characters of one item's texts; a longer one is answered with an error.",
    )
    max_pictures: int = Field(
        16, ge=0, le=10_000, description="Pictures of one request; 413 above. 0: none are taken."
    )
    max_picture_bytes: int = Field(
        4 << 20, ge=1, le=1 << 30, description="Bytes of one picture; 413 above."
    )
    max_pixels: int = Field(
        25_000_000,
        ge=1,
        le=50_000_000,
        description="Pixels of one picture; a larger one is answered with an error.",
    )
    max_top: int = Field(
        20, ge=0, le=1000, description="Alternatives that a request may ask for; 422 above."
    )

    search_by_meaning: bool = Field(
        True,
        description="Whether nodes are searched by meaning too, for which the encoder is loaded at "
        "the start, also where a pack answers without one.",
    )

    @field_validator("hosts")
    @classmethod
    def _names(cls, names: list[str]) -> list[str]:
        for name in names:
            if not name or "/" in name or any(character.isspace() for character in name):
                raise ValueError(f"{name!r:.80} is no name of a host, such as cascade.example.org")
        return [name.lower() for name in names]

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in LOOPBACK or self.host.startswith("127.")
