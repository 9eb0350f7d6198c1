"""Models of random numbers: the architectures of real ones made small, for trying a set-up.

They prove that code runs; their answers mean nothing. A config names one as `small:nli`, and it
is then made once, in the user's cache, and loaded in the same way as real weights.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import WeightsError
from cascade.io.files import cache_folder
from cascade.models.runtime import quiet_libraries
from cascade.resources import shipped_folder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

logger = logging.getLogger(__name__)

FORMAT = 2  # raised when the same name would make other weights
SMALL = "small:"  # begins the name of a model of random numbers

_CONTROL = ("[PAD]", "[CLS]", "[MASK]", "[SEP]")
_SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
_READER: dict[str, Any] = {
    **_SHAPE,
    "max_position_embeddings": 512,
    "initializer_range": 0.4,  # far from zero, so that the answers differ
    "pad_token_id": 0,
}
_SIDE = 32  # pixels


@dataclass(frozen=True)
class _Kind:
    """What a small model is made of.

    Parameters
    ----------
    architecture
        As transformers calls it.
    head
        The class of transformers that makes it from its config.
    config
        What is not as the architecture has it.
    positions
        Tokens that it can read.
    pictures
        How pictures are prepared for it; None where it reads none.
    """

    architecture: str
    head: str
    config: dict[str, Any]
    positions: int = 512
    pictures: dict[str, Any] | None = None


KINDS: dict[str, _Kind] = {
    "cross-encoder": _Kind(
        "bert", "AutoModelForSequenceClassification", {**_READER, "num_labels": 1}
    ),
    "nli": _Kind(
        "deberta-v2",
        "AutoModelForSequenceClassification",
        {
            **_READER,
            "id2label": {0: "entailment", 1: "neutral", 2: "contradiction"},
            "label2id": {"entailment": 0, "neutral": 1, "contradiction": 2},
            # As in DeBERTa-v3.
            "relative_attention": True,
            "position_buckets": 64,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "type_vocab_size": 0,
        },
    ),
    "clip": _Kind(
        "clip",
        "AutoModel",
        {
            "text_config": {
                **_SHAPE,
                "max_position_embeddings": 77,
                "pad_token_id": 0,
                "bos_token_id": _CONTROL.index("[CLS]"),
                "eos_token_id": _CONTROL.index("[SEP]"),
            },
            "vision_config": {**_SHAPE, "image_size": _SIDE, "patch_size": 8},
            "projection_dim": 32,
        },
        positions=77,
        pictures={
            "image_processor_type": "CLIPImageProcessor",
            "size": {"shortest_edge": _SIDE},
            "crop_size": {"height": _SIDE, "width": _SIDE},
        },
    ),
}


def small_folder(name: str) -> Path:
    """The folder of the model called `small:KIND`, made in the user's cache at its first use.

    Its tokenizer is trained on the taxonomies that ship.

    Raises
    ------
    WeightsError
        There is no such kind.
    """
    kind = name.removeprefix(SMALL)
    if kind not in KINDS:
        known = ", ".join(SMALL + kind for kind in KINDS)
        raise WeightsError(f"there are no small weights {name!r}; there are {known}")
    logger.warning("the weights %s are random numbers: their answers mean nothing", name)
    files = sorted(shipped_folder("taxonomies").glob("*.yaml"))
    texts = [line for file in files for line in file.read_text("utf-8").splitlines()]
    cache = cache_folder() / "models"
    key = hashlib.sha256("\n".join([str(FORMAT), kind, *texts]).encode()).hexdigest()[:16]
    target = cache / f"small-{kind}-{key}"
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    from filelock import FileLock

    with FileLock(target.with_suffix(".lock")):
        if not target.is_dir():
            staging = Path(tempfile.mkdtemp(dir=cache, prefix=".making-"))
            try:
                make_small(kind, staging, texts)
                staging.chmod(0o755)
                staging.rename(target)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    return target


def make_small(kind: str, folder: Path, texts: Iterable[str], *, seed: int = 0) -> None:
    """Write a small model of random numbers with a real tokenizer into a folder.

    It proves that code runs; its answers mean nothing. The same kind, texts and seed make the
    same bytes.

    Parameters
    ----------
    kind
        `cross-encoder` (BERT with one output), `nli` (DeBERTa-v3 with a label for entailment) or
        `clip` (CLIP, for texts and pictures).
    texts
        What the tokenizer is trained on; any text can be encoded with it.

    Raises
    ------
    WeightsError
        There is no such kind.
    """
    import torch

    if kind not in KINDS:
        raise WeightsError(f"no kind of small model {kind!r}; there are {', '.join(KINDS)}")
    made = KINDS[kind]
    tokenizer = _tokenizer(texts, made.positions)
    with torch.random.fork_rng(devices=[]), quiet_libraries():
        torch.manual_seed(seed)
        _model(made, len(tokenizer)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    if made.pictures is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(made.pictures), "utf-8")


def _model(kind: _Kind, vocab_size: int) -> Any:
    import transformers

    own = {**kind.config}
    if "text_config" in own:
        own["text_config"] = {**own["text_config"], "vocab_size": vocab_size}
    else:
        own["vocab_size"] = vocab_size
    config = transformers.AutoConfig.for_model(kind.architecture, **own)
    return getattr(transformers, kind.head).from_config(config)


def _tokenizer(texts: Iterable[str], positions: int) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer that frames texts as BERT does.

    Bytes, because the trainer of WordPiece gives other numbers in every process.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, _CONTROL.index(token)) for token in ("[CLS]", "[SEP]")],
    )
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=list(_CONTROL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=positions,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
