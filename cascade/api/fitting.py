"""`cascade.fit`: labelled rows in, a pack out, as `cascade fit` makes it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from cascade.api.packs import Pack
from cascade.api.wording import in_python, in_words_of_python
from cascade.config import CascadeConfig, Columns
from cascade.errors import UsageError
from cascade.io.tables.memory import rows_of
from cascade.pipeline.intake import names_of
from cascade.progress import Amount, in_words, working
from cascade.taxonomy import Taxonomy
from cascade.training.fit_request import FitRequest
from cascade.training.labelled import Progress
from cascade.training.packs.recipe import Recipe

logger = logging.getLogger(__name__)


def fit(
    rows: Any,
    *,
    label: str,
    text: str | Sequence[str] | None = None,
    image: str | None = None,
    taxonomy: str | Path | Taxonomy | None = None,
    recipe: str | Mapping[str, Any] = "fast",
    validation: Any = None,
    label_separator: str | None = None,
    keep_case: bool = False,
    limit: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    image_root: str | Path | None = None,
    allow_urls: bool = False,
    allow_hosts: Sequence[str] = (),
    allow_download: bool = False,
    report_to: Sequence[str] = (),
    progress: bool | Progress = True,
) -> Pack:
    """Learn from labelled rows: fit the parts of a recipe, and put them into a pack.

    The same rows give the same pack as `cascade fit`, whatever they are held in. Rows that cannot
    be learnt from are left out, and told by a warning of the logger `cascade`.

    Parameters
    ----------
    rows
        A data frame (pandas, Polars, PyArrow, ...), a list of records, a mapping of column to list,
        or the path of a file or of a folder of sorted pictures.
    label
        Column of the known answer: a code, a path (`A > B > C`), or a name that is unique.
    text, image
        Columns that are read. The text is guessed where none is named: columns of usual names
        (text, name, title, ...), or the only one that holds text. Pictures are paths (from the
        working folder, or `image_root`), bytes, or data URIs.
    taxonomy
        A shipped name, a file, or a `Taxonomy`; by default it is made of the labels.
    recipe
        `quick`: words and characters, in seconds; `few`, `few-tuned`: for some ten rows of each
        label or fewer; `fast`: an encoder that is fine-tuned; `full`: a language model too;
        `pictures`; `two-stage`; `foodex2`: whole codes of EFSA's catalogue, base terms with facets;
        the name of a YAML file; or the fields of one.
    validation
        Rows to choose on, as `rows`; by default a part of the rows is held out.
    label_separator
        What stands between several labels of a cell, of which the first is learnt.
    keep_case
        Whether labels that differ only in upper and lower case are different classes.
    limit
        Rows to read, from the start.
    seed
        Of all that is random.
    out
        Folder of the pack; by default a temporary one, until `Pack.save`.
    overwrite, resume
        Replace a pack that is in the way; go on with a fit into `out` that was interrupted.
    image_root, allow_urls, allow_hosts
        Where pictures are; whether they may be fetched from addresses of public hosts, and from
        which other hosts.
    allow_download
        Whether weights may be fetched from the hub.
    report_to
        Trackers that are told each step: `tensorboard`, `mlflow`, `wandb`, `trackio`.
    progress
        Whether a bar is shown (in notebooks and on terminals; elsewhere a line now and then), or
        what is called with `(what, done, of, words)`.

    Returns
    -------
    The pack: a `Classifier` with `report`, `save` and `push_to_hub`.

    Raises
    ------
    InputError
        A column is not there, or no row can be learnt from.
    ConfigError, TaxonomyError, OutputError, UsageError, WeightsError
        Recipe, taxonomy, folder, arguments or weights cannot be used; the message says what to do.

    Examples
    --------
    >>> import cascade
    >>> rows = {"name": ["rake", "hose", "iron rake", "long hose"] * 8,
    ...         "label": ["Rakes", "Hoses"] * 16}
    >>> pack = cascade.fit(rows, label="label", recipe="quick", progress=False)
    >>> pack.classify("steel rake").code
    'Rakes'
    """
    if not isinstance(label, str | int) or isinstance(label, bool):
        raise UsageError(f"label={label!r:.60}: expected the name of the column of known answers")
    if out is None and (overwrite or resume):
        raise UsageError("overwrite and resume are about a folder; name it with out=")
    pictures = _pictures(image_root, allow_urls, allow_hosts)
    with in_python():
        request = FitRequest(
            rows_of(rows, limit),
            Columns(
                text=names_of(text), image=image, label=str(label), label_separator=label_separator
            ),
            Recipe.parse(dict(recipe)) if isinstance(recipe, Mapping) else str(recipe),
            taxonomy=taxonomy,
            keep_case=keep_case,
            pictures=pictures,
            validation=None if validation is None else rows_of(validation),
            seed=seed,
            allow_download=allow_download,
            report_to=tuple(report_to),
        )

        def make(folder: Path) -> None:
            job = request.job(folder, _warn, _inform)
            job.prepare(resume=resume, overwrite=overwrite)
            if callable(progress):
                job.run(_with_words(progress))
                return
            with working("reading", shown=progress) as work:
                job.run(work.show)

        if out is None:
            return Pack.in_temporary(make)
        make(Path(out))
        return Pack(out)


def _with_words(progress: Callable[..., None]) -> Progress:
    """A function of the caller that is given amounts in words, as they are when it is called."""

    def shown(what: str, done: int, of: int | None, words: Amount = "") -> None:
        progress(what, done, of, in_words(words))

    return shown


def _warn(sentence: str) -> None:
    logger.warning("%s", in_words_of_python(sentence))


def _inform(sentence: str) -> None:
    logger.info("%s", in_words_of_python(sentence))


def _pictures(root: str | PathLike[str] | None, urls: bool, hosts: Sequence[str]) -> CascadeConfig:
    """A config that says where pictures may come from.

    Raises
    ------
    UsageError
        There is no such folder.
    """
    config = CascadeConfig()
    if root is not None:
        if not Path(root).is_dir():
            raise UsageError(f"image_root={str(root)!r}: there is no such folder")
        config.pictures.root = str(root)
    config.pictures.urls, config.pictures.hosts = urls, list(hosts)
    return config
