"""What the page shows of a row, as plain values; texts of rows are data and stay text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cascade.items import Item
from cascade.pipeline.doors.explaining import Explanation
from cascade.predictions import levels_as_dicts
from cascade.review.corrections import LIKE, Neighbour, trust, votes
from cascade.review.database import Database
from cascade.review.decisions import code_of, node_of
from cascade.review.filling import Layout
from cascade.taxonomy import Taxonomy

LONGEST = 20_000  # characters of a cell that are sent to the page
SHOWN = 9  # candidates, one for each digit key
ALWAYS, LEAST = 5, 0.02  # so many are shown, others from this confidence on
EXAMPLES = 5
CHILDREN = 500  # nodes of one level of the tree that are sent at a time

Plain = dict[str, Any]


class Showing:
    """Rows and nodes of a session as plain values."""

    def __init__(self, db: Database, taxonomy: Taxonomy, layout: Layout) -> None:
        self._db, self._taxonomy, self._layout = db, taxonomy, layout
        self.hidden: frozenset[str] = frozenset()
        """Columns that reviewers do not see, such as labels that would sway them."""

    def node(self, code: str) -> Plain | None:
        """A node by its code or path; of a code with facets its base term, under the whole code."""
        found = node_of(self._taxonomy, code)
        whole = code_of(self._taxonomy, code) or code
        return None if found is None else {**self._of(found), "code": whole}

    def _of(self, i: int) -> Plain:
        taxonomy = self._taxonomy
        nodes = [*taxonomy.ancestors(i).tolist(), i]
        return {
            "code": taxonomy.codes[i],
            "name": taxonomy.names[i],
            "path": [taxonomy.names[node] for node in nodes],
            "codes": [taxonomy.codes[node] for node in nodes],
            "leaf": taxonomy.is_leaf(i),
        }

    def details(self, code: str) -> Plain | None:
        """A node with what describes it."""
        found = self.node(code)
        if found is None:
            return None
        i = self._taxonomy.index(found["codes"][-1])
        description = self._taxonomy.description(i)
        return {
            **found,
            "description": description[:LONGEST],
            "synonyms": list(self._taxonomy.synonyms(i))[:20],
        }

    def children(self, code: str | None, offset: int = 0, holding: str | None = None) -> Plain:
        """The nodes below one, or at the top: a part of them.

        Parameters
        ----------
        offset
            Where the part begins.
        holding
            Code of a node that the part shall hold, whatever the offset.
        """
        taxonomy = self._taxonomy
        parent = -1 if code is None else taxonomy.index(code)
        below = taxonomy.children(parent).tolist()
        wanted = None if holding is None else taxonomy.find(holding)
        if wanted in below:
            offset = below.index(wanted) // CHILDREN * CHILDREN
        part = below[offset : offset + CHILDREN]
        shown = [
            {
                "code": taxonomy.codes[i],
                "name": taxonomy.names[i],
                "leaf": taxonomy.is_leaf(i),
                "below": len(taxonomy.subtree(i)) - 1,
            }
            for i in part
        ]
        end = offset + len(part)
        following = end if end < len(below) else None
        return {"nodes": shown, "total": len(below), "offset": offset, "next": following}

    def search(self, words: str, limit: int) -> list[Plain]:
        """Nodes whose name, synonym or code is like the words, the best first."""
        return [self._of(node.index) for node in self._taxonomy.search(words, limit)]

    def item(self, row: int, names: Mapping[str, str], image: Any = None) -> Item | None:
        """What a classifier reads of a row; None where there is no text and no picture.

        Parameters
        ----------
        names
            What each text column is called in items.
        """
        cells = self._cells(row)
        read = self._layout.text or self._layout.kept
        fields = {names.get(name, name): cells.get(name, "") for name in read}
        item = Item(fields, image=image)
        return item if item.has_text or image is not None else None

    def _cells(self, row: int) -> dict[str, str]:
        found = self._db.value("SELECT cells FROM rows WHERE row = ?", (row,))
        return dict(zip(self._layout.kept, json.loads(found or "[]"), strict=False))

    def title(self, row: int) -> str:
        """A row in one line."""
        cells = self._cells(row)
        read = [cells.get(name, "") for name in self._layout.text or self._layout.kept]
        return " · ".join(text for text in (" ".join(t.split()) for t in read) if text)[:300]

    def row(self, row: int) -> Plain:
        """A row with its answer and what stood beside it in the file."""
        found = self._db.one("SELECT * FROM rows WHERE row = ?", (row,))
        assert found is not None
        cells = dict(zip(self._layout.kept, json.loads(found["cells"]), strict=False))
        more = json.loads(found["more"])
        answer = self._answer(found, more)
        given = [[found["code"], found["confidence"]]] if found["code"] else []
        candidates = self._candidates([*given, *self._others(more)], [])
        return {
            "row": row,
            "key": "" if found["key"].startswith("#") else found["key"],
            "cells": [
                {
                    "name": name,
                    "text": text[:LONGEST],
                    "cut": max(0, len(text) - LONGEST),
                    "read": name in self._layout.text,
                }
                for name, text in cells.items()
                if name not in self.hidden
            ],
            "picture": found["image"] is not None,
            "answer": answer,
            "candidates": candidates,
            "double": found["wanted"] > 1,
        }

    def _answer(self, row: Any, more: Plain) -> Plain:
        """The answer with the confidence of each level, as far as the file tells."""
        node = None if row["code"] is None else self.node(row["code"])
        levels = {level["code"]: level["confidence"] for level in more.get("levels", [])}
        path = []
        if node is not None:
            path = [
                {"code": code, "name": name, "confidence": levels.get(code)}
                for code, name in zip(node["codes"], node["path"], strict=True)
            ]
            if path[-1]["confidence"] is None:
                path[-1]["confidence"] = row["confidence"]
        return {
            "code": row["code"],
            "path": path,
            "confidence": row["confidence"],
            "status": row["status"],
            "message": row["message"],
            "source": row["source"],
        }

    def why(
        self,
        row: int,
        explanation: Explanation | None,
        near: Sequence[Neighbour],
        of_pack: Sequence[tuple[int, float]],
    ) -> Plain:
        """Why the answer is what it is, and what else it may be, after all that was decided.

        Parameters
        ----------
        explanation
            What the classifier says now; None where there is none.
        near
            Decided rows that are like this one.
        of_pack
            Nodes of labelled rows of the pack that are, with their similarity.
        """
        found = self._db.one("SELECT * FROM rows WHERE row = ?", (row,))
        assert found is not None
        answer, more = found["code"], json.loads(found["more"])
        pairs = [[answer, found["confidence"]]] if answer else []
        pairs += self._others(more)
        levels: list[Plain] = []
        words: list[Plain] = []
        if explanation is not None:
            prediction = explanation.prediction
            levels = self._levels(levels_as_dicts(prediction), prediction.code == answer)
            pairs += [[prediction.code, prediction.confidence]]
            pairs += [[a.code, a.confidence] for a in prediction.alternatives]
            pairs += [
                [c["code"], c["confidence"]]
                for level in levels_as_dicts(prediction)[-1:]
                for c in level["candidates"]
                if self._is_leaf(c["code"])
            ]
            words = [
                {"field": w.field, "start": w.start, "text": w.text, "weight": round(w.weight, 4)}
                for w in explanation.words
            ]
        examples: list[Plain] = [
            {
                "text": self.title(n.row),
                "row": n.row,
                "similarity": round(n.similarity, 4),
                "node": self._of(n.node),
            }
            for n in near
        ]
        examples += [
            {"text": "", "row": None, "similarity": round(similar, 4), "node": self._of(node)}
            for node, similar in of_pack
        ]
        examples.sort(key=lambda example: -example["similarity"])
        return {
            "levels": levels,
            "words": words,
            "candidates": self._candidates(pairs, near),
            "examples": examples[:EXAMPLES],
        }

    def _levels(self, levels: Sequence[Plain], same: bool) -> list[Plain]:
        """The confidence of each level and its best candidates."""
        return [
            {
                "code": level["code"],
                "name": level["name"],
                "confidence": level["confidence"],
                "candidates": [
                    {"code": c["code"], "name": c["name"], "confidence": c["confidence"]}
                    for c in level["candidates"][:6]
                ],
                "same": same,
            }
            for level in levels
        ]

    def _candidates(self, pairs: Sequence[Any], near: Sequence[Neighbour]) -> list[Plain]:
        """Codes with confidences, and votes of decided rows, as one list, the best first.

        The first pair is the answer, which keeps the confidence that the file has.
        """
        shares: dict[str, float] = {}
        for code, confidence in pairs:
            if code and code not in shares:
                shares[code] = confidence or 0.0
        weight, voted = trust(near), votes(near)
        codes = self._taxonomy.codes
        by_code = {codes[node]: share for node, share in voted.items()}
        order = {
            code: (1 - weight) * shares.get(code, 0.0) + weight * by_code.get(code, 0.0)
            for code in dict.fromkeys([*shares, *by_code])
        }
        found: list[Plain] = []
        for code in sorted(order, key=lambda code: -order[code]):
            node = self.node(code)
            if node is None:
                continue
            if len(found) >= ALWAYS and order[code] < LEAST:
                break
            like = sum(codes[n.node] == code and n.similarity >= LIKE for n in near)
            found.append({**node, "confidence": shares.get(code), "like": like})
        return found[:SHOWN]

    def _others(self, more: Plain) -> list[Any]:
        """Alternatives, and the leaves among the candidates of the last level."""
        last = more["levels"][-1]["candidates"] if more.get("levels") else []
        leaves = [[code, sure] for code, sure in last if self._is_leaf(code)]
        return [*more.get("alternatives", []), *leaves]

    def _is_leaf(self, code: str) -> bool:
        node = self._taxonomy.find(code)
        return node is not None and self._taxonomy.is_leaf(node)
