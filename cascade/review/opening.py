"""`open_session`: begins a review, or goes on with one.

>>> session = open_session("out.csv", classifier=clf, order=[17, 4, 230])  # doctest: +SKIP
>>> create_app(clf, routers=[make_router(session)])  # the page, at /review/  # doctest: +SKIP
>>> session.labels()  # as people say what is right  # doctest: +SKIP
{17: "HAT-01", 4: None}
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cascade.config import CascadeConfig, Columns
from cascade.errors import CascadeError, InputError, UsageError, unwritable
from cascade.evaluation.external_predictions import PredictionColumns
from cascade.io.tables.memory import RowsInMemory, rows_of
from cascade.io.tables.opening import TableFile
from cascade.io.tables.rows import Table
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.runs.columns import text_column_names
from cascade.predictions import Prediction
from cascade.review.database import Database
from cascade.review.decisions import set_aside, settle
from cascade.review.filling import Filling, Layout, layout_of
from cascade.review.session import Session
from cascade.taxonomy import Taxonomy

logger = logging.getLogger(__name__)

FILE = "review.sqlite"
TAXONOMY = "taxonomy.csv"
SUFFIX = ".review"


def open_session(
    rows: Any,
    *,
    taxonomy: Taxonomy | None = None,
    classifier: Classifier | Future[Classifier] | None = None,
    config: CascadeConfig | None = None,
    folder: str | Path | None = None,
    order: Sequence[int | str] | None = None,
    answers: Iterable[Prediction] | None = None,
    unanswered: bool = False,
    text: Sequence[str] = (),
    image: str | None = None,
    id: str | None = None,
    predicted: PredictionColumns | None = None,
    double: float | None = None,
    seed: int | None = None,
    reload: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Session:
    """Begin a review of rows, or go on with the one that lies in the folder.

    Parameters
    ----------
    rows
        A file, a data frame, records or columns; with answers as `cascade classify` writes them.
    taxonomy
        What is chosen from; that of the classifier if None.
    classifier
        Explains, searches by meaning and learns from decisions; perhaps while it is loaded.
    config
        Columns, and where pictures may come from; that of the classifier if None.
    folder
        Where the session lies; by default beside the file: `out.review` for `out.csv`.
    order
        Numbers of rows from 1, or ids, to ask for in this order; see `Session.ask`.
    answers
        A prediction for each row, where the rows do not hold them.
    unanswered
        Whether rows may come without answers.
    text, image, id
        Columns that items are made of, as for `cascade classify`.
    predicted
        Columns of answers, where they are not those of `cascade classify`.
    double
        Share of rows that two reviewers look at.
    seed
        Of the random order.
    reload
        The rows or the taxonomy have changed: read them again; decisions stay with their rows.
    progress
        Called with how many rows were read.

    Raises
    ------
    UsageError
        There is no taxonomy, or no folder for rows in memory; or what is asked for is not what the
        session began with.
    InputError
        There are no answers; the rows are not those that the session began with; or the folder
        holds something else.
    """
    source = rows_of(rows)
    if isinstance(classifier, Classifier):
        taxonomy = taxonomy or classifier.taxonomy
        config = config or classifier.config
    if taxonomy is None:
        raise UsageError(
            "a review needs a taxonomy (taxonomy=, or -t), or a classifier that has one"
        )
    if double is not None and not 0 <= double <= 1:
        raise UsageError(f"double={double}: expected a share from 0 to 1")
    config = config or CascadeConfig()
    db = Database(_path(source, folder))
    try:
        asked = Asked(
            tuple(text),
            image,
            id,
            tuple(predicted.predicted) if predicted else (),
            predicted.confidence if predicted else None,
            double,
            seed,
            *(source.limit, source.encoding, source.sheet),
        )
        filler = Filler(source, taxonomy, config.columns, asked, answers, unanswered)
        filler.open(db, reload=reload, progress=progress)
        session = Session(db, taxonomy, classifier, config, source)
        if order is not None:
            session.ask(order)
        return session
    except CascadeError:
        db.close()
        raise


def open_folder(folder: str | Path) -> Session:
    """The session that lies in a folder, for its figures and exports; without a classifier.

    Raises
    ------
    InputError
        There is none.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise InputError(f"{folder} holds no session of a review; name its folder: out.review")
    db = Database(path)
    db.check()
    taxonomy = Taxonomy.load(path.with_name(TAXONOMY))
    return Session(db, taxonomy, None, CascadeConfig(), TableFile(db.told("file") or "rows"))


@dataclass(frozen=True)
class Asked:
    """What the user named, which a session keeps: empty or None where that is nothing."""

    text: tuple[str, ...] = ()
    image: str | None = None
    id: str | None = None
    predicted: tuple[str, ...] = ()
    confidence: str | None = None
    double: float | None = None
    seed: int | None = None
    limit: int | None = None
    encoding: str | None = None
    sheet: str | None = None

    @classmethod
    def of(cls, db: Database) -> Asked:
        """What a session was made of; of one of an earlier version what its layout tells."""
        layout = Layout.from_json(db.told("layout") or "")
        known = json.loads(db.told("asked") or "{}")
        known["predicted"] = tuple(known.get("predicted", ()))
        known |= {"text": layout.text, "image": layout.image, "id": layout.id}
        known["double"] = float(db.told("double") or 0)
        return cls(**known)

    @classmethod
    def named(cls, db: Database) -> Asked:
        """As `of`, without columns of texts and pictures that were guessed."""
        known = json.loads(db.told("asked") or "{}")
        found = cls.of(db)
        return replace(
            found,
            text=tuple(known.get("text", found.text)),
            image=known.get("image", found.image),
        )

    def after(self, before: Asked) -> Asked:
        """What is named now, else before; which rows of a file are read is named anew."""
        kept = ("text", "image", "id", "predicted", "confidence", "double", "seed")
        named = {name: getattr(self, name) for name in kept}
        return replace(
            self, **{n: getattr(before, n) if v in (None, ()) else v for n, v in named.items()}
        )

    def differing(self, before: Asked, known: bool) -> list[str]:
        """What is named and was not the same before, in words; `known`: all of that is known."""
        names = vars(self) if known else ("text", "image", "id", "double")
        return [
            f"{name}={_shown(value)} (it began with {_shown(getattr(before, name))})"
            for name in names
            if (value := getattr(self, name)) not in (None, (), getattr(before, name))
        ]


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)


