"""One HTML file from a template, the style and the scripts.

A page asks for nothing outside itself. What it shows is data of others, so everything is escaped,
and a content security policy lets the browser run the one script whose hash it names, and fetch
nothing.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from cascade.evaluation.metrics.descriptions import describe_metric
from cascade.evaluation.report.number_format import FILTERS
from cascade.io.encodings import replace_surrogates

FOLDER = Path(__file__).parent
SCRIPTS = ("tables.js", "tips.js", "icicle.js")


def fill(template: str, **values: Any) -> str:
    """The page that a template of this folder makes of values; all of them are escaped.

    What is no character (half of a surrogate pair, as in odd arguments) becomes U+FFFD.
    """
    script = "".join(map(_read, SCRIPTS))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = _environment().get_template(template)
    return replace_surrogates(
        page.render(
            values,
            style=Markup(_read("style.css")),
            script=Markup(script),
            script_hash=f"sha256-{digest}",
        )
    )


def _read(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    environment.filters["meaning"] = describe_metric
    return environment
