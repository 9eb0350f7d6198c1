import pytest

from cascade.config import CascadeConfig
from cascade.errors import UsageError
from cascade.scoring import methods
from cascade.scoring.components import Components
from cascade.scoring.methods import check_method, describe, make_scorer, method_names
from cascade.taxonomy import Taxonomy


def test_the_default_comes_first_and_every_method_says_in_a_line_what_it_does():
    assert method_names()[0] == "retrieval"
    assert {"cascade", "neighbours", "rerank", "nli", "llm", "ttc"} < set(method_names())
    assert [name for name in method_names() if not describe(name).endswith(".")] == []


@pytest.fixture
def always(tmp_path, monkeypatch):
    """A folder with one more method."""
    (tmp_path / "always.py").write_text(
        '"""The same scorer every time."""\n\ndef make(components):\n    return components.scorer\n'
    )
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    method_names.cache_clear()
    yield
    method_names.cache_clear()


def test_a_module_in_the_folder_is_a_method(always):
    assert "always" in method_names()
    assert describe("always") == "The same scorer every time."
    components = Components(Taxonomy.from_paths(["a", "b"]), CascadeConfig())
    assert make_scorer("always", components) == components.scorer


def test_an_unknown_method_is_refused_with_those_that_there_are():
    with pytest.raises(UsageError, match=r"unknown method 'retreival'.*did you mean"):
        check_method("retreival")
    assert check_method("ttc.lexical", ["lexical"]) == "ttc.lexical"
    with pytest.raises(UsageError, match=r"ttc\.lexical"):
        check_method("ttc.lexicon", ["lexical"])
