import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llm import tiny_tokenizer

from cascade.generation.encode import PromptEncoder
from cascade.generation.tries import Trie

END = 99
sequences = st.lists(
    st.lists(st.integers(0, 4), min_size=1, max_size=6).map(lambda s: [*s, END]),
    min_size=1,
    max_size=12,
)


def way(trie, node):
    """A node and its ancestors up to node 0, by walking parents."""
    seen = [node]
    while trie.parent[seen[-1]] >= 0:
        seen.append(int(trie.parent[seen[-1]]))
    return seen


@given(sequences)
def test_the_way_to_each_leaf_spells_its_sequence(answers):
    trie = Trie.build(answers)
    for leaf, answer in zip(trie.leaf.tolist(), answers, strict=True):
        spelled = [int(trie.token[node]) for node in reversed(way(trie, leaf)[:-1])]
        assert spelled == answer
        assert trie.depth[leaf] == len(answer)


@given(sequences)
def test_a_prefix_that_answers_share_is_one_node(answers):
    prefixes = {tuple(a[:n]) for a in answers for n in range(len(a) + 1)}
    assert len(Trie.build(answers)) == len(prefixes)


@given(sequences, st.randoms(use_true_random=False))
def test_totals_are_the_sums_of_the_edges_on_the_way(answers, random):
    trie = Trie.build(answers)
    edges = np.array([0.0] + [random.uniform(-9, 0) for _ in range(len(trie) - 1)])
    naive = [sum(edges[node] for node in way(trie, leaf)) for leaf in trie.leaf.tolist()]
    np.testing.assert_allclose(trie.totals(edges), naive)


@given(sequences, st.booleans())
def test_a_node_attends_to_its_ancestors_and_itself_and_nothing_else(answers, local):
    trie = Trie.build(answers)
    reads = trie.branchings if local else trie.whole
    nodes = reads.nodes.tolist()
    assert reads.sees.tolist() == [[b in way(trie, a) for b in nodes] for a in nodes]


@given(sequences, st.booleans())
def test_only_nodes_on_the_way_to_something_that_is_read_are_computed(answers, local):
    trie = Trie.build(answers)
    below = {node: set() for node in range(len(trie))}
    for node in range(1, len(trie)):
        below[int(trie.parent[node])].add(int(trie.token[node]))
    read = [n for n in range(len(trie)) if len(below[n]) >= (2 if local else 1)]
    needed = {above for node in read for above in way(trie, node)} - {0}
    assert (trie.branchings if local else trie.whole).nodes.tolist() == sorted(needed)


def test_a_lone_answer_needs_no_computation_in_the_local_reading():
    trie = Trie.build([[4, 5, END]])
    assert trie.branchings.nodes.tolist() == []
    assert trie.whole.nodes.tolist() == [1, 2]


def test_equal_answers_share_a_leaf():
    trie = Trie.build([[1, END], [2, END], [1, END]])
    assert trie.leaf[0] == trie.leaf[2] != trie.leaf[1]


names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)


@settings(deadline=None, max_examples=60)
@given(st.lists(names, min_size=2, max_size=6, unique=True), st.sampled_from([None, "\n"]))
def test_with_an_end_no_name_is_the_beginning_of_another(found, end):
    encoder = PromptEncoder(tiny_tokenizer())
    spelled = [encoder.answer(f" {name}", end) for name in [*found, found[0] + found[1]]]
    for i, a in enumerate(spelled):
        for b in spelled[:i]:
            assert a == b or (a != b[: len(a)] and b != a[: len(b)])
    trie = Trie.build(spelled)
    assert (trie.n_children[trie.leaf] == 0).all()


def test_without_its_end_a_name_that_begins_another_would_end_inside_the_trie():
    encode = PromptEncoder(tiny_tokenizer()).text
    trie = Trie.build([encode(" Shoe"), encode(" Shoe care")])
    assert trie.n_children[trie.leaf].tolist() == [1, 0]
