"""The language model: how likely it is to write each candidate's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cascade.config import CascadeConfig
from cascade.errors import InputError
from cascade.generation.engine import Engine, Question, Reading
from cascade.generation.prompts import PromptTemplate
from cascade.io.pictures import open_picture
from cascade.items import Batch, Choices, Item
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import readable_name

if TYPE_CHECKING:
    from cascade.scoring.components import Components
    from cascade.scoring.methods.rewrite import QueryRewriter

NO_TEXT = "the thing in the picture"

NO_ITEM = (("", ""), ("N/A", "N/A"), ("Product", "product"), ("Item", "item"))
"""Content-free items with their types; the prior is the mean over them (contextual calibration,
Zhao et al., arXiv 2102.09690)."""


class LLMScorer(Scorer):
    """Log-probability of each candidate's name as the answer to a prompt about the item.

    With `prior` the label prior is taken off, `log p(name | item) - log p(name | no item)`
    (pointwise mutual information; Holtzman et al., arXiv 2104.08315), because a small model
    prefers common words whatever the item.

    Parameters
    ----------
    engine, template, taxonomy
        Who is asked, in which words, and about what.
    typer
        Says first what kind of thing an item is; the prompt shows it.
    answer
        Score every candidate, or generate one under a grammar: then the spelled candidate has
        the probability of its spelling and the others share the rest; the prior is not used.
    reading
        Whole names, or renormalised at each branching; see `Reading`.
    prior
        Whether the prior is taken off.
    max_chars
        Characters of each field that the prompt shows.
    """

    name = "llm"

    def __init__(
        self,
        engine: Engine,
        template: PromptTemplate,
        taxonomy: Taxonomy,
        typer: QueryRewriter,
        *,
        answer: Literal["score", "generate"] = "score",
        reading: Reading = "local",
        prior: bool = True,
        max_chars: int = 200,
    ) -> None:
        self.reads_pictures = engine.reads_pictures
        self.reads_candidate_order = "candidates" in template.head.variables
        self._engine = engine
        self._template = template
        self._taxonomy = taxonomy
        self._typer = typer
        self._generates = answer == "generate"
        self._reading: Reading = reading
        self._subtract_prior = prior
        self._max_chars = max_chars
        self._prior = np.full(len(taxonomy), np.nan)

    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate; see `Scorer.score`."""
        shown = [prompt_text(item, self._max_chars) for item in batch.items]
        pictures = readable_pictures(batch) if self.reads_pictures else [None] * len(batch)
        # The model is asked what items are only by prompts that show it.
        types = self._typer.types(batch) if "type" in self._template.head.variables else shown
        questions = [
            with_picture(
                self._ask(shown[row], types[row], parent, choices.nodes[start:end]), pictures[row]
            )
            for row, parent, start, end in zip(
                choices.rows.tolist(),
                choices.parents.tolist(),
                choices.offsets[:-1].tolist(),
                choices.offsets[1:].tolist(),
                strict=True,
            )
        ]
        if self._generates:
            return np.concatenate(
                [
                    _spread(chosen, logprob, len(question.answers))
                    for question, (chosen, logprob) in zip(
                        questions, self._engine.generate(questions), strict=True
                    )
                ]
            )
        session = batch.once((self, "session"), lambda _: object())
        scores = np.concatenate(self._engine.score(questions, self._reading, session))
        if self._subtract_prior:
            scores = scores - self._priors(choices)
        return choices.log_softmax(scores)

    def _ask(self, item: str, type_: str, parent: int, nodes: NDArray[np.int32]) -> Question:
        return make_question(self._template, self._taxonomy, item, type_, parent, nodes)

    def _priors(self, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate without an item; computed once for each parent.

        All children of a parent are asked for together, so that a prior does not depend on which
        items came first, and has the siblings beside it that the local reading needs.
        """
        for parent in np.unique(choices.parents).tolist():
            children = self._taxonomy.children(parent)
            if np.isnan(self._prior[children]).any():
                asked = [self._ask(item, type_, parent, children) for item, type_ in NO_ITEM]
                self._prior[children] = np.mean(self._engine.score(asked, self._reading), axis=0)
        return np.asarray(self._prior[choices.nodes])


def with_picture(question: Question, picture: Any) -> Question:
    """The question with a picture in its prompt, if there is one."""
    if picture is None:
        return question
    return replace(question, prompt=replace(question.prompt, image=picture))


def make_question(
    template: PromptTemplate,
    taxonomy: Taxonomy,
    item: str,
    type_: str,
    parent: int,
    nodes: NDArray[np.int32],
) -> Question:
    """The prompt about an item at a parent (-1 above the top), with the nodes' names as answers.

    Parameters
    ----------
    item, type_
        The item and its kind, on one line each.
    """
    above = taxonomy.path_nodes(parent).tolist() if parent >= 0 else []
    names = [readable_name(taxonomy.names[node]) for node in nodes.tolist()]
    prompt = template.render(
        {
            "item": item,
            "type": type_,
            "path": [readable_name(taxonomy.names[node]) for node in above],
            "level": len(above) + 1,
            "candidates": names,
        }
    )
    return Question(prompt, tuple(map(template.answer, names)))


def _spread(chosen: int, logprob: float, n: int) -> NDArray[np.float64]:
    """Log-probabilities where the chosen of n candidates has its own and the rest share.

    The chosen one is kept ahead of the others even where its spelling was unlikely.
    """
    share = min(max(np.exp(logprob), 1 / n + 1e-6), 1 - 1e-9) if n > 1 else 1.0
    out = np.full(n, np.log((1 - share) / max(n - 1, 1)) if n > 1 else 0.0)
    out[chosen] = np.log(share)
    return out


def readable_pictures(batch: Batch) -> list[Any]:
    """The picture of each item, None where there is none or it cannot be read, which is noted."""

    def look(items: Sequence[Item]) -> list[Any]:
        found: list[Any] = []
        for row, item in enumerate(items):
            try:
                found.append(None if item.image is None else open_picture(item.image))
            except InputError as error:
                batch.problems[row] = str(error)
                found.append(None)
        return found

    return batch.once(("pictures", "opened"), look)


def prompt_text(item: Item, max_chars: int) -> str:
    """What a prompt shows of an item: its text, or that there is a picture in place of one."""
    return one_line_text(item, max_chars) or (NO_TEXT if item.image is not None else "")


def one_line_text(item: Item, max_chars: int) -> str:
    """The text of an item on one line, each field cut at `max_chars`."""
    fields = (" ".join(text[:max_chars].split()) for text in item.fields.values())
    return " ".join(field for field in fields if field)


def make(components: Components) -> LLMScorer:
    """The configured language model and prompt."""
    config = components.config.llm
    return LLMScorer(
        components.engine,
        PromptTemplate.load(config.prompt),
        components.taxonomy,
        components.rewriter,
        answer=config.answer,
        reading=reading_of(components.config),
        prior=config.prior,
        max_chars=config.max_chars,
    )


def reading_of(config: CascadeConfig) -> Reading:
    """How names are read: as `llm.reading` says, or for `auto` as was measured to be best.

    Whole names are more right where an untuned model judges alone with the prior subtracted
    (eval/results/readings.md); elsewhere there is no sure difference, and `local` is faster.
    """
    llm = config.llm
    if llm.reading != "auto":
        return llm.reading
    untuned = llm.adapter is None and llm.prior
    alone = config.method == "llm" and llm.engine != "server"
    return "global" if alone and untuned else "local"
