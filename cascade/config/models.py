"""Settings of the language model and its engines, and of the models that read pairs of texts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from cascade.config.base import LOCAL_FOLDER, NAMED, Section
from cascade.config.retrieval import NodeText

OF_PRODUCTS, OF_ANY = "file-under", "name-category"
"""Prompts for choosing a candidate, by what the items are."""

DEVICE = r"^(auto|mps|(cpu|cuda)(:\d{1,3})?)$"


class VLLMConfig(Section):
    """vLLM in this process."""

    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Further arguments of vllm.LLM: tensor_parallel_size, gpu_memory_utilization, "
        "max_model_len, quantization, ...",
    )


class ServerConfig(Section):
    """An OpenAI-compatible server. Items are sent to it and nowhere else."""

    url: str | None = Field(
        None, description="Where its API begins, for example http://127.0.0.1:8000/v1."
    )
    kind: Literal["auto", "vllm", "llama.cpp", "openai"] = Field(
        "auto",
        description="What it is, which decides how it is asked; auto goes by its list of models. "
        "openai is any other: it is asked in chat form, and can only generate "
        "(llm.answer: generate).",
    )
    model: str | None = Field(
        None,
        description="What it calls the model, or an adapter that it has loaded; by default the "
        "first of its list.",
    )
    api_key_env: str | None = Field(
        None, description="Environment variable that holds the key; the key itself is kept nowhere."
    )
    concurrency: int = Field(8, ge=1, le=1024, description="Requests under way at a time.")
    timeout: float = Field(
        120,
        gt=0,
        le=86_400,
        description="Seconds until a request has failed: for all of it, to the last byte.",
    )
    retries: int = Field(
        4,
        ge=0,
        le=100,
        description="How often a request is sent again after 429, 5xx, a broken connection, a "
        "time-out or an answer of the wrong form, with waits that double (or as the server says).",
    )
    max_requests: int | None = Field(
        None,
        ge=0,
        le=10**15,
        description="Requests after which the model no longer answers in this run.",
    )
    max_tokens: int | None = Field(
        None,
        ge=0,
        le=10**15,
        description="Tokens, read and written, after which the model no longer answers in this "
        "run; the fallback does.",
    )


class LLMConfig(Section):
    """The language model: which one, where it runs, and how it scores candidates."""

    engine: Literal["transformers", "vllm", "server"] = Field(
        "transformers",
        description="What runs the model: transformers, or vllm, in this process; or a server.",
    )
    vllm: VLLMConfig = Field(default_factory=VLLMConfig, description="The engine vllm.")
    server: ServerConfig = Field(default_factory=ServerConfig, description="The engine server.")
    model: Annotated[str, NAMED] = Field(
        "smollm2-135m",
        description="Weights: built-in name, folder, GGUF or hub. For a server only the tokenizer "
        "is read, and not even that if its kind is openai.",
    )
    adapter: Annotated[str | None, LOCAL_FOLDER] = Field(
        None, description="Folder of a LoRA adapter of the model, as `cascade finetune` makes it."
    )
    prompt: Annotated[str | None, NAMED] = Field(
        None,
        description="Prompt for choosing a candidate: a shipped name, or a file. null: "
        f"{OF_PRODUCTS} for products (see item.kind), {OF_ANY} for others.",
    )
    type_prompt: Annotated[str, NAMED] = Field(
        "item-type", description="Prompt for naming the kind of thing that an item is."
    )
    answer: Literal["score", "generate"] = Field(
        "score", description="Score every candidate, or generate one under the grammar."
    )
    reading: Literal["auto", "global", "local"] = Field(
        "auto",
        description="Log-probability of whole names (global), or renormalised at each branching of "
        "the names (local). Auto: global where an untuned model judges alone with the prior "
        "subtracted, since there it is more right; else local, which is faster.",
    )
    named: Literal["auto", "encoder", "model"] = Field(
        "auto",
        description="Who judges where an item names a candidate as it is: there a small model "
        "copies what it reads, also out of 'file this under ...'. Auto: the encoder, or the model "
        "where an adapter has tuned it.",
    )
    prior: bool = Field(
        True, description="Subtract each candidate's log-probability without the item."
    )
    device: str = Field(
        "auto",
        pattern=DEVICE,
        description="auto, cpu, cuda, cuda:1 or mps; for the engine transformers.",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Number type of the weights in memory."
    )
    batch_tokens: int = Field(
        4096,
        ge=256,
        le=10**7,
        description="Tokens in one forward pass; for the engine transformers.",
    )
    max_chars: int = Field(
        200, ge=16, le=10**7, description="Characters of each field that are read."
    )


class _PairConfig(Section):
    """Settings that models which read an item and a text of a node together have in common."""

    device: str = Field("auto", pattern=DEVICE, description="auto, cpu, cuda, cuda:1, mps.")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "float32",
        description="Number type of the weights in memory; half precision makes ties of near "
        "candidates.",
    )
    batch_tokens: int = Field(4096, ge=256, le=10**7, description="Tokens in one forward pass.")
    max_chars: int = Field(
        1000, ge=16, le=10**7, description="Characters of an item that are read."
    )


class NLIConfig(_PairConfig):
    """How a model of natural language inference is asked: does the item entail the hypothesis?"""

    model: Annotated[str, NAMED] = Field(
        "MoritzLaurer/deberta-v3-base-zeroshot-v2.0",
        description="Weights of a sequence classifier with a label `entailment`, or of a GLiClass "
        "model, which reads the names of all candidates at once (extra `gliclass`): folder or hub; "
        "small:nli has random ones, for trying a set-up.",
    )
    hypothesis: str = Field(
        "This {kind} is about {name}.",
        description="What is claimed of the item; {name} stands for the candidate's name, {kind} "
        "for what the item is (see item.kind); GLiClass reads the name alone. The "
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

    model: Annotated[str, NAMED] = Field(
        "cross-encoder/ms-marco-MiniLM-L6-v2",
        description="Weights of a sequence classifier with one label, the relevance, or of a "
        "reader that `cascade finetune` made, which is in bfloat16 where the hardware multiplies "
        "it: folder or hub; small:cross-encoder has random ones, for trying a set-up.",
    )
    candidates: int = Field(
        25,
        ge=1,
        le=100_000,
        description="Leaves of the whole taxonomy that are read for each item.",
    )
    texts: NodeText = Field(
        "path",
        description="What of a leaf is read, as in retrieval.texts; several texts are joined.",
    )
    temperature: float = Field(
        1.0,
        ge=0.001,
        le=100,
        description="Relevances are divided by this before the softmax; of a cross-encoder.",
    )
    threshold: float = Field(
        1.0,
        ge=0,
        le=1,
        description="A reader is asked about items whose likeliest leaf has a lower probability by "
        "retrieval; 0: about none, 1: about all.",
    )
    weight: float = Field(
        0.5,
        ge=0,
        le=100,
        description="Weight of what a reader says, where retrieval's log-probabilities have 1.",
    )
