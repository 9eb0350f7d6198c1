"""Packs on a hub, which is a folder here: nothing but the calls over the network is replaced."""

import fnmatch
import json
import shutil
from types import SimpleNamespace

import huggingface_hub
import pytest
import yaml
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

import cascade
from cascade.errors import ConfigError, OutputError, UsageError

# Whichever client the hub's library was made for.
DENIED = SimpleNamespace(headers={}, status_code=403, request=SimpleNamespace())


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The folder that stands for `me/pack`; `calls` has what was asked."""
    remote = tmp_path / "remote"
    found = SimpleNamespace(folder=remote, calls=[], commit="a" * 40)

    def create(self, repo_id, *, private=None, exist_ok=False, **_):
        found.calls.append((repo_id, private, exist_ok))

    def upload(self, *, repo_id, folder_path, commit_message, **_):
        shutil.copytree(folder_path, remote, dirs_exist_ok=True)
        return SimpleNamespace(repo_url=f"https://hub/{repo_id}")

    def snapshot(repo_id, *, revision, local_dir, allow_patterns, token=None, **_):
        assert revision == found.commit
        for path in sorted(remote.rglob("*")):
            name = path.relative_to(remote).as_posix()
            if path.is_file() and any(fnmatch.fnmatch(name, p) for p in allow_patterns):
                found.calls.append(name)
                (local_dir / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, local_dir / name)
        return str(local_dir)

    api = huggingface_hub.HfApi
    monkeypatch.setattr(api, "create_repo", create)
    monkeypatch.setattr(api, "upload_folder", upload)
    monkeypatch.setattr(
        api, "model_info", lambda self, repo_id, revision=None: SimpleNamespace(sha=found.commit)
    )
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setenv("CASCADE_CACHE", str(tmp_path / "cache"))
    return found


def test_a_pack_comes_back_as_it_was(hub, pack):
    assert pack.push_to_hub("me/pack", license="mit", language="en") == "https://hub/me/pack"
    assert hub.calls == [("me/pack", True, True)]
    (hub.folder / "evil.py").write_text("boom")
    (hub.folder / "other.bin").write_text("boom")
    again = cascade.Pack.from_hub("me/pack")
    assert not {"evil.py", "other.bin"} & {*filter(lambda c: isinstance(c, str), hub.calls)}
    assert again.classify("wool beanie") == pack.classify("wool beanie")
    asked = len(hub.calls)
    cascade.Pack.from_hub("me/pack")
    assert len(hub.calls) == asked  # that commit is in the cache


def test_the_card_says_what_it_is_and_how_it_measured(hub, pack):
    pack.push_to_hub("me/pack", license="mit", language=["en", "de"], description="Files *tools*.")
    _, head, body = (hub.folder / "README.md").read_text("utf-8").split("---\n", 2)
    data = yaml.safe_load(head)
    assert (data["library_name"], data["license"], data["language"]) == (
        "cascade",
        "mit",
        ["en", "de"],
    )
    (index,) = data["model-index"]
    metrics = {m["type"]: m["value"] for r in index["results"] for m in r["metrics"]}
    assert metrics["exact"] == pack.report["pack"]["exact"]
    assert "Files *tools*." in body
    assert "Pack.from_hub('me/pack')" in body
    assert "Home \\> Garden" in body or "Home > Garden" in body


def test_a_damaged_or_strange_repository_is_refused(hub, pack):
    pack.push_to_hub("me/pack")
    head = next((hub.folder / "heads").iterdir())
    whole = head.read_bytes()
    head.write_bytes(whole[:-1] + b"x")
    with pytest.raises(ConfigError, match="changed"):
        cascade.Pack.from_hub("me/pack")
    head.write_bytes(whole)
    seal = json.loads((hub.folder / "pack.json").read_text())
    seal["files"]["../../outside"] = {"sha256": "0", "bytes": 1}
    (hub.folder / "pack.json").write_text(json.dumps(seal))
    with pytest.raises(ConfigError, match="outside of the pack"):
        cascade.Pack.from_hub("me/pack")
    (hub.folder / "pack.json").unlink()
    with pytest.raises(ConfigError, match=r"no pack\.json"):
        cascade.Pack.from_hub("me/pack")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (LocalTokenNotFoundError("no token"), "hf auth login"),
        (OSError("no route to host"), "check the network"),
        (HfHubHTTPError("denied", response=DENIED), "may not do this"),
    ],
)
def test_what_the_hub_refuses_is_told_with_the_cure(hub, pack, monkeypatch, error, told):
    def refuses(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuses)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuses)
    with pytest.raises(OutputError, match=told):
        pack.push_to_hub("me/pack")
    with pytest.raises(ConfigError, match=told):
        cascade.Pack.from_hub("me/pack")


@pytest.mark.parametrize("name", ["pack", "a/b/c", "../up", "/abs/olute", "", None])
def test_a_name_that_is_none_of_a_repository_is_refused(pack, name):
    with pytest.raises(UsageError, match="owner/name"):
        pack.push_to_hub(name)
    with pytest.raises(UsageError, match="owner/name"):
        cascade.Pack.from_hub(name)
