import numpy as np
import pytest
from tiny_llm import tiny_engine

from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch, Choices, Item
from cascade.scoring import kept_priors
from cascade.scoring.item_prompts import QueryRewriter
from cascade.scoring.kept_priors import KeptPriors
from cascade.scoring.methods.llm import LLMScorer
from cascade.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_paths(["Tools > Rakes", "Tools > Spades", "Seeds > Herbs", "Pots"])
HEAD = "---\nid: ask\nversion: 1\ntask: t\nabout: a\nvariables: {item: text}\n---\n"
PICK = PromptTemplate.parse(HEAD + "Thing: {{ item }}\nKind:")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("CASCADE_CACHE", str(tmp_path))
    return tmp_path / "priors"


def kept(model="m", taxonomy=TAXONOMY, template=PICK, reading="local"):
    return KeptPriors.of(model, template, taxonomy, reading)


def scorer_of(engine):
    rewriter = QueryRewriter(engine, PICK)
    return LLMScorer(engine, PICK, TAXONOMY, rewriter, reading="local", kept=kept())


def choices_at(parent):
    children = TAXONOMY.children(parent).astype(np.int32)
    offsets = np.array([0, len(children)], np.int64)
    return Choices(np.zeros(1, np.int32), np.full(1, parent, np.int32), offsets, children)


def watched():
    """An engine, and how many questions each call had."""
    engine, calls = tiny_engine(), []
    score = engine.score
    engine.score = lambda asked, *how: calls.append(len(asked)) or score(asked, *how)
    return engine, calls


def test_the_next_process_asks_the_model_for_no_prior_again():
    batch = Batch([Item.of("a rake")])
    engine, calls = watched()
    first = scorer_of(engine).score(batch, choices_at(-1))
    assert calls == [1, 4]
    engine, calls = watched()
    again = scorer_of(engine)
    np.testing.assert_array_equal(again.score(batch, choices_at(-1)), first)
    assert calls == [1]
    again.score(batch, choices_at(0))  # below another node they are not known
    assert calls == [1, 1, 4]


def test_two_processes_add_to_one_file():
    known = np.full(len(TAXONOMY), np.nan)
    one, other = known.copy(), known.copy()
    one[0], other[2] = -1.5, -2.5
    kept().add(one)
    kept().add(other)
    np.testing.assert_array_equal(kept().read()[:3], [-1.5, np.nan, -2.5])


def test_another_model_prompt_taxonomy_or_reading_has_priors_of_its_own():
    kept().add(np.full(len(TAXONOMY), -1.0))
    renamed = Taxonomy.from_paths(["Tools > Rakes", "Tools > Hoes", "Seeds > Herbs", "Pots"])
    others = (
        kept(model="other"),
        kept(taxonomy=renamed),
        kept(template=PICK.given(kind="tool")),
        kept(template=PromptTemplate.parse(HEAD + "{{ item }} is:")),
        kept(reading="global"),
    )
    assert all(np.isnan(other.read()).all() for other in others)


@pytest.mark.parametrize("damage", ["cut", "text", "other", "worse", "folder"])
def test_a_damaged_file_counts_as_nothing_and_is_written_anew(cache, damage):
    priors = np.full(len(TAXONOMY), -1.0)
    kept().add(priors)
    (file,) = cache.iterdir()
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-9])
    elif damage == "text":
        file.write_text("no array", "utf-8")
    elif damage == "other":
        np.save(file, np.zeros(3))
    elif damage == "worse":
        np.save(file, np.full(len(TAXONOMY), np.inf))
    else:
        file.unlink()
        cache.rmdir()
    assert np.isnan(kept().read()).all()
    kept().add(priors)
    np.testing.assert_array_equal(kept().read(), priors)


def test_files_are_bounded(cache, monkeypatch):
    monkeypatch.setattr(kept_priors, "MOST", 3)
    for model in "abcdef":
        kept(model).add(np.full(len(TAXONOMY), -1.0))
    assert len([*cache.iterdir()]) == 3
    assert not np.isnan(kept("f").read()).any()


def test_where_nothing_can_be_written_answers_come_all_the_same(cache, caplog):
    cache.write_text("a file where the folder should be", "utf-8")
    kept().add(np.full(len(TAXONOMY), -1.0))
    assert "not kept" in caplog.text
    assert np.isnan(kept().read()).all()
