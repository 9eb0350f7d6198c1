"""A taxonomy with what a language model wrote about its nodes, checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cascade.config import CascadeConfig
from cascade.errors import UsageError
from cascade.generation.prompts import PromptTemplate
from cascade.io.files import cache_folder
from cascade.models.weights import find_weights
from cascade.pipeline.enrichment.checks import Checked, check
from cascade.pipeline.enrichment.writing import NodeWriter
from cascade.scoring.components import Components
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy

PROMPT = "enrich-node"


@dataclass(frozen=True)
class Enriched:
    """What came of it.

    Parameters
    ----------
    taxonomy
        With the texts that are kept.
    nodes
        How many were asked about.
    """

    taxonomy: Taxonomy
    nodes: int
    checked: Checked


def enrich(
    taxonomy: Taxonomy,
    config: CascadeConfig,
    *,
    prompt: str = PROMPT,
    leaves_only: bool = False,
    most: int | None = None,
    folder: Path | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Enriched:
    """Ask the configured language model about nodes, and keep what is of use.

    What was written before about a node by the same model is not asked again; what the taxonomy has
    of a model's texts already is replaced.

    Parameters
    ----------
    most
        Nodes that are asked about, the first ones; None for all.
    folder
        Where what was written is kept; by default in the user's cache.
    progress
        Called with what is done, and (done, all).

    Raises
    ------
    CascadeError
        The model, its prompt or the encoder cannot be loaded, or the model failed altogether.
    """
    if isinstance(taxonomy, FacetedTaxonomy):
        raise UsageError(
            "a catalogue of EFSA has terms, facets and rules that a table of nodes does not hold; "
            "enrich another taxonomy"
        )
    plain = taxonomy.with_machine_texts({})
    components = Components(
        plain, config, lambda done, of: progress("building the index", done, of)
    )
    writer = NodeWriter(
        lambda: components.engine,
        _model_of(config),
        PromptTemplate.load(prompt).given(kind=config.item_kind),
        folder or cache_folder() / "enriched",
    )
    leaves = set(plain.leaves.tolist())
    nodes = [node for node in range(len(plain)) if not leaves_only or node in leaves][:most]
    written = writer.write(plain, nodes, lambda done, of: progress("asking the model", done, of))
    progress("checking titles", len(nodes), len(nodes))
    checked = check(plain, written, components.retriever)
    return Enriched(plain.with_machine_texts(checked.texts), len(nodes), checked)


def _model_of(config: CascadeConfig) -> str:
    """What tells the model of a config from others."""
    llm = config.llm
    if llm.engine == "server":
        return json.dumps(["server", llm.server.url, llm.server.model])
    weights = find_weights(llm.model, allow_download=config.allow_download)
    adapter = None if llm.adapter is None else find_weights(llm.adapter).identity
    return json.dumps([llm.engine, weights.identity, adapter])
