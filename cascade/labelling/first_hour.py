"""The first hour with a file of which no row is labelled, round by round.

A round learns from what is known by now, writes a pack, tells what to expect of it, and chooses
what to ask next. Everything lies in one folder; a round that is run again does not compute again
what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.calibration import Calibration
from cascade.config import CascadeConfig
from cascade.errors import InputError, UsageError
from cascade.io import Table, require_columns
from cascade.io.files import alone
from cascade.io.pictures import SUFFIXES
from cascade.io.tables.opening import TableFile
from cascade.labelling import folder as keeping
from cascade.labelling.asking import ask
from cascade.labelling.bootstrap import Bootstrap, Unlabelled, bootstrap
from cascade.labelling.expecting import Everywhere, Known, expect, paths_of
from cascade.labelling.learner import Branches, Floats, Lesson, learn, log_softmax
from cascade.labelling.packing import calibration_of, calibration_without_labels, write_pack
from cascade.labelling.sample import CHUNK, Rows, Sample, Tick, draw, take
from cascade.labelling.telling import Told
from cascade.scoring.corrections import Corrections
from cascade.scoring.scorer import NodeProbabilityScorer
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy

PACK, ANSWERS = "pack", "answers.csv"
BOOTSTRAP = "bootstrap.safetensors"
SEEN = 20  # rows that tell whether a column names pictures


def quiet(what: str, done: int, of: int | None) -> None:
    """Show nothing."""


@dataclass
class FirstHour:
    """A file, a taxonomy, and the folder in which both become a pack.

    Parameters
    ----------
    config
        Columns of the text, and how items are compared with names.
    count
        Rows to ask for at a time.
    notify
        Called with each sentence that a user should know.
    """

    folder: Path
    source: TableFile
    taxonomy: Taxonomy
    config: CascadeConfig
    count: int = 100
    seed: int = 0
    notify: Callable[[str], None] = lambda sentence: None
    state: keeping.State = field(init=False)

    def begin(self, *, overwrite: bool = False) -> None:
        """Make the folder, or go on with what is there.

        Raises
        ------
        OutputError
            It holds something else.
        InputError
            A column is not there, or names pictures.
        UsageError
            The taxonomy has facets, or there is no text.
        """
        if isinstance(self.taxonomy, FacetedTaxonomy) and self.taxonomy.categories:
            raise UsageError(
                "start is for taxonomies without facets; for FoodEx2 see `cascade foodex2`"
            )
        if len(self.taxonomy.leaves) < 2:
            raise UsageError(
                f"taxonomy {self.taxonomy.name!r} has one leaf only; there is nothing to choose"
            )
        with self.source.open() as table:
            columns = self.config.columns.text
            require_columns(table, columns)
            pictures = table.pictures if not columns else _pictures_in(table, columns)
            if pictures is not None:
                raise _no_text(self.source.file, pictures)
        if not columns:
            raise UsageError("start reads text; name the columns that hold it with --text")
        identity = {
            "file": self.source.sha256,
            "limit": self.source.limit,
            "columns": list(self.config.columns.text),
            "taxonomy": self.taxonomy.fingerprint,
            "settings": self.config.retrieval.model_dump(mode="json"),
            "seed": self.seed,
        }
        self.state = keeping.begin(self.folder, identity, overwrite=overwrite)

    @property
    def to_label(self) -> Path:
        """The file of rows to label."""
        return self.folder / f"to-label-{self.state.file}.csv"

    @property
    def pack(self) -> Path:
        """The pack of the last round."""
        return self.folder / PACK

    def take_labels(self, given: TableFile | Mapping[int, str | None] | None = None) -> int:
        """Learn of labels: those of a file, of rows by number, or of the file to label.

        Returns
        -------
        How many rows have got a label.

        Raises
        ------
        InputError
            None of them can be used.
        """
        asked = set(self.state.asked)
        if given is None:
            if not self.to_label.is_file() or not asked:
                return 0
            given = TableFile(str(self.to_label))
        elif isinstance(given, TableFile):
            keeping.require_ours(given, self.config.columns.text, asked, self.folder)
        if isinstance(given, TableFile):
            found = keeping.read_labels(given, self.taxonomy, asked)
            for sentence in found.warnings:
                self.notify(sentence)
            labels = found.labels
        else:
            labels = self._checked(given)
        new = {row: code for row, code in labels.items() if self.state.labels.get(row, "") != code}
        self.state.labels.update(labels)
        self.state.file += bool(new)
        keeping.save(self.folder, self.state)
        return len(new)

    def take_reviewed(self, labels: Mapping[int, str | None]) -> int:
        """Learn of decisions about rows of the file to label, by their place in it, from 1."""
        rows = [row for row, _ in self.rows_to_label()]
        return self.take_labels({rows[at - 1]: code for at, code in labels.items()})

    def _checked(self, given: Mapping[int, str | None]) -> dict[int, str | None]:
        """Labels by row, as codes.

        Raises
        ------
        UsageError
            A row was not asked for, or a label is not in the taxonomy.
        """
        found: dict[int, str | None] = {}
        for row, label in given.items():
            if row not in self.state.asked:
                raise UsageError(f"row {row!r:.40} was not asked for; see `asked`")
            node = None if label is None else self.taxonomy.find(label)
            if label is not None and node is None:
                raise UsageError(
                    f"row {row}: label {label!r:.80} is not in taxonomy {self.taxonomy.name!r}; "
                    "give a code or a path, or None where nothing fits"
                )
            found[row] = None if node is None else self.taxonomy.codes[node]
        return found

    def rows_to_label(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Numbers of the rows to label next, with their texts and answers."""
        with TableFile(str(self.to_label)).open() as table:
            for row in table:
                cells = {name: table.text(row, name) for name in self.config.columns.text}
                cells |= {name: table.text(row, name) for name in keeping.ANSWER}
                yield int(table.text(row, keeping.ROW)), cells

    def run(self, tick: Tick = quiet) -> Told:
        """One round: learn, write the pack, tell what to expect, choose what to ask.

        Parameters
        ----------
        tick
            Called with what is done, how much of it and of how much.

        Raises
        ------
        InputError, OutputError, WeightsError
            Rows, folder or weights cannot be used, or another process uses the folder.
        """
        busy = f"another process is at work in {self.folder}; wait for it, or name another --out"
        with alone(self.folder / "lock", busy):
            return self._run(tick)

    def _run(self, tick: Tick) -> Told:
        sample = self._sample(tick)
        numbers = {int(number): at for at, number in enumerate(sample.rows.numbers)}
        labelled = {row: code for row, code in self.state.labels.items() if code is not None}
        nodes = np.array([self.taxonomy.index(c) for c in labelled.values()], np.int32)
        branches = sample.branches(nodes)
        known, vectors = sample.known(branches), sample.vectors
        boot = self._bootstrap(sample, branches, known, tick)
        first = boot.corrections or Corrections.none(branches.nodes, vectors.shape[1])
        before = log_softmax(branches.logits(first, known, vectors))
        at = np.array([numbers[row] for row in labelled], np.int64)
        expected, corrections = None, first
        if len(at):
            tick("learning from labels", 0, None)
            lesson = Lesson(vectors[at], _targets(branches, nodes, before[at]), before[at])
            # The softmax over leaves leaves out what all logits of a row have in common.
            corrections = learn(lesson, branches).after(first)
            rows = Known(lesson, nodes, self._weights(list(labelled)))
            left = np.setdiff1d(np.arange(len(known)), at)
            logits = branches.logits(corrections, known[left], vectors[left])
            expected = expect(
                *(rows, branches, Everywhere.of(logits, branches, sample.rows.copies[left])),
                *(self.count, self.seed),
                lambda done, of: tick("measuring on labelled rows", done, of),
            )
        answers = branches.logits(corrections, known, vectors)
        self._choose(sample, numbers, answers, vectors)
        told = Told(
            sample.rows.total,
            sample.rows.unread,
            len(sample.rows),
            len(labelled),
            len(self.state.labels) - len(labelled),
            len(np.unique(nodes)),
            boot,
            expected,
            self.state.unlabelled,
        )
        if expected is not None:
            calibration = calibration_of(expected)
        else:
            calibration = self._without_labels(sample, branches, answers)
        tick("writing the pack", 0, None)
        values = told.to_values()
        write_pack(self.pack, sample, corrections, calibration, self.config, values)
        self._write_files(sample, branches, answers, calibration, numbers)
        self.state.told.append(values)
        keeping.save(self.folder, self.state)
        return told

    def _sample(self, tick: Tick) -> Sample:
        tick("reading", 0, None)
        return take(self._rows(tick), self.taxonomy, self.config, self.folder, tick)

    def _rows(self, tick: Tick) -> Rows:
        if "drawn" not in vars(self):
            vars(self)["drawn"] = draw(self.source, self.config.columns, self.seed, tick)
        found: Rows = vars(self)["drawn"]
        return found

    def _bootstrap(
        self, sample: Sample, branches: Branches, known: Floats, tick: Tick
    ) -> Bootstrap:
        """What the file teaches without labels, computed once."""
        path = self.folder / BOOTSTRAP
        if path.is_file():
            return Bootstrap.load(path, branches.nodes)
        found = bootstrap(
            Unlabelled(branches, known, sample.vectors, sample.meaning.shape[1]),
            seed=self.seed,
            tick=lambda done, of: tick("learning from the file itself", done, of),
        )
        found.save(path)
        return found

    def _weights(self, rows: list[int]) -> NDArray[np.float64]:
        """float64 [n], rows of the file that labelled ones stand for; see `State.asked`."""
        found = dict.fromkeys(rows, 0.0)
        for one in self.state.rounds:
            own = {
                int(row): weight
                for row, weight in zip(one["rows"], one["weight"], strict=True)
                if int(row) in found
            }
            total = sum(own.values())
            found.update({row: len(own) * weight / total for row, weight in own.items()})
        return np.array([found[row] for row in rows])

    def _choose(
        self, sample: Sample, numbers: Mapping[int, int], answers: Floats, vectors: Floats
    ) -> None:
        """Ask for as many rows as are wanted, of which some may wait for labels already."""
        waiting = self.state.unlabelled
        wanted = self.count - len(waiting)
        if wanted <= 0:
            return
        known = np.array([numbers[row] for row in self.state.asked], np.int64)
        seed = self.seed + len(self.state.rounds)
        found = ask(answers, vectors, sample.rows.copies, known, wanted, seed)
        if len(found.rows):
            rows = sample.rows.numbers[found.rows].tolist()
            self.state.rounds.append({"rows": rows, "weight": found.weight.tolist()})

    def _without_labels(self, sample: Sample, branches: Branches, answers: Floats) -> Calibration:
        """By what names alone are worth."""
        best = answers.argmax(axis=1)
        leaves = branches.leaves[best].astype(np.int32)
        raw, _ = paths_of(branches, answers, best, leaves)
        told = np.full(raw.shape, np.nan)
        scorer = sample.models.scorer("retrieval")
        assert isinstance(scorer, NodeProbabilityScorer)
        for start in range(0, len(best), CHUNK):
            batch = sample.batch(start)
            p = scorer.confidences(batch)
            for at, leaf in enumerate(leaves[start : start + CHUNK].tolist()):
                path = np.asarray(self.taxonomy.path_nodes(leaf), np.int32)
                logs = p.log_prob(np.full(len(path), at, np.int32), path)
                told[start + at, : len(path)] = np.exp(logs)
        return calibration_without_labels(raw, np.minimum(told, 1.0))

    def _write_files(
        self,
        sample: Sample,
        branches: Branches,
        answers: Floats,
        calibration: Calibration,
        numbers: Mapping[int, int],
    ) -> None:
        """Rows to label next, and those that are labelled."""
        columns, tree = list(self.config.columns.text), self.taxonomy
        best = answers.argmax(axis=1)
        leaves = branches.leaves[best].astype(np.int32)
        raw, _ = paths_of(branches, answers, best, leaves)
        sure = np.nanmin(calibration.of_paths(raw), axis=1)

        def lines(rows: list[int], labels: Mapping[int, str | None]) -> Any:
            for row in rows:
                at = numbers[row]
                code = labels.get(row, "")
                label = keeping.NOWHERE if code is None else code and tree.path(tree.index(code))
                leaf = int(leaves[at])
                answer = (tree.codes[leaf], tree.path(leaf), f"{sure[at]:.6f}")
                yield row, sample.rows.items[at].fields, answer, label

        keeping.write_rows(self.to_label, columns, lines(self.state.unlabelled, {}))
        done = self.state.labels
        keeping.write_rows(self.folder / keeping.LABELLED, columns, lines(list(done), done))


