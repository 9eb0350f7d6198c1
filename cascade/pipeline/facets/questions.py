"""What a language model is asked about foods: what a text tells, and which term it means.

Training asks the same questions; see `cascade.training.foodex2`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cascade.generation.engine import Question
from cascade.generation.prompts import PromptTemplate
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetCategory
from cascade.taxonomy.names import readable_name

NOTHING = "nothing more"  # the answer of a text that tells of no category
FOOD = "food"  # what is asked where candidates are base terms
CONTEXT = 40  # characters of a context, unless told otherwise

_OPENING = re.compile(  # what nearly all notes of categories begin with
    r"^.{0,60}?\bfacet\b.{0,60}?\b(?:describes|collects|containing|provides|is intended for|"
    r"to allow providing|allows (?:recording|providing|specifying)(?: information on)?)\s+",
    re.IGNORECASE | re.DOTALL,
)


class ShownTerm(NamedTuple):
    """A term as a prompt shows it: its name, and a line that tells it from others."""

    name: str
    context: str = ""


def category_names(categories: Sequence[FacetCategory]) -> list[str]:
    """The names of categories as a model writes them: `physical state`."""
    return [" ".join(own.label.lower().replace("-", " ").split()) for own in categories]


def shown_categories(
    categories: Sequence[FacetCategory], chars: int = CONTEXT
) -> list[dict[str, str]]:
    """Name and context of each category, for the part of a prompt that all foods share."""
    return [
        {"name": name, "context": _cut(_OPENING.sub("", own.note), chars)}
        for name, own in zip(category_names(categories), categories, strict=True)
    ]


def category_question(
    template: PromptTemplate, item: str, base: str, names: Sequence[str]
) -> Question:
    """Which category an item tells about, or `NOTHING`, the last answer.

    Parameters
    ----------
    template
        Knows the `categories`, where its prompt shows them.
    item, base
        The item on one line, and the name of its base term.
    names
        Of the categories that may be answered.
    """
    prompt = template.render({"item": item, "base": base})
    return Question(prompt, tuple(map(template.answer, [*names, NOTHING])))


def shown_term(tree: Taxonomy, node: int, chars: int = CONTEXT) -> ShownTerm:
    """A term with its parent's name and the beginning of its description, if it has them."""
    parent = int(tree.parent[node])
    above = readable_name(tree.names[parent]) if parent >= 0 else ""
    context = "; ".join(filter(None, [above, tree.description(node)]))
    return ShownTerm(tree.names[node], _cut(context, chars))


def term_question(
    template: PromptTemplate, item: str, about: str, terms: Sequence[ShownTerm]
) -> Question:
    """Which of some terms an item means; they are shown in the order of their names.

    So what is answered does not depend on the order in which they were found.
    """
    readable = [ShownTerm(readable_name(term.name), term.context) for term in terms]
    ordered = sorted(readable)
    variables: Mapping[str, object] = {
        "item": item,
        "about": about or FOOD,
        "candidates": [term.name for term in ordered],
        "terms": [term._asdict() for term in ordered],
    }
    answers = [template.answer(term.name) for term in readable]
    return Question(template.render(variables), tuple(answers))


def _cut(text: str, chars: int) -> str:
    """The beginning of a text on one line, up to the end of a word."""
    text = " ".join(text.split())
    return text if len(text) <= chars else text[:chars].rpartition(" ")[0].rstrip(",;:(")
