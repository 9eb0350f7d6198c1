"""What the bytes of a run's output depend on: a run that is resumed must agree in all of it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

from cascade.config import CascadeConfig, Columns
from cascade.generation.prompt_files import find_prompt, read_prompt
from cascade.pipeline.pack import file_hashes
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.resources import shipped_folder
from cascade.taxonomy import Taxonomy
from cascade.version import __version__


def fingerprint(
    taxonomy: Taxonomy,
    config: CascadeConfig,
    columns: Columns,
    form: AnswerForm,
    limit: int | None,
) -> dict[str, Any]:
    """All that the bytes of a run's output depend on, but for the input, as plain values."""
    names = [config.child_prompt, config.llm.type_prompt]
    own = {"agent": config.agent.prompt, "choose": config.choose.prompt_name}
    names += [own[config.method]] if config.method in own else []
    prompts = [_prompt_source(name) for name in names]
    return {
        "version": __version__,
        "taxonomy": taxonomy.fingerprint,
        "prompts": hashlib.sha256("".join(prompts).encode()).hexdigest(),
        "fitted": file_hashes(config),
        "chunk": config.batch,
        "limit": limit,
        "columns": columns.model_dump(),
        **asdict(form),
        **config.model_dump(exclude={"columns", "taxonomy", "serve"}),
    }


def _prompt_source(name: str) -> str:
    """The text of the prompt called `name`; one that does not ship is checked."""
    path = find_prompt(name)
    if path.parent == shipped_folder("prompts"):
        return read_prompt(path)
    from cascade.generation.prompts import PromptTemplate  # imports Jinja

    return PromptTemplate.load(name).source
