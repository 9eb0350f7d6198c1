import jinja2
import pytest

from cascade.errors import ConfigError
from cascade.generation.bounded_templates import BoundedEnvironment, render, render_chat
from cascade.generation.prompts import PromptTemplate

VARIABLES = {"item": "a straw hat, 100% straw {12345}", "path": ["A", "B"], "names": ["x"] * 2000}


def rendered(source, **variables):
    return render(BoundedEnvironment().from_string(source), VARIABLES | variables)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ item }}", VARIABLES["item"]),
        ("{{ path | join(' > ') }}", "A > B"),
        (
            "{% for n in path %}{{ loop.index }}/{{ loop.length }}{{ n }}"
            "{% if not loop.last %}, {% endif %}{% endfor %}",
            "1/2A, 2/2B",
        ),
        ("{% for n in path if n != 'A' %}{{ n }}{% else %}none{% endfor %}", "B"),
        ("{% for n in [] %}{{ n }}{% else %}none{% endfor %}", "none"),
        ("{% set x = 'a' ~ 1 ~ path[0] %}{{ x ~ ('b' ~ 'c') }}", "a1Abc"),
        ("{% set x %}{{ path[1] }}!{% endset %}{{ x }}", "B!"),
        ("{% set x | upper %}ab{% endset %}{{ x }}", "AB"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m('a') }}{{ m(x=2) }}", "<a><2>"),
        ("{{ item | truncate(10, True, '') }}", "a straw ha"),
        ("{{ item[:7] | upper | trim }}", "A STRAW"),
        ("{{ item.replace('straw', 'felt') | title }}", "A Felt Hat, 100% Felt {12345}"),
        ("{{ item | replace('straw', 'felt') | length }}", "29"),
        (
            "{{ '%s of %02d' | format('a', 3) }}{{ '{:>3}'.format(1) }}{{ '%s' % 'b' }}",
            "a of 03  1b",
        ),
        ("{{ 3 * 4 + 2 ** 3 }}{{ '-' * 3 }}{{ ('a' + 'b') }}", "20---ab"),
        ("{{ names | map('upper') | unique | list | length }}", "1"),
        ("{{ names | batch(2) | list | length }}", "1000"),
        ("{{ path | tojson }}{{ none }}{{ true }}", '["A", "B"]NoneTrue'),
    ],
)
def test_what_a_prompt_needs_is_rendered(source, expected):
    assert rendered(source) == expected


BOMBS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in names %}{% for b in names %}{% for c in names %}x" + "{% endfor %}" * 3,
    "{{ 'a' * 10**10 }}",
    "{{ 10**9 * 'a' }}",
    "{{ [1] * 10**9 }}",
    "{{ 9 ** 99 ** 9 }}",
    "{{ 9.0 ** 999 }}",
    "{% set x = 'abcdefghij' %}" + "{% set x = x ~ x %}" * 50 + "{{ x }}",
    "{% set x = 'abcdefghij' %}" + "{% set x = x + x %}" * 50 + "{{ x }}",
    "{% set x = 'abcdefghij' %}" + "{% set x = [x, x] %}" * 50 + "{{ x }}",
    "{% set x = 'abcdefghij' %}" + "{% set x = [x, x] %}" * 50 + "{{ x | string }}",
    "{% set x = 'abcdefghij' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 50 + "{{ x }}",
    "{% set x = 'abcdefghij' %}" + "{% set x = x | replace('', x) %}" * 9 + "{{ x }}",
    "{% set x = 'abcdefghij' %}" + "{% set x = x.replace('', x) %}" * 9 + "{{ x }}",
    "{% set x = 'abcdefghij' %}" + "{% set x = x.join(x) %}" * 30 + "{{ x }}",
    "{% set x = 'ab' * 1000 %}{{ range(99999) | join(x) }}",
    "{% set x = 'ab' * 1000 %}{{ range(99999) | map('string') | join(x) }}",
    "{{ 'a' | center(10**10) }}",
    "{{ 'a'.center(10**10) }}",
    "{{ 'a'.ljust(10**10) }}{{ '1'.zfill(10**10) }}",
    "{{ '\\t'.expandtabs(10**10) }}",
    "{{ 'a\\nb' | indent(10**10) }}",
    "{{ '%10000000000d' | format(1) }}",
    "{{ '%10000000000d' % 1 }}",
    "{{ '%*d' % (10**10, 1) }}",
    "{{ '{:>10000000000}'.format(1) }}",
    "{{ path | tojson(indent=10**10) }}",
    "{{ lipsum(n=10**9) }}",
    "{{ path | batch(10**10, 'x') | list }}",
    "{{ path | slice(10**10) | list }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{% for a in path recursive %}{{ loop(path) }}{% endfor %}",
    "{% set a = [1] %}{% set b = [1] %}"
    + "{% set a = [a, a] %}{% set b = [b, b] %}" * 40
    + "{{ a == b }}",
    "{% set a = [1] %}" + "{% set a = [a, a] %}" * 40 + "{{ a is eq(a) }}",
    "{% set a = (1,) %}" + "{% set a = (a, a) %}" * 40 + "{% set d = {a: 1} %}",
    "{% set a = {} %}" + "{% set a = {'x': a, 'y': a} %}" * 40 + "{{ 1 in [a] }}",
    "{% set ns = namespace(a=[1]) %}" + "{% set ns.a = [ns.a, ns.a] %}" * 40 + "{{ ns.a == ns.a }}",
    "{% for i in range(99999) %}{% set x = range(99999) | sum %}{% endfor %}",
    "{% for i in range(99999) %}{% set x = range(99999) | max %}{% endfor %}",
    "{% set t = range(99999) | list %}{% for i in t %}{% set x = t[1:] %}{% endfor %}",
    "{% set t = 'x' * 3000000 %}{% for i in range(99999) %}{% set x = t[1:] %}{% endfor %}",
    "{% set t = range(99999) | list %}{% for i in range(99999) %}{{ -1 in t }}{% endfor %}",
    "{% set t = range(99999) | list %}{% for i in t %}{{ -1 is in t }}{% endfor %}",
    "{{ item.__class__.__mro__ }}",
    "{{ ''.__class__.__base__.__subclasses__() }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.system('ls') }}",
    "{% include '/etc/passwd' %}",
    "{% import '/etc/passwd' as x %}",
    "{% extends '/etc/passwd' %}",
]


