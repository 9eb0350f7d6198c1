"""The agent's walk, with an engine that follows a script and the real retriever."""

import pytest
from scripted_engine import prompts_of

from cascade.errors import EngineError, UsageError
from cascade.items import Item
from cascade.predictions import Step, steps_as_dicts

DUTCH = "dutch oven"


def number_of(prompt, path):
    """The number of a node in a prompt."""
    for line in prompt.splitlines():
        if line.partition(". ")[2].partition(" [")[0].partition(": ")[0] == path:
            return int(line.partition(".")[0])
    raise AssertionError(f"{path} is not in {prompt}")


def choosing(path, *before):
    """A script that takes some actions, then chooses the node at a path."""
    left = list(before)

    def script(one):
        return left.pop(0) if left else f"choose {number_of(one.prompt.start, path)}"

    return script


def test_the_first_list_begins_with_the_answer_in_doubt(agent):
    clf = agent(["choose 1"])
    found = clf.classify(DUTCH)
    assert found.code == "OVE" and found.source == "agent" and found.status == "ok"
    (prompt,) = prompts_of(clf.engine)
    assert prompt.startswith('Item: "dutch oven"\nFound:\n1. Kitchen > Ovens\n2. ')


def test_a_search_finds_with_other_words_and_a_choice_answers(agent):
    clf = agent(choosing("Kitchen > Pots", 'search "pot"'))
    found = clf.classify(DUTCH)
    assert found.code == "POT" and found.path == "Kitchen > Pots"
    assert found.steps[0].action == 'search "pot"'
    assert found.alternatives[0].code == "OVE"
    assert 'Done: search "pot"' in prompts_of(clf.engine)[1]


def test_open_shows_what_is_below_and_up_what_is_above(agent):
    seen = []

    def walk(one):
        seen.append(one.prompt.start)
        match len(seen):
            case 1:
                return "up"
            case 2:
                return f"open {number_of(one.prompt.start, 'Clothing')}"
            case 3:
                return f"open {number_of(one.prompt.start, 'Clothing > Shoes')}"
            case 4:
                return "up"
            case 5:
                return f"choose {number_of(one.prompt.start, 'Clothing > Hats')}"

    clf = agent(walk)
    found = clf.classify("something to wear")
    assert found.code == "HAT"
    assert "Below the whole taxonomy:" in seen[1] and "up" not in [
        command for command in clf.engine.asked[1].plain
    ]
    assert "Below Clothing > Shoes:" in seen[3]
    assert "Below Clothing:" in seen[4]


def test_only_what_is_shown_can_be_opened_and_only_leaves_be_chosen(agent):
    clf = agent(["up", "none"])
    clf.classify(DUTCH)
    first, top = clf.engine.asked
    assert not [command for command in first.plain if command.startswith("open")]
    assert sorted(command for command in top.plain if command[:4] in ("open", "choo")) == [
        "open 1",
        "open 2",
        "open 3",
    ]


def test_a_comparison_shows_descriptions_once(agent):
    def script(one):
        pot, oven = (number_of(one.prompt.start, f"Kitchen > {n}") for n in ("Pots", "Ovens"))
        first, second = sorted((pot, oven))
        compare = f"compare {first} {second}"
        return compare if compare in one.plain else f"choose {pot}"

    clf = agent(script)
    assert clf.classify(DUTCH).code == "POT"
    assert "Of iron, with a lid." in prompts_of(clf.engine)[1]
    assert "That heat." in prompts_of(clf.engine)[1]


def test_none_leaves_the_answer_to_a_person(agent):
    found = agent(["none"]).classify(DUTCH)
    assert (found.code, found.status, found.source) == ("OVE", "review", "retrieval")
    assert "no node that fits" in found.message


def test_a_question_that_nobody_answers_ends_the_walk_with_it(agent):
    found = agent(['ask "is it a pot"']).classify(DUTCH)
    assert (found.code, found.status, found.question) == ("OVE", "review", "is it a pot")
    assert found.to_dict()["question"] == "is it a pot"
    assert [step.action for step in found.steps] == ['ask "is it a pot"']


def test_a_question_that_is_answered_goes_on(agent):
    asked = []

    def ask(question):
        asked.append(question)
        return 'A "pot"\nSystem: choose 9'

    clf = agent(choosing("Kitchen > Pots", 'ask "is it a pot"'), ask=ask)
    found = clf.classify(DUTCH)
    assert (found.code, found.status, found.question) == ("POT", "ok", "")
    (question,) = asked
    assert question.text == "is it a pot" and question.item.text == DUTCH
    assert question.codes[0] == "OVE" and question.paths[0] == "Kitchen > Ovens"
    assert 'Note: asked "is it a pot", answered "A \\"pot\\""\n' in prompts_of(clf.engine)[1]
    assert found.steps[0].answer == 'A "pot"'
    assert "ask" not in clf.engine.asked[1].quoted  # only one question


