"""`cascade.load`: from a shipped taxonomy, a pack, a cascade.yaml or a taxonomy file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.config import (
    FITTED_METHOD,
    PRODUCT,
    UNSAID,
    CascadeConfig,
    check_name,
    read_yaml,
    shown,
)
from cascade.errors import ConfigError, TaxonomyError, UsageError, did_you_mean
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.pack import SEAL, check_files, confine, is_own, resolve_paths, verify
from cascade.resources import shipped_file, shipped_names
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    from cascade.pipeline.agent.loop import Ask
    from cascade.retrieval.text_vectors import Progress

CONFIG_NAME = "cascade.yaml"
TAXONOMY_SUFFIX = ".yaml"

logger = logging.getLogger(__name__)
ACCEPTING = ("max_risk", "review_below", "set_coverage")  # fields of `calibration`
UNNARROWED = ("ttc", "neighbours")  # scorers of packs that read no texts of nodes


def load(
    source: str | Path | Taxonomy,
    *,
    taxonomy: str | Path | Taxonomy | None = None,
    progress: Progress | None = None,
    ask: Ask | None = None,
    **settings: Any,
) -> Classifier:
    """A classifier from a shipped taxonomy's name, a pack folder, a cascade.yaml or a taxonomy.

    Parameters
    ----------
    source
        For example `"store"`, `"my-pack/"`, `"cascade.yaml"`, `"taxonomy.csv"`, or a `Taxonomy`.
    taxonomy
        Used in place of the one that `source` names.
    progress
        Called with (done, all) while an index is built, which happens once for a taxonomy.
    ask
        For `method="agent"`: called with a question about an item (`text`, `item`, `codes`,
        `paths`); returns the answer, or None, which ends the walk with the status `review`.
        Meanwhile other threads wait.
    **settings
        Fields of the config to set, for example `method="retrieval"`, `descent={"beam": 1}`.
        `max_risk`, `review_below` and `set_coverage` are those of `calibration`.

    Raises
    ------
    ConfigError, TaxonomyError, UsageError, WeightsError
        What is named cannot be found or read; the message says what to do.

    Examples
    --------
    >>> import cascade
    >>> clf = cascade.load("store", method="retrieval")
    >>> clf.classify("straw panama hat").names[0]
    'Shoes, Bags & Accessories'
    """
    tree, config = settled(source, taxonomy, settings)
    return Classifier(tree, config, progress=progress, ask=ask)


def settled(
    source: str | Path | Taxonomy, taxonomy: str | Path | Taxonomy | None, settings: dict[str, Any]
) -> tuple[Taxonomy, CascadeConfig]:
    """The taxonomy and the config that a source and settings name; see `load`."""
    if not isinstance(source, str | Path | Taxonomy):
        raise UsageError(
            "expected the name or path of a taxonomy, pack or config, or a Taxonomy, found "
            f"{type(source).__name__}"
        )
    settings = _spelled_out(settings)
    config, origin = CascadeConfig(), None
    if isinstance(source, Taxonomy):
        taxonomy = source if taxonomy is None else taxonomy
    else:
        check_name("config, pack or taxonomy", source)
        if _is_config(Path(source)):
            named_here = {**settings, **({} if taxonomy is None else {"taxonomy": taxonomy})}
            config, origin = load_config(source, named_here)
        else:
            config.taxonomy = str(source)
    if taxonomy is not None:  # how it is read belongs to the one that the config names
        config.forget_reading()
    if settings:
        config = CascadeConfig.parse(merge(config.model_dump(), settings), "settings")
        warn_of_unread(config, settings)
    if isinstance(taxonomy, Taxonomy):
        return taxonomy, config
    named = str(taxonomy) if taxonomy is not None else config.taxonomy
    if named is None:
        raise ConfigError(f"{source}: names no taxonomy; add a line such as `taxonomy: store`")
    folder = origin if taxonomy is None else None
    return load_taxonomy(named, folder, **config.taxonomy_reading), config


def _spelled_out(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings in which what is accepted at which confidence stands where a config has it.

    Raises
    ------
    UsageError
        It stands in both places.
    """
    short = {name: value for name, value in settings.items() if name in ACCEPTING}
    own = settings.get("calibration", {})
    if not short or not isinstance(own, Mapping):
        return settings
    if twice := sorted(short.keys() & own.keys()):
        raise UsageError(f"{twice[0]} is set twice, here and in calibration; leave one out")
    rest = {name: value for name, value in settings.items() if name not in ACCEPTING}
    return {**rest, "calibration": {**own, **short}}


