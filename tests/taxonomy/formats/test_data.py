"""Published taxonomies, as found."""

import time

import pytest

from cascade.errors import TaxonomyError
from cascade.taxonomy import Taxonomy

from ..trees import content

pytestmark = pytest.mark.data

PUBLISHED = {
    "gpc_offers/taxonomy.csv": (397, 3, 284),
    "shopify/categories_2026-01.tsv": (12_372, 8, 10_022),
    "shopify/categories_de_2024-08.json": (10_281, 8, 8_251),
    "shopify/categories_fr_2024-08.json": (10_281, 8, 8_251),
    "google/taxonomy.en-US.txt": (5_595, 8, 4_719),
}


@pytest.mark.parametrize("file", PUBLISHED)
def test_published_taxonomies_load_whole(data, file):
    tax = Taxonomy.load(data / file)
    assert (len(tax), tax.depth, len(tax.leaves)) == PUBLISHED[file]


@pytest.mark.parametrize("file", PUBLISHED)
def test_published_taxonomies_survive_a_round_trip(data, file, tmp_path):
    tax = Taxonomy.load(data / file)
    tax.to_csv(tmp_path / "x.csv")
    assert content(Taxonomy.load(tmp_path / "x.csv")) == content(tax)


def test_shopify_lines_load_quickly_and_keep_their_ids(data):
    times = []
    for _ in range(3):
        started = time.process_time()
        tax = Taxonomy.load(data / "shopify/categories_2026-01.tsv")
        times.append(time.process_time() - started)
    assert min(times) < 0.3
    node = tax.node("gid://shopify/TaxonomyCategory/ap-1")
    assert node.path == "Animals & Pet Supplies > Live Animals"


def test_names_with_slashes_stay_whole(data):
    tax = Taxonomy.load(data / "google/taxonomy.en-US.txt")
    found = tax.find("Electronics>Electronics Accessories>Computer Components>I/O Cards & Adapters")
    assert tax.names[found] == "I/O Cards & Adapters"


@pytest.mark.parametrize("file", ["gpc_offers/train.csv", "flipkart/train.csv"])
def test_labelled_rows_are_no_taxonomy(data, file):
    with pytest.raises(TaxonomyError, match="labelled rows, not a taxonomy"):
        Taxonomy.load(data / file)
