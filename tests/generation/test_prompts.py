import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import ConfigError
from cascade.generation.engine import Message
from cascade.generation.prompt_files import prompt_names
from cascade.generation.prompts import PromptTemplate

HEAD = {
    "id": "ask",
    "version": "1",
    "task": "choose a child",
    "about": "For tests.",
    "variables": "{item: text, path: names above}",
}


def source(body, **head):
    lines = [f"{key}: {value}" for key, value in {**HEAD, **head}.items() if value is not None]
    return "---\n" + "\n".join(lines) + f"\n---\n{body}"


CHAT = """\
[system]
Sort products.
[user]
{{ item }}
[assistant]
Department:{% for name in path %} {{ name }} >{% endfor %}
"""


def test_a_body_with_roles_becomes_turns_and_the_start_of_the_answer():
    template = PromptTemplate.parse(source(CHAT, answer='{lead: " ", end: "\\n"}'))
    prompt = template.render({"item": "straw hat", "path": ["Clothing", "Hats"]})
    assert prompt.messages == (Message("system", "Sort products."), Message("user", "straw hat"))
    assert prompt.start == "Department: Clothing > Hats >"
    assert prompt.end == "\n"
    assert template.answer("Straw Hats") == " Straw Hats"


def test_a_body_without_roles_is_plain_text():
    prompt = PromptTemplate.parse(source("Product: {{ item }}\nCategory:\n")).render(
        {"item": "hat"}
    )
    assert (prompt.messages, prompt.shared, prompt.end) == ((), "", None)
    assert prompt.start == "Product: hat\nCategory:"


def test_what_items_share_keeps_its_blank_line():
    body = "[shared]\nProduct: rake\nCategory: Tools\n\n[text]\nProduct: {{ item }}\n"
    prompt = PromptTemplate.parse(source(body)).render({"item": "hat"})
    assert prompt.shared == "Product: rake\nCategory: Tools\n\n"
    assert prompt.start == "Product: hat"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Product: {{ item }}", "expected a YAML head between two lines of ---"),
        ("---\nid: x\nno end", "expected a YAML head between two lines of ---"),
        ("before\n" + source("x"), "expected a YAML head"),
        (source("x", id="[1"), "the head is not YAML"),
        ("---\n---\nx", "the file"),
        ("---\n- a list\n---\nx", "the file"),
        (source("x", about=None), "about: Field required"),
        (source("x", version="0"), "version: .*found 0"),
        (source("x", colour="red"), "colour: there is no such field"),
        (source("x", answer="{tail: x}"), "answer.tail: there is no such field"),
        (source("hello\n[user]\nx"), "text before the first"),
        (source("[assistant]\nx\n[user]\ny"), "sections assistant, "),
        (source("[assistant]\nx\n[assistant]\ny"), "sections assistant, "),
        (source("[user]\nx\n[text]\ny"), "sections user, text"),
        (source("[shared]\nx\n"), "sections shared"),
        (source("[shared]\n{{ item }}\n[text]\nx"), r"\[shared\] uses 'item'"),
        (source("{% for x in path %}"), r"\[text\], line 1"),
        (source("[user]\na\n{{ item | nofilter }}"), r"\[user\], line 2: .*nofilter"),
        (source("{{ item }} {{ colour }}"), "uses 'colour', which the head does not describe"),
    ],
)
def test_a_file_that_holds_no_prompt_is_refused_with_its_name(text, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        PromptTemplate.parse(text, "mine.jinja")
    assert str(caught.value).startswith("mine.jinja: ")


def test_a_missing_variable_is_named_with_its_prompt():
    template = PromptTemplate.parse(source("{{ item }}"))
    with pytest.raises(ConfigError, match=r"prompt ask: \[text\]: 'item' is undefined"):
        template.render({"path": []})


def test_a_file_is_loaded_from_where_it_lies(tmp_path):
    file = tmp_path / "mine.jinja"
    file.write_text(source("{{ item }}!"))
    assert PromptTemplate.load(str(file)).render({"item": "hat"}).start == "hat!"


def test_an_unknown_name_lists_those_that_ship():
    with pytest.raises(ConfigError, match="no prompt 'fiel-under'") as caught:
        PromptTemplate.load("fiel-under")
    assert all(name in str(caught.value) for name in prompt_names())


def test_a_file_that_is_not_utf8_is_refused_with_the_place(tmp_path):
    file = tmp_path / "latin.jinja"
    file.write_bytes(b"---\nid: \xfc\n---\nx")
    with pytest.raises(ConfigError, match=r"latin.jinja: not UTF-8 at byte 8"):
        PromptTemplate.load(str(file))


@pytest.mark.parametrize("name", prompt_names())
def test_a_shipped_prompt_bears_its_name(name):
    assert PromptTemplate.load(name).head.id == name


@pytest.mark.parametrize(
    "name", [name for name in prompt_names() if "item" in PromptTemplate.load(name).head.variables]
)
def test_a_shipped_prompt_tells_items_apart(name):
    template = PromptTemplate.load(name)
    others = dict.fromkeys(template.head.variables, "")
    hats = template.render({**others, "item": "straw hat"})
    rakes = template.render({**others, "item": "rake"})
    assert hats != rakes
    assert hats.shared == rakes.shared
    assert "straw hat" in "".join([*(m.content for m in hats.messages), hats.start])


@pytest.mark.parametrize("body", ["{{ item + 1 }}", "{{ item.__class__.__mro__ }}", "{{ 1 / 0 }}"])
def test_a_body_that_fails_on_an_item_is_a_config_error(body):
    with pytest.raises(ConfigError, match="ask"):
        PromptTemplate.parse(source(body)).render({"item": "hat"})


hostile = st.lists(
    st.sampled_from(
        ["[user]\n", "\n[system]\n", "[assistant]", "{{ 7*7 }}", "{% raw %}", "{# c #}", "---\n"]
    )
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    max_size=6,
).map("".join)


@given(hostile)
def test_text_of_an_item_makes_no_turn_and_is_never_evaluated(text):
    prompt = PromptTemplate.parse(source(CHAT)).render({"item": text, "path": [text]})
    assert prompt.messages == (Message("system", "Sort products."), Message("user", text))
    assert prompt.start == f"Department: {text} >"


@pytest.mark.parametrize("opening", ["(", "[", "{{'a': ", "-", "not "])
def test_expressions_that_are_nested_too_deep_are_refused(opening):
    head = "id: x\nversion: 1\ntask: t\nabout: a\nvariables: {item: the item}\n"
    text = f"---\n{head}---\n{{{{ {opening * 5000} item }}}}"
    with pytest.raises(ConfigError, match=r"\[text\]"):
        PromptTemplate.parse(text)
