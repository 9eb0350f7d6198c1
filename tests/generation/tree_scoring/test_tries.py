from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llm import tiny_tokenizer

from cascade.generation.engine import Prompt, Question
from cascade.generation.prompt_encoding import PromptEncoder
from cascade.generation.text_encoding import TokenSequences
from cascade.generation.tree_scoring.small_tries import small_tries_of
from cascade.generation.tree_scoring.trie import Trie, plans_of, tries_of
from cascade.generation.tree_scoring.trie_cache import TrieCache

END = 99
sequences = st.lists(
    st.lists(st.integers(0, 4), min_size=1, max_size=6).map(lambda s: [*s, END]),
    min_size=1,
    max_size=12,
)


def leaves(trie):
    """The node that ends each answer."""
    return trie.ways.max(axis=1, initial=0)


def way(trie, node):
    """A node and its ancestors up to node 0, by walking parents."""
    seen = [node]
    while trie.parent[seen[-1]] >= 0:
        seen.append(int(trie.parent[seen[-1]]))
    return seen


@given(sequences)
def test_the_way_to_each_leaf_spells_its_sequence(answers):
    trie = Trie.build(TokenSequences.of(answers))
    for leaf, answer in zip(leaves(trie).tolist(), answers, strict=True):
        spelled = [int(trie.token[node]) for node in reversed(way(trie, leaf)[:-1])]
        assert spelled == answer
        assert trie.depth[leaf] == len(answer)


@given(sequences)
def test_a_prefix_that_answers_share_is_one_node(answers):
    prefixes = {tuple(a[:n]) for a in answers for n in range(len(a) + 1)}
    assert len(Trie.build(TokenSequences.of(answers))) == len(prefixes)


@given(sequences, st.randoms(use_true_random=False))
def test_totals_are_the_sums_of_the_edges_on_the_way(answers, random):
    trie = Trie.build(TokenSequences.of(answers))
    edges = np.array([0.0] + [random.uniform(-9, 0) for _ in range(len(trie) - 1)])
    naive = [sum(edges[node] for node in way(trie, leaf)) for leaf in leaves(trie).tolist()]
    np.testing.assert_allclose(trie.totals(edges), naive)


@given(sequences, st.booleans())
def test_a_node_attends_to_its_ancestors_and_itself_and_nothing_else(answers, local):
    trie = Trie.build(TokenSequences.of(answers))
    reads = trie.plan("local" if local else "global")
    nodes = reads.nodes.tolist()
    assert reads.attention_mask.tolist() == [[b in way(trie, a) for b in nodes] for a in nodes]


@given(sequences, st.booleans())
def test_only_nodes_on_the_way_to_something_that_is_read_are_computed(answers, local):
    trie = Trie.build(TokenSequences.of(answers))
    below = {node: set() for node in range(len(trie))}
    for node in range(1, len(trie)):
        below[int(trie.parent[node])].add(int(trie.token[node]))
    read = [n for n in range(len(trie)) if len(below[n]) >= (2 if local else 1)]
    needed = {above for node in read for above in way(trie, node)} - {0}
    assert (trie.plan("local" if local else "global")).nodes.tolist() == sorted(needed)


@given(sequences, st.booleans(), st.integers(1, 6))
def test_parts_of_a_trie_read_every_edge_once_and_see_what_the_whole_sees(answers, local, most):
    trie = Trie.build(TokenSequences.of(answers))
    whole = trie.plan("local" if local else "global")
    parts = whole.split(most)
    assert {n for part in parts for n in part.nodes.tolist()} == set(whole.nodes.tolist())
    assert sorted(n for part in parts for n in part.edges.tolist()) == whole.edges.tolist()
    for part in parts:
        nodes = part.nodes.tolist()
        assert part.attention_mask.tolist() == [[b in way(trie, a) for b in nodes] for a in nodes]
        assert len(nodes) <= most + max(map(len, answers))
        bounds = pairwise([*part.starts.tolist(), len(part.edges)])
        for source, (start, end) in zip(part.sources.tolist(), bounds, strict=True):
            above = 0 if source == 0 else nodes[source - 1]
            assert end > start
            assert set(trie.parent[part.edges[start:end]].tolist()) == {above}
            assert part.edge_token[start:end].tolist() == trie.token[part.edges[start:end]].tolist()


