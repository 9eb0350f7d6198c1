"""Items beside their predictions, pictures included, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from cascade.errors import UsageError
from cascade.io.pictures import thumbnail
from cascade.items import Item
from cascade.predictions import Prediction

SIDE = 128  # pixels


@dataclass(frozen=True)
class Gallery:
    """What `gallery` returns; a notebook shows it as a table."""

    items: Sequence[Item]
    predictions: Sequence[Prediction]

    def _repr_html_(self) -> str:
        rows = []
        for item, prediction in zip(self.items, self.predictions, strict=True):
            source = "" if item.image is None else thumbnail(item.image, SIDE)
            picture = f'<img src="{source}" alt="">' if source else ""
            text = escape(item.text[:300])
            rows.append(
                f"<tr><td>{picture}</td><td style='text-align:left'>{text}</td>"
                f"<td style='text-align:left'>{prediction._repr_html_()}</td></tr>"
            )
        return f"<table>{''.join(rows)}</table>"

    def __len__(self) -> int:
        return len(self.items)


def gallery(items: Sequence[Item], predictions: Sequence[Prediction]) -> Gallery:
    """Items beside their predictions, for a notebook.

    Raises
    ------
    UsageError
        They are not as many.

    Examples
    --------
    >>> import cascade
    >>> clf = cascade.load("store", method="retrieval")
    >>> items = [cascade.Item({"text": "straw panama hat"})]
    >>> len(cascade.gallery(items, clf.classify_batch(items)))
    1
    """
    if len(items) != len(predictions):
        raise UsageError(
            f"{len(items)} items but {len(predictions)} predictions; expected one each"
        )
    return Gallery(items, predictions)
