import pytest

import cascade
from cascade.config import ENCODER, FITTED_ENCODER, CascadeConfig
from cascade.errors import ConfigError, TaxonomyError, UsageError
from cascade.pipeline.load import load_config, load_taxonomy, merge
from cascade.pipeline.pack import seal
from cascade.resources import shipped_names
from cascade.scoring.components import settle_defaults
from cascade.scoring.methods.llm import reading_of
from cascade.taxonomy import Taxonomy

TREE = "Clothing > Hats\nClothing > Shoes\nFood > Milk\n"


@pytest.fixture
def place(tmp_path):
    """Writes files into a folder and gives it."""

    def place(**files):
        for name, content in files.items():
            (tmp_path / name.replace("__", ".")).write_text(content)
        return tmp_path

    return place


@pytest.mark.weights
def test_a_shipped_name_is_loaded_and_files_a_hat():
    clf = cascade.load("store", method="retrieval")
    assert clf.taxonomy.name == "store"
    assert "Hats" in clf.classify("Handwoven straw Panama hat").path


@pytest.mark.weights
@pytest.mark.usefixtures("loaded")
class TestSources:
    def test_a_taxonomy_file(self, place):
        clf = cascade.load(place(tree__txt=TREE) / "tree.txt", method="retrieval")
        assert clf.classify("a straw hat").path == "Clothing > Hats"

    def test_a_config_names_a_taxonomy_beside_it(self, place, monkeypatch, tmp_path_factory):
        folder = place(cascade__yaml="taxonomy: tree.txt\nmethod: retrieval\n", tree__txt=TREE)
        monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
        for source in (folder, folder / "cascade.yaml", str(folder)):
            clf = cascade.load(source)
            assert (len(clf.taxonomy), clf.method) == (5, "retrieval")

    def test_a_config_of_another_name(self, place):
        folder = place(mine__yaml="taxonomy: tree.txt\nmethod: retrieval\n", tree__txt=TREE)
        assert len(cascade.load(folder / "mine.yaml").taxonomy) == 5

    def test_a_config_that_names_a_shipped_taxonomy(self, place):
        folder = place(cascade__yaml="taxonomy: store\nmethod: retrieval\n")
        assert cascade.load(folder).taxonomy.name == "store"

    def test_a_taxonomy_of_ones_own_takes_the_place_of_the_named_one(self, place):
        own = Taxonomy.from_paths(["A", "B"])
        folder = place(cascade__yaml="method: retrieval\n", tree__txt=TREE)
        assert cascade.load(folder, taxonomy=own).taxonomy is own
        assert len(cascade.load(folder, taxonomy=folder / "tree.txt").taxonomy) == 5

    def test_settings_come_before_the_config(self, place):
        folder = place(
            cascade__yaml="taxonomy: tree.txt\nmethod: cascade\ndescent: {beam: 2, stop: 0.5}\n",
            tree__txt=TREE,
        )
        clf = cascade.load(folder, method="retrieval", descent={"beam": 9})
        assert clf.method == "retrieval"
        assert (clf.config.descent.beam, clf.config.descent.stop) == (9, 0.5)


@pytest.mark.parametrize(
    ("named", "expected"),
    [("", FITTED_ENCODER), ("encoder: minilm, ", "minilm"), (f"encoder: {ENCODER}, ", ENCODER)],
)
def test_a_pack_keeps_the_encoder_that_it_was_made_with(place, named, expected):
    text = f"taxonomy: tree.txt\nretrieval: {{{named}candidates: 12}}\n"
    folder = place(cascade__yaml=text, tree__txt=TREE)
    assert load_config(folder)[0].retrieval.encoder == (expected if named else None)
    seal(folder)
    config, _ = load_config(folder)
    assert (config.retrieval.encoder, config.retrieval.candidates) == (expected, 12)


def test_a_pack_without_a_word_on_retrieval_is_of_before_the_encoder_that_ships(place):
    folder = place(cascade__yaml="taxonomy: tree.txt\n", tree__txt=TREE)
    seal(folder)
    assert cascade.load(folder).config.retrieval.encoder == FITTED_ENCODER
    named = cascade.load(folder, retrieval={"encoder": ENCODER})
    assert named.config.retrieval.encoder == ENCODER
    assert cascade.load(folder / "tree.txt").config.retrieval.encoder == ENCODER


def test_a_pack_keeps_the_similarities_that_were_usual_when_it_was_made(place):
    def told(config):
        return config.retrieval.words, config.retrieval.temperature, config.retrieval.caution

    folder = place(
        cascade__yaml="taxonomy: tree.txt\nretrieval: {temperature: 0.07}\n", tree__txt=TREE
    )
    usual = CascadeConfig()
    assert told(load_config(folder)[0]) == (0.1, 0.07, usual.retrieval.caution)
    seal(folder)
    assert told(cascade.load(folder).config) == (0.0, 0.07, 0.0)
    assert told(cascade.load(folder, retrieval={"words": 0.2}).config) == (0.2, 0.07, 0.0)


