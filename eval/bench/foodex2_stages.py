r"""The stages of the FoodEx2 walk, each measured on what it never saw.

Base terms: other names of terms that `cascade foodex2 rows` held out, searched among names alone;
and names of foods of EFSA's FoodEx1 translations. Facet categories and descriptors: those that
held-out terms imply, told by their names; and composed descriptions in our own wording, with
indexes that do not hold it. Whole codes: of the FoodEx1 foods, by the walk as it ships.

cascade foodex2 rows -t MTX.ecf -o rows
cascade finetune rows/retriever.yaml -o encoder
cascade finetune rows/retriever.yaml --set model.weights=encoder/model --set training.epochs=3 \
    --set training.least_steps=1 --set training.batch_size=128 --set negatives.siblings=0 \
    --set negatives.near=0 -o encoder2
cascade finetune rows/reranker.yaml --set model.encoder=encoder2/model -o reranker
python eval/bench/foodex2_stages.py --catalogue MTX.ecf --rows rows --encoder encoder2/model \
    --reranker reranker/model --translations foodex1_to_2_translations.csv \
    --out eval/results/foodex2_stages
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from foodex2_facet_stages import FacetStages
from foodex2_rows import batches, figures, key, read_foods, read_names
from foodex2_tables import SHOWN, markdown

from cascade.config import BaseTermConfig
from cascade.foodex2.checking import make_checker
from cascade.foodex2.code import FoodCode
from cascade.foodex2.format import load_catalogue
from cascade.foodex2.rules import Checker, worst
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.generation.prompts import PromptTemplate
from cascade.pipeline.facets.evidence import EvidenceFinder
from cascade.pipeline.facets.ranking import BaseTermRanker
from cascade.pipeline.facets.reranking import Reranker, cross_encoder_reranker, llm_reranker
from cascade.retrieval.encoder import Encoder
from cascade.training.foodex2.synthetic import split_bases

STAGES = ["base", "category", "descriptor", "code"]
NO_WORDS = BaseTermConfig(whole=1, first=0, piece=0, words=0, unsaid=0)


def ranked_bases(stage: BaseTermRanker, texts: Sequence[str]) -> list[list[int]]:
    """Base terms of each text, best first."""
    return [row for batch in batches(texts) for row in stage.rank(batch, 100).nodes.tolist()]


class Study:
    """What all parts share: the catalogue, its splits, and the encoders.

    Attributes
    ----------
    tree, bare
        The taxonomy as it is used, and with names alone.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.catalogue = load_catalogue(arguments.catalogue)
        self.tree = FoodEx2Taxonomy.from_catalogue(self.catalogue)
        self.bare = FoodEx2Taxonomy.from_catalogue(self.catalogue, names_only=True)
        checker = make_checker(self.tree)
        assert isinstance(checker, Checker)
        self.checker = checker
        self.allowed = self.tree.reportable & np.array(
            [worst(checker.check(code)) in (None, "LOW") for code in self.tree.codes]
        )
        codes = [c for c, ok in zip(self.tree.codes, self.allowed, strict=True) if ok]
        n = len(codes)
        self.split = split_bases(codes)
        self.minilm = Encoder.load("minilm")
        self.tuned = Encoder.load(arguments.encoder) if arguments.encoder else None
        self.folder = Path(tempfile.mkdtemp())
        self.results: dict[str, Any] = {"terms": len(self.catalogue.terms), "bases": n}
        self._finders: dict[int, EvidenceFinder] = {}

    def finder(self, encoder: Encoder) -> EvidenceFinder:
        """The index of names alone, by an encoder."""
        if id(encoder) not in self._finders:
            self._finders[id(encoder)] = EvidenceFinder(self.bare, encoder)
        return self._finders[id(encoder)]

    def reranker(self) -> Reranker | None:
        """The cross-encoder that is named."""
        if not self.arguments.reranker:
            return None
        from cascade.scoring.cross_encoder import CrossEncoder

        return cross_encoder_reranker(CrossEncoder.load(self.arguments.reranker))

    def llm(self) -> Reranker:
        """The language model."""
        from cascade.generation.engines.transformers_engine import TransformersEngine

        self.engine = TransformersEngine.load("smollm2-135m")
        return llm_reranker(self.engine, PromptTemplate.load("food-term"))

    def base_stage(self) -> None:
        """Accuracy and ranking of base terms by names that the index does not hold."""
        names = read_names(Path(self.arguments.rows) / "test.csv")
        right: dict[str, set[int]] = {}
        for text, code in names:
            right.setdefault(key(text), set()).add(self.bare.index(code))
        texts = list({key(text): text for text, _ in names}.values())
        self.base_table("held-out names", texts, [sorted(right[key(t)]) for t in texts])
        if self.arguments.translations:
            foods = read_foods(Path(self.arguments.translations), self.tree)
            foods = [(t, c) for t, c in foods if self.allowed[self.tree.index(c.base)]]
            self.base_table(
                "FoodEx1 foods",
                [t for t, _ in foods],
                [[self.bare.index(c.base)] for _, c in foods],
            )

    def base_table(self, of: str, texts: list[str], right: list[list[int]]) -> None:
        """Every way to find base terms, on some texts."""
        usual = BaseTermConfig()
        ways: list[tuple[str, Callable[[], BaseTermRanker]]] = [
            ("bare MiniLM", lambda: self.bases(self.minilm, NO_WORDS)),
            ("bare MiniLM, pieces and words", lambda: self.bases(self.minilm, usual)),
        ]
        tuned = self.tuned
        if tuned is not None:
            ways += [
                ("fine-tuned", lambda: self.bases(tuned, NO_WORDS)),
                ("fine-tuned, pieces and words", lambda: self.bases(tuned, usual)),
                ("the same, reranked", lambda: self.bases(tuned, usual, self.reranker())),
                ("the same, by the LLM", lambda: self.bases(tuned, usual, self.llm())),
            ]
        table = self.results.setdefault("base terms", {})
        for name, made in ways:
            if name.endswith("reranked") and not self.arguments.reranker:
                continue
            if name.endswith("LLM") and len(texts) > self.arguments.llm_rows:
                continue
            started = time.perf_counter()
            found = figures(ranked_bases(made(), texts), right)
            found["seconds"] = round(time.perf_counter() - started, 1)
            table.setdefault(of, {"rows": len(texts)})[name] = found
            print(of, name, {k: found[k][0] for k in SHOWN if k in found}, flush=True)

    def bases(
        self, encoder: Encoder, config: BaseTermConfig, reranker: Reranker | None = None
    ) -> BaseTermRanker:
        """A stage over names alone."""
        return BaseTermRanker(self.bare, self.finder(encoder), config, self.allowed, reranker)

    def code_stage(self) -> None:
        """Whole codes of FoodEx1 foods by the walk as it ships, and whether rules let them pass."""
        from cascade.config import CascadeConfig
        from cascade.pipeline.classifier import Classifier

        foods = read_foods(Path(self.arguments.translations), self.tree)
        settings = {"retrieval": {"encoder": self.arguments.encoder}} if self.tuned else {}
        classifier = Classifier(self.tree, CascadeConfig.parse(settings))
        list(classifier.classify_many(["warm"]))
        started = time.perf_counter()
        found = list(classifier.classify_many([text for text, _ in foods]))
        seconds = time.perf_counter() - started
        codes = [FoodCode.parse(prediction.code or "") for prediction in found]
        right = [code for _, code in foods]
        normal = [code.normalised(self.catalogue.terms[code.base].facets) for code in right]
        faceted = [at for at, code in enumerate(normal) if code.facets]
        shared = sum(len(set(a.facets) & set(b.facets)) for a, b in zip(codes, normal, strict=True))
        said_, true = (sum(len(code.facets) for code in own) for own in (codes, normal))
        passed = [worst(self.checker.check(str(code))) in (None, "LOW") for code in codes]
        same = [a == b for a, b in zip(codes, normal, strict=True)]
        table: dict[str, Any] = {
            "rows": len(foods),
            "rows with facets": len(faceted),
            "base term": np.mean([a.base == b.base for a, b in zip(codes, normal, strict=True)]),
            "whole code": np.mean(same),
            "whole code, rows with facets": np.mean([same[at] for at in faceted]),
            "facets: precision": shared / max(said_, 1),
            "facets: recall": shared / max(true, 1),
            "facets of a code": said_ / len(codes),
            "facets of a right code": true / len(codes),
            "clean by the strict rules": np.mean(passed),
            "rows/s": len(foods) / seconds,
        }
        self.results["whole codes"] = {n: round(float(v), 4) for n, v in table.items()}
        print(self.results["whole codes"], flush=True)


