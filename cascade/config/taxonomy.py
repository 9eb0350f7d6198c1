"""Which taxonomy, and how its file is read: in configs, recipes and suites alike."""

from __future__ import annotations

from typing import Annotated, TypedDict

from pydantic import Field

from cascade.config.base import NAMED, Section


class TaxonomyReading(TypedDict):
    """How a taxonomy's file is read, see `Taxonomy.load`."""

    encoding: str | None
    scheme: str | None
    sheet: str | None


class TaxonomySource(Section):
    """A taxonomy by its name, and how its file is read."""

    taxonomy: Annotated[str | None, NAMED] = Field(
        None, description="Shipped name, or file relative to this one."
    )
    taxonomy_encoding: str | None = Field(
        None, description="Encoding of its text; detected if not given."
    )
    taxonomy_scheme: str | None = Field(
        None,
        description="Concept scheme of a SKOS vocabulary that has several: its title, code or "
        "address.",
    )
    taxonomy_sheet: str | None = Field(
        None,
        description="Sheet of a workbook; the one that alone looks like a taxonomy if not given.",
    )

    @property
    def taxonomy_reading(self) -> TaxonomyReading:
        """How the file is read."""
        return {
            "encoding": self.taxonomy_encoding,
            "scheme": self.taxonomy_scheme,
            "sheet": self.taxonomy_sheet,
        }

    def read_taxonomy(self, **reading: str | None) -> None:
        """Set how the file is read: encoding, scheme, sheet. What is None stays as it is."""
        for what, value in reading.items():
            if value is not None:
                setattr(self, f"taxonomy_{what}", value)

    def forget_reading(self) -> None:
        """Set nothing of how the file is read, since another file is."""
        self.taxonomy_encoding = self.taxonomy_scheme = self.taxonomy_sheet = None
