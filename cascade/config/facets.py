"""Settings of the walk of facets: base term, categories, descriptors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cascade.config.base import LOCAL_FILE, NAMED, Section


class _StageConfig(Section):
    """Settings that the stages which choose among terms have in common."""

    candidates: int = Field(10, ge=1, le=100_000, description="Terms that are considered.")
    temperature: float = Field(
        0.06, ge=0.001, le=10, description="Scores are divided by this before the softmax."
    )
    sure: float = Field(
        0.9,
        ge=0,
        le=1,
        description="rerank and llm judge where the likeliest term is less likely than this.",
    )
    weight: float = Field(
        1.0,
        ge=0,
        le=1000,
        description="Weight of the log-probabilities of rerank or llm beside the retriever's.",
    )
    contexts: int = Field(
        40,
        ge=0,
        le=10_000,
        description="Characters of what tells a term from others, its parent and description, in "
        "prompts of llm that show it; 0 for none.",
    )


class BaseTermConfig(_StageConfig):
    """How base terms are found: a weighted sum of what a description shares with a term."""

    method: Literal["retrieve", "rerank", "llm"] = Field(
        "retrieve", description="Similarity alone, or a cross-encoder or language model beside it."
    )
    weight: float = Field(
        0.2,
        ge=0,
        le=1000,
        description="Weight of the log-probabilities of rerank or llm beside the retriever's.",
    )
    learnt: bool = Field(
        True,
        description="Whether a small network ranks the terms that a plain sum finds, by some "
        "seventy features; else the sum of a few whose weights follow.",
    )
    network: Annotated[str | None, LOCAL_FILE] = Field(
        None, description="File of that network; the one that ships if not given."
    )
    whole: float = Field(
        1.0, ge=0, le=1000, description="Weight of the similarity of the whole text."
    )
    first: float = Field(
        0.0, ge=0, le=1000, description="Weight of the similarity of its first phrase."
    )
    piece: float = Field(
        0.25, ge=0, le=1000, description="Weight of the similarity of its best phrase."
    )
    words: float = Field(
        0.3, ge=0, le=1000, description="Weight of the share of the term's words in it."
    )
    unsaid: float = Field(
        0.2,
        ge=0,
        le=1000,
        description="What is taken off a term whose name has a word of `another` that the text "
        "does not say.",
    )
    another: list[list[str]] = Field(
        [
            ["flavour", "flavor", "flavouring", "flavoring", "essence", "aroma"],
            ["feed", "fodder"],
            ["children", "infant", "baby", "toddler", "child", "kid", "formula", "formulae"],
        ],
        description="Words that make another food of one, each with others that say as much: "
        "nobody who writes `grilled chicken` means a chicken flavour.",
    )
    tau: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Base terms whose confidence is less are not offered, neither as answer nor as "
        "alternative; where none is left there is no answer, and the row is for `review`.",
    )
    unlike: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Where no base term has this cosine similarity with the text, and no whole "
        "name is in it, none is offered: the text names no food that the catalogue knows.",
    )
    strange: float = Field(
        0.15,
        ge=0,
        le=1,
        description="What is taken off these similarities of a text of which no term has a word.",
    )
    likeness: float = Field(
        0.6,
        ge=0,
        le=1,
        description="An answer to a text with which no base term has this cosine similarity is "
        "marked `review`.",
    )
    certainty: float = Field(
        0.3,
        ge=0,
        le=1,
        description="An answer that is less likely than this among the candidates is marked "
        "`review`.",
    )
    prompt: Annotated[str, NAMED] = Field(
        "food-term", description="Prompt of llm: a shipped name, or a file."
    )


class CategoryConfig(Section):
    """How it is found in which facet categories a description says something."""

    method: Literal["said", "pairs", "classifier", "llm"] = Field(
        "said",
        description="What words of the text say and the base term does not; a small network over "
        "what the text and descriptors have in common; a classifier of the text (after `cascade "
        "foodex2 fit`); or a language model, best after "
        "`cascade finetune foodex2-tasks`.",
    )
    words: Annotated[str | None, LOCAL_FILE] = Field(
        None,
        description="File of your own words for facets, in the form of the `facets.yaml` that "
        "ships; they go before its words.",
    )
    network: Annotated[str | None, LOCAL_FILE] = Field(
        None, description="File of the network of pairs; the one that ships if not given."
    )
    classifier: Annotated[str | None, LOCAL_FILE] = Field(
        None, description="File of the classifier, as `cascade foodex2 fit` makes it."
    )
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Least probability of a category, in place of each one's own that was fitted; "
        "for llm 0.2 unless given.",
    )
    weight: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Of the log-odds of llm beside those of the network, which have 1; null: llm "
        "alone.",
    )
    prompt: Annotated[str, NAMED] = Field(
        "choose-facets", description="Prompt of llm: a shipped name, or a file."
    )
    contexts: int = Field(
        40,
        ge=0,
        le=10_000,
        description="Characters of what a category tells, in prompts of llm that show them; 0 for "
        "none.",
    )


class DescriptorConfig(_StageConfig):
    """How descriptors are found in a facet category."""

    method: Literal["retrieve", "rerank", "llm"] = Field(
        "retrieve", description="Similarity alone, or a cross-encoder or language model beside it."
    )
    most: int = Field(
        3, ge=1, le=1000, description="Descriptors of a category that may have several."
    )
    prompt: Annotated[str, NAMED] = Field(
        "food-descriptor", description="Prompt of llm: a shipped name, or a file."
    )


class FacetsConfig(Section):
    """The walk of faceted taxonomies such as FoodEx2: base term, categories, descriptors."""

    base: BaseTermConfig = Field(default_factory=BaseTermConfig, description="The base term.")
    categories: CategoryConfig = Field(
        default_factory=CategoryConfig, description="Facet categories."
    )
    descriptors: DescriptorConfig = Field(
        default_factory=DescriptorConfig, description="Descriptors of a category."
    )
    learnt: Annotated[str | None, LOCAL_FILE] = Field(
        None,
        description="File of what `cascade foodex2 fit FILE` learnt of coded descriptions; null: "
        "the catalogue alone.",
    )
    gloss: bool = Field(
        True,
        description="Descriptions in Italian, German, French, Spanish, Portuguese and Polish are "
        "read word by word as English, by a list of food words, for encoders that read English. "
        "Switch it off with an encoder of many languages.",
    )
    processes: Annotated[str | None, NAMED] = Field(
        None,
        description="EFSA's BR_Data.csv, for the rules about processes; by default the one beside "
        "the catalogue.",
    )