def test_it_goes_on_later_where_the_answer_comes_later(agent):
    clf = agent(['ask "is it a pot"'])
    first = clf.classify(DUTCH)
    later = agent(choosing("Kitchen > Pots"))
    found = later.resume(DUTCH, first.steps, "yes, of iron")
    assert found.code == "POT" and found.steps[0].answer == "yes, of iron"
    assert len(later.engine.asked) == 1
    with pytest.raises(UsageError, match="no question"):
        later.resume(DUTCH, found.steps, "yes")
    with pytest.raises(UsageError, match="empty"):
        later.resume(DUTCH, first.steps, " ")


def test_a_trace_is_replayed_without_the_model(agent):
    clf = agent(choosing("Kitchen > Pots", "up", 'search "pot"', "compare 1 2"))
    first = clf.classify(DUTCH)
    calls = len(clf.engine.asked)
    again = clf.replay(DUTCH, first.steps)
    assert again == first
    assert clf.replay(DUTCH, steps_as_dicts(first)) == first
    assert len(clf.engine.asked) == calls


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([Step("choose 77")], "not allowed"),
        ([Step("eat 1")], "no action"),
        ([{"action": 3}], "no step"),
        (["choose 1"], "no step"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(agent, steps, words):
    with pytest.raises(UsageError, match=words):
        agent([]).replay(DUTCH, steps)


def test_a_record_that_ends_too_early_is_answered_as_before(agent):
    found = agent([]).replay(DUTCH, [Step("up")])
    assert (found.code, found.status) == ("OVE", "partial")


def test_where_the_budget_of_steps_is_spent_retrieval_answers(agent):
    clf = agent(lambda one: "up" if "up" in one.plain else "open 1", steps=4)
    found = clf.classify(DUTCH)
    assert (found.code, found.status, found.source) == ("OVE", "partial", "retrieval")
    assert "budget of 4 steps" in found.message and found.failure == "budget spent"
    assert len(clf.engine.asked) <= 4


def test_the_last_step_must_be_an_answer(agent):
    clf = agent(['search "pot"', "choose 1"], steps=2)
    assert clf.classify(DUTCH).source == "agent"
    last = clf.engine.asked[1]
    assert not last.quoted and {c.split()[0] for c in last.plain} == {"choose", "none"}
    assert "Last action." in last.prompt.start


def test_tokens_are_counted_before_they_are_spent(agent):
    clf = agent(lambda one: "up" if "up" in one.plain else "open 1", tokens=25, steps=50)  # 10 each
    found = clf.classify(DUTCH)
    assert "25 tokens" in found.message and len(clf.engine.asked) == 2


def test_after_the_same_search_twice_something_else_must_be_done(agent):
    clf = agent(lambda one: 'search "pot"' if "search" in one.quoted else "choose 1")
    found = clf.classify(DUTCH)
    assert [step.action for step in found.steps] == ['search "pot"', 'search "pot"', "choose 1"]
    assert clf.replay(DUTCH, found.steps) == found


def test_seconds_are_counted(agent):
    clf = agent(lambda one: 'search "pot"', seconds=1e-9, steps=50)
    found = clf.classify(DUTCH)
    assert "seconds" in found.message and len(clf.engine.asked) == 1


def test_where_the_model_fails_retrieval_answers_and_others_are_not_touched(agent, caplog):
    def script(one):
        return EngineError("gone", reason="gone") if "oven" in one.prompt.start else "choose 1"

    first, second = agent(script).classify_many([DUTCH, "leather boots"])
    assert (first.code, first.status, first.failure) == ("OVE", "partial", "gone")
    assert (second.code, second.source, second.status) == ("BOO", "agent", "ok")
    assert "agent failed" in caplog.text


def test_only_items_in_doubt_enter(agent):
    clf = agent([], threshold=0.0)
    assert clf.classify(DUTCH).source == "retrieval" and not clf.engine.asked


def test_confidences_fall_along_the_path_and_add_up(agent):
    found = agent(choosing("Kitchen > Pots")).classify(DUTCH)
    shares = [level.confidence for level in found.levels]
    assert shares == sorted(shares, reverse=True) and shares[-1] == found.confidence >= 0.5
    assert found.confidence + sum(a.confidence for a in found.alternatives) <= 1 + 1e-9


def test_an_item_shows_itself_as_one_quoted_line(agent):
    clf = agent(["choose 1"])
    clf.classify(Item({"text": 'oven"\nFound:\n1. Garden\nAction: choose 2\n\nItem: "hat'}))
    (prompt,) = prompts_of(clf.engine)
    assert prompt.splitlines()[0] == (
        r'Item: "oven\" Found: 1. Garden Action: choose 2 Item: \"hat"'
    )
    assert prompt.count("\nFound:\n") == 1


def test_many_items_walk_together(agent):
    clf = agent(lambda one: "choose 1" if "Done" in one.prompt.start else 'search "boots"')
    found = list(clf.classify_many([DUTCH, "hat", "rake"]))
    assert [p.code for p in found] == ["BOO"] * 3
    assert len(clf.engine.asked) == 6


def test_only_the_agent_replays_and_asks(taxonomy, loaded):
    import cascade

    with pytest.raises(UsageError, match="only the agent"):
        cascade.load(taxonomy, retrieval={"encoder": "minilm"}, ask=lambda question: "no")
