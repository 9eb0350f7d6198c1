"""What a language model writes about nodes, asked in batches and kept as it comes."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from cascade.errors import EngineError, OutputError
from cascade.generation.engine import Engine, Prompt
from cascade.generation.prompts import PromptTemplate
from cascade.generation.records import Record, RecordConstraint, RecordField
from cascade.scoring.listed.candidates import one_line
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.draft import MachineTexts
from cascade.taxonomy.names import readable_name

logger = logging.getLogger(__name__)

SIBLINGS = 5  # that a prompt shows
TITLES = 6
FIELDS = (
    RecordField("description", 140),
    RecordField("synonyms", 40, 0, 4),
    RecordField("titles", 80, TITLES, TITLES),
)
BATCH = 16  # nodes that are asked about, and kept, together


class NodeWriter:
    """Asks a language model about nodes; what it wrote before is taken from a file.

    Parameters
    ----------
    engine
        Made when something is asked that is not known.
    model
        What tells the model, its adapter and its engine from others.
    folder
        Where what was written is kept, one file for each model and prompt.
    """

    def __init__(
        self, engine: Callable[[], Engine], model: str, template: PromptTemplate, folder: Path
    ) -> None:
        self._engine, self._template = engine, template
        named = json.dumps(
            [model, template.source, template.kind, [str(field) for field in FIELDS]]
        )
        self._file = folder / f"{hashlib.sha256(named.encode()).hexdigest()[:32]}.jsonl"
        self._known = dict(_kept(self._file))

    def write(
        self,
        taxonomy: Taxonomy,
        nodes: Sequence[int],
        progress: Callable[[int, int], None] = lambda *_: None,
    ) -> dict[int, MachineTexts]:
        """The texts of each node that the model wrote about; it is none of the others.

        Raises
        ------
        EngineError
            It failed on the first batch altogether.
        OutputError
            What was written cannot be kept.
        """
        prompts = {node: self._prompt(taxonomy, node) for node in nodes}
        keys = {node: _key(prompt) for node, prompt in prompts.items()}
        asked = [node for node in nodes if keys[node] not in self._known]
        failed: list[tuple[int, EngineError]] = []
        for start in range(0, len(asked), BATCH):
            progress(len(nodes) - len(asked) + start, len(nodes))
            batch = asked[start : start + BATCH]
            found = self._engine().write_records([prompts[node] for node in batch], FIELDS)
            written = {}
            for node, record in zip(batch, found, strict=True):
                if isinstance(record, EngineError):
                    failed.append((node, record))
                else:
                    written[keys[node]] = record
            self._keep(written)
            if failed and not self._known:
                raise failed[0][1]
        progress(len(nodes), len(nodes))
        if failed:
            node, error = failed[0]
            logger.warning(
                "the model wrote nothing of use about %d of %d nodes (first: %s: %s); run the same "
                "command again to ask about them again",
                len(failed),
                len(nodes),
                taxonomy.path(node),
                error,
            )
        return {node: _texts(self._known[key]) for node, key in keys.items() if key in self._known}

    def _prompt(self, taxonomy: Taxonomy, node: int) -> Prompt:
        def name(of: int) -> str:
            return one_line(readable_name(taxonomy.names[of]))

        children = taxonomy.children(int(taxonomy.parent[node])).tolist()
        # Those that stand around it, so that one name more or less changes few prompts.
        at = children.index(node)
        near = [child for child in children[max(0, at - 3) : at + 4] if child != node]
        return self._template.render(
            {
                "path": [name(step) for step in taxonomy.path_nodes(node).tolist()],
                "siblings": [name(child) for child in near[:SIBLINGS]],
                "titles": TITLES,
            }
        )

    def _keep(self, written: dict[str, Record]) -> None:
        self._known |= written
        lines = "".join(
            json.dumps({"key": key, "record": record}, ensure_ascii=False) + "\n"
            for key, record in written.items()
        )
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            torn = self._file.is_file() and not self._file.read_bytes().endswith(b"\n")
            with self._file.open("a", encoding="utf-8") as file:
                file.write("\n" * torn + lines)
        except OSError as error:
            raise OutputError(f"{self._file}: cannot be written: {error.strerror}") from None


def _key(prompt: Prompt) -> str:
    shown = json.dumps([prompt.shared, prompt.start, [m.content for m in prompt.messages]])
    return hashlib.sha256(shown.encode()).hexdigest()


def _kept(file: Path) -> Iterator[tuple[str, Record]]:
    """What a file has; lines that a kill or a hand broke are asked for again."""
    if not file.is_file():
        return
    form = RecordConstraint(FIELDS, "", None)
    try:
        lines = file.read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise OutputError(f"{file}: cannot be read: {error.strerror}") from None
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            kept = json.loads(line)
            yield str(kept["key"]), form.read(json.dumps(kept["record"]))


def _texts(record: Record) -> MachineTexts:
    description, synonyms, titles = (record[field.name] for field in FIELDS)
    assert isinstance(description, str)
    return MachineTexts.cleaned(description, synonyms, titles)
