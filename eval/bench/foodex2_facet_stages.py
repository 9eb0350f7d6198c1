"""Stages of the FoodEx2 walk that find facets: which categories are said, and which descriptors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from foodex2_rows import BLOCK, batches

from cascade.foodex2.code import FoodCode
from cascade.generation.prompts import PromptTemplate
from cascade.items import Item
from cascade.pipeline.facets.categories import LLMClassifier
from cascade.pipeline.facets.evidence import FacetFeatureExtractor
from cascade.taxonomy.facets import Facet
from cascade.training.foodex2.categories import (
    category_figures,
    category_labels,
    features_and_labels,
    fit_network,
    fit_text_classifier,
)
from cascade.training.foodex2.synthetic import Composer, Description

if TYPE_CHECKING:
    from foodex2_stages import Study


class FacetStages:
    """Measures what is found of facets, with what a study has."""

    def __init__(self, study: Study) -> None:
        self.study = study

    def implied(self, split: str) -> list[Description]:
        """Terms with what they imply, as if it were said."""
        return [
            Description(
                self.study.catalogue.terms[c].name,
                FoodCode(c, self.study.catalogue.terms[c].facets),
            )
            for c in self.study.split[split]
        ]

    def composed(self, split: str, n: int, seed: int) -> list[Description]:
        """Composed descriptions in our own wording, which the index of names does not hold."""
        composer = Composer(
            self.study.tree, self.study.catalogue, self.study.checker, words="ours", seed=seed
        )
        return list(composer.compose(self.study.split[split], n))

    def category_stage(self) -> None:
        """Which facet categories are said: by what held-out terms imply, and composed."""
        features = FacetFeatureExtractor(self.study.bare, self.study.finder(self.study.minilm))
        n = self.study.arguments.composed
        for of, rows in (
            ("implied by held-out terms", {s: self.implied(s) for s in self.study.split}),
            (
                "composed descriptions",
                {
                    "train": self.composed("train", n, 1),
                    "validation": self.composed("validation", n // 5, 2),
                    "test": self.composed("test", n // 5, 3),
                },
            ),
        ):
            self.category_table(of, features, rows, told="implied" not in of)

    def category_table(
        self,
        of: str,
        features: FacetFeatureExtractor,
        rows: dict[str, list[Description]],
        *,
        told: bool,
    ) -> None:
        """The three ways to find categories."""
        table = self.study.results.setdefault("facet categories", {}).setdefault(
            of, {"rows": {split: len(own) for split, own in rows.items()}}
        )
        codes = features.codes
        truth = {
            split: category_labels(codes, [r.code for r in own]) for split, own in rows.items()
        }
        classifier = fit_text_classifier(
            [r.text for r in rows["train"]],
            truth["train"],
            [r.text for r in rows["validation"]],
            truth["validation"],
            codes,
            self.study.minilm,
            self.study.folder,
        )
        likely = classifier.of([Item({"text": r.text}) for r in rows["test"]])
        self.note(table, "classifier", likely, classifier.thresholds, truth["test"])
        made = {
            s: features_and_labels(features, own, [r.code.base if told else "" for r in own])[0]
            for s, own in rows.items()
        }
        pairs = fit_network(
            made["train"], truth["train"], made["validation"], truth["validation"], codes
        )
        likely = pairs.of(made["test"])
        self.note(table, "pairs", likely, pairs.thresholds, truth["test"])
        self.study.llm()
        some = rows["test"][: self.study.arguments.list_rows]
        template = PromptTemplate.load("choose-facets")
        allowed = np.asarray(truth["train"].any(axis=0))
        model = LLMClassifier(self.study.bare, self.study.engine, template, allowed)
        taken = np.concatenate(
            [
                model.probabilities(batch, None, [r.code.base for r in some[at : at + BLOCK]])  # type: ignore[arg-type]
                for at, batch in zip(
                    range(0, len(some), BLOCK), batches([r.text for r in some]), strict=True
                )
            ]
        )
        table[f"llm, untuned, {len(some)} rows"] = category_figures(
            taken >= model.thresholds, truth["test"][: len(some)]
        )
        print(of, "llm", table[f"llm, untuned, {len(some)} rows"], flush=True)

    def note(
        self, table: dict[str, Any], name: str, likely: Any, thresholds: Any, right: Any
    ) -> None:
        """Figures at the fitted thresholds, and at several that are the same for all."""
        table[name] = {"fitted thresholds": category_figures(likely >= thresholds, right)}
        for threshold in (0.3, 0.5, 0.7):
            table[name][str(threshold)] = category_figures(likely >= threshold, right)
        print(name, table[name]["fitted thresholds"], flush=True)

    def descriptor_stage(self) -> None:
        """Which descriptor of a category is said."""
        for of, rows, told in (
            ("implied by held-out terms", self.implied("test"), False),
            (
                "composed descriptions",
                self.composed("test", self.study.arguments.composed // 5, 3),
                True,
            ),
        ):
            table = self.study.results.setdefault("descriptors", {}).setdefault(of, {})
            for name, encoder in (
                ("bare MiniLM", self.study.minilm),
                ("fine-tuned", self.study.tuned),
            ):
                if encoder is None:
                    continue
                features = FacetFeatureExtractor(self.study.bare, self.study.finder(encoder))
                table[name] = self.descriptor_figures(features, rows, told)
                print(of, name, table[name]["all"], flush=True)

    def descriptor_figures(
        self, features: FacetFeatureExtractor, rows: list[Description], told: bool
    ) -> dict[str, Any]:
        """accuracy@1 and recall@10 of the descriptors of each category that a code has."""
        hits: dict[str, list[tuple[float, float]]] = {}
        for at in range(0, len(rows), BLOCK):
            some = rows[at : at + BLOCK]
            batch = batches([r.text for r in some])[0]
            found = features.extract(batch, [r.code.base if told else "" for r in some])
            for item, row in enumerate(some):
                wanted: dict[str, set[str]] = {}
                for facet in row.code.facets:
                    wanted.setdefault(facet.category, set()).add(facet.descriptor)
                for category, right in wanted.items():
                    self.hit(features, found, item, Facet(category, ""), right, hits)
        together = [hit for own in hits.values() for hit in own]
        table = {"all": together, **dict(sorted(hits.items()))}
        return {
            name: {
                "questions": len(own),
                "accuracy_at_1": round(float(np.mean([hit[0] for hit in own])), 4),
                "recall_at_10": round(float(np.mean([hit[1] for hit in own])), 4),
            }
            for name, own in table.items()
        }

    def hit(
        self,
        features: FacetFeatureExtractor,
        found: Any,
        item: int,
        asked: Facet,
        right: set[str],
        hits: dict[str, list[tuple[float, float]]],
    ) -> None:
        """Note whether the first descriptor is right, and how many of the first ten are."""
        if asked.category not in features.codes:
            return
        column = features.codes.index(asked.category)
        tree = features.categories[column].tree
        scores = found.scores[column][:, item]
        order = np.argsort(-scores, kind="stable")[:10]
        best = [tree.codes[node] for node in order.tolist()]
        hits.setdefault(asked.category, []).append(
            (float(best[0] in right), len(right & set(best)) / len(right))
        )
