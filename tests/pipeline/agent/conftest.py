import pytest
from scripted_engine import ScriptedEngine

from cascade.config import CascadeConfig
from cascade.pipeline.classifier import Classifier
from cascade.scoring.components import Components
from cascade.taxonomy import Taxonomy

NODES = [
    ("CLO", "Clothing", None, "What is worn."),
    ("HAT", "Hats", "CLO", "For the head."),
    ("SHO", "Shoes", "CLO", "For the feet."),
    ("BOO", "Boots", "SHO", "High ones."),
    ("SAN", "Sandals", "SHO", ""),
    ("KIT", "Kitchen", None, ""),
    ("POT", "Pots", "KIT", "Of iron, with a lid."),
    ("OVE", "Ovens", "KIT", "That heat."),
    ("GAR", "Garden", None, ""),
    ("RAK", "Rakes", "GAR", ""),
]


@pytest.fixture
def taxonomy():
    return Taxonomy.from_records(NODES)


@pytest.fixture
def agent(taxonomy, loaded, monkeypatch):
    """Makes a classifier whose engine follows a script: `agent(["open 1", "choose 1"])`."""

    def make(script, *, tree=taxonomy, ask=None, llm=None, **settings):
        engine = ScriptedEngine(script)
        monkeypatch.setattr(Components, "engine", engine, raising=False)
        values = {
            "method": "agent",
            "retrieval": {"encoder": "minilm"},
            "agent": {"threshold": 1.0, **settings},
        }
        made = Classifier(tree, CascadeConfig.parse(values), ask=ask)
        made.engine = engine
        return made

    return make