@given(st.lists(sequences, min_size=1, max_size=5), st.booleans())
def test_tries_of_many_questions_are_those_of_each_alone_and_so_are_their_plans(asked, local):
    reading = "local" if local else "global"
    together = tries_of(
        TokenSequences.of([answer for one in asked for answer in one]), [len(one) for one in asked]
    )
    plans = plans_of(together, reading)
    for own, answers, plan in zip(together, asked, plans, strict=True):
        alone = Trie.build(TokenSequences.of(answers))
        assert same(own, alone)
        assert same(plan, alone.plan(reading))


def same(one, other):
    """Whether the arrays of two tries or plans are equal."""
    return all(
        np.array_equal(value, getattr(other, name))
        for name, value in vars(one).items()
        if isinstance(value, np.ndarray)
    )


def test_a_trie_that_is_known_is_not_built_again():
    cache = TrieCache(PromptEncoder(tiny_tokenizer()))
    shoes, hats = (" Shoe", " Shoe care"), (" Hat", " Cap", " Hat")
    first = cache.of([Question(Prompt(end="\n"), shoes), Question(Prompt(), shoes)])
    again = cache.of(
        [Question(Prompt(), shoes), Question(Prompt(), hats), Question(Prompt(), hats)]
    )
    assert again[0] is first[1] is not first[0]
    assert again[1] is again[2]
    assert [len(trie.ways) for trie in (*first, *again)] == [2, 2, 2, 3, 3]


def test_a_lone_answer_needs_no_computation_in_the_local_reading():
    trie = Trie.build(TokenSequences.of([[4, 5, END]]))
    assert trie.plan("local").nodes.tolist() == []
    assert trie.plan("global").nodes.tolist() == [1, 2]


def test_equal_answers_share_a_leaf():
    trie = Trie.build(TokenSequences.of([[1, END], [2, END], [1, END]]))
    assert leaves(trie)[0] == leaves(trie)[2] != leaves(trie)[1]


names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)


@settings(deadline=None, max_examples=60)
@given(st.lists(names, min_size=2, max_size=6, unique=True), st.sampled_from([None, "\n"]))
def test_with_an_end_no_name_is_the_beginning_of_another(found, end):
    encoder = PromptEncoder(tiny_tokenizer())
    spelled = [encoder.answer(f" {name}", end) for name in [*found, found[0] + found[1]]]
    for i, a in enumerate(spelled):
        for b in spelled[:i]:
            assert a == b or (a != b[: len(a)] and b != a[: len(b)])
    trie = Trie.build(TokenSequences.of(spelled))
    assert (trie.n_children[leaves(trie)] == 0).all()


def test_without_its_end_a_name_that_begins_another_would_end_inside_the_trie():
    encode = PromptEncoder(tiny_tokenizer()).text
    trie = Trie.build(TokenSequences.of([encode(" Shoe"), encode(" Shoe care")]))
    assert trie.n_children[leaves(trie)].tolist() == [1, 0]


@given(st.lists(sequences, min_size=1, max_size=4))
def test_a_few_answers_have_the_tries_and_plans_of_many(asked):
    together = TokenSequences.of([own for answers in asked for own in answers])
    counts = [len(answers) for answers in asked]
    wanted, found = tries_of(together, counts), small_tries_of(together, counts)
    for trie, small in zip(wanted, found, strict=True):
        for name in ("token", "parent", "depth", "ways"):
            np.testing.assert_array_equal(getattr(small, name), getattr(trie, name))
        plan, own = trie.plan("local"), small._plans["local"]
        for name in vars(plan):
            np.testing.assert_array_equal(getattr(own, name), getattr(plan, name))


@given(sequences, st.integers(0, 2))
def test_tries_do_not_depend_on_how_large_tokens_are(answers, exponent):
    small = Trie.build(TokenSequences.of(answers))
    large = Trie.build(TokenSequences.of([[t * 1000**exponent for t in own] for own in answers]))
    np.testing.assert_array_equal(large.ways, small.ways)
    np.testing.assert_array_equal(large.token[1:], small.token[1:] * 1000**exponent)
