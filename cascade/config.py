"""The contents of a cascade.yaml, every field described; checked where it comes in.

A config names its taxonomy, its columns and its parts. A pack and a shipped name hold the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cascade.errors import ConfigError

Recipe = Literal["leaf", "path", "path+description", "full"]
Answer = Literal["walk", "likeliest"]
IndexKind = Literal["auto", "flat", "hnsw", "ivf"]


class Section(BaseModel):
    """A part of a file of settings: unknown fields and undefined numbers are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


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


class RetrievalConfig(Section):
    """How node texts are searched."""

    encoder: str = Field(
        "minilm",
        description="Sentence encoder: built-in name, folder or hub. For pictures one that reads "
        "both, as CLIP and SigLIP do; small:clip has random weights, for trying a set-up.",
    )
    texts: Recipe = Field(
        "full",
        description="What of a node is embedded: its name (leaf), its path, path, description and "
        "synonyms (path+description), or name with parent, description, synonyms and translations "
        "(full); the best of several texts counts.",
    )
    index: IndexKind = Field(
        "auto",
        description="How node texts are searched: each item is compared with every text (flat), or "
        "with those that a FAISS graph (hnsw) or FAISS lists (ivf) lead to, which finds nearly all "
        "of the nearest and costs far less where there are many. auto: flat up to 100,000 texts, "
        "hnsw beyond (flat on a GPU, with faiss-gpu). With hnsw and ivf, and beyond so many texts "
        "always, narrowing and scoring work on the texts that were found.",
    )
    hits: int = Field(
        256, ge=1, description="Texts that are found for each item, where they are searched so."
    )
    candidates: int = Field(
        10,
        ge=1,
        description="Children kept at each level; a number as high as the widest level keeps all.",
    )
    ranking: int = Field(
        0,
        ge=0,
        description="Leaves of the whole taxonomy that are ranked for each item, by methods that "
        "compare items with all of them.",
    )
    temperature: float = Field(
        0.04,
        ge=0.001,
        le=10,
        description="Cosine similarities are divided by this before the softmax.",
    )
    rewrite_weight: float = Field(
        0.35,
        ge=0,
        le=100,
        description="Weight, beside the item itself, of the language model's words for it.",
    )


class LLMConfig(Section):
    """How the language model is asked."""

    engine: Literal["transformers"] = Field("transformers", description="What runs the model.")
    model: str = Field("smollm2-135m", description="Weights: built-in name, folder, GGUF or hub.")
    adapter: str | None = Field(
        None, description="Folder of a LoRA adapter of the model, as `cascade finetune` makes it."
    )
    prompt: str = Field("file-under", description="Prompt that picks: a shipped name, or a file.")
    type_prompt: str = Field(
        "item-type", description="Prompt that says what kind of thing an item is."
    )
    answer: Literal["score", "generate"] = Field(
        "score", description="Score every candidate, or generate one under the grammar."
    )
    reading: Literal["global", "local"] = Field(
        "local",
        description="Log-probability renormalised at each branching of the names, or of whole "
        "names (global).",
    )
    prior: bool = Field(
        True, description="Subtract each candidate's log-probability without the item."
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Number type of the weights in memory."
    )
    batch_tokens: int = Field(4096, ge=256, description="Tokens in one forward pass.")
    max_chars: int = Field(200, ge=16, description="Characters of each field that are read.")


class _PairConfig(Section):
    """What models that read an item beside a text of a node have in common."""

    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "float32",
        description="Number type of the weights in memory; half precision makes ties of near "
        "candidates.",
    )
    batch_tokens: int = Field(4096, ge=256, description="Tokens in one forward pass.")
    max_chars: int = Field(1000, ge=16, description="Characters of an item that are read.")


class NLIConfig(_PairConfig):
    """How a model of natural language inference is asked: does the item entail the hypothesis?"""

    model: str = Field(
        "MoritzLaurer/deberta-v3-base-zeroshot-v2.0",
        description="Weights of a sequence classifier with a label `entailment`: folder or hub; "
        "small:nli has random ones, for trying a set-up.",
    )
    hypothesis: str = Field(
        "This product is about {name}.",
        description="What is claimed of the item; {name} stands for the candidate's name. The "
        "candidates are those of retrieval.candidates: set it high to ask about all children.",
    )

    @field_validator("hypothesis")
    @classmethod
    def _has_a_place_for_the_name(cls, hypothesis: str) -> str:
        if "{name}" not in hypothesis:
            raise ValueError("expected {name} where the candidate's name goes")
        return hypothesis


