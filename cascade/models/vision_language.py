"""Vision-language models: a language model whose tokens may be parts of pictures.

A model of the LLaVA kind (Liu et al., arXiv 2304.08485) is taken apart: its language model stands
alone, as any other does, and what its vision tower and projector make of a picture is kept in a
bank. A negative token id names a place in the bank, so that scoring, decoding and training, which
hand token ids about, need to know nothing of pictures, and each is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cascade.io.pictures import open_picture, picture_key
from cascade.models.inspection import NO_CODE
from cascade.models.runtime import quiet_libraries

if TYPE_CHECKING:
    from PIL.Image import Image

BATCH = 16  # pictures in one forward pass of the vision tower
MAX_PICTURES = 256  # pictures that are kept from one call to the next


class PictureBank(nn.Module):
    """The embedding of token ids, where negative ones are parts of pictures.

    Parameters
    ----------
    embedding
        The language model's own embedding.
    model
        The vision-language model, with `get_image_features`.
    processor
        Its image processor.
    """

    def __init__(self, embedding: nn.Embedding, model: Any, processor: Any) -> None:
        super().__init__()
        self.embedding = embedding
        self._model = [model]  # in a list, so that its weights are not taken for ours
        self._processor = processor
        # With the picture itself, so that no other gets its id.
        self._tokens_of: dict[Any, tuple[Any, tuple[int, ...]]] = {}
        self._states = torch.zeros((0, embedding.embedding_dim), dtype=embedding.weight.dtype)
        self._n_used = 0

    @property
    def weight(self) -> torch.Tensor:
        """Of the language model's own embedding."""
        return self.embedding.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Embeddings [..., hidden] of token ids."""
        found: torch.Tensor = self.embedding(ids.clamp(min=0))
        of_picture = ids < 0
        if of_picture.any():
            found = found.clone()
            places = (-1 - ids[of_picture]).to(self._states.device)
            found[of_picture] = self._states[places].to(found.device, found.dtype)
        return found

    def to_device(self, device: str) -> None:
        """Move the vision tower; encoded pictures stay in the machine's own memory."""
        self._model[0].to(device).eval()

    def tokens(self, pictures: Sequence[Any]) -> list[tuple[int, ...]]:
        """Token ids of pictures; one that was seen before is not encoded again.

        Parameters
        ----------
        pictures
            As `io.pictures.open_picture` takes them.

        Raises
        ------
        InputError
            One cannot be read.
        """
        new = {picture_key(p): p for p in pictures if picture_key(p) not in self._tokens_of}
        waiting = list(new.items())
        for start in range(0, len(waiting), BATCH):
            some = waiting[start : start + BATCH]
            # Plain tensors, whoever asks: what is kept may be trained on later.
            with torch.inference_mode(False), torch.no_grad():
                encoded = self._encode([open_picture(picture) for _, picture in some])
                for (name, picture), states in zip(some, encoded, strict=True):
                    self._tokens_of[name] = picture, self._store(states)
        return [self._tokens_of[picture_key(picture)][1] for picture in pictures]

    def trim(self) -> bool:
        """Forget all pictures, where there are many; tells whether their tokens are void now."""
        many = len(self._tokens_of) > MAX_PICTURES
        if many:
            self._tokens_of.clear()
            self._n_used = 0
        return many

    def _encode(self, pictures: Sequence[Image]) -> list[torch.Tensor]:
        """float [n_tokens, hidden] of each picture."""
        model = self._model[0]
        pixels = self._processor(images=list(pictures), return_tensors="pt")["pixel_values"]
        found = model.get_image_features(pixel_values=pixels.to(model.device, model.dtype))
        states = getattr(found, "pooler_output", found)
        return [part.reshape(-1, part.shape[-1]).cpu() for part in states]

    def _store(self, states: torch.Tensor) -> tuple[int, ...]:
        first, end = self._n_used, self._n_used + len(states)
        if end > len(self._states):
            more = states.new_zeros((max(end, 2 * len(self._states)), states.shape[1]))
            more[:first] = self._states[:first]
            self._states = more
        self._states[first:end] = states
        self._n_used = end
        return tuple(range(-1 - first, -1 - end, -1))


def load_vision_language(folder: Path, dtype: torch.dtype) -> Any:
    """The language model of a vision-language model, with a `PictureBank` as its embedding."""
    from transformers import AutoImageProcessor, AutoModelForCausalLM, AutoModelForImageTextToText

    with quiet_libraries():
        model: Any = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, **NO_CODE
        )
        processor = AutoImageProcessor.from_pretrained(folder, **NO_CODE)
    body = model.model
    language = body.language_model
    with torch.device("meta"):
        causal: Any = AutoModelForCausalLM.from_config(model.config.get_text_config())
    setattr(causal, causal.base_model_prefix, language)
    causal.set_output_embeddings(model.get_output_embeddings())
    causal.set_input_embeddings(PictureBank(language.get_input_embeddings(), body, processor))
    causal.config.tie_word_embeddings = False
    return causal
