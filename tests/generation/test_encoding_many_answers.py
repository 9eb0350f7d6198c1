from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llm import tiny_tokenizer
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

import cascade
from cascade.generation.text_encoding import TokenSequences, WordwiseEncoder

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PIECES = [" ", "  ", "a", "Shoe", "shoes", "'s", "12", "345", "-", "...", "\n", "\t", "é", "é", " "]
PIECES += ["a\n \nb", " \t", "\n ", "<|im_end|>", "日本", "🙂", "_", "\u200b", "\u00a0"]
texts = st.lists(st.text() | st.lists(st.sampled_from(PIECES)).map("".join), max_size=6)


def like_llama3(normalizer=None):
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return trained(tokenizer)


def trained(tokenizer):
    corpus = [" Shoe care 12 shoes of the house, Shoe's 1234 - shoes (big) ..."] * 3
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>"
    )


def one_by_one(tokenizer, texts, tail):
    return [
        [*tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"], *tail]
        for text in texts
    ]


def same(encoder, texts, tail):
    expected = TokenSequences.of(one_by_one(encoder._tokenizer, texts, tail))
    return all(
        got.tokens.tolist() == expected.tokens.tolist()
        and got.lengths.tolist() == expected.lengths.tolist()
        for got in (encoder.encode(texts, tail), encoder.few(texts, tail))
    )


@pytest.fixture(scope="module", params=["gpt2", "llama3", "qwen", "smollm2"])
def encoder(request):
    if request.param == "smollm2":
        return WordwiseEncoder(request.getfixturevalue("smollm").tokenizer)
    makes = {
        "gpt2": tiny_tokenizer,
        "llama3": like_llama3,
        "qwen": lambda: like_llama3(normalizers.NFC()),
    }
    return WordwiseEncoder(makes[request.param]())


@given(texts)
@settings(deadline=None)
def test_encodes_as_the_tokenizer_does_text_by_text(encoder, texts):
    assert encoder._words_stand_alone
    assert same(encoder, texts, [7])


def test_blanks_between_line_breaks_are_encoded_whole(encoder):
    assert same(encoder, ["a\n \nb", "a \n b", "\n a", "a \tb", "a\r \rb"] * 2, [7])


def test_what_others_set_on_the_tokenizer_changes_nothing(encoder):
    encoder._tokenizer([" a", " hat and more"], padding=True, truncation=True, max_length=2)
    assert same(encoder, [" a", " a straw hat and more"], [])


def test_names_of_a_taxonomy_are_encoded_each_word_once(encoder, monkeypatch):
    names = [f" {name}" for name in cascade.load("store").taxonomy.names[::5]]
    assert same(encoder, names, [7, 8])
    asked = []
    encode = encoder._encode
    monkeypatch.setattr(encoder, "_encode", lambda texts: asked.extend(texts) or encode(texts))
    encoder.encode(names, [])
    assert len(asked) <= 2 + len({word for name in names for word in name.split()})


def test_a_control_token_that_a_name_spells_is_plain_text(encoder):
    control = encoder._tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert control not in encoder.encode([" a <|im_end|> b"] * 3, []).tokens


def crossing():
    """A tokenizer without pre-tokenizer, whose tokens cross blanks."""
    return trained(Tokenizer(models.BPE()))


def by_characters():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    return trained(tokenizer)


def over_blanks():
    """Bytes, with merges that cross blanks, as in SuperBPE (arXiv 2503.13423)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return trained(tokenizer)


def with_a_blank_in_an_added_token():
    tokenizer = like_llama3()
    tokenizer.add_tokens(["Shoe care"])
    return tokenizer


@pytest.mark.parametrize(
    "make", [crossing, by_characters, over_blanks, with_a_blank_in_an_added_token]
)
def test_where_words_do_not_stand_alone_texts_are_encoded_whole(make):
    encoder = WordwiseEncoder(make())
    assert not encoder._words_stand_alone
    assert same(encoder, [" Shoe care", "Shoe care of the house", " shoes"], [7])


def test_letters_after_a_blank_are_merged_without_the_rest_where_a_tokenizer_keeps_them_together():
    names = [" Shoe care", " shoes", " the big house of Shoes"]
    quick, other = WordwiseEncoder(tiny_tokenizer()), WordwiseEncoder(like_llama3())
    assert quick._letters_stay_together
    assert not other._letters_stay_together  # its pattern could divide at capitals
    assert same(quick, names, [7])
    quick._encode = None  # not asked again
    assert quick.few(names, [7]).tokens.tolist() == quick.encode(names, [7]).tokens.tolist()


def test_a_word_that_was_added_to_a_vocabulary_is_not_merged():
    tokenizer = deepcopy(tiny_tokenizer())  # which other tests have, too
    tokenizer.add_tokens(["Shoe"])
    encoder = WordwiseEncoder(tokenizer)
    assert not encoder._letters_stay_together
