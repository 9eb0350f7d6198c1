"""The contents of a cascade.yaml, every field described; checked where it comes in.

A config names its taxonomy, its columns and its parts. A pack and a shipped name hold the same.
"""

from cascade.config.facets import BaseTermConfig, CategoryConfig, DescriptorConfig, FacetsConfig
from cascade.config.models import LLMConfig, NLIConfig, RerankConfig, ServerConfig, VLLMConfig
from cascade.config.packs import (
    BackboneConfig,
    CalibrationConfig,
    FusionConfig,
    HeadsConfig,
    NeighboursConfig,
    RoutingConfig,
)
from cascade.config.reading import Columns, PicturesConfig
from cascade.config.retrieval import Answer, DescentConfig, IndexKind, Recipe, RetrievalConfig
from cascade.config.root import CascadeConfig
from cascade.config.section import Section, describe_problems

__all__ = [
    "Answer",
    "BackboneConfig",
    "BaseTermConfig",
    "CalibrationConfig",
    "CascadeConfig",
    "CategoryConfig",
    "Columns",
    "DescentConfig",
    "DescriptorConfig",
    "FacetsConfig",
    "FusionConfig",
    "HeadsConfig",
    "IndexKind",
    "LLMConfig",
    "NLIConfig",
    "NeighboursConfig",
    "PicturesConfig",
    "Recipe",
    "RerankConfig",
    "RetrievalConfig",
    "RoutingConfig",
    "Section",
    "ServerConfig",
    "VLLMConfig",
    "describe_problems",
]