class RerankConfig(_PairConfig):
    """How a cross-encoder orders the leaves that retrieval found."""

    model: str = Field(
        "cross-encoder/ms-marco-MiniLM-L6-v2",
        description="Weights of a sequence classifier with one label, the relevance: folder or "
        "hub; small:cross-encoder has random ones, for trying a set-up.",
    )
    candidates: int = Field(
        25, ge=1, description="Leaves of the whole taxonomy that are read for each item."
    )
    texts: Recipe = Field(
        "path",
        description="What of a leaf is read, as in retrieval.texts; several texts are joined.",
    )
    temperature: float = Field(
        1.0,
        ge=0.001,
        le=100,
        description="Relevances are divided by this before the softmax.",
    )


def _default_weights() -> dict[str, float | list[float]]:
    return {"rewrite": 1.0, "llm": [0.05, 0.0]}


class FusionConfig(Section):
    """How scorers are combined: a weighted sum of log-probabilities, normalised."""

    weights: dict[str, float | list[float]] = Field(
        default_factory=_default_weights,
        description="Weight by scorer, not negative: one for all levels, or one for each level "
        "from the top, of which the last holds for all below.",
    )
    without_text: dict[str, float | list[float]] = Field(
        default_factory=dict,
        description="Weights for items that have a picture and no text; none: as above.",
    )
    without_picture: dict[str, float | list[float]] = Field(
        default_factory=dict,
        description="Weights for items that have text and no picture; none: as above.",
    )


class BackboneConfig(Section):
    """What turns items into the numbers that heads and neighbours are computed on."""

    kind: Literal["lexical", "sentence", "llama", "picture", "joined"] = Field(
        description="Words and characters, a sentence encoder, hidden states of a language model, "
        "a vision model for pictures, or several of these side by side."
    )
    file: str | None = Field(None, description="File of lexical features, relative to this one.")
    model: str | None = Field(None, description="Weights: built-in name, folder or hub.")
    adapter: str | None = Field(None, description="Folder of a LoRA adapter of the model.")
    columns: list[str] = Field(default_factory=list, description="Columns that are read.")
    max_chars: int = Field(200, ge=1, description="Characters of each column that are read.")
    of: list[str] = Field(default_factory=list, description="Names of the backbones to join.")


class HeadsConfig(Section):
    """Linear heads over a backbone: the scorer `ttc.NAME`."""

    file: str = Field(description="File of the heads, relative to this one.")
    backbone: str = Field(description="Name of the backbone.")


class NeighboursConfig(Section):
    """How similar labelled items vote."""

    file: str | None = Field(None, description="File of the examples, relative to this one.")
    backbone: str = Field("sentence", description="Name of the backbone that they are compared by.")
    k: int = Field(20, ge=1, description="Examples that vote.")
    temperature: float = Field(
        0.05, ge=0.001, le=10, description="Cosine similarities are divided by this."
    )


class RoutingConfig(Section):
    """Who sees which item: a fast path first, the method itself where that one doubts."""

    fast: dict[str, float | list[float]] = Field(
        default_factory=dict,
        description="Weights of the fast path's scorers, as in fusion.weights; none: no routing.",
    )
    threshold: float = Field(
        0.9,
        ge=0,
        le=1,
        description="An item of which the fast path is less sure goes on to the main one; 0 keeps "
        "all on the fast path, 1 sends all on.",
    )


class CalibrationConfig(Section):
    """What held-out rows told about confidences."""

    file: str | None = Field(None, description="File of the calibration, relative to this one.")
    max_risk: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of accepted answers that may be wrong; what is less sure is marked "
        "`review`.",
    )


class DescentConfig(Section):
    """How the walk down the taxonomy decides."""

    answer: Answer = Field(
        "walk",
        description="walk: the likeliest child every time; likeliest: of the paths that are kept "
        "the likeliest as a whole.",
    )
    beam: int = Field(3, ge=1, description="Paths kept at each level.")
    depth: int | None = Field(
        None, ge=1, description="Go down to this level at the most; to the leaves if not given."
    )
    ends: list[str] = Field(
        default_factory=list,
        description="Codes of nodes where paths end though the taxonomy goes on: of a pack those "
        "below which nothing was labelled.",
    )
    stop: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Stop at a node when its best child is less likely than this, given the node.",
    )


