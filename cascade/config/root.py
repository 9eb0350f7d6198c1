"""All settings of a `cascade.yaml`, with those of columns and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from cascade.config.agent import AgentConfig
from cascade.config.base import LOCAL_FILE, Section, describe_problems
from cascade.config.calibration import CalibrationConfig
from cascade.config.choosing import ChooseConfig
from cascade.config.facets import FacetsConfig
from cascade.config.item import NEUTRAL, PRODUCT, ItemConfig
from cascade.config.models import OF_ANY, OF_PRODUCTS, LLMConfig, NLIConfig, RerankConfig
from cascade.config.packs import (
    BackboneConfig,
    FusionConfig,
    HeadsConfig,
    NeighboursConfig,
    RoutingConfig,
    TaughtConfig,
)
from cascade.config.retrieval import DescentConfig, RetrievalConfig
from cascade.config.serving import ServeConfig
from cascade.config.taxonomy import TaxonomySource
from cascade.config.yaml_text import read_yaml
from cascade.errors import ConfigError

FITTED_METHOD = "cascade"
"""The method of packs, which combines, routes and calibrates. Also that of packs and runs that name
none: they were made when it was the default of all."""

BATCH, BATCH_OF_HEADS, BATCH_OF_FIRST_PASS = 128, 512, 1024  # rows that are answered together
MOST_TOGETHER = 1 << 14  # and at most


class Columns(Section):
    """Which columns of a file are read, and as what."""

    text: list[str] = Field(default_factory=list, description="Text columns, in this order.")
    image: str | None = Field(
        None,
        description="Column of pictures: files named relative to the input's folder, data URIs, "
        "bytes, or addresses where `pictures.urls` allows them.",
    )
    id: str | None = Field(None, description="Column of the row's own identifier.")
    label: str | None = Field(None, description="Column of the known answer: a code or a path.")
    label_separator: str | None = Field(
        None,
        min_length=1,
        description="What stands between several labels of a cell: the first is the known answer, "
        "the others count as right too. None where a cell has one label.",
    )
    also: list[str] = Field(
        default_factory=list,
        description="Columns of other answers that count as right: a code, a path, or a JSON list "
        "of them.",
    )

    @field_validator("text", "also")
    @classmethod
    def _once(cls, names: list[str]) -> list[str]:
        return list(dict.fromkeys(names))


class PicturesConfig(Section):
    """Where pictures may come from; data URIs and bytes always may."""

    root: Annotated[str | None, LOCAL_FILE] = Field(
        None, description="Folder that paths start from; that of the input if not given."
    )
    anywhere: bool = Field(False, description="Whether paths may lead out of that folder.")
    urls: bool = Field(
        False,
        description="Whether pictures may be fetched from addresses of public hosts; never from "
        "this machine or its network, unless the host is one of `hosts`.",
    )
    hosts: list[str] = Field(
        default_factory=list,
        description="Names of hosts that pictures may be fetched from, also where they are in your "
        "own network. Without `urls` from these alone.",
    )


class CascadeConfig(TaxonomySource):
    """A cascade.yaml."""

    method: str | None = Field(
        None,
        description="Method that answers. Where none is named it is `retrieval`; `cascade` in a "
        "pack, and where you set something that `retrieval` does not read: in `llm`, `fusion`, "
        "`heads`, `neighbours`, `routing`, `calibration.file` or `calibration.max_risk`; `choose` "
        "and `agent` where you set something in the section of that name; and what "
        "`facets.base.method` says where the taxonomy has facets.",
    )
    columns: Columns = Field(default_factory=Columns, description="Columns of the input.")
    reads: list[str] = Field(
        default_factory=list,
        description="In a pack: the text columns that it was fitted to. Other columns that you "
        "name stand for these, in this order.",
    )
    pictures: PicturesConfig = Field(
        default_factory=PicturesConfig, description="Where pictures come from."
    )
    item: ItemConfig = Field(default_factory=ItemConfig, description="What the items are.")
    retrieval: RetrievalConfig = Field(default_factory=RetrievalConfig, description="Retrieval.")
    llm: LLMConfig = Field(default_factory=LLMConfig, description="The language model.")
    nli: NLIConfig = Field(default_factory=NLIConfig, description="The inference model.")
    rerank: RerankConfig = Field(default_factory=RerankConfig, description="The cross-encoder.")
    agent: AgentConfig = Field(default_factory=AgentConfig, description="The agent.")
    choose: ChooseConfig = Field(
        default_factory=ChooseConfig, description="A language model's choice from a list."
    )
    backbones: dict[str, BackboneConfig] = Field(
        default_factory=dict, description="Features for heads and neighbours, by name."
    )
    heads: dict[str, HeadsConfig] = Field(default_factory=dict, description="TTC heads, by name.")
    neighbours: NeighboursConfig = Field(
        default_factory=NeighboursConfig, description="Labelled neighbours."
    )
    fusion: FusionConfig = Field(default_factory=FusionConfig, description="Combining scorers.")
    routing: RoutingConfig = Field(
        default_factory=RoutingConfig, description="Fast path and main method."
    )
    taught: TaughtConfig = Field(
        default_factory=TaughtConfig, description="Corrections that rows taught."
    )
    calibration: CalibrationConfig = Field(
        default_factory=CalibrationConfig, description="Calibrated confidences."
    )
    descent: DescentConfig = Field(default_factory=DescentConfig, description="The descent.")
    facets: FacetsConfig = Field(
        default_factory=FacetsConfig, description="The walk of faceted taxonomies."
    )
    serve: ServeConfig = Field(default_factory=ServeConfig, description="The HTTP service.")
    max_chars: int = Field(
        100_000, ge=1, le=10**9, description="A row whose text is longer is answered with an error."
    )
    rows_together: int | None = Field(
        None,
        ge=1,
        le=MOST_TOGETHER,
        description="Rows of a file that are answered together. By default as suits the method: "
        f"{BATCH}, {BATCH_OF_HEADS} for heads of texts, {BATCH_OF_FIRST_PASS:,} with a first pass. "
        "The more, the less each of them costs, the more memory they take, and the longer the "
        "first waits.",
    )
    allow_download: bool = Field(False, description="Weights may be fetched from the hub.")

    @property
    def item_kind(self) -> str:
        """What an item is, as prompts say it."""
        unsaid = NEUTRAL if self.llm.adapter is None else PRODUCT
        return self.item.kind or unsaid

    @property
    def child_prompt(self) -> str:
        """The prompt for choosing a candidate."""
        usual = OF_PRODUCTS if self.item_kind == PRODUCT or self.llm.adapter else OF_ANY
        return self.llm.prompt or usual

    @property
    def batch(self) -> int:
        """Rows of a file that are answered together: more where most cost little.

        So are those of heads of texts alone, and those that a first pass answers.

        The more, the less each of them costs, since weights are read once for all; and the longer
        the first waits.
        """
        if self.rows_together is not None:
            return self.rows_together
        if self.retrieval.first_pass:
            return BATCH_OF_FIRST_PASS
        by_heads = {*(f"ttc.{name}" for name in self.heads), "ttc", "neighbours"}
        method = self.method or FITTED_METHOD
        answering = set(self.fusion.weights) if method == FITTED_METHOD else {method}
        slow = {backbone.kind for backbone in self.backbones.values()} - {"lexical", "sentence"}
        quick = bool(self.heads) and answering <= by_heads and not slow
        return BATCH_OF_HEADS if quick and self.columns.image is None else BATCH

    @classmethod
    def load(cls, path: Path) -> CascadeConfig:
        """The config in a YAML file.

        Raises
        ------
        ConfigError
            The file cannot be read, is no YAML mapping, or has a field that does not fit.
        """
        data = read_yaml(path)
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
            raise ConfigError(f"{origin}: {describe_problems(error, cls)}") from None
        except RecursionError:
            raise ConfigError(f"{origin}: values that stand inside one another for ever") from None
