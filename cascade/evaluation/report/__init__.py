"""The pages that people look at: templates, style and scripts, put together into one file.

A page asks for nothing outside itself. What it shows are data of others, so everything is escaped,
and the browser is told to run the one script whose hash the page names, and to fetch nothing.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from cascade.evaluation.report import number_format
from cascade.evaluation.report.charts import along, upper_end
from cascade.io.encodings import well_formed

FOLDER = Path(__file__).parent
SCRIPTS = ("tables.js", "tips.js", "icicle.js")


def fill(template: str, **values: Any) -> str:
    """The page that a template of this folder makes of values; all of them are escaped.

    What is no character (half of a surrogate pair, as in odd arguments) becomes U+FFFD.
    """
    script = "".join(map(_read, SCRIPTS))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = (
        _environment()
        .get_template(template)
        .render(
            values,
            style=Markup(_read("style.css")),
            script=Markup(script),
            script_hash=f"sha256-{digest}",
        )
    )
    return well_formed(page)


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
    environment.filters |= number_format.FILTERS
    environment.filters |= {"end": upper_end, "along": along}
    return environment
