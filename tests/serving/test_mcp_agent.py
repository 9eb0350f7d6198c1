"""The agent over the protocol: its questions are asked by the client, and the walk goes on."""

import pytest

anyio = pytest.importorskip("anyio")
pytest.importorskip("mcp")

from mcp import Client  # noqa: E402
from mcp.types import ElicitResult  # noqa: E402
from scripted_engine import ScriptedEngine  # noqa: E402

from cascade.config import CascadeConfig  # noqa: E402
from cascade.pipeline.classifier import Classifier  # noqa: E402
from cascade.scoring.components import Components  # noqa: E402
from cascade.serving.mcp.server import make_server  # noqa: E402
from cascade.taxonomy import Taxonomy  # noqa: E402

TAXONOMY = Taxonomy.from_paths(["Kitchen > Pots", "Kitchen > Ovens", "Clothing > Hats"])
DUTCH = {"text": "dutch oven"}
MODES = ["legacy", "auto"]  # before and since the protocol of 2026


@pytest.fixture
def walker(loaded, monkeypatch):
    """A server whose agent follows a script."""

    def make(script):
        engine = ScriptedEngine(script)
        monkeypatch.setattr(Components, "engine", engine, raising=False)
        values = {
            "method": "agent",
            "retrieval": {"encoder": "minilm"},
            "agent": {"threshold": 1.0, "questions": 2},
        }
        classifier = Classifier(TAXONOMY, CascadeConfig.parse(values))
        server = make_server(TAXONOMY, lambda: classifier, agent=True)
        server.engine = engine
        return server

    return make


def asked(server, mode, answers=None):
    """The result of the tool, and the questions that the client was asked."""
    questions = []

    async def answer(context, params):
        questions.append(params.message)
        said = answers[len(questions) - 1]
        if said is None:
            return ElicitResult(action="decline")
        return ElicitResult(action="accept", content={"answer": said})

    async def run():
        callback = answer if answers is not None else None
        async with Client(server, mode=mode, elicitation_callback=callback) as client:
            return await client.call_tool("agent", DUTCH)

    return anyio.run(run), questions


@pytest.mark.parametrize("mode", MODES)
def test_questions_are_asked_of_the_client_and_the_walk_goes_on(walker, mode):
    server = walker(['ask "is it a pot"', 'ask "of iron"', "choose 2"])
    found, questions = asked(server, mode, ["yes", "of iron"])
    assert not found.is_error, found
    value = found.structured_content
    assert value["answer"]["source"] == "agent" and value["question"] == ""
    assert [step["answer"] for step in value["steps"]] == ["yes", "of iron", ""]
    assert questions[0].startswith('is it a pot? The item: "dutch oven".')
    assert len(server.engine.asked) == 3  # no step was asked of the model twice


@pytest.mark.parametrize("mode", MODES)
def test_a_question_that_is_declined_or_cannot_be_asked_is_in_the_answer(walker, mode):
    for answers in ([None], None, [" "]):
        found, _ = asked(walker(['ask "is it a pot"']), mode, answers)
        value = found.structured_content
        assert value["answer"]["status"] == "review" and value["question"] == "is it a pot"
        assert value["answer"]["path"] == "Kitchen > Ovens"


def test_the_tool_has_a_schema_and_is_there_for_the_agent_alone(walker):
    async def names(server):
        async with Client(server) as client:
            return {tool.name: tool for tool in (await client.list_tools()).tools}

    with_agent = anyio.run(names, walker([]))
    assert with_agent["agent"].output_schema["required"] == ["answer", "question", "steps"]
    without = make_server(TAXONOMY, lambda: pytest.fail())
    assert "agent" not in anyio.run(names, without)
