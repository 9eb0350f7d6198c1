"""All settings together: a `cascade.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from cascade.config.facets import FacetsConfig
from cascade.config.models import LLMConfig, NLIConfig, RerankConfig
from cascade.config.packs import (
    BackboneConfig,
    CalibrationConfig,
    FusionConfig,
    HeadsConfig,
    NeighboursConfig,
    RoutingConfig,
)
from cascade.config.reading import Columns, PicturesConfig
from cascade.config.retrieval import DescentConfig, RetrievalConfig
from cascade.config.section import Section, describe_problems
from cascade.errors import ConfigError


class CascadeConfig(Section):
    """A cascade.yaml."""

    taxonomy: str | None = Field(None, description="Shipped name, or file relative to this one.")
    method: str = Field("cascade", description="Scorer that answers; `cascade` fuses and routes.")
    columns: Columns = Field(default_factory=Columns, description="Columns of the input.")
    reads: list[str] = Field(
        default_factory=list,
        description="Of a pack the text columns that it was fitted to; others that are named stand "
        "for these, in this order.",
    )
    pictures: PicturesConfig = Field(
        default_factory=PicturesConfig, description="Where pictures come from."
    )
    retrieval: RetrievalConfig = Field(default_factory=RetrievalConfig, description="Narrowing.")
    llm: LLMConfig = Field(default_factory=LLMConfig, description="The language model.")
    nli: NLIConfig = Field(default_factory=NLIConfig, description="The inference model.")
    rerank: RerankConfig = Field(default_factory=RerankConfig, description="The cross-encoder.")
    backbones: dict[str, BackboneConfig] = Field(
        default_factory=dict, description="What heads and neighbours stand on, by name."
    )
    heads: dict[str, HeadsConfig] = Field(default_factory=dict, description="TTC heads, by name.")
    neighbours: NeighboursConfig = Field(
        default_factory=NeighboursConfig, description="Labelled neighbours."
    )
    fusion: FusionConfig = Field(default_factory=FusionConfig, description="Combining scorers.")
    routing: RoutingConfig = Field(default_factory=RoutingConfig, description="Who sees what.")
    calibration: CalibrationConfig = Field(
        default_factory=CalibrationConfig, description="How sure answers are."
    )
    descent: DescentConfig = Field(default_factory=DescentConfig, description="The walk.")
    facets: FacetsConfig = Field(
        default_factory=FacetsConfig, description="The walk of faceted taxonomies."
    )
    max_chars: int = Field(
        100_000, ge=1, description="A row whose text is longer is answered with an error."
    )
    allow_download: bool = Field(False, description="Weights may be fetched from the hub.")

    @classmethod
    def load(cls, path: Path) -> CascadeConfig:
        """The config in a YAML file.

        Raises
        ------
        ConfigError
            The file cannot be read, is no YAML mapping, or has a field that does not fit.
        """
        try:
            data = yaml.safe_load(path.read_text("utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
        return cls.parse(data if data is not None else {}, str(path))

    @classmethod
    def parse(cls, data: Any, origin: str = "config") -> CascadeConfig:
        """The config in plain values; `origin` is for messages.

        Raises
        ------
        ConfigError
            A field is unknown, missing or of a wrong value.
        """
        if not isinstance(data, dict):
            raise ConfigError(f"{origin}: expected fields such as `taxonomy: store`")
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ConfigError(f"{origin}: {describe_problems(error)}") from None
