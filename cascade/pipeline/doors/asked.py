"""What the doors need of the classifier that they are a part of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

from cascade.config import CascadeConfig
from cascade.forks import Turn
from cascade.items import Item
from cascade.pipeline.intake import Intake
from cascade.predictions import Prediction
from cascade.scoring.components import Components
from cascade.taxonomy import Taxonomy


class Asked:
    """Methods of `Classifier`, which says what they do."""

    taxonomy: Taxonomy
    config: CascadeConfig
    _components: Components
    _turn: Turn
    _walker: Any

    @property
    def takes_pictures(self) -> bool:
        raise NotImplementedError

    @property
    def _no_pictures(self) -> str:
        raise NotImplementedError

    @property
    def method(self) -> str:
        raise NotImplementedError

    def variant(self, *, beam: int | None = None, ranking: int | None = None) -> Self:
        raise NotImplementedError

    def unwatched(self) -> Self:
        raise NotImplementedError

    def classify_many(
        self,
        items: Any,
        *,
        text: str | Sequence[str] | None = None,
        image: str | None = None,
        id: str | None = None,
        batch_size: int | None = None,
    ) -> Iterator[Prediction]:
        raise NotImplementedError

    def classify_read(self, items: Sequence[Item | Prediction]) -> list[Prediction]:
        raise NotImplementedError

    def _intake(
        self, text: str | Sequence[str] | None, image: str | None, id: str | None
    ) -> Intake:
        raise NotImplementedError

    def _checked(self, item: Item) -> Item | Prediction:
        raise NotImplementedError

    def _refuse(self, item: Item) -> Prediction | None:
        raise NotImplementedError

    def _together(self, rows: Sequence[int]) -> Iterator[Sequence[int]]:
        raise NotImplementedError
