"""New labelled rows for the neighbours of a pack, without fitting anything again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cascade.errors import ConfigError
from cascade.io.tables.opening import TableFile
from cascade.pipeline.load import load_config, load_taxonomy
from cascade.pipeline.pack import is_own, seal
from cascade.pipeline.runs.columns import picture_places
from cascade.scoring.components import Components
from cascade.scoring.methods.neighbours import Examples, unit
from cascade.taxonomy.staying import places
from cascade.training.labelled import read_labelled, readable

ENCODED = 512  # items between two signs of progress
SAME = 0.9995  # cosine from which two texts are one


def add_examples(
    pack: Path,
    source: TableFile,
    *,
    label: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, int, dict[str, tuple[int, int]]]:
    """Let the rows of a file vote as neighbours from now on; the pack is sealed anew.

    Parameters
    ----------
    label
        Column of the answers; that of the pack if None.

    Returns
    -------
    added
        Rows that were added.
    there
        Rows that were there already, with the same text and label.
    skipped
        Rows that were left out, by reason, with how many and the line of the first.

    Raises
    ------
    ConfigError
        The pack has no neighbours.
    InputError
        A column of the pack is not in the file, or no row can be used.
    """
    config, folder = load_config(pack)
    if config.neighbours.file is None or folder is None or config.taxonomy is None:
        raise ConfigError(
            f"{pack}: has no labelled neighbours; fit a pack with a recipe that has some, such as "
            "fast"
        )
    taxonomy = load_taxonomy(config.taxonomy, folder, **config.taxonomy_reading)
    columns = config.columns.model_copy(update={"label": label or config.columns.label})
    rows = read_labelled(source, columns, taxonomy, places=picture_places(config))
    if columns.image is not None:
        rows = readable(rows)
    path = Path(config.neighbours.file)
    components = Components(taxonomy, config)
    examples = Examples.load(path, components.taxonomy)
    backbone = components.backbone(config.neighbours.backbone)
    known = places(components.taxonomy, rows.nodes)
    added = 0
    for start in range(0, len(rows), ENCODED):
        nodes = known[start : start + ENCODED]
        vectors = unit(backbone.rows(rows.items[start : start + ENCODED]))
        same = (vectors @ examples.vectors.T > SAME) & (nodes[:, None] == examples.nodes)
        new = ~same.any(axis=1)
        examples = examples.with_more(vectors[new], nodes[new])
        added += int(new.sum())
        if progress is not None:
            progress(min(start + ENCODED, len(rows)), len(rows))
    if added:
        own = is_own(folder)
        examples.save(path)
        seal(folder, own=own)
        with (folder / "README.md").open("a", encoding="utf-8") as file:
            name = Path(source.file).name
            file.write(f"\nLater {added:,} rows of `{name}` were added to its neighbours.\n")
    return added, len(rows) - added, rows.skipped
