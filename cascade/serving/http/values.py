"""What requests and answers look like: the schemas of the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from cascade.serving.values import AlternativeValue, FacetValue


class Asked(BaseModel):
    """A part of a request: unknown names are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ItemBody(Asked):
    """One item: `text`, or `fields`, and a picture where the classifier reads pictures."""

    text: str | None = Field(
        None, description="The text of the item; a pack reads it as the first of its columns."
    )
    fields: dict[str, JsonValue] | None = Field(
        None,
        description="In place of `text`: values by column, as a row of a file has them. A pack "
        "reads the columns that it was fitted to.",
    )
    image: str | None = Field(
        None,
        description="A picture: the bytes of a JPEG, PNG, WebP, GIF, BMP or TIFF file in base64, "
        "or a data URI. Paths and addresses are not read.",
    )
    id: str | None = Field(None, description="Your own identifier; it stands in the answer.")


def _whole(value: Any) -> Any:
    """2.0 as 2: JSON has one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class FormBody(Asked):
    """What answers shall tell."""

    top: Annotated[int, BeforeValidator(_whole)] = Field(
        0, ge=0, description="How many alternatives are told; more than 0 looks at more paths."
    )
    trace: bool = Field(
        False, description="Whether each level is told with its candidates and their scores."
    )


class ClassifyBody(FormBody, ItemBody):
    """One item, and what its answer shall tell."""


class ClassifyManyBody(FormBody):
    """Items, and what their answers shall tell."""

    items: list[str | ItemBody | None] = Field(
        description="Texts or items. The columns of the text, where nothing names them, are chosen "
        "by all `fields` of the request together.",
    )


class ExplainBody(ItemBody):
    """One item to be explained."""

    words: bool | None = Field(
        None,
        description="Whether the item is answered again without each of its words, to tell what "
        "each did; by default where that is quick.",
    )


class Answer(BaseModel):
    """Where an item belongs."""

    id: str | None = Field(description="The identifier of the request, else null.")
    code: str | None = Field(
        description="The node; null only where the status is `nowhere` or `error`."
    )
    path: str | None = Field(description="Names from the top, such as `A > B > C`.")
    confidence: float | None = Field(
        description="Probability that the item lies at or below the node; null without a node."
    )
    source: str = Field(description="The method that answered.")
    status: Literal["ok", "review", "partial", "nowhere", "error"] = Field(
        description="`partial`: a node above, since none below is sure enough, or answered by the "
        "fallback; `review`: not even that is sure, a person should look at it; `nowhere`: it "
        "belongs to no node; `error`: not answered, see the message."
    )
    message: str = Field(description="Why the status is not `ok`.")
    alternatives: list[AlternativeValue] | None = Field(
        None, description="Where `top` asks for them: other nodes, best first."
    )
    trace: list[dict[str, Any]] | None = Field(
        None, description="Where `trace` asks for it: each level with its candidates."
    )
    facets: list[FacetValue] | None = Field(None, description="Of a code of FoodEx2.")
    set: list[dict[str, Any]] | None = Field(
        None,
        description="Where `calibration.set_coverage` is set: nodes, one of which is right or "
        "above the right one.",
    )
    question: str | None = Field(
        None, description="Of the method `agent`: what it asks and nobody has answered."
    )


class Answers(BaseModel):
    """Answers in the order of the items."""

    answers: list[Answer]


class Account(BaseModel):
    """Why an item was filed where it was."""

    item: dict[str, str] = Field(description="The texts that were read, by column.")
    answer: dict[str, Any] = Field(description="The whole prediction.")
    words: list[dict[str, Any]] = Field(
        description="Words with what each did for the confidence, from -1 to 1."
    )
    text: str = Field(description="All of it, to be read.")


class About(BaseModel):
    """What answers here."""

    version: str
    title: str = Field(description="Of the taxonomy.")
    nodes: int
    leaves: int
    levels: int
    fingerprint: str = Field(description="Of the taxonomy: another one has another.")
    method: str
    reads: list[str] = Field(
        description="The columns that a pack was fitted to; empty where any text will do."
    )
    limits: dict[str, float] = Field(
        description="Bounds of requests, as in `serve` of a cascade.yaml."
    )


class State(BaseModel):
    """Whether the service answers."""

    status: Literal["ok"]
