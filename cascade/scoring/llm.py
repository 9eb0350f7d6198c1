"""The language-model scorer: how likely the model is to write each candidate's name."""

from __future__ import annotations

from collections import defaultdict
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cascade.generation.engine import Engine, Question, Reading
from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch, Choices, Item
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy

NO_ITEM = Item({})


class LLMScorer(Scorer):
    """Log-probability of each candidate's name as the answer to a prompt about the item.

    With `prior` the label prior is taken off, `log p(name | item) - log p(name | no item)`
    (pointwise mutual information; Holtzman et al., arXiv 2104.08315), because a small model
    prefers common words whatever the item.

    Parameters
    ----------
    engine, template, taxonomy
        Who is asked, in which words, and about what.
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
        *,
        answer: Literal["score", "generate"] = "score",
        reading: Reading = "global",
        prior: bool = True,
        max_chars: int = 400,
    ) -> None:
        self._engine = engine
        self._template = template
        self._taxonomy = taxonomy
        self._generates = answer == "generate"
        self._reading: Reading = reading
        self._subtract_prior = prior
        self._max_chars = max_chars
        self._prior = np.full(len(taxonomy), np.nan)

    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate; see `Scorer.score`."""
        questions = [
            self._ask(batch.items[row], parent, choices.nodes[start:end])
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
        scores = np.concatenate(self._engine.score(questions, self._reading))
        if self._subtract_prior:
            scores = scores - self._priors(choices)
        return choices.log_softmax(scores)

    def _ask(self, item: Item, parent: int, nodes: NDArray[np.int32]) -> Question:
        return ask(self._template, self._taxonomy, item, parent, nodes, self._max_chars)

    def _priors(self, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate without an item; computed once for each node."""
        missing: dict[int, set[int]] = defaultdict(set)
        unknown = np.isnan(self._prior[choices.nodes])
        parents = choices.parents[choices.question]
        for parent, node in zip(
            parents[unknown].tolist(), choices.nodes[unknown].tolist(), strict=True
        ):
            missing[parent].add(node)
        asked = [(parent, np.array(sorted(nodes))) for parent, nodes in missing.items()]
        questions = [self._ask(NO_ITEM, parent, nodes) for parent, nodes in asked]
        for (_, nodes), scores in zip(asked, self._engine.score(questions), strict=True):
            self._prior[nodes] = scores
        return np.asarray(self._prior[choices.nodes])


def ask(
    template: PromptTemplate,
    taxonomy: Taxonomy,
    item: Item,
    parent: int,
    nodes: NDArray[np.int32],
    max_chars: int = 400,
) -> Question:
    """The prompt about an item at a parent (-1 above the top), with the nodes' names as answers.

    Text of the item is put on one line and cut at `max_chars` for each field.
    """
    names = [taxonomy.names[node] for node in nodes.tolist()]
    above = taxonomy.path_nodes(parent).tolist() if parent >= 0 else []
    fields = {
        column: " ".join(text[:max_chars].split())
        for column, text in item.fields.items()
        if text.strip()
    }
    prompt = template.render(
        {
            "item": " ".join(fields.values()),
            "fields": fields,
            "path": [taxonomy.names[node] for node in above],
            "level": len(above) + 1,
            "candidates": names,
        }
    )
    return Question(prompt, tuple(map(template.answer, names)))


def _spread(chosen: int, logprob: float, n: int) -> NDArray[np.float64]:
    """Log-probabilities where the chosen of n candidates has its own and the rest share.

    The chosen one is kept ahead of the others even where its spelling was unlikely.
    """
    share = max(np.exp(logprob), 1 / n + 1e-6) if n > 1 else 1.0
    rest = max((1 - share) / max(n - 1, 1), 1e-12)
    out = np.full(n, np.log(rest))
    out[chosen] = np.log(share)
    return out
