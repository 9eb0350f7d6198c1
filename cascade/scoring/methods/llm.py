"""The language model: how likely it is to write each candidate's name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from cascade.config import CascadeConfig, LLMConfig
from cascade.errors import EngineError
from cascade.generation.engine import Engine, Reading
from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch, Choices
from cascade.scoring.item_prompts import (
    QueryRewriter,
    chosen_log_probs,
    make_question,
    prompt_text,
    readable_pictures,
)
from cascade.scoring.kept_priors import KeptPriors
from cascade.scoring.mentions import Mentions
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    from cascade.scoring.components import Components


def empty_items(kind: str) -> tuple[tuple[str, str], ...]:
    """Content-free items of a kind with their types; the prior is the mean over them.

    Contextual calibration (Zhao et al., arXiv 2102.09690).
    """
    return ("", ""), ("N/A", "N/A"), (kind.capitalize(), kind.lower()), ("Item", "item")


class LLMScorer(Scorer):
    """Log-probability of each candidate's name as the answer to a prompt about the item.

    With `prior` the label prior is subtracted, `log p(name | item) - log p(name | no item)`
    (pointwise mutual information; Holtzman et al., arXiv 2104.08315), because a small model
    prefers common words whatever the item.

    Parameters
    ----------
    engine, template, taxonomy
        The model, its prompt, and whose nodes it chooses among.
    rewriter
        Writes the types of items, where the prompt shows them.
    answer
        Score every candidate, or generate one under a grammar: then the candidate that was written
        has the probability of its name, and the others share the rest; the prior is not used.
    reading
        Whole names, or renormalised at each branching; see `Reading`.
    prior
        Whether the prior is subtracted.
    max_chars
        Characters of each field that the prompt shows.
    encoder
        Gives the scorer that judges in the model's place where an item names a candidate as it is,
        for there the model copies; without it the model judges that too.
    kept
        Priors of earlier processes; None keeps nothing.
    """

    name = "llm"

    def __init__(
        self,
        engine: Engine,
        template: PromptTemplate,
        taxonomy: Taxonomy,
        rewriter: QueryRewriter,
        *,
        answer: Literal["score", "generate"] = "score",
        reading: Reading = "local",
        prior: bool = True,
        max_chars: int = 200,
        encoder: Callable[[], Scorer] | None = None,
        kept: KeptPriors | None = None,
    ) -> None:
        self.reads_pictures = engine.reads_pictures
        self.reads_candidate_order = "candidates" in template.head.variables
        self._engine = engine
        self._template = template
        self._taxonomy = taxonomy
        self._rewriter = rewriter
        self._generates = answer == "generate"
        self._reading: Reading = reading
        self._subtract_prior = prior
        self._max_chars = max_chars
        self._encoder = encoder
        self._empty = empty_items(template.kind)
        self._mentions = Mentions(taxonomy.names)
        self._kept = kept
        self._prior = np.full(len(taxonomy), np.nan) if kept is None else kept.read()

    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate; see `Scorer.score`."""
        texts = [prompt_text(item, self._max_chars) for item in batch.items]
        shows_type = "type" in self._template.head.variables
        types = self._rewriter.types(batch) if shows_type else texts
        # An item that the model failed on is not asked about again at each level.
        failed = np.isin(choices.rows, list(batch.failures))
        named = np.zeros(len(choices), bool)
        if self._encoder is not None:
            named = self._mentions(texts, choices) & ~failed
        scores = np.zeros(len(choices.nodes))
        asked, member = choices.subset(~failed & ~named)
        if len(asked):
            scores[member] = self._asked(batch, asked, texts, types)
        if self._encoder is not None and named.any():
            compared, member = choices.subset(named)
            judged = self._encoder().score(batch, compared)
            scores[member] = self._mentions.fuller(texts, compared, judged)
        return choices.log_softmax(scores)

    def _asked(
        self, batch: Batch, choices: Choices, texts: Sequence[str], types: Sequence[str]
    ) -> NDArray[np.float64]:
        """What the model makes of each candidate, not yet normalised."""
        pictures = readable_pictures(batch) if self.reads_pictures else [None] * len(batch)
        candidates = np.split(choices.nodes, choices.offsets[1:-1])
        questions = [
            make_question(
                self._template, self._taxonomy, texts[row], types[row], parent, nodes, pictures[row]
            )
            for row, parent, nodes in zip(
                choices.rows.tolist(), choices.parents.tolist(), candidates, strict=True
            )
        ]
        if self._generates:
            written = [
                answer
                if isinstance(answer, EngineError)
                else chosen_log_probs(*answer, len(question.answers))
                for question, answer in zip(
                    questions, self._engine.generate(questions), strict=True
                )
            ]
            return _joined(batch, choices, written)
        session = batch.once((self, "session"), lambda _: object())
        found = self._engine.score(questions, self._reading, session)
        scores = _joined(batch, choices, found)
        return scores - self._priors(batch, choices) if self._subtract_prior else scores

    def _priors(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate without an item; computed once for each parent.

        All children of a parent are asked for together, so that a prior does not depend on which
        items came first, and has the siblings beside it that the local reading needs.
        """
        new = False
        for parent in np.unique(choices.parents).tolist():
            children = self._taxonomy.children(parent)
            if np.isnan(self._prior[children]).any():
                asked = [
                    make_question(self._template, self._taxonomy, item, type_, parent, children)
                    for item, type_ in self._empty
                ]
                found = self._engine.score(asked, self._reading)
                failed = next((own for own in found if isinstance(own, EngineError)), None)
                if failed is not None:  # it is asked again for the next batch
                    for row in choices.rows[choices.parents == parent].tolist():
                        batch.failures.setdefault(row, failed)
                    continue
                self._prior[children] = np.mean(np.array(found, dtype=np.float64), axis=0)
                new = True
        if new and self._kept is not None:
            self._kept.add(self._prior)
        return np.asarray(self._prior[choices.nodes])


def _joined(
    batch: Batch, choices: Choices, answers: Sequence[NDArray[np.float64] | EngineError]
) -> NDArray[np.float64]:
    """The scores of all candidates, zeros where the model failed, which is noted in the batch."""
    scores = []
    sizes, rows = choices.sizes.tolist(), choices.rows.tolist()
    for row, size, answer in zip(rows, sizes, answers, strict=True):
        if isinstance(answer, EngineError):
            batch.failures.setdefault(row, answer)
            answer = np.zeros(size)
        scores.append(answer)
    return np.concatenate(scores)


def make(components: Components) -> LLMScorer:
    """The configured language model and prompt."""
    config, engine = components.config.llm, components.engine
    template = components.prompt(components.config.child_prompt)
    reading, model = reading_of(components.config), getattr(engine, "identity", None)
    kept = None
    if config.prior and config.answer == "score" and model is not None:
        kept = KeptPriors.of(model, template, components.taxonomy, reading)
    return LLMScorer(
        engine,
        template,
        components.taxonomy,
        components.rewriter,
        answer=config.answer,
        reading=reading,
        prior=config.prior,
        max_chars=config.max_chars,
        encoder=(lambda: components.scorer("retrieval")) if _asks_encoder(config) else None,
        kept=kept,
    )


def _asks_encoder(config: LLMConfig) -> bool:
    """Whether the encoder judges where a candidate is named, as `llm.named` says.

    For `auto` a model that was tuned judges itself: it has learnt what a name in an item is worth.
    """
    return config.named == "encoder" or (config.named == "auto" and config.adapter is None)


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
