"""Examples of each endpoint for the OpenAPI document, of the taxonomy `store`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_HAT = {
    "id": "sku-1",
    "code": "BAG-FAS-HAT",
    "path": "Shoes, Bags & Accessories > Fashion Accessories > Hats & Caps",
    "confidence": 0.914203,
    "source": "retrieval",
    "status": "ok",
    "message": "",
}
_NOTHING = {
    "id": None,
    "code": None,
    "path": None,
    "confidence": None,
    "source": "",
    "status": "error",
    "message": "the text is empty; there is nothing to classify",
}
_NODE = {
    "code": "BAG-FAS-HAT",
    "name": "Hats & Caps",
    "path": "Shoes, Bags & Accessories > Fashion Accessories > Hats & Caps",
    "level": 3,
    "children": 0,
    "description": "",
    "synonyms": ["beanies"],
}
_ABOVE = {
    "code": "BAG-FAS",
    "name": "Fashion Accessories",
    "path": "Shoes, Bags & Accessories > Fashion Accessories",
    "level": 2,
    "children": 1,
    "description": "",
    "synonyms": [],
}


@dataclass(frozen=True)
class Examples:
    """Of one endpoint: requests by what they show, and an answer."""

    response: Any
    requests: dict[str, Any] = field(default_factory=dict)


CLASSIFY = Examples(
    _HAT,
    {
        "a text": {"text": "straw panama hat, light", "id": "sku-1"},
        "columns of a pack, with alternatives": {
            "fields": {"name": "straw panama hat", "brand": "Sol"},
            "top": 3,
        },
    },
)
CLASSIFY_MANY = Examples(
    {"answers": [_HAT, _NOTHING]},
    {
        "texts": {"items": ["straw panama hat, light", ""]},
        "items": {"items": [{"text": "straw panama hat", "id": "sku-1"}, "garden hose"], "top": 1},
    },
)
EXPLAIN = Examples(
    {
        "item": {"text": "panama hat"},
        "answer": _HAT,
        "words": [{"field": "text", "text": "hat", "start": 7, "weight": 0.41}],
        "text": "panama hat\n-> Shoes, Bags & Accessories > Fashion Accessories > Hats & Caps",
    },
    {"a text": {"text": "panama hat"}},
)
SEARCH = Examples({"nodes": [_NODE]})
TOP = Examples({"node": None, "children": [_ABOVE], "total": 21, "next_offset": 1})
NODE = Examples({"node": _ABOVE, "children": [_NODE], "total": 1, "next_offset": None})
ABOUT = Examples(
    {
        "version": "0.1",
        "title": "General store",
        "nodes": 512,
        "leaves": 401,
        "levels": 4,
        "fingerprint": "3f0c...",
        "method": "retrieval",
        "reads": [],
        "limits": {"max_items": 1000, "max_body": 8388608},
    }
)