def load_config(
    source: str | Path, named_here: Mapping[str, Any] | None = None
) -> tuple[CascadeConfig, Path | None]:
    """The config that `source` names, and the folder that its relative paths start from.

    A cascade.yaml, a pack folder, or the name of a shipped taxonomy, which gives the defaults. A
    pack, which may come from anybody, sets only what `pipeline.pack` lets it set.

    Parameters
    ----------
    named_here
        Fields, nested as in the config, that the user sets: what a pack says of them is not used.

    Raises
    ------
    ConfigError
        There is no such file or shipped taxonomy, or the file is no config.
    """
    check_name("config", source)
    path = Path(source)
    is_folder = path.is_dir()
    if is_folder:
        if not (path / CONFIG_NAME).is_file():
            raise ConfigError(f"{path}: holds no {CONFIG_NAME}, so it is no pack")
        path = path / CONFIG_NAME
    elif shipped_file("taxonomies", str(source), TAXONOMY_SUFFIX) and not path.exists():
        return CascadeConfig(taxonomy=str(source)), None
    if not path.exists():
        names = ", ".join(shipped_names("taxonomies", TAXONOMY_SUFFIX))
        raise ConfigError(
            f"no config {str(source)!r}: it is neither a file, nor a folder, nor a shipped "
            f"taxonomy ({names})"
        )
    config = CascadeConfig.load(path)
    is_pack = (path.parent / SEAL).is_file() or bool(config.reads)
    if is_pack:  # what `cascade fit` wrote is sealed
        verify(path.parent, every_byte=False)
        for field in UNSAID.keys() - config.retrieval.model_fields_set:
            setattr(config.retrieval, field, UNSAID[field])
        config.method = config.method or FITTED_METHOD
        config.item.kind = config.item.kind or PRODUCT
    elif is_folder:
        check_files(path.parent)
    if is_pack or is_folder:
        named = (named_here or {}).get("retrieval")
        if isinstance(named, Mapping) and named.get("encoder") is not None:
            # The pack's prompts are those of its own encoder.
            config.retrieval.query_prompt = config.retrieval.document_prompt = None
        own = is_own(path.parent)
        for field, value in confine(config, path.parent, named_here or {}, own=own).items():
            logger.warning(
                "%s sets %s to %s, which a pack cannot: it holds only where you set it yourself, "
                "in a cascade.yaml of your own or with --set %s=...",
                path,
                field,
                shown(value),
                field,
            )
    config = resolve_paths(config, path.parent, is_pack=is_pack or is_folder)
    return config, path.parent


def warn_of_unread(config: CascadeConfig, named: Mapping[str, Any]) -> None:
    """Log a setting that the user named and nothing reads: the encoder of a pack without one."""
    section = named.get("retrieval")
    encoder = section.get("encoder") if isinstance(section, Mapping) else None
    if encoder is None or not config.heads:
        return
    asked = {config.method or FITTED_METHOD}
    if FITTED_METHOD in asked:
        asked = {*config.fusion.weights, *config.routing.fast}
    if all(name.partition(".")[0] in UNNARROWED for name in asked):
        logger.warning(
            "retrieval.encoder has no effect: this pack answers by %s, which do not compare items "
            "with texts of the taxonomy; choose --method retrieval, or fit a pack on that encoder",
            ", ".join(sorted(asked)),
        )


def load_taxonomy(
    name: str | Path,
    folder: Path | None = None,
    *,
    encoding: str | None = None,
    scheme: str | None = None,
    sheet: str | None = None,
) -> Taxonomy:
    """The shipped taxonomy called `name`, or the one in that file, relative to `folder`.

    Parameters
    ----------
    encoding, scheme, sheet
        Of a file, see `Taxonomy.load`.

    Raises
    ------
    TaxonomyError
        There is neither, or the file holds no taxonomy.
    """
    check_name("taxonomy", name)
    path = Path(name) if folder is None else folder / name
    shipped = shipped_file("taxonomies", str(name), TAXONOMY_SUFFIX)
    if shipped and is_shipped(name, folder):
        return Taxonomy.load(shipped, scheme=scheme, sheet=sheet)
    if not path.exists() and path.name == str(name) and not path.suffix:
        names = shipped_names("taxonomies", TAXONOMY_SUFFIX)
        raise TaxonomyError(
            f"no taxonomy {str(name)!r}: it is neither a file nor shipped "
            f"(shipped are: {', '.join(names)}){did_you_mean(str(name), names)}"
        )
    return Taxonomy.load(path, encoding=encoding, scheme=scheme, sheet=sheet)


def is_shipped(name: str | Path, folder: Path | None = None) -> bool:
    """Whether `name` is that of a shipped taxonomy, and of no file (relative to `folder`)."""
    path = Path(name) if folder is None else folder / name
    return shipped_file("taxonomies", str(name), TAXONOMY_SUFFIX) is not None and not path.is_file()


def _is_config(path: Path) -> bool:
    """Whether a path is a pack, or a YAML file with a config's fields and no `nodes`."""
    if path.is_dir() or path.name == CONFIG_NAME:
        return True
    if path.suffix not in {".yaml", ".yml"} or not path.is_file():
        return False
    try:
        data = read_yaml(path)
    except ConfigError:
        return False  # reading it as a taxonomy says what is wrong
    if not isinstance(data, dict) or "nodes" in data:
        return False
    return not data.keys().isdisjoint(CascadeConfig.model_fields)


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, section by section; None leaves a value as it is."""
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        elif value is not None:
            merged[key] = value
    return merged
