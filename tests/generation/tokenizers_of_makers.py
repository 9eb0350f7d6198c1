"""Tokenizers of the kinds that makers of models use, trained in a moment."""

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import PreTrainedTokenizerFast

CORPUS = ["straw hat </s> <s> Shoe care of the house 12 [INST] ( s> ) <think> / <tool_call>"] * 4
BLANK = "\u2581"
GPT4 = r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+"


def like_llama2():
    """SentencePiece BPE: control tokens are pieces, and pieces merge into them."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += [BLANK, *"<>/s[]INThatrwe", "s>", "/s>", f"{BLANK}h", "at", f"{BLANK}hat"]
    merges = [("s", ">"), ("/", "s>"), ("<", "s>"), ("<", "/s>")]
    merges += [(BLANK, "h"), ("a", "t"), (f"{BLANK}h", "at")]
    vocabulary = {token: at for at, token in enumerate(tokens)}
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend(BLANK), normalizers.Replace(" ", BLANK)]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(BLANK, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return _made(tokenizer, ["<unk>", "<s>", "</s>"])


def like_t5():
    """SentencePiece Unigram, in whose vocabulary control tokens cost nothing."""
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), (BLANK, -2.0)]
    pieces += [(letter, -4.0) for letter in "<>/s[]INThatrwelpc(f12 o)"] + [(f"{BLANK}hat", -3.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return _made(tokenizer, ["<unk>", "<s>", "</s>"])


def like_tiktoken():
    """Bytes, with control tokens of which some are not marked as such, as those of Qwen."""
    tokenizer = Tokenizer(models.BPE())
    from tokenizers import Regex

    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(GPT4), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    made = _made(tokenizer, ["<|endoftext|>", "<s>", "</s>"])
    made.add_tokens([AddedToken("<think>", special=False), AddedToken("<tool_call>")])
    made.add_tokens([AddedToken("    ", special=False)])  # blanks are no control
    return made


def _made(tokenizer, control):
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in control]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token=control[0], bos_token="<s>", eos_token="</s>",
        chat_template="{% for m in messages %}{{ bos_token }}[INST] {{ m.content }} [/INST]"
        "{% endfor %}",
    )  # fmt: skip


MAKERS = {"llama2": like_llama2, "t5": like_t5, "tiktoken": like_tiktoken}
