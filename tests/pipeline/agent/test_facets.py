"""The agent under a catalogue of EFSA: the rules send codes back."""

import pytest
from scripted_engine import prompts_of
from toy_catalogue import PROCESSES, packed, xml

from cascade.taxonomy import Taxonomy


@pytest.fixture
def foods(tmp_path):
    (tmp_path / "BR_Data.csv").write_text(PROCESSES, "utf-8")
    return Taxonomy.load(packed(tmp_path / "TOY.ecf", xml()))


def numbers(one):
    """The number of each node that a prompt shows, by its path."""
    lines = (line.partition(". ") for line in one.prompt.start.splitlines() if ". " in line)
    return {path.removesuffix(" [open]"): number for number, _, path in lines}


def test_a_code_that_breaks_a_rule_goes_back_with_the_rules_sentence(agent, foods):
    steps = iter(["search", "choose", "open", "oats"])

    def script(one):
        match next(steps):
            case "search":
                return 'search "grains"'
            case "oats":
                return f"choose {numbers(one)['Grains > Oats']}"
            case verb:
                return f"{verb} {numbers(one)['Grains']}"

    clf = agent(script, tree=foods)
    found = clf.classify("oats")
    assert found.code.split("#")[0] == "OATS0" and found.source == "agent"
    assert found.steps[1].note.startswith("BR")
    assert f"Note: Grains breaks a rule: {found.steps[1].note}" in prompts_of(clf.engine)[2]
    refused = found.steps[1].action
    assert refused not in clf.engine.asked[2].plain
    assert clf.replay("oats", found.steps).code == found.code


def test_the_code_of_a_choice_has_the_facets_of_its_own_base_term(agent, foods):
    def script(one):
        return f"choose {numbers(one)['Grains > Wheat flour']}"

    found = agent(script, tree=foods).classify("baked wheat")
    assert found.source == "agent" and found.code.split("#")[0] == "FLOUR"
    assert found.path == "Grains > Wheat flour"
    assert found.levels[-1].code == "FLOUR" and found.confidence >= 0.5
