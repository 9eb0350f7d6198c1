"""Settings of what is read: columns and pictures."""

from __future__ import annotations

from pydantic import Field

from cascade.config.section import Section


class Columns(Section):
    """Which columns of a file are what."""

    text: list[str] = Field(default_factory=list, description="Text columns, in this order.")
    image: str | None = Field(
        None,
        description="Column of pictures: files named relative to the input's folder, data URIs, "
        "bytes, or addresses where `pictures.urls` allows them.",
    )
    id: str | None = Field(None, description="Column of the row's own identifier.")
    label: str | None = Field(None, description="Column of the known answer: a code or a path.")
    also: list[str] = Field(
        default_factory=list,
        description="Columns of other answers that count as right: a code, a path, or a JSON list "
        "of them.",
    )


class PicturesConfig(Section):
    """Where pictures may come from; data URIs and bytes always may."""

    root: str | None = Field(
        None, description="Folder that paths start from; that of the input if not given."
    )
    anywhere: bool = Field(False, description="Whether paths may lead out of that folder.")
    urls: bool = Field(False, description="Whether pictures may be fetched from addresses.")
