"""Text of items as prompts show it: up to the first markup of a conversation.

Control tokens of chat models, or a role at the start of a line, have no business in the name of a
product, and what follows them is written to a model, not about an item. No text can become a
control token (see `text_encoding`), but small models follow its letters too. `<s>` is left out,
for it is HTML as well.
"""

from __future__ import annotations

import re

_MARKUP = re.compile(
    r"<[|｜][^<>\n]{1,40}[|｜]>"  # ChatML, Llama 3, Phi, DeepSeek
    r"|\[/?INST\]|<</?SYS>>"  # Llama 2, Mistral
    r"|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>"  # Gemma
    r"|^\s*#{2,}\s*(?:system|instructions?|response|assistant|user)\b"  # Alpaca
    r"|^\s*(?:system|assistant|user|human)\s*:",
    re.IGNORECASE | re.MULTILINE,
)


def before_markup(text: str) -> str:
    """The text before the first markup of a conversation; without the marks where it begins so."""
    found = _MARKUP.search(text)
    if found is None:
        return text
    before = text[: found.start()]
    return before if before.strip() else _MARKUP.sub(" ", text)
