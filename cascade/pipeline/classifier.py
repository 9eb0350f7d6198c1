"""The `Classifier`: what `cascade.load` returns, a taxonomy with everything that answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from cascade.confidence.acceptance import Acceptance
from cascade.confidence.nowhere import by_names
from cascade.config import BATCH, ENCODER, CascadeConfig, Columns
from cascade.errors import UsageError
from cascade.forks import Turn
from cascade.items import Batch, Item, as_text
from cascade.models.runtime import refuse_lost_gpu
from cascade.pipeline.doors.awaiting import Awaiting
from cascade.pipeline.doors.explaining import Explaining
from cascade.pipeline.doors.framing import Framing
from cascade.pipeline.doors.hastening import Hastening
from cascade.pipeline.doors.refusing import Refusing
from cascade.pipeline.doors.retracing import Retracing
from cascade.pipeline.doors.teaching import Teaching
from cascade.pipeline.doors.weighing import Weighing
from cascade.pipeline.intake import Intake, names_of
from cascade.pipeline.pack import resolve_paths
from cascade.pipeline.router import Router
from cascade.pipeline.walker import Walker
from cascade.pipeline.watching import Sentinel, Watched
from cascade.predictions import Prediction
from cascade.predictions.columns import PredictionColumns, Predictions
from cascade.scoring.adaptation import check_adapts
from cascade.scoring.components import Components
from cascade.scoring.first_pass.deciding import check_first_pass
from cascade.taxonomy import Node, Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.values import is_visible

if TYPE_CHECKING:
    from cascade.generation.heard_engine import Listener
    from cascade.pipeline.agent.loop import Ask
    from cascade.pipeline.facets.walk import FacetWalk
    from cascade.retrieval.text_vectors import Progress

CELLS = 1 << 25  # similarities of items with nodes that are held at a time
MANY = 8192  # nodes with which more items at a time cost more memory than they save


class Classifier(
    Awaiting, Explaining, Framing, Hastening, Refusing, Retracing, Teaching, Watched, Weighing
):
    """Files items under a taxonomy; made by `cascade.load`.

    Parameters
    ----------
    config
        Its `method` names the method that answers.
    progress
        Called with (done, all) while an index is built, which happens once for a taxonomy.
    ask
        Answers questions of the agent; see `cascade.load`.

    Attributes
    ----------
    seconds
        Time that all batches so far took, by stage.

    Raises
    ------
    UsageError
        The method is unknown, or there is a column of pictures and the encoder reads none.
    WeightsError
        Weights that the method needs are not found.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        config: CascadeConfig,
        *,
        progress: Progress | None = None,
        ask: Ask | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self.config = config
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._components = components = Components(taxonomy, config, progress, listener)
        if config.retrieval.adapt:
            check_adapts(taxonomy, components.method)
        if config.retrieval.first_pass:
            check_first_pass(taxonomy, components.method, config)
        self._walker = _walker(taxonomy, components)
        self._acceptance = Acceptance(
            *(config.calibration, components.method),
            climbs=isinstance(self._walker, Router),
            by_names=by_names(config),
        )
        self._prepare_acceptance()
        self.sentinel = Sentinel(components)
        self._turn = Turn()
        self._adaptation = None
        if ask is not None:
            self._agent.ask = ask
        self.check_pictures_are_read(config.columns)

    @property
    def facet_walk(self) -> FacetWalk | None:
        """The stages of a faceted taxonomy; None where others answer."""
        tree = self.taxonomy
        faceted = isinstance(tree, FacetedTaxonomy) and bool(tree.categories)
        is_agent = self._components.method == "agent"
        return cast("FacetWalk", self._walker) if faceted and not is_agent else None

    @property
    def warning(self) -> str:
        """Why every answer will be for review, in words; empty where that is not so."""
        return self._acceptance.warning

    def _prepare_acceptance(self) -> None:
        """Let the walker keep what is asked of each batch when its answers are accepted."""
        if isinstance(self._walker, Router):
            sets = self._acceptance.ask_sets(self._components.taxonomy, self._walker.is_end)
            self._walker.opens = None if sets is None else sets.least
            if self._acceptance.nowhere is not None:
                self._walker.judge_by(self._acceptance.nowhere.scorer)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and other processes load what the config names for themselves."""
        made_of = self.taxonomy, resolve_paths(self.config, Path.cwd())
        return Classifier, made_of, self.learnt_of_items

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.take_learnt(state)

    def variant(self, *, beam: int | None = None, ranking: int | None = None) -> Self:
        """The same classifier with another form of answers; its models are not loaded anew.

        Parameters
        ----------
        beam
            The least `descent.beam`, of which one path is the answer, the others are alternatives.
        ranking
            `retrieval.ranking`: likeliest leaves of each answer.
        """
        config = self.config.model_copy(deep=True)
        if beam is not None:
            config.descent.beam = max(config.descent.beam, beam)
        if ranking is not None:
            config.retrieval.ranking = ranking
        if config == self.config:
            return self
        made = object.__new__(type(self))
        made.__dict__.update(vars(self))
        made.config, made._components = config, self._components.under(config)
        made._walker = _walker(self.taxonomy, made._components)
        made._prepare_acceptance()
        made.sentinel, made.seconds = Sentinel(made._components), defaultdict(float)
        if self.method == "agent":
            made._agent.ask = self._agent.ask
        return made

    def check_pictures_are_read(self, columns: Columns) -> None:
        """Raise UsageError if there is a column of pictures, and nothing that reads pictures."""
        if columns.image is not None and not self.takes_pictures:
            raise UsageError(f"columns.image is {columns.image!r}, but {self._no_pictures}")

    @property
    def method(self) -> str:
        """The method that answers, as in `--method`."""
        return self._components.method

    @property
    def asked(self) -> dict[str, int]:
        """Prompts that a language model in this process was asked, and their tokens, if any."""
        return self._components.usage

    def classify(
        self,
        item: Item | str | Mapping[str, Any],
        *,
        text: str | Sequence[str] | None = None,
        image: str | None = None,
        id: str | None = None,
    ) -> Prediction:
        """The prediction for one item: a text, a mapping of column to value, or an `Item`.

        Of a mapping the columns are read that a file's would be, see `classify_many`; an `Item` is
        taken as it is. A pack takes a text for the first of the columns that it was fitted to.

        Raises
        ------
        UsageError
            `item` is none of these.
        """
        found = self._intake(text, image, id).one(item)
        return found if isinstance(found, Prediction) else self.classify_batch([found])[0]

    def classify_many(
        self,
        items: Any,
        *,
        text: str | Sequence[str] | None = None,
        image: str | None = None,
        id: str | None = None,
        batch_size: int | None = None,
    ) -> Iterator[Prediction]:
        """Predictions in the order of the items, as they come, in bounded memory.

        An item that cannot be answered comes back with `status="error"` and its reason: what is
        missing (None, NaN, NA), empty, of invisible characters only, or no item.

        Parameters
        ----------
        items
            An iterable of texts, mappings or `Item`s; a data frame (pandas, Polars, PyArrow, ...)
            or a mapping of column to list, whose rows are the items.
        batch_size
            How many are answered together; by default as suits the method.
        text, image, id
            Columns of a frame, or keys of mappings. By default those of the config or the pack;
            for the text else those called text, name, title, product, product_name, item or
            description, or the only one that holds text.

        Raises
        ------
        UsageError
            `items` is a single item or cannot be read, or `batch_size` is below 1.
        InputError
            A column is not there, or none of several is known to hold the text.
        """
        size = self.config.batch if batch_size is None else batch_size
        if size < 1:
            raise UsageError(f"batch_size {batch_size}: expected 1 or more")
        return self._stream(self._intake(text, image, id).many(items), size)

    @property
    def scored(self) -> Taxonomy:
        """What is chosen among: the taxonomy, with a child for each of `descent.stays`."""
        return self._components.taxonomy

    def _intake(
        self, text: str | Sequence[str] | None, image: str | None, id: str | None
    ) -> Intake:
        if text is None and image is None and id is None:
            return Intake(self.config)
        named = names_of(text)
        columns = Columns(text=named, image=image, id=id)
        self.check_pictures_are_read(columns)
        return Intake(self.config, columns)

    def _stream(self, items: Iterator[Item | Prediction], batch_size: int) -> Iterator[Prediction]:
        while chunk := list(islice(items, batch_size)):
            yield from self.classify_read(chunk)

    def classify_read(self, items: Sequence[Item | Prediction]) -> list[Prediction]:
        """Predictions for items that are classified together; what has one already keeps it."""
        with self._turn:  # a fork waits for this: until Python 3.12 cached properties hold a lock
            return list(self.answers(items))

    def answers(self, items: Sequence[Item | Prediction]) -> PredictionColumns:
        """As `classify_read`, as columns, for who reads them and no more."""
        known = [item for item in items if isinstance(item, Item)]
        with self._turn:
            refuse_lost_gpu()
            answered = PredictionColumns.of(self._classified(known))
        if len(known) == len(items):
            return answered
        others = {row: one for row, one in enumerate(items) if isinstance(one, Prediction)}
        return answered.among([row for row in range(len(items)) if row not in others], others)

    def classify_batch(
        self, items: Sequence[Item], told: Callable[[Batch, Sequence[int]], None] | None = None
    ) -> list[Prediction]:
        """Predictions for items that are classified together; other threads wait for their turn.

        Parameters
        ----------
        told
            Called with each batch that was answered, and the places of its items.

        Raises
        ------
        UsageError
            A GPU was used before this process was forked.
        """
        with self._turn:
            refuse_lost_gpu()
            return list(self._classified(items, told))

    def _classified(
        self,
        items: Sequence[Item],
        told: Callable[[Batch, Sequence[int]], None] | None = None,
    ) -> Predictions:
        found: dict[int, Prediction] = {}
        items = list(items)
        for row in self._odd(items):
            checked = self._checked(items[row])
            if isinstance(checked, Item):
                items[row] = checked
            else:
                found[row] = checked
        rows = [row for row in range(len(items)) if row not in found]
        for together in self._together(rows):
            batch = Batch([items[row] for row in together])
            walked = self._walker.walk(batch)
            self.sentinel.see(batch, walked)
            answered = self._acceptance.apply(walked, batch.spreads, batch.evidence)
            if told is not None:
                told(batch, together)
            for row, problem in batch.problems.items():
                answered[row] = Prediction.failed(problem, batch.items[row].id)
            for stage, seconds in batch.seconds.items():
                self.seconds[stage] += seconds
            if len(together) == len(rows):  # the usual case
                return PredictionColumns.of(answered).among(rows, found) if found else answered
            found.update(zip(together, answered, strict=True))
        return [found[row] for row in range(len(items))]

    def _together(self, rows: Sequence[int]) -> Iterator[Sequence[int]]:
        """Rows in parts that are small enough to be answered at once."""
        size = CELLS // len(self.taxonomy) if self._walker.holds_all_nodes else len(rows)
        if self.config.batch > BATCH and len(self.taxonomy) > MANY:
            size = min(size, BATCH)
        size = max(1, size)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def search(self, words: str, limit: int = 10) -> list[Node]:
        """Nodes for some words, best first: by their names, synonyms and codes, and by meaning.

        Raises
        ------
        UsageError
            There are no words, or `limit` is below 1.
        """
        if not is_visible(words) or limit < 1:
            raise UsageError("a search needs words, and a limit of 1 or more")
        with self._turn:
            refuse_lost_gpu()
            (found,) = self._components.retriever.find([as_text(words)], limit)
        codes = self._components.taxonomy.codes
        index = self.taxonomy.index
        return [self.taxonomy.node(index(codes[node])) for node in found]

    def prefetch(self, items: Sequence[Item]) -> None:
        """Begin to decode the pictures of items that will be classified next."""
        self._components.prefetch(items)

    @cached_property
    def takes_pictures(self) -> bool:
        """Whether items may have pictures; a method that reads text only passes over them."""
        kinds = {backbone.kind for backbone in self.config.backbones.values()}
        return "picture" in kinds or self._walker.takes_pictures

    @property
    def _no_pictures(self) -> str:
        return (
            f"the encoder {self.config.retrieval.encoder or ENCODER!r} reads no pictures; set "
            "retrieval.vision=efficientnet-lite0, which tells in words what they show, or "
            "retrieval.encoder to one that reads them, such as a CLIP, or fit a pack with "
            "`cascade fit --image`"
        )

    def __repr__(self) -> str:
        return f"Classifier({self.taxonomy!r}, method={self.method!r})"


def _walker(taxonomy: Taxonomy, components: Components) -> Walker:
    """The agent where it is the method, the walk of facets where there are any, or the router."""
    if components.method == "agent":
        from cascade.pipeline.agent.walk import make_agent_walk

        return make_agent_walk(taxonomy, components)
    if isinstance(taxonomy, FacetedTaxonomy) and taxonomy.categories:
        from cascade.pipeline.facets.walk import make_walk

        return make_walk(taxonomy, components)
    return Router(taxonomy, components)
