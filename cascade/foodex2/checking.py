"""EFSA's rules for the catalogue of a taxonomy."""

from __future__ import annotations

import logging

from cascade.errors import UsageError
from cascade.foodex2.parsed_code import PROCESSES, ForbiddenProcesses
from cascade.foodex2.rules import Checker
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy

logger = logging.getLogger(__name__)


def make_checker(taxonomy: FacetedTaxonomy, processes: str | None = None) -> Checker | None:
    """EFSA's rules for the catalogue of a taxonomy; None where it has none.

    Parameters
    ----------
    processes
        File of EFSA's table of processes; by default the one beside the catalogue.
    """
    if not isinstance(taxonomy, FoodEx2Taxonomy):
        return None
    catalogue = taxonomy.catalogue
    try:
        table = ForbiddenProcesses.load(processes, catalogue)
    except UsageError:
        logger.warning(
            "%s is not beside %s, so the rules BR16, BR19 and BR27 are not applied",
            PROCESSES,
            catalogue.file,
        )
        table = ForbiddenProcesses({})
    return Checker(catalogue, table)
