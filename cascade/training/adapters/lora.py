"""LoRA (Hu et al., arXiv 2106.09685) through peft: attached, named, saved.

The model's own weights stay as they are; each adapted matrix gets two thin ones, `W + B A alpha/r`,
which alone are trained. Adapters are peft's: `adapter_config.json`, `adapter_model.safetensors`.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from cascade.config import Section
from cascade.errors import ConfigError
from cascade.models.language_models import keeps_keys

if TYPE_CHECKING:
    import torch
    from peft import PeftModel

ALL: Literal["all-linear"] = "all-linear"
NOT_IN_STATE_SPACES = ("conv1d", "out_proj")  # which run past the module that LoRA would wrap


class LoraRecipe(Section):
    """What LoRA adds to a language model."""

    rank: int = Field(8, ge=1, le=4096, description="Width of the added matrices.")
    alpha: int = Field(
        16, ge=1, le=10**6, description="What they add is multiplied by alpha / rank."
    )
    dropout: float = Field(0.05, ge=0, lt=1, description="Share of their inputs left out.")
    targets: Literal["all-linear"] | list[str] = Field(
        ALL,
        description="Modules that are adapted: all-linear for every projection, or names such as "
        "[q_proj, v_proj].",
    )
    layers: int | None = Field(
        None, ge=1, le=10_000, description="Upper layers that are adapted; null for all."
    )


def attach_lora(model: Any, recipe: LoraRecipe, *, seed: int = 0) -> PeftModel:
    """The model with LoRA on it: only the added weights, in float32, are trained.

    Parameters
    ----------
    model
        A causal language model of transformers; it is changed.
    seed
        Of the first numbers; what is added is zero until it is trained.

    Raises
    ------
    ConfigError
        The model has none of the modules that the recipe names.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    total = int(model.config.num_hidden_layers)
    upper = None if recipe.layers is None else range(max(0, total - recipe.layers), total)
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=_targets(model, recipe),
        exclude_modules=None if keeps_keys(model.config) else list(NOT_IN_STATE_SPACES),
        layers_to_transform=None if upper is None else list(upper),
        layers_pattern=None if upper is None else "layers",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft's own way of asking transformers
        torch.manual_seed(seed)
        return get_peft_model(model, config)


def _targets(model: Any, recipe: LoraRecipe) -> str | list[str]:
    """The modules to adapt, in peft's words; all of them exist."""
    import torch

    wanted = recipe.targets
    if wanted == ALL and recipe.layers is None:
        return ALL
    head = model.get_output_embeddings()
    linear = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
    if wanted == ALL:  # by name, which peft wants where only some layers are adapted
        return sorted(linear)
    if not wanted or (unknown := sorted(set(wanted) - linear)):
        raise ConfigError(
            f"lora.targets: {', '.join(unknown) if wanted else 'nothing'} is named; expected "
            f"{ALL}, or some of {', '.join(sorted(linear))}"
        )
    return list(wanted)


def trained(model: Any) -> dict[str, torch.nn.Parameter]:
    """The weights of a model that are trained, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def save_adapter(model: PeftModel, folder: Path, base: str) -> None:
    """Write the adapter in peft's format; `base` is the name of the weights that it belongs to."""
    config: Any
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
        for name in ("target_modules", "exclude_modules"):
            if isinstance(own := getattr(config, name), set):  # whose order differs by run
                setattr(config, name, sorted(own))
    # Named and fixed: peft looks on the hub for a model where this is left open.
    model.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's has blanks to fill in
    (folder / "adapter_model.safetensors").chmod(0o644)


def load_adapter(model: PeftModel, folder: Path) -> None:
    """Give the LoRA of a model the weights of an adapter of the same shape.

    Raises
    ------
    ConfigError
        The adapter has other weights.
    """
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    loaded: Any = set_peft_model_state_dict(model, load_file(folder / "adapter_model.safetensors"))
    missing = [name for name in loaded.missing_keys if "lora_" in name]
    if missing or loaded.unexpected_keys:
        raise ConfigError(f"{folder}: an adapter of another shape; fit again")
