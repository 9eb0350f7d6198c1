"""Models that judge texts or pairs of texts: sequence classifiers, cross-encoders, GLiClass."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import MissingExtraError, WeightsError
from cascade.models.inspection import NO_CODE, check_complete, reading
from cascade.models.language_models import json_of
from cascade.models.runtime import Precision, best_device, precision_dtype, quiet_libraries
from cascade.models.weights import Weights

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

GLICLASS = "GLiClass"  # the model type of its config
ONE_ENCODER = "uni-encoder"  # labels and text are read together


def load_sequence_classifier(
    weights: Weights, device: str, precision: Precision
) -> tuple[Any, Any]:
    """A model that sorts texts, or pairs of them, in evaluation mode, and its tokenizer.

    Returns
    -------
    model : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerFast

    Raises
    ------
    WeightsError
        The weights cannot be read, or are those of another kind of model.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    device = best_device(device)
    with reading(weights.path, "no sequence classifier that can be used"):
        found = AutoConfig.from_pretrained(weights.path, **NO_CODE).architectures or []
        # A model of another kind would get a head of random numbers.
        if not any("ForSequenceClassification" in name for name in found):
            raise WeightsError(
                f"the weights {weights.name!r} are of {', '.join(found) or 'no named kind'}; "
                "expected a sequence classifier (...ForSequenceClassification)"
            )
        with quiet_libraries():
            tokenizer = AutoTokenizer.from_pretrained(weights.path, **NO_CODE)
            model, told = AutoModelForSequenceClassification.from_pretrained(
                weights.path,
                dtype=precision_dtype(precision, device),
                use_safetensors=True,
                output_loading_info=True,
                **NO_CODE,
            )
            check_complete(told)
    if not tokenizer.is_fast:
        raise WeightsError(f"{weights.path}: its tokenizer is slow; expected a tokenizer.json")
    model.to(device)
    return model.eval(), tokenizer


def load_cross_encoder(weights: Weights, device: str = "auto") -> CrossEncoder:
    """A cross-encoder with one output, to be trained: of an encoder the output is new.

    Raises
    ------
    WeightsError
        The weights cannot be read, or have several outputs.
    """
    import torch
    from sentence_transformers import CrossEncoder

    torch.manual_seed(0)  # of a new output
    with (
        reading(weights.path, "no cross-encoder that can be used"),
        quiet_libraries(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        model: CrossEncoder = CrossEncoder(
            str(weights.path),
            num_labels=1,
            device=best_device(device),
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            **NO_CODE,
        )
        weights.change(model.transformers_model)
    return model


def is_gliclass(folder: Path) -> bool:
    """Whether the weights in a folder are of a GLiClass model."""
    return json_of(folder / "config.json").get("model_type") == GLICLASS


def load_gliclass(weights: Weights, device: str, precision: Precision) -> tuple[Any, Any]:
    """A GLiClass model, in evaluation mode, and its tokenizer; its own library reads it.

    Returns
    -------
    model : gliclass.GLiClassModel
    tokenizer : transformers.PreTrainedTokenizerFast

    Raises
    ------
    MissingExtraError
        The library is not installed.
    WeightsError
        The weights cannot be read, or are those of another kind of model.
    """
    from transformers import CONFIG_MAPPING, AutoTokenizer

    try:
        with quiet_libraries():
            from gliclass import GLiClassModel, GLiClassModelConfig
    except ImportError:
        raise MissingExtraError(
            f"the GLiClass model {weights.name!r}", "gliclass", "gliclass"
        ) from None
    device = best_device(device)
    values = json_of(weights.path / "config.json")
    encoder = values.get("encoder_config")
    kind = encoder.get("model_type", "deberta-v2") if isinstance(encoder, dict) else None
    if values.get("architecture_type", ONE_ENCODER) != ONE_ENCODER:
        raise WeightsError(
            f"the weights {weights.name!r} are of a GLiClass model of the kind "
            f"{values['architecture_type']!r:.40}; expected {ONE_ENCODER!r}"
        )
    # For an encoder that it does not know the library would run the code of a hub.
    if kind not in CONFIG_MAPPING:
        raise WeightsError(f"{weights.path}: its encoder is {kind!r:.40}, which is not known")
    with reading(weights.path, "no GLiClass model that can be used"), quiet_libraries():
        config = GLiClassModelConfig.from_pretrained(weights.path, **NO_CODE)
        config.encoder_model_name = str(weights.path)  # where it would look for an adapter
        model, told = GLiClassModel.from_pretrained(
            weights.path,
            config=config,
            dtype=precision_dtype(precision, device),
            use_safetensors=True,
            output_loading_info=True,
            **NO_CODE,
        )
        check_complete(told)
        tokenizer = AutoTokenizer.from_pretrained(weights.path, **NO_CODE)
    if not tokenizer.is_fast:
        raise WeightsError(f"{weights.path}: its tokenizer is slow; expected a tokenizer.json")
    model.to(device)
    return model.eval(), tokenizer
