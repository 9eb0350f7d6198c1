"""Models that judge texts or pairs of texts: sequence classifiers and cross-encoders."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from cascade.errors import WeightsError
from cascade.models.inspection import NO_CODE, check_complete, reading
from cascade.models.runtime import Precision, best_device, precision_dtype, quiet_libraries
from cascade.models.weights import Weights

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder


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
