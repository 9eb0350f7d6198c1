"""Options that mean the same wherever they stand, and how they become a config."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.scoring.methods import describe, method_names

if TYPE_CHECKING:
    from cascade.config import CascadeConfig
    from cascade.taxonomy import Taxonomy

ConfigOption = Annotated[
    str | None,
    typer.Option("--config", "-c", help="A cascade.yaml, a pack folder, or a shipped name."),
]
TaxonomyOption = Annotated[
    str | None,
    typer.Option("--taxonomy", "-t", help="A taxonomy file of any known form, or a shipped name."),
]
SchemeOption = Annotated[
    str | None,
    typer.Option(
        "--scheme",
        metavar="NAME",
        help="Concept scheme of a SKOS vocabulary that has several: its title, code or address.",
    ),
]
TaxonomyEncodingOption = Annotated[
    str | None,
    typer.Option(
        "--taxonomy-encoding", help="Encoding of the taxonomy's text; by default it is detected."
    ),
]
TaxonomySheetOption = Annotated[
    str | None,
    typer.Option(
        "--taxonomy-sheet",
        metavar="NAME",
        help="Sheet of a taxonomy in a workbook; by default the one that alone looks like one.",
    ),
]
TextOption = Annotated[
    list[str] | None,
    typer.Option("--text", metavar="COL", help="Text column; repeat it for several."),
]
ImageOption = Annotated[
    str | None,
    typer.Option(
        "--image",
        metavar="COL",
        help="Column of pictures: paths relative to the input's folder, data URIs, or bytes.",
    ),
]
ImageRootOption = Annotated[
    str | None,
    typer.Option(
        "--image-root", metavar="FOLDER", help="Folder of the pictures, if not that of the input."
    ),
]
UrlsOption = Annotated[
    bool,
    typer.Option("--allow-urls", help="Pictures may be downloaded from addresses of public hosts."),
]
HostsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="HOST",
        help="Pictures may be downloaded from this host, also if it is in your own network; may be "
        "given again.",
    ),
]
IdOption = Annotated[
    str | None, typer.Option("--id", metavar="COL", help="Column of the row's own identifier.")
]
LabelOption = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="COL",
        help="Column of the known answer (a code or a path): right answers are counted.",
    ),
]

SeparatorOption = Annotated[
    str | None,
    typer.Option(
        "--label-separator",
        metavar="SIGN",
        help="What stands between several labels of a cell, such as '|': the first is the known "
        "answer, the others count as right too. A JSON list needs the option as well.",
    ),
]
AlsoOption = Annotated[
    list[str] | None,
    typer.Option(
        "--also",
        metavar="COL",
        help="Other right answers: a code, a path, or a JSON list of them; repeatable.",
    ),
]
KeepCaseOption = Annotated[
    bool,
    typer.Option(
        "--keep-case",
        help="Without a taxonomy: labels that differ only in upper and lower case are different "
        "classes. By default they are one, spelled as in most rows.",
    ),
]


def _methods() -> str:
    """Each method with what it does, for the help."""
    return "The method that answers.\n\n" + "\n\n".join(
        f"[bold]{name}[/]: {describe(name)}" for name in method_names()
    )


MethodOption = Annotated[str | None, typer.Option("--method", help=_methods())]
AdaptOption = Annotated[
    bool,
    typer.Option(
        "--adapt",
        help="Read the rows twice: first learn from their texts how frequent each node is among "
        "them, without labels, then answer. For files that hold much of little, as shops do.",
    ),
]
FirstPassOption = Annotated[
    bool,
    typer.Option(
        "--first-pass",
        help="For large files: let a table of words, fitted to the encoder's answers to some "
        "thousand of the rows, answer those like them. It answers alone where it is sure, the "
        "encoder sees the rest; the rows are read twice. See large-files.md.",
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", min=0, max=10**15, metavar="N", help="Only the first N rows."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set any field of the config, for example retrieval.texts=leaf.",
    ),
]
DownloadOption = Annotated[
    bool, typer.Option("--allow-download", help="Weights may be downloaded from the hub.")
]
ReportToOption = Annotated[
    list[str] | None,
    typer.Option(
        "--report-to",
        metavar="TRACKER",
        help="Tell this tracker the figures too: tensorboard, mlflow, wandb or trackio; what it "
        "keeps lies beside the run's folder. Repeatable.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
MaxRiskOption = Annotated[
    float | None,
    typer.Option(
        "--max-risk",
        min=0.001,
        max=0.999,
        metavar="SHARE",
        help="At most this share of the accepted answers is wrong. Each answer is cut to the "
        "deepest node of its path that keeps to it: ok at the leaf, partial above. Where there is "
        "none it is for review. Needs a pack of cascade fit.",
    ),
]
ReviewBelowOption = Annotated[
    float | None,
    typer.Option(
        "--review-below",
        min=0,
        max=1,
        metavar="CONFIDENCE",
        help="Answers that are less sure get the status review as a whole. By default an answer "
        "below 0.3 is cut to the deepest node of its path that has as much, with the status "
        "partial, and is for review where none has; --set calibration.least=0 accepts all.",
    ),
]
SetCoverageOption = Annotated[
    float | None,
    typer.Option(
        "--set-coverage",
        min=0.01,
        max=0.999,
        metavar="SHARE",
        help="Add to each row the smallest set of nodes, subtrees among them, that holds the right "
        "one in this share of rows, such as 0.95. Needs a pack of cascade fit.",
    ),
]
SheetOption = Annotated[
    str | None, typer.Option("--sheet", help="Sheet of a workbook; by default the first.")
]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, max=2**32 - 1, metavar="N", help="Of the bootstrap.")
]
ResamplesOption = Annotated[
    int, typer.Option("--resamples", min=1, max=100_000, metavar="N", help="Of the bootstrap.")
]
EncodingOption = Annotated[
    str | None,
    typer.Option("--encoding", help="Encoding of a text file; by default it is detected."),
]


def resolve(
    config: str | None,
    taxonomy: str | None,
    *,
    encoding: str | None = None,
    scheme: str | None = None,
    sheet: str | None = None,
    method: str | None = None,
    columns: Mapping[str, Any] | None = None,
    max_risk: float | None = None,
    review_below: float | None = None,
    set_coverage: float | None = None,
    image_root: str | None = None,
    allow_urls: bool = False,
    allow_hosts: list[str] | None = None,
    adapt: bool = False,
    first_pass: bool = False,
    allow_download: bool = False,
    settings: list[str] | None = None,
) -> tuple[CascadeConfig, Taxonomy]:
    """The config and the taxonomy that the options name, with a method that can be used.

    The taxonomy of the config is that which was loaded: a shipped name, or a file.

    Parameters
    ----------
    encoding, scheme, sheet
        How the taxonomy is read; where one is named, those of the config do not count.

    Raises
    ------
    UsageError
        Neither a config nor a taxonomy is named, or a `--set` is malformed.
    """
    from cascade.config import CascadeConfig
    from cascade.errors import ConfigError, UsageError
    from cascade.pipeline.load import is_shipped, load_config, load_taxonomy, warn_of_unread
    from cascade.resources import shipped_names
    from cascade.scoring.components import settle_defaults
    from cascade.scoring.methods import check_method

    if config is None and taxonomy is None:
        names = ", ".join(shipped_names("taxonomies", ".yaml"))
        raise UsageError(
            f"say what to file under: --taxonomy FILE, or one that ships ({names}), for example "
            "-t store; or --config FILE"
        )
    base, folder = CascadeConfig(), None
    if config is not None:
        here = parse_settings(settings or [])
        if taxonomy is not None:
            here["taxonomy"] = taxonomy
        base, folder = load_config(config, here)
    if taxonomy is not None:
        base.forget_reading()
    asked = {"adapt": adapt, "first_pass": first_pass, "allow_download": allow_download}
    settled = settle(base, settings, method=method, **asked)
    warn_of_unread(settled, parse_settings(settings or []))
    settled.read_taxonomy(encoding=encoding, scheme=scheme, sheet=sheet)
    name = taxonomy if taxonomy is not None else settled.taxonomy
    if name is None:
        raise ConfigError(f"{config}: names no taxonomy; add one with -t")
    if taxonomy is None and folder is not None and not is_shipped(name, folder):
        name = str(folder / name)
    settled.taxonomy = name
    tree = load_taxonomy(name, **settled.taxonomy_reading)
    check_method(settle_defaults(settled, tree), settled.heads)
    accept_by(settled, max_risk, review_below)
    if set_coverage is not None:
        settled.calibration.set_coverage = set_coverage
    settled.columns = settled.columns.model_copy(update=dict(columns or {}))
    place_pictures(settled, image_root, allow_urls, allow_hosts)
    return settled, tree


def accept_by(config: CascadeConfig, max_risk: float | None, review_below: float | None) -> None:
    """Set what answers are accepted by; what is named takes the place of what a config says.

    Raises
    ------
    UsageError
        Both are named.
    """
    from cascade.errors import UsageError

    if max_risk is not None and review_below is not None:
        raise UsageError("--max-risk and --review-below exclude each other; choose one")
    if max_risk is not None or review_below is not None:
        config.calibration.max_risk = max_risk
        config.calibration.review_below = review_below


def named_columns(**columns: list[str] | str | None) -> dict[str, Any]:
    """The columns that are named, by what they are: `text`, `image`, `id`, `label`."""
    return {part: name for part, name in columns.items() if name}


def place_pictures(
    config: CascadeConfig, root: str | None, urls: bool, hosts: list[str] | None
) -> None:
    """Set in a config where pictures are, and whether they may be downloaded, and from where."""
    if root is not None:
        if not Path(root).is_dir():
            from cascade.errors import UsageError

            raise UsageError(f"--image-root {root}: there is no such folder")
        config.pictures.root = root
    config.pictures.urls = config.pictures.urls or urls
    config.pictures.hosts = [*config.pictures.hosts, *(hosts or [])]


def settle(
    base: CascadeConfig,
    settings: list[str] | None = None,
    *,
    method: str | None = None,
    adapt: bool = False,
    first_pass: bool = False,
    allow_download: bool = False,
) -> CascadeConfig:
    """A config with what the options change in it.

    Raises
    ------
    UsageError, ConfigError
        A `--set` is malformed, or sets what there is not.
    """
    from cascade.config import CascadeConfig
    from cascade.pipeline.load import merge

    over = parse_settings(settings or [])
    if method is not None:
        over["method"] = method
    if adapt:
        over.setdefault("retrieval", {})["adapt"] = True
    if first_pass:
        over.setdefault("retrieval", {})["first_pass"] = True
    if allow_download:
        over["allow_download"] = True
    return CascadeConfig.parse(merge(base.model_dump(), over), "options")


def command() -> str:
    """What the user typed; paths that are absolute are shown from the working folder."""
    import os
    import shlex
    import sys

    words = [word.partition("=") for word in sys.argv[1:]]
    shown = [
        head + equals + tail
        for head, equals, tail in (
            tuple(os.path.relpath(part) if os.path.isabs(part) else part for part in word)
            for word in words
        )
    ]
    return shlex.join(["cascade", *shown])


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """`a.b=value` lines as nested mappings; values are read as YAML.

    Raises
    ------
    UsageError
        A line has no `=`.
    """
    from cascade.config import parse_yaml
    from cascade.errors import ConfigError, UsageError

    nested: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {setting!r}: expected KEY=VALUE, such as descent.beam=1")
        try:
            value = parse_yaml(text, f"--set {key}")
        except ConfigError:
            value = text
        *sections, last = parts_of(key.strip())
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise UsageError(f"--set {setting!r}: {section} has a value, and no fields, before")
        place[last] = value
    return nested


def parts_of(key: str) -> list[str]:
    """The parts of a dotted key; one with a dot in it stands in quotes: `a."b.c".d`."""
    parts = re.split(r'\.(?=(?:[^"]*"[^"]*")*[^"]*$)', key)
    return [part[1:-1] if len(part) > 2 and part[0] == part[-1] == '"' else part for part in parts]


def is_folder(path: str) -> bool:
    """Whether an output names a folder, there or to be made."""
    return path.endswith(("/", "\\")) or Path(path).is_dir()
