"""Settings of retrieval and of the descent."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from cascade.config.base import LOCAL_FOLDER, NAMED, Section

ENCODER = "cascade-minilm-1"
"""The sentence encoder where nothing was fitted: of items, and of the names of any taxonomy."""

FITTED_ENCODER = "minilm"
"""The sentence encoder below what is fitted to labels (heads, neighbours), and of FoodEx2, whose
networks and thresholds are fitted to it."""

UNSAID: dict[str, Any] = {
    "encoder": FITTED_ENCODER,
    "words": 0.0,
    "temperature": 0.04,
    "caution": 0.0,
    "calibrated": False,
}
"""What `retrieval` means in a pack that does not say it: it was made when these were the
defaults."""

NodeText = Literal["leaf", "path", "path+description", "full", "forms"]
PathChoice = Literal["walk", "likeliest"]
Objective = Literal["leaf", "hf1"]
IndexKind = Literal["auto", "flat", "hnsw", "ivf"]

LONGEST_PROMPT = 2000  # characters; most encoders read no more than these in all
JOINERS = "\u200c\u200d"  # format characters that words of some languages are written with


def prompt_problem(prompt: str) -> str:
    """Why a text is no prompt of an encoder; empty where it is one."""
    if len(prompt) > LONGEST_PROMPT:
        return f"has {len(prompt):,} characters; a prompt has {LONGEST_PROMPT:,} at most"
    for character in prompt:
        odd = unicodedata.category(character) in ("Cc", "Cf", "Cs")
        if odd and character not in f"\n\t{JOINERS}":
            return f"holds the control character {character!a}; take it out"
    return ""


def _checked(prompt: str) -> str:
    if problem := prompt_problem(prompt):
        raise ValueError(problem)
    return prompt


Prompt = Annotated[str, AfterValidator(_checked)]
"""What an encoder reads before a text; empty for nothing."""


class RetrievalConfig(Section):
    """How an item is compared with the texts of nodes, and how many candidates are kept."""

    encoder: Annotated[str | None, LOCAL_FOLDER] = Field(
        None,
        description="Sentence encoder: built-in name, folder or hub. null: "
        f"{ENCODER}, and {FITTED_ENCODER} for FoodEx2, whose networks are fitted to it. One that "
        "wants prompts gets them: see query_prompt. For pictures one that reads both, as CLIP and "
        "SigLIP do; small:clip has random weights, for trying a set-up.",
    )
    vision: Annotated[str | None, NAMED] = Field(
        None,
        description="Built-in network that tells in words what pictures show, for an encoder that "
        "reads texts only: efficientnet-lite0. Pictures are then compared with nodes by the "
        "likeliest classes of ImageNet, best with `texts: path` and, without texts beside them, "
        f"`encoder: {FITTED_ENCODER}`. null: only an encoder of pictures (CLIP) reads them.",
    )
    query_prompt: Prompt | None = Field(
        None,
        description="What the encoder reads before the text of an item, such as 'query: '. null: "
        "as the encoder's own config says, or else what its family is known to want (E5, BGE, "
        'Qwen3-Embedding, ...). "": nothing.',
    )
    document_prompt: Prompt | None = Field(
        None,
        description="What the encoder reads before the text of a node, such as 'passage: '; null "
        'and "" as for query_prompt.',
    )
    texts: NodeText = Field(
        "full",
        description="What of a node is embedded: its name (leaf), its path, path, description and "
        "synonyms (path+description), or name with parent, description, synonyms and translations "
        "(full); the best of several texts counts. forms: as full, with the mean of the name, the "
        "name with its parent's and the path in place of the name: more often right with encoders "
        "that were not tuned to file items, and three times as much to encode.",
    )
    words: float = Field(
        0.1,
        ge=0,
        le=100,
        description="Weight of the characters that an item and a node's text share (runs of four "
        "inside words, rare ones more), where meaning has 1: for codes, brands and jargon, which "
        "an encoder does not know. 0: meaning alone.",
    )
    index: IndexKind = Field(
        "auto",
        description="flat compares each item with every text. hnsw (a FAISS graph) and ivf (FAISS "
        "inverted lists) find nearly all of the nearest texts for far less work. auto: flat up to "
        "100,000 texts, hnsw beyond (flat on a GPU, with faiss-gpu). With hnsw and ivf, and always "
        "beyond 100,000 texts, narrowing and scoring use only the texts that were found.",
    )
    hits: int = Field(
        256, ge=1, le=100_000, description="Texts found for each item by an hnsw or ivf index."
    )
    candidates: int = Field(
        10,
        ge=1,
        le=10**7,
        description="Children of a node that are kept as candidates. As many as the widest node "
        "has keeps all.",
    )
    ranking: int = Field(
        0,
        ge=0,
        le=10**6,
        description="Leaves of the whole taxonomy to rank for each item, by methods that compare "
        "items with all leaves; 0 for none.",
    )
    temperature: float = Field(
        0.05,
        ge=0.001,
        le=10,
        description="Similarities are divided by this before the softmax.",
    )
    caution: float = Field(
        1.2,
        ge=0,
        le=100,
        description="How much less than in proportion the lead of the most similar leaf counts: "
        "where it leads the next by a similarity of g, the temperature is exp(caution * g) times "
        "as high. A lead looks surer than it is.",
    )
    calibrated: bool = Field(
        True,
        description="Move the confidence of the likeliest leaf by what tells, without labels, how "
        "often such answers are right: how much of its name stands in the text, how many other "
        "leaves compete, its lead. Learnt over many taxonomies; it does not change the likeliest "
        "leaf. For answers of the method `retrieval` to texts, where no `descent.depth`, `ends` "
        "or `stays` is set; false: the softmax as it is.",
    )
    adapt: bool = Field(
        False,
        description="Learn from the texts of a file, before its rows are answered, how frequent "
        "each node is in it (--adapt); no labels are read. It helps where a file holds much of "
        "little, as a shop does, and does harm where all nodes are about as frequent. For the "
        "methods `retrieval` and `rewrite`, in runs over files; in Python see Classifier.adapt.",
    )
    first_pass: bool = Field(
        False,
        description="Let most rows of a large file be answered without the encoder (--first-pass): "
        "it answers some thousand of them, a table of words that is fitted to these answers goes "
        "first, and alone where it is sure. For the method `retrieval` in runs over files; in "
        "Python see Classifier.learn_first_pass.",
    )
    first_pass_loss: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Hierarchical F1 that the first pass may lose to the encoder, over all rows, "
        "as the encoder's own probabilities tell it. More lets it answer more rows.",
    )
    rewrite_weight: float = Field(
        0.35,
        ge=0,
        le=100,
        description="Weight of the language model's words for an item, where the item itself has "
        "1.",
    )


class DescentConfig(Section):
    """How the descent decides."""

    objective: Objective = Field(
        "leaf",
        description="What the answer is best at, where a method knows the probability of every "
        "node at once (retrieval, rewrite, rerank, neighbours, heads alone). leaf: the likeliest "
        "leaf, which is most often exactly right. hf1: the node with the greatest expected "
        "hierarchical F1, an inner node where its leaves are hard to tell apart.",
    )
    answer: PathChoice | None = Field(
        None,
        description="How methods answer that judge the children of one node at a time. walk: the "
        "likeliest child at each level; this if not given. likeliest: the likeliest whole path "
        "among those that the beam kept. Given, it holds for all methods, in place of `objective`.",
    )
    beam: int = Field(3, ge=1, le=10_000, description="Paths kept at each level.")
    depth: int | None = Field(
        None, ge=1, le=10**6, description="Deepest level of an answer; the leaves if not given."
    )
    ends: list[str] = Field(
        default_factory=list,
        description="Codes of inner nodes where a path ends, as at a leaf. In a pack: nodes below "
        "which no row was labelled.",
    )
    stays: list[str] = Field(
        default_factory=list,
        description="Codes of inner nodes that may be the answer themselves: beside the children "
        "of such a node stands the choice to stay at it. In a pack: inner nodes that rows were "
        "labelled with.",
    )
    stop: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Stop at a node if the next one, given the node, has less than this "
        "probability. The status is then `partial`. If not given, 0.3 where methods walk, and 0 "
        "where there is an `objective`.",
    )
