"""Features by the kind that a config names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cascade.config import BackboneConfig
from cascade.errors import ConfigError
from cascade.features.pictures import PictureFeatures
from cascade.retrieval.encoder import Encoder

if TYPE_CHECKING:
    from cascade.features.backbone import Backbone

DEFAULT_VISION = "efficientnet-lite0"  # where a backbone of pictures names no model


def make_backbone(config: BackboneConfig, *, allow_download: bool = False) -> Backbone:
    """The features that a config describes, of one kind.

    Raises
    ------
    ConfigError
        A file that they need is not named.
    WeightsError
        Weights that they need are not found.
    """
    if config.kind == "lexical":
        from cascade.features.lexical import LexicalFeatures

        if config.file is None:
            raise ConfigError("a backbone of kind lexical needs its file")
        return LexicalFeatures.load(Path(config.file))
    if config.kind == "picture":
        return PictureFeatures.load(config.model or DEFAULT_VISION, allow_download=allow_download)
    if config.kind == "sentence":
        from cascade.features.text_embeddings import SentenceFeatures

        encoder = Encoder.load(config.model or "minilm", allow_download=allow_download)
        return SentenceFeatures(encoder, config.columns, config.max_chars)
    from cascade.features.text_embeddings import HiddenStates

    return HiddenStates.load(
        config.model or "smollm2-135m",
        config.columns,
        config.max_chars,
        adapter=config.adapter,
        allow_download=allow_download,
    )
