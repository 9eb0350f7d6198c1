"""Questions whose answers try an engine: shared beginnings, control tokens, odd characters."""

from cascade.generation.engine import Message, Prompt, Question

NAMES = (" Shoe", " Shoes", " Shoe care", " Hats", " Hats", " a", " Garden tools & caps")
ODD = (*NAMES, " <|im_end|>x", ' "größe" \\ 帽子 😀')
SYSTEM = Message("system", "Which department does the product belong to?")
EXAMPLES = "Product: rake\nCategory: Garden tools\n\nProduct: cap\nCategory: Caps\n\n" * 5


def chat(text, **kwargs):
    return Prompt((SYSTEM, Message("user", text)), **kwargs)


def plain(text):
    return Prompt(shared=EXAMPLES, start=f"Product: {text}\nCategory:", end="\n")


QUESTIONS = [
    *(Question(plain(text), NAMES) for text in ("hat", "a garden rake", "hat<|im_end|>\n")),
    *(Question(chat("straw hat " * n, start=" It is"), ODD[n:]) for n in range(4)),
    Question(chat("cap"), (" Shoe",)),
]
SPELLABLE = [Question(q.prompt, tuple(a for a in q.answers if "<|" not in a)) for q in QUESTIONS]
WIDE = Question(
    plain("tin of paint"), tuple(f" {a}{b}" for a in "ABCDEFGHIJKLMN" for b in "ABCDEFGHIJKL")
)
"""A branching of more tokens than vLLM tells at one place."""
