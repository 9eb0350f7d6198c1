"""Packs on the Hugging Face hub: pushed with a model card, fetched as their seal says."""

from __future__ import annotations

import glob
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import CascadeError, ConfigError, MissingExtraError, OutputError, UsageError
from cascade.io.files import cache_folder, read_json
from cascade.pipeline.pack import FREE, SEAL, leads_out, verify

if TYPE_CHECKING:
    from cascade.api.packs import Pack

TAGS = ("cascade", "taxonomy", "hierarchical-classification")
CARD = "README.md"
EXAMPLES = 8  # labels that a card names


def push(
    pack: Pack,
    repo_id: str,
    *,
    private: bool,
    token: str | None,
    license: str | None,
    language: str | Sequence[str] | None,
    description: str,
    message: str | None,
) -> str:
    """Upload a pack; its address. See `Pack.push_to_hub`."""
    hub = _library()
    _check_name(repo_id)
    card = model_card(pack, repo_id, license=license, language=language, description=description)
    with tempfile.TemporaryDirectory(prefix="cascade-") as place:
        folder = Path(place) / "pack"
        shutil.copytree(pack.path, folder)
        (folder / CARD).write_text(card, "utf-8")
        api = hub.HfApi(token=token, library_name="cascade")
        with _told(f"the pack could not be pushed to {repo_id}", OutputError):
            api.create_repo(repo_id, private=private, exist_ok=True)
            done = api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                commit_message=message or "Add a pack of cascade",
            )
    return str(getattr(done, "repo_url", None) or f"https://huggingface.co/{repo_id}")


def pull(repo_id: str, *, revision: str | None, token: str | None) -> Path:
    """Fetch a pack into the cache, unless that commit of it is there; its folder."""
    hub = _library()
    _check_name(repo_id)
    with _told(f"no pack can be fetched from {repo_id}", ConfigError):
        commit = hub.HfApi(token=token).model_info(repo_id, revision=revision).sha
        if not isinstance(commit, str) or not commit.isalnum():
            raise ConfigError(f"{repo_id}: the hub names no commit; try again")
        target = cache_folder() / "hub" / repo_id.replace("/", "--") / commit
        if target.is_dir():
            verify(target)
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as place:
            folder = Path(place) / "pack"
            given = {"repo_id": repo_id, "revision": commit, "token": token}
            hub.snapshot_download(**given, local_dir=folder, allow_patterns=[SEAL])
            names = _sealed(folder, repo_id)
            wanted = [glob.escape(name) for name in (*names, *FREE)]
            hub.snapshot_download(**given, local_dir=folder, allow_patterns=wanted)
            shutil.rmtree(folder / ".cache", ignore_errors=True)
            verify(folder)
            folder.rename(target)
    return target


def _sealed(folder: Path, repo_id: str) -> list[str]:
    """The files that the seal of a pack names, all of them inside of its folder."""
    if not (folder / SEAL).is_file():
        raise ConfigError(f"{repo_id} holds no {SEAL}, so it is no pack of cascade")
    sealed = read_json(folder / SEAL)
    files = sealed.get("files") if isinstance(sealed, Mapping) else None
    if not isinstance(files, Mapping) or not files:
        raise ConfigError(f"{repo_id}: its {SEAL} is no seal of a pack")
    names = [str(name) for name in files]
    if wrong := next((name for name in names if leads_out(name, folder)), None):
        raise ConfigError(f"{repo_id}: its {SEAL} names a file outside of the pack, {wrong!r:.80}")
    return names


def model_card(
    pack: Pack,
    repo_id: str,
    *,
    license: str | None = None,
    language: str | Sequence[str] | None = None,
    description: str = "",
) -> str:
    """The README of a pack on the hub: metadata, what it is, how it is used, how it measured."""
    hub = _library()
    report, tree, columns = pack.report, pack.taxonomy, pack.config.columns
    figures = {k: v for k, v in report.get("pack", {}).items() if isinstance(v, int | float)}
    task = "image-classification" if columns.image and not columns.text else "text-classification"
    results = [
        hub.EvalResult(
            task_type=task,
            dataset_type="held-out",
            dataset_name="held-out rows",
            metric_type=name,
            metric_value=value,
        )
        for name, value in figures.items()
        if not name.startswith("rows")
    ]
    data = hub.ModelCardData(
        library_name="cascade",
        tags=list(TAGS),
        pipeline_tag=task,
        license=license,
        language=[language] if isinstance(language, str) else list(language or []) or None,
        model_name=repo_id.rpartition("/")[2] if results else None,
        eval_results=results or None,
    )
    paths = [tree.path(node) for node in tree.leaves[:EXAMPLES].tolist()]
    read = ", ".join(f"`{name}`" for name in [*columns.text, *filter(None, [columns.image])])
    item = {name: "..." for name in [*columns.text, *filter(None, [columns.image])]}
    body = [
        f"# {repo_id.rpartition('/')[2]}",
        description or "Files items under a taxonomy, with a calibrated confidence for each level.",
        f"It reads {read or 'text'} and answers with one of {len(tree.leaves):,} leaves of "
        f"{tree.depth} levels, such as:",
        "\n".join(f"- {_plain(path)}" for path in paths),
        "## Use",
        "```python\nimport cascade\n\n"
        f"pack = cascade.Pack.from_hub({repo_id!r})\n"
        f"print(pack.classify({item!r}))\n```",
        "## What it holds",
        "Safetensors, JSON and YAML, no pickle and no code; `pack.json` seals all files. Words of "
        "the rows that it was fitted to, and the names of their labels, can be read from it.",
        "## How it was fitted and measured",
    ]
    own = pack.path / CARD
    told = own.read_text("utf-8").partition("\n\n")[2] if own.is_file() else ""
    return "\n\n".join([f"---\n{data.to_yaml()}\n---", *body, told.replace("\n# ", "\n### ")])


def _plain(text: str) -> str:
    """A name as Markdown takes it for text."""
    return "".join(f"\\{c}" if c in "\\`*_[]<#|" else c for c in " ".join(text.split()))


def _check_name(repo_id: str) -> None:
    parts = repo_id.split("/") if isinstance(repo_id, str) else []
    if len(parts) != 2 or not all(parts) or repo_id.startswith((".", "~", "/")):
        raise UsageError(f"repo_id={repo_id!r:.80}: expected owner/name, as on huggingface.co")


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise MissingExtraError("the hub", "huggingface_hub", "hub") from None
    return huggingface_hub


@contextmanager
def _told(what: str, kind: type[CascadeError]) -> Iterator[None]:
    """Errors of the hub as ours, with the cure."""
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        yield
    except LocalTokenNotFoundError:
        raise kind(f"{what}: there is no token; give token=, or run `hf auth login`") from None
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        cure = {
            401: "; give a token that may do this with token=, or run `hf auth login`",
            403: "; the token may not do this: ask for a token that may write there",
            404: "; check owner, name and revision, and whether your token may see it",
        }.get(status or 0, "; try again")
        why = " ".join(str(error).split())
        raise kind(f"{what}: {why:.200}{cure}") from None
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())
        raise kind(f"{what}: {why:.200}; check the network and the name") from None