class _StageConfig(Section):
    """What the stages that choose among terms have in common."""

    candidates: int = Field(10, ge=1, description="Terms that are considered.")
    temperature: float = Field(
        0.06, ge=0.001, le=10, description="Likenesses are divided by this before the softmax."
    )
    sure: float = Field(
        0.9,
        ge=0,
        le=1,
        description="rerank and llm are asked where the likeliest term is less likely than this.",
    )
    weight: float = Field(
        1.0,
        ge=0,
        description="Weight of the log-probabilities of rerank or llm beside the retriever's.",
    )


class BaseTermConfig(_StageConfig):
    """How base terms are found: a weighted sum of what a description shares with a term."""

    method: Literal["retrieve", "rerank", "llm"] = Field(
        "retrieve", description="Likeness alone, or a cross-encoder or language model beside it."
    )
    weight: float = Field(
        0.2,
        ge=0,
        description="Weight of the log-probabilities of rerank or llm beside the retriever's.",
    )
    whole: float = Field(1.0, ge=0, description="Weight of the likeness of the whole text.")
    first: float = Field(0.0, ge=0, description="Weight of the likeness of its first piece.")
    piece: float = Field(0.25, ge=0, description="Weight of the likeness of its best piece.")
    words: float = Field(0.3, ge=0, description="Weight of the share of the term's words in it.")
    unsaid: float = Field(
        0.2,
        ge=0,
        description="What is taken off a term whose name has a word of `another` that the text "
        "does not say.",
    )
    another: list[list[str]] = Field(
        [["flavour", "flavor", "flavouring", "flavoring", "essence", "aroma"], ["feed", "fodder"]],
        description="Words that make another food of one, each with others that say as much: "
        "nobody who writes `grilled chicken` means a chicken flavour.",
    )
    likeness: float = Field(
        0.5,
        ge=0,
        le=1,
        description="An answer whose cosine similarity with the text is less is marked `review`.",
    )
    certainty: float = Field(
        0.3,
        ge=0,
        le=1,
        description="An answer that is less likely than this among the candidates is marked "
        "`review`.",
    )
    prompt: str = Field("food-term", description="Prompt of llm: a shipped name, or a file.")


class CategoryConfig(Section):
    """How it is found in which facet categories a description says something."""

    method: Literal["pairs", "classifier", "llm"] = Field(
        "pairs",
        description="A small network over what pieces of the text and descriptors have in common, "
        "a classifier of the text (after `cascade foodex2 fit`), or a language model's list.",
    )
    network: str | None = Field(
        None, description="File of the network of pairs; the one that ships if not given."
    )
    classifier: str | None = Field(
        None, description="File of the classifier, as `cascade foodex2 fit` makes it."
    )
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Least probability of a category, in place of each one's own that was fitted.",
    )
    prompt: str = Field("choose-facets", description="Prompt of llm: a shipped name, or a file.")


class DescriptorConfig(_StageConfig):
    """How descriptors are found in a facet category."""

    method: Literal["retrieve", "rerank", "llm"] = Field(
        "retrieve", description="Likeness alone, or a cross-encoder or language model beside it."
    )
    most: int = Field(3, ge=1, description="Descriptors of a category that may have several.")
    prompt: str = Field("food-descriptor", description="Prompt of llm: a shipped name, or a file.")


class FacetsConfig(Section):
    """The walk of faceted taxonomies such as FoodEx2: base term, categories, descriptors."""

    base: BaseTermConfig = Field(default_factory=BaseTermConfig, description="The base term.")
    categories: CategoryConfig = Field(
        default_factory=CategoryConfig, description="Facet categories."
    )
    descriptors: DescriptorConfig = Field(
        default_factory=DescriptorConfig, description="Descriptors of a category."
    )
    processes: str | None = Field(
        None,
        description="EFSA's BR_Data.csv, for the rules about processes; by default the one beside "
        "the catalogue.",
    )


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


def describe_problems(error: ValidationError) -> str:
    """A pydantic error as one line that names each field."""
    problems = []
    for problem in error.errors():
        where = ".".join(map(str, problem["loc"])) or "the whole"
        if problem["type"] == "extra_forbidden":
            problems.append(f"{where}: there is no such field")
        else:
            problems.append(f"{where}: {problem['msg']}, found {problem['input']!r}")
    return "; ".join(problems)
