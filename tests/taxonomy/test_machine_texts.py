import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import TaxonomyError
from cascade.retrieval.node_texts import node_texts
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.draft import MachineTexts
from cascade.taxonomy.staying import staying
from taxonomy.trees import quick, text, trees

HATS = MachineTexts("Worn on the head.", ("caps", "head wear"), ("Straw hat; 58 cm", "a|b \\ c"))
TREE = Taxonomy.from_records(
    [("h", "Hats"), ("s", "Straw", "h", "Of straw.", ("panama",)), ("f", "Felt", "h")]
).with_machine_texts({0: HATS, 1: MachineTexts(titles=("Panama hat",))})


def content(taxonomy):
    return {taxonomy.codes[i]: taxonomy.machine(i) for i in range(len(taxonomy))}


@pytest.mark.parametrize("name", ["t.csv", "t.yaml"])
def test_what_a_model_wrote_stands_apart_and_is_read_again(tmp_path, name):
    getattr(TREE, f"to_{name.partition('.')[2]}")(tmp_path / name)
    found = Taxonomy.load(tmp_path / name)
    assert content(found) == content(TREE)
    assert found.synonyms(0) == () and found.description(1) == "Of straw."


def test_columns_are_headed_as_written_by_a_machine_and_only_where_there_is_some(tmp_path):
    TREE.to_csv(tmp_path / "rich.csv")
    head = "code,name,parent,description,synonyms"
    machine = "machine_description,machine_synonyms,machine_titles"
    assert (tmp_path / "rich.csv").read_text().splitlines()[0] == f"{head},{machine}"
    TREE.with_machine_texts({}).to_csv(tmp_path / "plain.csv")
    assert (tmp_path / "plain.csv").read_text().splitlines()[0] == head


machine = st.builds(
    MachineTexts.cleaned, text, st.lists(text, max_size=3), st.lists(text, max_size=3)
)


@quick
@given(trees(most=6), st.data())
def test_any_texts_come_back_from_csv_and_yaml(tmp_path_factory, taxonomy, data):
    written = {i: data.draw(machine) for i in range(len(taxonomy)) if data.draw(st.booleans())}
    rich = taxonomy.with_machine_texts({i: own for i, own in written.items() if any(own)})
    folder = tmp_path_factory.mktemp("t")
    rich.to_csv(folder / "t.csv")
    rich.to_yaml(folder / "t.yaml")
    for name in ("t.csv", "t.yaml"):
        assert content(Taxonomy.load(folder / name)) == content(rich)


def test_they_go_with_their_nodes_when_a_taxonomy_is_cut_copied_or_can_be_stayed_at():
    assert content(TREE.trim(1)) == {"h": HATS}
    assert content(pickle.loads(pickle.dumps(TREE))) == content(TREE)
    stays = staying(TREE, ["h"])
    assert [stays.machine(i) for i in range(len(stays)) if stays.codes[i] == "h"] == [HATS, HATS]


def test_an_index_is_made_anew_for_them_and_kept_without_them():
    plain = TREE.with_machine_texts({})
    assert plain.fingerprint == staying(plain, []).fingerprint != TREE.fingerprint


def test_retrieval_searches_them_with_descriptions_and_synonyms_alone():
    texts, nodes = node_texts(TREE, "full")
    mine = [text for text, node in zip(texts, nodes.tolist(), strict=True) if node == 0]
    assert mine == ["Hats", "Hats: Worn on the head.", *HATS.synonyms, *HATS.titles]
    assert node_texts(TREE, "leaf")[0] == ["Hats", "Straw", "Felt"]


def test_a_value_of_another_form_is_told(tmp_path):
    (tmp_path / "t.yaml").write_text("nodes:\n- {name: Hats, code: h, machine: [a]}\n")
    with pytest.raises(TaxonomyError, match="line 2: machine must be a mapping"):
        Taxonomy.load(tmp_path / "t.yaml")


def test_a_table_whose_parents_have_commas_has_them_too(tmp_path):
    rich = Taxonomy.from_paths(["Books, films > Novels", "Books, films > Plays"])
    rich = rich.with_machine_texts({1: HATS})
    rich.to_csv(tmp_path / "t.csv")
    assert content(Taxonomy.load(tmp_path / "t.csv")) == content(rich)


def test_they_go_with_a_node_that_moves_up_from_under_one_that_is_no_longer_in_use(tmp_path):
    (tmp_path / "t.csv").write_text(
        "code,name,parent,status,machine_titles\na,A,,active,\nb,B,a,obsolete,x\nc,C,b,active,y|z\n"
    )
    found = Taxonomy.load(tmp_path / "t.csv")
    assert content(found) == {"a": MachineTexts(), "c": MachineTexts(titles=("y", "z"))}
