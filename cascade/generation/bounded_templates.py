"""Jinja templates of strangers: in a sandbox, and within bounds of time and memory.

Jinja's sandbox keeps a template away from Python, but not from a loop within a loop within a loop,
nor from a text that is doubled forty times. Here every loop, call, filter and operator is charged
for what it reads and makes while a template is rendered, so that what would not end is an error.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import jinja2
import jinja2.nodes
import jinja2.sandbox

STEPS = 400_000  # turns of loops, calls, and thousands of characters of one rendering
SIZE = 4_000_000  # characters of anything that is made
VALUE = 40  # characters that a value in a list, or a number of a range, counts as
COUNT = 200  # of a number that tells a call or filter how wide to write

UNTHINKING = {"enable_thinking": False, "thinking": False}
"""What templates of models that think aloud only if asked are told (Qwen3, Granite, DeepSeek)."""

_HOLDING = (str, list, tuple, dict, set)
_LOOP, _JOIN, _SAME = "bounded loop", "bounded join", "bounded value"
_WIDENING = ("center", "expandtabs", "indent", "ljust", "rjust", "tojson", "wordwrap", "zfill")
_MULTIPLYING = ("batch", "join", "replace", "slice")
_WIDE_FIELD = re.compile(r"\d{4}|\*")  # in a format
_TRACKED = re.compile(r"\{%(-?)\s*(?:end)?generation\s*(-?)%\}")
_steps: ContextVar[list[int] | None] = ContextVar("steps", default=None)


class BoundedEnvironment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """An environment whose templates are rendered by `render`.

    Parameters
    ----------
    **options
        Of Jinja's environment, in place of those of prompts.
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        usual = {"undefined": jinja2.StrictUndefined, "keep_trailing_newline": True}
        # Not optimized: what looks for constants takes the square of the depth of an expression.
        super().__init__(autoescape=False, finalize=_charged, optimized=False, **(options or usual))
        own = {name: _bounded(filter_) for name, filter_ in self.filters.items()}
        tests: dict[str, Any] = dict(self.tests)
        self.tests = {name: _bounded(test) for name, test in tests.items()}
        self.filters = own | {_LOOP: _turns, _JOIN: _joined, _SAME: _charged}
        del self.globals["lipsum"]  # as many paragraphs as it is asked for

    def _generate(self, source: jinja2.nodes.Template, *args: Any, **kwargs: Any) -> Any:
        return super()._generate(_with_bounds(source), *args, **kwargs)

    def call(self, context: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """As Jinja's, charged for."""
        method = getattr(function, "__wrapped__", function)
        owner = getattr(method, "__self__", None)
        given = [*args, *kwargs.values()]
        _charge(*given)
        if isinstance(owner, str):
            _check(getattr(method, "__name__", ""), [owner, *given])
        return _charged(super().call(context, function, *args, **kwargs))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """As Jinja's, charged for."""
        numbers = [value for value in (left, right) if isinstance(value, int | float)]
        if operator == "+":
            _charge(left, right)
        elif operator == "%" and isinstance(left, str):
            _check("format", [left])
        elif any(abs(value) > 1e9 for value in numbers) or (
            operator == "**" and any(abs(value) > 30 for value in numbers[1:])
        ):
            raise _too_much()
        elif operator == "*" and len(numbers) == 1:
            _fits(abs(numbers[0]) * (_size(left) + _size(right)))
        return _charged(super().call_binop(context, operator, left, right))


def render(template: jinja2.Template, variables: Mapping[str, Any]) -> str:
    """A template of a `BoundedEnvironment` with its variables.

    Raises
    ------
    jinja2.TemplateError
        It uses what it may not, or what it makes is too much.
    """
    token = _steps.set([STEPS])
    try:
        return _joined(template.generate(variables))
    except RecursionError:
        raise jinja2.TemplateRuntimeError("it calls itself without end") from None
    finally:
        _steps.reset(token)


def render_chat(source: str, messages: Sequence[Mapping[str, str]], names: Any) -> str:
    """Messages, and the beginning of an answer, by the chat template that lies beside weights.

    Parameters
    ----------
    source
        The template, written for transformers.
    names
        Names of special tokens, as `bos_token`, with each token.

    Raises
    ------
    jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError
        The template does not take the messages, or makes too much.
    """
    plain = _TRACKED.sub(r"{#\1 \2#}", source)  # which part the model said matters in training
    template = _chat_environment().from_string(plain)
    settings = {"tools": None, "documents": None, "add_generation_prompt": True, **UNTHINKING}
    return render(template, {**names, "messages": messages, **settings})


@functools.cache
def _chat_environment() -> BoundedEnvironment:
    """As `apply_chat_template` of transformers has it."""
    environment = BoundedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _bounded(_to_json)
    environment.globals |= {"raise_exception": _refuse, "strftime_now": _now}
    return environment


def _to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


_to_json.__name__ = "do_tojson"


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(f"{message:.200}")


def _now(form: str) -> str:
    return datetime.now().strftime(form[:100])


def _with_bounds(template: jinja2.nodes.Template) -> jinja2.nodes.Template:
    """A template with all its loops counted, and all that it puts together measured."""
    for replace, node in _below(template):
        if isinstance(node, jinja2.nodes.Concat):
            replace(_filtered(_JOIN, jinja2.nodes.List(node.nodes), node))
        elif isinstance(node, jinja2.nodes.Compare):  # of deep lists, or a search in a long one
            node.expr = _filtered(_SAME, node.expr, node)
            for operand in node.ops:
                operand.expr = _filtered(_SAME, operand.expr, node)
        elif isinstance(node, jinja2.nodes.List | jinja2.nodes.Dict | jinja2.nodes.Getitem) or (
            isinstance(node, jinja2.nodes.Tuple) and node.ctx == "load"
        ):  # an item may be a slice, which is a copy
            replace(_filtered(_SAME, node, node))
        elif isinstance(node, jinja2.nodes.For):
            node.iter = _filtered(_LOOP, node.iter, node)
        elif isinstance(node, jinja2.nodes.AssignBlock):
            node.filter = _filtered(_SAME, node.filter, node)
    return template


def _below(
    node: jinja2.nodes.Node,
) -> Iterator[tuple[Callable[[jinja2.nodes.Node], None], jinja2.nodes.Node]]:
    """Each node below one, the innermost first, with what puts another in its place."""
    for field, value in list(node.iter_fields()):
        if isinstance(value, jinja2.nodes.Node):
            yield from _below(value)
            yield functools.partial(setattr, node, field), value
        elif isinstance(value, list):
            for at, part in enumerate(value):
                if isinstance(part, jinja2.nodes.Node):
                    yield from _below(part)
                    yield functools.partial(value.__setitem__, at), part


def _filtered(name: str, node: Any, at: jinja2.nodes.Node) -> jinja2.nodes.Filter:
    made = jinja2.nodes.Filter(node, name, [], [], None, None, lineno=at.lineno)
    made.set_lineno(at.lineno)
    assert at.environment is not None
    made.set_environment(at.environment)
    return made


def _turns(values: Iterable[Any]) -> Iterator[Any]:
    """The values of a loop, each charged for."""
    for value in values:
        _charge()
        yield value


def _joined(parts: Iterable[Any]) -> str:
    """Texts one after another."""
    made, texts = 0, []
    for part in parts:
        _charge(part)
        text = str(part)
        made += len(text)
        _fits(made)
        texts.append(text)
    return "".join(texts)


def _bounded(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """A filter, or a test, that is charged for."""
    name = filter_.__name__.removeprefix("do_").removeprefix("sync_do_")

    @functools.wraps(filter_)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        context = len(args) and isinstance(
            args[0], jinja2.Environment | jinja2.runtime.Context | jinja2.nodes.EvalContext
        )
        given = [*args[1 if context else 0 :], *kwargs.values()]
        if given and isinstance(given[0], Iterator):  # of another filter, such as map
            given[0] = list(_turns(given[0]))
            args = (*args[: 1 if context else 0], given[0], *args[2 if context else 1 :])
        _charge(*given)
        _check(name, given)
        return _charged(filter_(*args, **kwargs))

    return bounded


def _check(name: str, given: list[Any]) -> None:
    """Refuse a filter or method of texts that would make much of little."""
    value, more = given[0] if given else None, given[1:]
    sizes = [len(other) for other in more if isinstance(other, str)]
    if name in _WIDENING:
        counts = [other for other in more if isinstance(other, int | float)]
        if any(abs(count) > COUNT for count in (*counts, *sizes)):
            raise _too_much()
    elif name in _MULTIPLYING:
        pieces = _size(value) + sum(map(_size, more))
        counts = [abs(other) for other in more if isinstance(other, int)]
        if name == "replace":
            old = more[0] if more and isinstance(more[0], str) else ""
            pieces = value.count(old) + 1 if isinstance(value, str) and old else pieces + 1
        elif name == "join":
            pieces = max([len(v) for v in given if isinstance(v, list | tuple | range)], default=0)
            sizes = [len(v) for v in given if isinstance(v, str)]
        _fits(pieces * max(sizes, default=0))
        if name in ("batch", "slice") and counts:
            _fits(counts[0])
    elif name == "format" and isinstance(value, str) and _WIDE_FIELD.search(value):
        raise _too_much()


def _charged(value: Any) -> Any:
    _charge(value)
    return value


def _charge(*values: Any) -> None:
    """Take what values cost from the steps that are left."""
    size = sum(map(_size, values))
    _fits(size)
    left = _steps.get()
    if left is None:  # a constant, while a template is compiled
        return
    left[0] -= 1 + size // 1000
    if left[0] < 0:
        raise jinja2.TemplateRuntimeError(f"it takes more than {STEPS:,} steps")


def _size(value: Any) -> int:
    """Characters and values in a value, as far as that is not too much anyway."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, range):
        return VALUE * len(value)
    if not isinstance(value, _HOLDING):
        return 1
    size, todo = 0, [value]
    while todo and size <= SIZE:
        part = todo.pop()
        if isinstance(part, str):
            size += len(part)
            continue
        parts = [*part.keys(), *part.values()] if isinstance(part, dict) else part
        size += VALUE * len(parts)
        todo += [each for each in parts if isinstance(each, _HOLDING)]
    return size


def _fits(size: float) -> None:
    if size > SIZE:
        raise _too_much()


def _too_much() -> jinja2.TemplateRuntimeError:
    return jinja2.TemplateRuntimeError(
        f"it makes more than {SIZE:,} characters, or a field wider than {COUNT}"
    )
