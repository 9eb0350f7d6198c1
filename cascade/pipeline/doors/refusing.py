"""Items that cannot be answered, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from string import ascii_letters, digits

from cascade.errors import InputError
from cascade.io.pictures import allowed_address
from cascade.io.web.address import is_address
from cascade.items import Item
from cascade.pipeline.doors.asked import Asked
from cascade.predictions import Prediction
from cascade.values import absence_of, is_readable

_READABLE = frozenset(ascii_letters + digits)  # what most texts begin with


class Refusing(Asked):
    """Looks at items before they are answered."""

    def _odd(self, items: Sequence[Item]) -> Sequence[int]:
        """Places of items that need a closer look, see `_checked`: those of plain text do not."""
        if not self._walker.reads_text:
            return range(len(items))
        most, reads = self.config.max_chars, {*self.config.reads}
        fields = [item.fields for item in items]
        odd = [
            at
            for at, text in enumerate(["".join(own.values()) for own in fields])
            if len(text) > most or (text[:1] not in _READABLE and not is_readable(text))
        ]
        if any([item.image is not None for item in items]):
            odd += [at for at, item in enumerate(items) if item.image is not None]
        if reads:
            odd += [at for at, own in enumerate(fields) if reads.isdisjoint(own)]
        return sorted({*odd})

    def _checked(self, item: Item) -> Item | Prediction:
        """The item, its picture where it may be fetched from, or why there is no answer."""
        if (why := self._refuse(item)) is not None:
            return why
        if isinstance(item.image, str) and is_address(item.image):
            try:
                return self._with_address(item)
            except InputError as error:
                return Prediction.failed(str(error), item.id)
        return item

    def _refuse(self, item: Item) -> Prediction | None:
        length = sum(map(len, item.fields.values()))
        if length > self.config.max_chars:
            return Prediction.failed(
                f"the text has {length:,} characters, the limit is {self.config.max_chars:,}; "
                "shorten it, or raise max_chars in a cascade.yaml",
                item.id,
            )
        reads = self.config.reads
        if reads and item.fields and item.image is None and not item.fields.keys() & set(reads):
            return Prediction.failed(
                f"the pack reads {', '.join(reads)}; the item has {', '.join(item.fields):.200}",
                item.id,
            )
        if item.image is None:
            if not item.has_text:
                missing = absence_of(item.fields.values())
                if self._walker.reads_pictures:
                    missing += " and there is no picture"
                return Prediction.failed(f"{missing}; there is nothing to classify", item.id)
            if not self._walker.reads_text:
                return Prediction.failed(
                    f"the item has no picture, and {self._walker.source} reads pictures only",
                    item.id,
                )
        elif not self.takes_pictures:
            return Prediction.failed(f"the item has a picture, but {self._no_pictures}", item.id)
        elif not item.has_text and not self._walker.reads_pictures:
            return Prediction.failed(
                f"{absence_of(item.fields.values())}, and {self._walker.source} reads no pictures",
                item.id,
            )
        return None

    def _with_address(self, item: Item) -> Item:
        """The item with the address of its picture as the config lets it be fetched."""
        allowed = self.config.pictures
        return replace(item, image=allowed_address(str(item.image), allowed.urls, allowed.hosts))
