"""A session: rows under review, and what reviewers decided."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cascade.config import CascadeConfig
from cascade.errors import UsageError
from cascade.io.tables.opening import TableFile
from cascade.io.tables.rows import listed
from cascade.items import Item
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.runs.columns import item_names, picture_places
from cascade.review import decisions as deciding
from cascade.review import queues
from cascade.review.corrections import Corrections, Words
from cascade.review.database import Database
from cascade.review.export import PARTS, Part, write
from cascade.review.facets import Facets
from cascade.review.figures import agreement as agreeing
from cascade.review.figures.estimate import Estimate, estimate
from cascade.review.filling import Layout
from cascade.review.showing import SHOWN, Plain, Showing
from cascade.taxonomy import Taxonomy


class Session:
    """Rows under review; made by `open_session`. Threads may share it.

    Attributes
    ----------
    folder
        Where it lies.
    taxonomy
        What is chosen from.
    layout
        What the columns of the rows are.
    """

    def __init__(
        self,
        db: Database,
        taxonomy: Taxonomy,
        classifier: Classifier | Future[Classifier] | None,
        config: CascadeConfig,
        source: TableFile,
    ) -> None:
        self.db, self.taxonomy = db, taxonomy
        self.folder = db.path.parent
        self.layout = Layout.from_json(db.told("layout") or "")
        self.showing = Showing(db, taxonomy, self.layout)
        self.facets = Facets(taxonomy)
        self._source, self._config = source, config
        self._classifier = classifier
        self._corrections: Corrections | None = None
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self._catching_up: threading.Thread | None = None
        names = item_names(config.reads, self.layout.text)
        self._names = dict(zip(self.layout.text, names, strict=True))

    @property
    def name(self) -> str:
        """What the page calls it: the name of the file."""
        return self.db.told("name") or "rows"

    @property
    def classifier(self) -> Classifier | None:
        """The classifier, once it is loaded; None before that, or where there is none."""
        found = self._classifier
        if isinstance(found, Future):
            return found.result() if found.done() and found.exception() is None else None
        return found

    @property
    def is_loading(self) -> bool:
        """Whether a classifier will be there soon."""
        return isinstance(self._classifier, Future) and not self._classifier.done()

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.db.value("SELECT count(*) FROM rows"))

    def use(self, classifier: Classifier | Future[Classifier] | None) -> None:
        """Explain, search and compare by this classifier from now on."""
        self._classifier = classifier

    def warm_up(self) -> None:
        """Make what the first item would have to wait for.

        Earlier decisions are encoded by a thread of its own, until all are or the session closes.
        """
        self.taxonomy.search("a", 1)
        item = self.item(1) or Item({"text": "a"})
        corrections = self._corrections_by(self.classifier)
        corrections.near(corrections.vector(item))
        if self.classifier is not None:
            self.classifier.explain(item)
        self._catching_up = threading.Thread(target=self._catch_up, args=[corrections], daemon=True)
        self._catching_up.start()

    def _catch_up(self, corrections: Corrections) -> None:
        while not self._closing.is_set() and corrections.advance():
            pass

    def hide(self, columns: Iterable[str]) -> None:
        """Show these columns to no reviewer; they are in exports all the same.

        Raises
        ------
        UsageError
            The rows have no such column, or answers are made of it.
        """
        hidden = frozenset(columns)
        for name in sorted(hidden - set(self.layout.columns)):
            has = listed(self.layout.columns)
            raise UsageError(f"there is no column {name!r} to hide; the rows have: {has}")
        for name in sorted(hidden & {*self.layout.text, self.layout.image}):
            raise UsageError(f"answers are made of {name!r}, so reviewers must see it")
        self.showing.hidden = hidden

    def ask(self, order: Sequence[int | str]) -> None:
        """Ask for these rows, in this order, in the queue `asked`.

        Parameters
        ----------
        order
            Numbers of rows, from 1, or their ids; what was asked for before is forgotten.

        Raises
        ------
        UsageError
            There is no such row, or it is there twice.
        """
        numbers = []
        for place in order:
            by = "row" if isinstance(place, int | np.integer) else "key"
            value = place if isinstance(place, str) else int(place)
            row = self.db.value(f"SELECT row FROM rows WHERE {by} = ?", (value,))
            if row is None:
                raise UsageError(f"order names row {place!r}, which is not there")
            numbers.append(row)
        if len(set(numbers)) < len(numbers):
            raise UsageError("order names a row twice")
        with self.db.change():
            self.db.run("UPDATE rows SET place = NULL WHERE place IS NOT NULL")
            self.db.run_many(
                "UPDATE rows SET place = ? WHERE row = ?",
                [(place, row) for place, row in enumerate(numbers)],
            )

    def labels(self) -> dict[int, str | None]:
        """The right code by row, as far as it is decided and nobody contradicts; None: nowhere."""
        found = self.db.all("SELECT row, final_code FROM rows WHERE decided ORDER BY row")
        return {row["row"]: row["final_code"] for row in found}

    def decisions(self) -> list[deciding.Decision]:
        """What each reviewer said of each row, as it counts now, in the order it was said."""
        found = self.db.all(
            "SELECT d.* FROM verdicts v JOIN decisions d ON d.id = v.decision ORDER BY d.id"
        )
        return deciding.decisions_of(found)

    def left(self, queue: queues.Queue | None = None) -> int:
        """How many rows of a queue wait, of all rows by default."""
        return queues.left(self.db, queue or queues.Queue())

    def agreement(self) -> agreeing.Agreement:
        """How far reviewers agree on rows that several looked at."""
        found: dict[int, dict[str, int]] = {}
        for v in self.db.all(
            "SELECT row, reviewer, code FROM verdicts WHERE NOT resolves AND row IN (SELECT row "
            "FROM verdicts WHERE NOT resolves GROUP BY row HAVING count(*) > 1)"
        ):
            node = (
                agreeing.NOWHERE
                if v["code"] is None
                else deciding.node_of(self.taxonomy, v["code"])
            )
            if node is not None:
                found.setdefault(v["row"], {})[v["reviewer"]] = node
        return agreeing.agreement(found, self.taxonomy)

    def estimate(self) -> Estimate:
        """How right the answers are that nobody looked at, from the random part."""
        return estimate(self.db, self.taxonomy)

    def figures(self) -> Plain:
        """Progress, reviewers, agreement and estimate, as plain values."""
        counts = self.db.one(
            "SELECT count(*) AS rows, count(*) FILTER (WHERE decided OR conflict) AS decided, "
            "count(*) FILTER (WHERE conflict) AS conflicts FROM rows INDEXED BY counted"
        )
        asked = self.db.one(
            "SELECT count(*) AS asked, count(*) FILTER (WHERE waiting = 0) AS answered FROM rows "
            "INDEXED BY asked WHERE place IS NOT NULL"
        )
        assert counts is not None and asked is not None
        who = self.db.all(
            "SELECT reviewer, count(*) AS decided FROM verdicts GROUP BY reviewer ORDER BY 2 DESC"
        )
        return {
            **dict(counts),
            **dict(asked),
            "reviewers": [dict(row) for row in who],
            "statuses": json.loads(self.db.told("statuses") or "{}"),
            "agreement": asdict(self.agreement()),
            "estimate": asdict(self.estimate()),
        }

    def export(self, path: str | Path, part: Part = "all") -> int:
        """Write the decided rows, for `cascade fit` and `cascade eval`; the ending tells the kind.

        The columns of the rows come first, then those of the answers, then what was decided:
        `review_code`, `review_path`, `review_action`, `review_by`, `review_at`, `review_comment`
        and `review_part`.

        Parameters
        ----------
        part
            `all`; `random`, which measures the rest; `chosen`, the others.

        Returns
        -------
        Rows that were written.
        """
        return write(self.db, self.taxonomy, self.layout, Path(path), part)

    def uncoded(self, part: Part = "all") -> tuple[int, int]:
        """Rows of a part that fit nowhere, and that are not exported as reviewers disagree."""
        found = self.db.one(
            "SELECT count(*) FILTER (WHERE decided AND final_code IS NULL), "
            f"count(*) FILTER (WHERE conflict) FROM rows WHERE {PARTS[part]}"
        )
        assert found is not None
        return found[0], found[1]

    def why(self, row: int) -> Plain:
        """Why the answer of a row is what it is, and rows like it that were decided."""
        classifier = self.classifier
        item = self.item(row)
        if item is None:
            return {**self.showing.why(row, None, [], []), "loading": self.is_loading}
        corrections = self._corrections_by(classifier)
        vector = corrections.vector(item)
        near = corrections.near(vector, besides=row)
        explanation, of_pack = None, list[tuple[int, float]]()
        if classifier is not None:
            # Where that is quick, more ends of the walk are kept to choose from.
            asked = classifier.variant(beam=SHOWN) if classifier.is_quick else classifier
            explanation = asked.explain(item)
            of_pack = classifier.nearest(vector)
        why = self.showing.why(row, explanation, near, of_pack)
        return {**why, "loading": self.is_loading}

    def item(self, row: int) -> Item | None:
        """What a classifier reads of a row; None where there is nothing to read."""
        reads = self.classifier is not None and self.classifier.takes_pictures
        image = self.picture(row) if reads else None
        return self.showing.item(row, self._names, image)

    def picture(self, row: int) -> Any:
        """The picture of a row: a file, bytes, or an address that may be fetched; None if none.

        Raises
        ------
        InputError
            It may not be read.
        """
        found = self.db.value("SELECT image FROM rows WHERE row = ?", (row,))
        if found is None:
            return None
        folder = Path(self._source.file)
        folder = folder if folder.is_dir() else folder.parent
        return picture_places(self._config).find(found, folder)

    def search(self, words: str, limit: int, *, meaning: bool) -> list[Plain]:
        """Nodes for some words, the best first; by meaning too where a classifier is there."""
        classifier = self.classifier if meaning else None
        if classifier is None:
            return self.showing.search(words, limit)
        nodes = [self.showing.node(node.code) for node in classifier.search(words, limit)]
        return [node for node in nodes if node is not None]

    def close(self) -> None:
        """Let go of the file."""
        self._closing.set()
        if self._catching_up is not None:
            self._catching_up.join()
        self.db.close()

    def _corrections_by(self, classifier: Classifier | None) -> Corrections:
        """The corrections, compared by the classifier as soon as it is there."""
        with self._turn:
            known = self._corrections
            comparer = Words() if classifier is None else classifier
            if known is None or type(known.comparer) is not type(comparer):
                known = Corrections(self.db, self.taxonomy, comparer, self.item)
                self._corrections = known
            return known
