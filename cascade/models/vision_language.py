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
from cascade.models.runtime import quiet_libraries

if TYPE_CHECKING:
    from PIL.Image import Image

BLOCK = 16  # pictures in one forward pass of the vision tower
HELD = 256  # pictures that are kept from one call to the next


class PictureBank(nn.Module):
    """The embedding of token ids, where negative ones are parts of pictures.

    Parameters
    ----------
    words
        The language model's own embedding.
    whole
        The vision-language model, with `get_image_features`.
    processor
        Its image processor.
    """

    def __init__(self, words: nn.Embedding, whole: Any, processor: Any) -> None:
        super().__init__()
        self.words = words
        self._whole = [whole]  # in a list, so that its weights are not taken for ours
        self._processor = processor
        # With the picture itself, so that no other gets its id.
        self._known: dict[Any, tuple[Any, tuple[int, ...]]] = {}
        self._parts = torch.zeros((0, words.embedding_dim), dtype=words.weight.dtype)
        self._used = 0

    @property
    def weight(self) -> torch.Tensor:
        """Of the language model's own embedding."""
        return self.words.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Embeddings [..., hidden] of token ids."""
        found: torch.Tensor = self.words(ids.clamp(min=0))
        seen = ids < 0
        if seen.any():
            found = found.clone()
            places = (-1 - ids[seen]).to(self._parts.device)
            found[seen] = self._parts[places].to(found.device, found.dtype)
        return found

    def to_device(self, device: str) -> None:
        """Move the vision tower; what was seen stays in the machine's own memory."""
        self._whole[0].to(device).eval()

    def tokens(self, pictures: Sequence[Any]) -> list[tuple[int, ...]]:
        """Token ids of pictures; one that was seen before is not looked at again.

        Parameters
        ----------
        pictures
            As `io.pictures.open_picture` takes them.

        Raises
        ------
        InputError
            One cannot be read.
        """
        new = {picture_key(p): p for p in pictures if picture_key(p) not in self._known}
        waiting = list(new.items())
        for start in range(0, len(waiting), BLOCK):
            some = waiting[start : start + BLOCK]
            # Plain tensors, whoever asks: what is kept may be trained on later.
            with torch.inference_mode(False), torch.no_grad():
                looked = self._look([open_picture(picture) for _, picture in some])
                for (name, picture), parts in zip(some, looked, strict=True):
                    self._known[name] = picture, self._keep(parts)
        return [self._known[picture_key(picture)][1] for picture in pictures]

    def trim(self) -> bool:
        """Forget all pictures, where there are many; tells whether their tokens are void now."""
        many = len(self._known) > HELD
        if many:
            self._known.clear()
            self._used = 0
        return many

    def _look(self, pictures: Sequence[Image]) -> list[torch.Tensor]:
        """float [n_tokens, hidden] of each picture."""
        whole = self._whole[0]
        pixels = self._processor(images=list(pictures), return_tensors="pt")["pixel_values"]
        found = whole.get_image_features(pixel_values=pixels.to(whole.device, whole.dtype))
        parts = getattr(found, "pooler_output", found)
        return [part.reshape(-1, part.shape[-1]).cpu() for part in parts]

    def _keep(self, parts: torch.Tensor) -> tuple[int, ...]:
        first, end = self._used, self._used + len(parts)
        if end > len(self._parts):
            more = parts.new_zeros((max(end, 2 * len(self._parts)), parts.shape[1]))
            more[:first] = self._parts[:first]
            self._parts = more
        self._parts[first:end] = parts
        self._used = end
        return tuple(range(-1 - first, -1 - end, -1))


def load_vision_language(folder: Path, dtype: torch.dtype) -> Any:
    """The language model of a vision-language model, with a `PictureBank` as its embedding."""
    from transformers import AutoImageProcessor, AutoModelForCausalLM, AutoModelForImageTextToText

    with quiet_libraries():
        whole: Any = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype, local_files_only=True, use_safetensors=True
        )
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    body = whole.model
    language = body.language_model
    with torch.device("meta"):
        causal: Any = AutoModelForCausalLM.from_config(whole.config.get_text_config())
    setattr(causal, causal.base_model_prefix, language)
    causal.set_output_embeddings(whole.get_output_embeddings())
    causal.set_input_embeddings(PictureBank(language.get_input_embeddings(), body, processor))
    causal.config.tie_word_embeddings = False
    return causal
