"""What an encoder reads before a text: one prompt before items, another before texts of nodes.

Encoders for search are trained on texts with such words in front, which tell questions from
documents, and are worse without them. What a folder says of itself in its
`config_sentence_transformers.json` comes first, then `FAMILIES`, where a folder says nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade.models.weights import Weights


@dataclass(frozen=True, slots=True)
class Prompts:
    """What is read before the text of an item (`query`), and before that of a node (`document`)."""

    query: str = ""
    document: str = ""

    def settled(self, query: str | None, document: str | None) -> Prompts:
        """These, but for those that are set."""
        return Prompts(
            self.query if query is None else query,
            self.document if document is None else document,
        )


QUERY_NAMES = (
    "query",
    "search_query",
    "retrieval.query",
    "retrieval_query",
    "s2p_query",
    "web_search_query",
)
DOCUMENT_NAMES = (
    "document",
    "passage",
    "corpus",
    "search_document",
    "retrieval.passage",
    "retrieval_document",
)
"""What makers call their prompts, in `config_sentence_transformers.json`."""

_SEARCH = "Instruct: Given a web search query, retrieve relevant passages that answer the query"
_SENTENCE = "Represent this sentence for searching relevant passages: "

FAMILIES: tuple[tuple[str, Prompts], ...] = (
    (r"\be5\b.*\binstruct\b", Prompts(f"{_SEARCH}\nQuery: ")),
    (r"\be5\b", Prompts("query: ", "passage: ")),
    (r"\bbge\b.*\bzh\b", Prompts("为这个句子生成表示以用于检索相关文章：")),
    (r"\bbge (small|base|large)\b", Prompts(_SENTENCE)),
    (r"\bqwen3 embedding\b", Prompts(f"{_SEARCH}\nQuery:")),
    (r"\bgte qwen", Prompts(f"{_SEARCH}\nQuery: ")),
    (r"\bstella en\b", Prompts(f"{_SEARCH}.\nQuery: ")),
    (r"\b(nomic|modernbert) embed\b", Prompts("search_query: ", "search_document: ")),
    (r"\barctic embed\b.*\bv2\b", Prompts("query: ")),
    (r"\b(mxbai embed|arctic embed)\b", Prompts(_SENTENCE)),
    (r"\bembeddinggemma\b", Prompts("task: search result | query: ", "title: none | text: ")),
)
"""By the name of a model, in small letters with a blank for each other sign; the first that fits.
As their model cards say. Those of GTE that are of the BERT kinds, bge-m3, and the encoders of
sentence-transformers want none."""


def prompts_of(weights: Weights) -> Prompts:
    """What the encoder in found weights wants to read before items and nodes."""
    folder = weights.path if weights.path.is_dir() else weights.path.parent
    return _told(_values(folder / "config_sentence_transformers.json")) or _known(weights, folder)


def _told(config: Mapping[str, Any]) -> Prompts | None:
    """The prompts that the folder of a model says; None where it says nothing of any."""
    prompts = {name: text for name, text in (config.get("prompts") or {}).items() if text}
    if not prompts:
        return None
    query = _first(prompts, QUERY_NAMES) or _first(
        prompts, [name for name in prompts if name.casefold().endswith("query")]
    )
    document = _first(prompts, DOCUMENT_NAMES)
    usual = str(config.get("default_prompt_name"))
    if not query and usual not in DOCUMENT_NAMES:
        query = prompts.get(usual, "")
        document = document or query  # one for all texts
    return Prompts(query, document)


def _first(prompts: Mapping[str, str], names: Sequence[str]) -> str:
    return next((prompts[name] for name in names if name in prompts), "")


def _known(weights: Weights, folder: Path) -> Prompts:
    """What the family of a model is known to want."""
    for name in _names(weights, folder):
        plain = " ".join(re.findall(r"[^\W_]+", name.casefold()))
        for pattern, prompts in FAMILIES:
            if re.search(pattern, plain):
                return prompts
    return Prompts()


def _names(weights: Weights, folder: Path) -> Iterator[str]:
    """What a model may be called: by the user, by the hub's cache, and by its own config."""
    yield Path(weights.name).name
    yield folder.name
    # A snapshot of the hub: models--OWNER--NAME/snapshots/REVISION.
    if folder.parent.name == "snapshots":
        yield folder.parent.parent.name.rpartition("--")[2]
    told = _values(folder / "config.json").get("_name_or_path")
    if isinstance(told, str):
        yield Path(told).name


def _values(file: Path) -> dict[str, Any]:
    """The values in a file that was looked at by `models.inspection`; none where there is none."""
    try:
        values = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
