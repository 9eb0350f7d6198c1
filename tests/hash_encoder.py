"""An encoder whose vectors are a hash of the text: only the arithmetic after it is under test."""

import hashlib

import numpy as np

from cascade.retrieval.encoder_prompts import Prompts


class HashEncoder:
    """Unit vectors drawn from the text's hash; with `kinds` few different ones, so many ties."""

    width = 8
    prompts = Prompts()
    reads_pictures = False

    def __init__(self, identity="hash", kinds=None):
        self.identity = identity
        self._kinds = kinds
        self.encoded = []

    def encode(self, texts):
        self.encoded.append(list(texts))
        return np.array([self.vector(text) for text in texts], np.float32).reshape(-1, self.width)

    def encode_documents(self, texts, *, half=False):
        return self.encode(texts)

    def vector(self, text):
        number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
        if self._kinds is not None:
            return np.eye(self.width)[number % self._kinds]
        vector = np.random.default_rng(number).normal(size=self.width)
        return vector / np.linalg.norm(vector)