def main() -> None:
    """Measure, and write `OUT.json` and `OUT.md`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalogue", required=True, help="MTX.ecf, with BR_Data.csv beside it")
    parser.add_argument("--rows", required=True, help="folder of `cascade foodex2 rows`")
    parser.add_argument("--encoder", help="fine-tuned encoder")
    parser.add_argument("--reranker", help="fine-tuned cross-encoder")
    parser.add_argument("--translations", help="foods of FoodEx1 with FoodEx2 codes")
    parser.add_argument("--composed", type=int, default=4000, help="descriptions to train on")
    parser.add_argument(
        "--llm-rows", type=int, default=2000, help="the LLM is asked about tables of no more rows"
    )
    parser.add_argument(
        "--list-rows", type=int, default=60, help="rows whose categories the LLM names"
    )
    parser.add_argument("--stages", nargs="*", choices=STAGES, default=STAGES)
    parser.add_argument(
        "--out", help="where to, without a suffix; stages that it has and this run not are kept"
    )
    arguments = parser.parse_args()
    study = Study(arguments)
    facets = FacetStages(study)
    stages = {
        "base": study.base_stage,
        "category": facets.category_stage,
        "descriptor": facets.descriptor_stage,
        "code": study.code_stage,
    }
    for stage in arguments.stages:
        stages[stage]()
    if arguments.out:
        out = Path(arguments.out)
        made = out.with_suffix(".json")
        results = json.loads(made.read_text("utf-8")) if made.is_file() else {"commands": {}}
        commands = results.pop("commands")
        results |= study.results
        command = " ".join(["python", *sys.argv])
        results["commands"] = commands | dict.fromkeys(arguments.stages, command)
        made.write_text(json.dumps(results, indent=1), "utf-8")
        out.with_suffix(".md").write_text(markdown(results), "utf-8")


if __name__ == "__main__":
    main()