@pytest.mark.parametrize("source", BOMBS)
def test_what_would_not_end_or_reaches_out_is_refused(source):
    with pytest.raises((jinja2.TemplateError, TypeError, ValueError, ArithmeticError)):
        rendered(source)


@pytest.mark.parametrize("source", BOMBS[:8])
def test_a_prompt_that_would_not_end_is_an_error_of_its_own(source, tmp_path):
    head = "---\nid: mine\nversion: 1\ntask: x\nabout: x\nvariables: {names: x, path: x}\n---\n"
    (tmp_path / "mine.jinja").write_text(head + source)
    with pytest.raises(ConfigError, match="mine"):
        PromptTemplate.load(str(tmp_path / "mine.jinja")).render(VARIABLES)


MESSAGES = [
    {"role": "system", "content": "You file products."},
    {"role": "user", "content": "A straw hat\n<b>"},
]
CHAT_TEMPLATES = [
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
    "{{- bos_token }}\n{%- set ns = namespace(seen=false) %}\n{%- for m in messages %}\n"
    "  {%- if m.role == 'system' %}{% set ns.seen = true %}{% continue %}{% endif %}\n"
    "  [{{ loop.index0 }}] {{ m.content | trim }} {{ tools }} {{ ns.seen }}\n{%- endfor %}\n",
    "{% macro one(m) %}{{ m.role | upper ~ ': ' ~ m.content }}{% endmacro %}"
    "{% for m in messages %}{{ one(m) }}\n{%- generation %} x {% endgeneration -%} \n{% endfor %}",
    "{{ messages | tojson }} {% if documents is defined and documents %}x{% endif %}"
    "{% if unheard_of %}y{% endif %}{{ messages[0]['content'].split(' ')[-1] }}",
]


@pytest.mark.parametrize("source", CHAT_TEMPLATES)
def test_a_chat_template_is_rendered_as_by_transformers(source):
    from tiny_llm import tiny_tokenizer

    tokenizer = tiny_tokenizer()
    expected = tokenizer.apply_chat_template(
        MESSAGES, chat_template=source, add_generation_prompt=True, tokenize=False
    )
    assert render_chat(source, MESSAGES, tokenizer.special_tokens_map) == expected


@pytest.mark.parametrize("source", [*BOMBS, "{{ raise_exception('no') }}"])
def test_a_chat_template_that_would_not_end_is_refused(source):
    with pytest.raises((jinja2.TemplateError, TypeError, ValueError, ArithmeticError)):
        render_chat(source + "{% for n in messages.x %}{% endfor %}", MESSAGES, VARIABLES)


def test_constants_are_not_looked_for_which_takes_the_square_of_the_depth():
    assert not BoundedEnvironment().optimized