@pytest.mark.weights
def test_the_default_method_reads_with_the_encoder_alone(place, monkeypatch):
    monkeypatch.setattr("cascade.generation.engines.registry.make_engine", None)
    clf = cascade.load(place(tree__txt=TREE) / "tree.txt")
    found = clf.classify("straw panama hat")
    assert (clf.method, found.source, found.path) == ("retrieval", "retrieval", "Clothing > Hats")
    assert clf.config.method == "retrieval"  # so that it is recorded


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({}, "retrieval"),
        ({"retrieval": {"texts": "leaf"}, "descent": {"beam": 1}}, "retrieval"),
        ({"llm": {"prior": False}}, "cascade"),
        ({"fusion": {"weights": {"retrieval": 1.0}}}, "cascade"),
        ({"routing": {"threshold": 0.5}}, "cascade"),
        ({"calibration": {"file": "calibration.json"}}, "cascade"),
        ({"method": "retrieval", "llm": {"prior": False}}, "retrieval"),
        ({"method": "cascade"}, "cascade"),
    ],
)
def test_a_method_that_is_not_named_is_one_that_reads_what_is_set(settings, method):
    config = CascadeConfig.parse(settings)
    assert settle_defaults(config, Taxonomy.from_paths(["a", "b"])) == method == config.method
    assert settle_defaults(config.model_copy(update={"method": method}), None) == method


@pytest.mark.parametrize(
    ("named", "expected"), [("", "cascade"), ("method: retrieval\n", "retrieval")]
)
def test_a_pack_keeps_the_method_that_it_was_made_with(place, named, expected):
    folder = place(cascade__yaml=f"taxonomy: tree.txt\n{named}", tree__txt=TREE)
    assert load_config(folder)[0].method == ((named and expected) or None)
    seal(folder)
    assert load_config(folder)[0].method == expected


def test_a_folder_without_a_config_is_no_pack(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no cascade\.yaml"):
        cascade.load(tmp_path)


def test_a_config_without_a_taxonomy_says_what_to_add(place):
    with pytest.raises(ConfigError, match="`taxonomy: store`"):
        cascade.load(place(cascade__yaml="method: retrieval\n"))


def test_an_unknown_name_is_answered_with_a_close_one():
    with pytest.raises(TaxonomyError, match=r"no taxonomy 'stoer'.*did you mean 'store'"):
        cascade.load("stoer")


def test_an_unknown_setting_is_named():
    with pytest.raises(ConfigError, match="settings: colour: there is no such field"):
        cascade.load("store", colour="red")
    with pytest.raises(ConfigError, match=r"settings: descent\.width: there is no such field"):
        cascade.load("store", descent={"width": 3})
    with pytest.raises(ConfigError, match=r"descent\.beam: .*found 0"):
        cascade.load("store", descent={"beam": 0})


def test_an_unknown_method_is_refused_before_weights_are_loaded():
    with pytest.raises(UsageError, match="unknown method 'magic'"):
        cascade.load("store", method="magic")


def test_a_taxonomy_that_a_config_names_but_is_not_there_is_named(place):
    folder = place(cascade__yaml="taxonomy: gone.csv\n")
    with pytest.raises(TaxonomyError, match=r"gone\.csv"):
        cascade.load(folder)


@pytest.mark.weights
def test_a_yaml_taxonomy_is_not_taken_for_a_config(place):
    folder = place(tree__yaml="name: t\nnodes:\n- {code: a, name: A}\n- {code: b, name: B}\n")
    assert len(cascade.load(folder / "tree.yaml", method="retrieval").taxonomy) == 2
    with pytest.raises(ConfigError, match="nodes: there is no such field"):
        load_config(folder / "tree.yaml")


@pytest.mark.parametrize("name", shipped_names("taxonomies", ".yaml"))
def test_a_shipped_taxonomy_can_be_read(name):
    assert load_taxonomy(name).name == name


def test_a_file_comes_before_a_shipped_name(place, monkeypatch):
    monkeypatch.chdir(place(store=TREE))
    assert len(load_taxonomy("store")) == 5


def test_merging_goes_into_sections_and_leaves_out_none():
    base = {"a": 1, "b": {"c": 2, "d": [3]}}
    assert merge(base, {"a": None, "b": {"d": [4]}}) == {"a": 1, "b": {"c": 2, "d": [4]}}
    assert base == {"a": 1, "b": {"c": 2, "d": [3]}}


@pytest.mark.parametrize(
    ("settings", "method", "expected"),
    [
        ({}, "llm", "global"),
        ({}, "cascade", "local"),
        ({"engine": "vllm"}, "llm", "global"),
        ({"engine": "server"}, "llm", "local"),
        ({"prior": False}, "llm", "local"),
        ({"adapter": "runs/mine"}, "llm", "local"),
        ({"reading": "local"}, "llm", "local"),
        ({"reading": "global"}, "cascade", "global"),
    ],
)
def test_names_are_read_whole_where_an_untuned_model_judges_alone(settings, method, expected):
    config = CascadeConfig.model_validate({"method": method, "llm": settings})
    assert reading_of(config) == expected


@pytest.mark.weights
def test_a_taxonomy_is_loaded_as_it_is():
    taxonomy = Taxonomy.from_paths(["Clothing > Hats", "Garden > Rakes"])
    classifier = cascade.load(taxonomy, method="retrieval")
    assert classifier.taxonomy.names == taxonomy.names
    assert classifier.classify("straw panama hat").names == ("Clothing", "Hats")


@pytest.mark.parametrize("source", [None, 5, ["store"]])
def test_what_names_nothing_is_refused(source):
    with pytest.raises(UsageError, match="expected the name or path of a taxonomy, pack or config"):
        cascade.load(source)
