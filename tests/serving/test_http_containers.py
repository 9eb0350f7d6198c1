"""The files of containers: what they copy is there, what they say to the command is understood."""

import fnmatch
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def reaches_the_image(name):
    """Whether .dockerignore lets a file of the root through: the last line that fits decides."""
    found = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.removeprefix("!").rstrip("/")
        if line and not line.startswith("#") and fnmatch.fnmatch(name, pattern):
            found = line.startswith("!")
    return found


def test_the_linter_finds_nothing():
    linter = shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not there; it is no dependency, since its licence is the GPL")
    found = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (found.stdout, found.returncode) == ("", 0)


def test_the_image_gets_all_that_the_wheel_is_made_of_and_no_more():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    built = wheel["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {name.split("/")[0] for name in [*built["packages"], *built["force-include"]]}
    for name in [*needed, "pyproject.toml", "README.md", "LICENSE", "constraints.txt"]:
        assert (ROOT / name).exists() and reaches_the_image(name), name
    for name in (".git", ".venv", "tests", "runs", "token", "my-pack"):
        assert not reaches_the_image(name), name


def test_weights_are_those_that_the_makefile_installs():
    pinned = re.findall(r"[\w-]+==[\d.]+", (ROOT / "Makefile").read_text("utf-8"))
    ours = re.findall(r"[a-z][\w-]+==[\d.]+", DOCKERFILE)
    assert len(ours) >= 2
    assert set(ours) <= set(pinned)


def test_it_runs_without_rights_and_is_asked_how_it_is():
    assert re.search(r"^USER (?!0|root)", DOCKERFILE, re.M)
    assert "/ready" in DOCKERFILE
    for service in COMPOSE["services"].values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        seconds = int(service["stop_grace_period"].removesuffix("s"))
        from cascade.config import ServeConfig

        assert seconds > ServeConfig().stop_seconds


def test_options_are_those_of_the_command():
    from cascade.cli.commands.doors.serve import serve

    given = [*re.findall(r'"--([\w-]+)"', DOCKERFILE)]
    for service in COMPOSE["services"].values():
        given += [word.removeprefix("--") for word in service["command"] if word.startswith("--")]
    known = serve.__annotations__.keys()
    assert given and {name.replace("-", "_") for name in given} <= known


def test_the_token_of_compose_is_a_secret():
    assert COMPOSE["secrets"]["token"] == {"file": "./token"}
    for service in COMPOSE["services"].values():
        assert service["secrets"] == ["token"]
        assert "/run/secrets/token" in service["command"]