def _pictures_in(table: Table, columns: Sequence[str]) -> str | None:
    """The first of the columns, if all that stands in them seems to be names of pictures."""
    cells = [table.text(row, name).strip() for row in table.peek(SEEN) for name in columns]
    cells = [cell for cell in cells if cell]
    named = [cell.casefold().partition("?")[0].endswith(SUFFIXES) for cell in cells]
    return columns[0] if cells and all(named) else None


def _no_text(file: str, column: str) -> InputError:
    return InputError(
        "these are pictures, and start learns from text; to begin with pictures: `cascade classify "
        f"{file} --image {column} --set retrieval.vision=efficientnet-lite0 -t TAXONOMY -o out.csv`"
        " answers them, `cascade review out.csv --image "
        f"{column}` takes decisions about some, and `cascade fit "
        f"--image {column}` learns from these",
        file=file,
        column=column,
    )


def _targets(branches: Branches, nodes: NDArray[np.int32], logits: Floats) -> Floats:
    """float32 [n, n_leaves]: a leaf, or the leaves below an inner node as likely as they are."""
    found = np.zeros(logits.shape, np.float32)
    for row, node in enumerate(nodes.tolist()):
        below = branches.below(node)
        found[row, below] = np.exp(log_softmax(logits[row, below]))
    return found
