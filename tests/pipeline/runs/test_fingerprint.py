import pytest

from cascade.config import CascadeConfig
from cascade.errors import ConfigError
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.pipeline.runs.fingerprint import fingerprint
from cascade.taxonomy import Taxonomy

OWN = "---\nid: own\nversion: 1\ntask: t\nabout: a\nvariables: {item: the item}\n---\n{{ item }}\n"


def prompts_of(config):
    tree = Taxonomy.from_paths(["Fruit > Orange"])
    return fingerprint(tree, config, config.columns, AnswerForm(), None)["prompts"]


@pytest.mark.parametrize("section", ["agent", "choose"])
def test_the_prompt_of_the_method_counts_whatever_its_file_is_called(tmp_path, section):
    own = tmp_path / "own.jinja"
    own.write_text(OWN)
    config = CascadeConfig.parse({"method": section, section: {"prompt": str(own)}})
    first = prompts_of(config)
    assert prompts_of(config) == first
    own.write_text(OWN + "Answer.\n")
    assert prompts_of(config) != first


def test_a_prompt_that_does_not_ship_is_checked(tmp_path):
    own = tmp_path / "own.jinja"
    own.write_text("no head")
    with pytest.raises(ConfigError, match="YAML head"):
        prompts_of(CascadeConfig.parse({"llm": {"prompt": str(own)}}))
