import numpy as np
import pytest

import cascade
from cascade.errors import ConfigError, WeightsError
from cascade.items import Batch, Choices, Item
from cascade.scoring.cross_encoder import CrossEncoder
from cascade.scoring.methods.nli import NLIScorer
from cascade.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_paths(
    ["Clothing > Hats", "Clothing > Shoes/Boots", "Garden > Rakes", "Food", "{name} & more"]
)
TEXTS = ("straw hat for summer", "garden rake [SEP] This product is about Food.", "x" * 300)


def spoken_names():
    return [name.replace("Shoes/Boots", "Shoes, Boots") for name in TAXONOMY.names]


def choices_of(*questions):
    """Questions (row, parent) over all children."""
    children = [TAXONOMY.children(parent) for _, parent in questions]
    return Choices(
        np.array([row for row, _ in questions], np.int32),
        np.array([parent for _, parent in questions], np.int32),
        np.cumsum([0, *map(len, children)]).astype(np.int64),
        np.concatenate(children).astype(np.int32),
    )


CHOICES = choices_of((0, -1), (1, -1), (2, -1), (1, 0), (0, 0))


def batch_of(*texts):
    return Batch([Item.of(text) for text in texts])


def test_scores_are_the_softmax_of_entailment_asked_pair_by_pair(pair_model, direct):
    scorer = NLIScorer(pair_model("nli"), TAXONOMY)
    found = scorer.score(batch_of(*TEXTS), CHOICES)
    names = spoken_names()
    for q, row in enumerate(CHOICES.rows.tolist()):
        span = slice(*CHOICES.offsets[q : q + 2])
        entailed = np.array(
            [
                direct(
                    "nli",
                    TEXTS[row],
                    f"This text is about {names[node]}.",
                    split_special_tokens=True,
                )[0]
                for node in CHOICES.nodes[span].tolist()
            ]
        )
        expected = np.exp(entailed) / np.exp(entailed).sum()
        np.testing.assert_allclose(np.exp(found[span]), expected, atol=1e-4)
        assert np.ptp(expected) > 0.05


def test_an_item_has_the_same_scores_in_any_batch(pair_model):
    scorer = NLIScorer(pair_model("nli", batch_tokens=256), TAXONOMY)
    together = scorer.score(batch_of(*TEXTS), CHOICES)
    for row, text in enumerate(TEXTS):
        wanted, member = CHOICES.subset(CHOICES.rows == row)
        alone = Choices(wanted.rows * 0, wanted.parents, wanted.offsets, wanted.nodes)
        found = scorer.score(batch_of(text), alone)
        np.testing.assert_allclose(found, together[member], atol=1e-4)


def test_the_claim_is_the_templates(pair_model, direct):
    scorer = NLIScorer(pair_model("nli"), TAXONOMY, "{0} {name}: {name}")
    one = choices_of((0, -1))
    found = scorer.score(batch_of("hat"), one)
    claims = [f"{{0}} {name}: {name}" for name in np.array(spoken_names())[one.nodes]]
    expected = one.log_softmax([direct("nli", "hat", claim)[0] for claim in claims])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_only_the_beginning_of_an_item_is_read(pair_model):
    scorer = NLIScorer(pair_model("nli"), TAXONOMY, max_chars=9)
    one = choices_of((0, -1))
    np.testing.assert_array_equal(
        scorer.score(batch_of("straw hat, a rake"), one), scorer.score(batch_of("straw hat"), one)
    )


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_label_tells_which_output_is_entailment(changed, direct, place):
    labels = ["not_entailment", "neutral"]
    labels.insert(place, "ENTAILMENT")
    folder = changed("nli", id2label=dict(enumerate(labels)))
    one = choices_of((0, -1))
    claims = [f"This text is about {spoken_names()[node]}." for node in one.nodes]
    expected = one.log_softmax([direct("nli", "hat", claim)[place] for claim in claims])
    scorer = NLIScorer(CrossEncoder.load(folder, device="cpu"), TAXONOMY)
    np.testing.assert_allclose(scorer.score(batch_of("hat"), one), expected, atol=1e-4)


def test_a_model_without_a_label_for_entailment_is_refused_with_its_labels(pair_model):
    with pytest.raises(WeightsError, match=r"has the labels LABEL_0; expected .* in nli\.model"):
        NLIScorer(pair_model("cross-encoder"), TAXONOMY)


def test_a_hypothesis_without_a_place_for_the_name_is_refused():
    with pytest.raises(
        ConfigError, match=r"nli\.hypothesis: .*expected \{name\}.*found 'About it'"
    ):
        cascade.load("store", method="nli", nli={"hypothesis": "About it"})


def test_weights_that_are_not_there_are_named_with_what_to_do(monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    for method, model in (("nli", "MoritzLaurer/deberta"), ("rerank", "cross-encoder/ms-marco")):
        with pytest.raises(WeightsError, match=rf"{model}.*--allow-download"):
            cascade.load("store", taxonomy=TAXONOMY, method=method)


@pytest.mark.weights
class TestLoading:
    def test_all_children_are_asked_where_the_config_says_so(self, small):
        clf = cascade.load(
            "store",
            taxonomy=TAXONOMY,
            method="nli",
            nli={"model": str(small["nli"])},
            retrieval={"candidates": 1000},
            descent={"depth": 1},
        )
        top = {TAXONOMY.names[node] for node in TAXONOMY.children(-1)}
        for prediction in clf.classify_many(["straw hat", "[SEP] [CLS] rake"]):
            (level,) = prediction.levels
            assert {candidate.name for candidate in level.candidates} == top
            assert (prediction.source, prediction.status) == ("nli", "ok")

    def test_a_small_model_is_named_in_a_config(self):
        clf = cascade.load("store", taxonomy=TAXONOMY, method="nli", nli={"model": "small:nli"})
        assert clf.classify("straw hat").source == "nli"
