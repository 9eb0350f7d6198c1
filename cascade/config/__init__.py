"""The settings in a cascade.yaml, as pydantic models that describe every field.

Belongs here: what a user can set. Does not: what recipes of `fit` and `finetune` set (`training`),
and any use of a setting.
"""

from cascade.config.agent import AgentConfig
from cascade.config.base import NAMED, Section, check_name, describe_problems, is_file_name, shown
from cascade.config.calibration import CalibrationConfig
from cascade.config.choosing import CHOICE_WEIGHTS, MOST_LISTED, ChoiceBy, ChooseConfig
from cascade.config.facets import BaseTermConfig, CategoryConfig, DescriptorConfig, FacetsConfig
from cascade.config.item import NEUTRAL, PRODUCT, ItemConfig
from cascade.config.models import LLMConfig, NLIConfig, RerankConfig, ServerConfig, VLLMConfig
from cascade.config.packs import (
    BackboneConfig,
    FusionConfig,
    HeadsConfig,
    NeighboursConfig,
    RoutingConfig,
    TaughtConfig,
)
from cascade.config.retrieval import (
    ENCODER,
    FITTED_ENCODER,
    UNSAID,
    DescentConfig,
    IndexKind,
    NodeText,
    Objective,
    PathChoice,
    RetrievalConfig,
    prompt_problem,
)
from cascade.config.root import (
    BATCH,
    FITTED_METHOD,
    CascadeConfig,
    Columns,
    PicturesConfig,
)
from cascade.config.serving import ServeConfig
from cascade.config.taxonomy import TaxonomyReading, TaxonomySource
from cascade.config.yaml_text import parse_yaml, read_yaml

__all__ = [
    "BATCH",
    "CHOICE_WEIGHTS",
    "ENCODER",
    "FITTED_ENCODER",
    "FITTED_METHOD",
    "MOST_LISTED",
    "NAMED",
    "NEUTRAL",
    "PRODUCT",
    "UNSAID",
    "AgentConfig",
    "BackboneConfig",
    "BaseTermConfig",
    "CalibrationConfig",
    "CascadeConfig",
    "CategoryConfig",
    "ChoiceBy",
    "ChooseConfig",
    "Columns",
    "DescentConfig",
    "DescriptorConfig",
    "FacetsConfig",
    "FusionConfig",
    "HeadsConfig",
    "IndexKind",
    "ItemConfig",
    "LLMConfig",
    "NLIConfig",
    "NeighboursConfig",
    "NodeText",
    "Objective",
    "PathChoice",
    "PicturesConfig",
    "RerankConfig",
    "RetrievalConfig",
    "RoutingConfig",
    "Section",
    "ServeConfig",
    "ServerConfig",
    "TaughtConfig",
    "TaxonomyReading",
    "TaxonomySource",
    "VLLMConfig",
    "check_name",
    "describe_problems",
    "is_file_name",
    "parse_yaml",
    "prompt_problem",
    "read_yaml",
    "shown",
]