@dataclass(frozen=True)
class Filler:
    """What a session is made of, see `open_session`."""

    source: TableFile
    taxonomy: Taxonomy
    usual: Columns
    asked: Asked
    answers: Iterable[Prediction] | None
    unanswered: bool

    def open(self, db: Database, *, reload: bool, progress: Callable[[int], None] | None) -> None:
        """Fill the session where it is new or to be read again; else check that it fits."""
        if db.is_new:
            with db.change():
                db.make()
                self._fill(db, self.asked, progress)
            return
        db.check()
        changed = self._changed(db)
        if changed and not reload:
            raise InputError(
                f"{changed} since the review began on {db.told('began')}; go on with --reload "
                "(reload=True), which keeps decisions with their rows, or begin another with -o "
                "(folder=)",
                file=self.source.file,
            )
        if reload:
            before = Asked.named(db)
            if self.answers is not None:
                before = replace(before, predicted=(), confidence=None)
            self._reload(db, self.asked.after(before), progress)
        elif other := self.asked.differing(Asked.of(db), db.told("asked") is not None):
            raise UsageError(
                f"the review in {db.path.parent} began with something else than "
                f"{'; '.join(other)}: leave it out, read the rows again with --reload "
                "(reload=True), which keeps decisions with their rows, or begin another review "
                "with -o (folder=)"
            )

    def _changed(self, db: Database) -> str:
        """What is not as it was when the session began; empty where all is."""
        if db.told("taxonomy") != self.taxonomy.fingerprint:
            return f"the taxonomy {self.taxonomy.name!r} has changed"
        return "" if db.told("sha256") == self.source.sha256 else "the rows have changed"

    def _fill(self, db: Database, asked: Asked, progress: Callable[[int], None] | None) -> None:
        with self.source.open() as table:
            layout = self._layout(table, asked)
        filling = Filling(
            *(self.source, self.taxonomy, layout, self.answers),
            PredictionColumns(asked.predicted, asked.confidence),
            *(self.unanswered, asked.double or 0.0, asked.seed or 0),
        )
        filling.fill(db, progress)
        now = dt.datetime.now(dt.UTC).isoformat(timespec="minutes")
        self.taxonomy.to_csv(db.path.parent / TAXONOMY)
        for name, value in {
            "began": db.told("began") or now,
            "name": self._name(db),
            "file": str(Path(self.source.file).absolute()),
            "sha256": self.source.sha256,
            "taxonomy": self.taxonomy.fingerprint,
            "layout": layout.to_json(),
            "asked": json.dumps(asdict(asked)),
            "double": str(asked.double or 0.0),
            "statuses": json.dumps(
                {row[0]: row[1] for row in db.all("SELECT status, count(*) FROM rows GROUP BY 1")}
            ),
        }.items():
            db.tell(name, value)

    def _layout(self, table: Table, asked: Asked) -> Layout:
        """What is named has to be there; what a config names, and what is usual, may be."""
        there, usual = table.columns, self.usual
        text = asked.text or [name for name in usual.text if name in there]
        image = asked.image or (usual.image if usual.image in there else None)
        id = asked.id or (usual.id if usual.id in there else None)
        return layout_of(table, text, image, id, text_column_names(there, lambda name: False))

    def _name(self, db: Database) -> str:
        """What the page calls the rows."""
        if isinstance(self.source, RowsInMemory):
            return db.path.parent.name
        return Path(self.source.file).name

    def _reload(self, db: Database, asked: Asked, progress: Callable[[int], None] | None) -> None:
        """Read the rows anew; what was decided stays with the rows that are still there."""
        with db.change():
            places = db.all("SELECT key, place FROM rows WHERE place IS NOT NULL")
            for table in ("rows", "verdicts", "skips", "leases"):
                db.run(f"DELETE FROM {table}")
            db.run("INSERT INTO texts (texts) VALUES ('delete-all')")
            self._fill(db, asked, progress)
            db.run_many(
                "UPDATE rows SET place = ? WHERE key = ?", [(p["place"], p["key"]) for p in places]
            )
            db.run(
                "UPDATE decisions SET row = coalesce((SELECT row FROM rows WHERE rows.key = "
                "decisions.key), 0)"
            )
            told = set_aside(db, self.taxonomy)
            for found in db.all("SELECT DISTINCT row FROM decisions WHERE row > 0"):
                settle(db, found["row"])
        if told:
            logger.warning("%s: %s", db.path.parent, told)


def _path(source: TableFile, folder: str | Path | None) -> Path:
    """The SQLite file of a session, in a folder that is there."""
    if folder is None and isinstance(source, RowsInMemory):
        raise UsageError("name the folder of the session with folder=, as the rows are in no file")
    file = Path(source.file)
    place = file.with_name(f"{file.stem}{SUFFIX}") if folder is None else Path(folder)
    if place.is_file():
        raise UsageError(f"{place} is a file; name a folder for the session")
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(place, error) from None
    return place / FILE
