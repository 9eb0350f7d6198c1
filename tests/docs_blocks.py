"""The code blocks of README.md and docs/: found, and run in order in one folder.

- ```` ```console ````: lines after `$ ` are run, `cascade` in this process. Lines below them are
  what the command shows: each must be in its output, in this order; `...` stands for any lines.
  Digits are not compared, since the last ones depend on the machine.
- ```` ```python ````: run in one namespace for the page.
- Any other block with a `title="FILE"` is written to that file.
- `<!-- not run: REASON -->` above a block keeps it from being run.
- `<!-- exit status N -->` above a console block: what its last command ends with.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FENCE = re.compile(
    r"(?:^ *<!-- (?P<comment>[^\n]*) -->\n+)?"
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)``` *$",
    re.MULTILINE | re.DOTALL,
)
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
SHELL = re.compile(r"[|<>;&$*`]|^\w+=")  # what only a shell understands


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its file, its text, and what the comment above it says."""

    line: int
    language: str
    title: str | None
    body: str
    not_run: str | None
    status: int


def blocks(page: Path) -> Iterator[Block]:
    """The code blocks of a Markdown page, in order."""
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        language, _, rest = found["info"].strip().partition(" ")
        title = re.search(r'title="([^"]+)"', rest)
        indent = len(found["indent"])
        body = "".join(line[indent:] or "\n" for line in found["body"].splitlines(keepends=True))
        head, _, reason = (found["comment"] or "").partition(": ")
        status = re.fullmatch(r"exit status (\d+)", found["comment"] or "")
        yield Block(
            line=text.count("\n", 0, found.start("body")),
            language=language,
            title=title and title[1],
            body=body,
            not_run=reason if head == "not run" else None,
            status=int(status[1]) if status else 0,
        )


def steps(body: str) -> list[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines that it is said to show."""
    found: list[tuple[str, list[str]]] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found and found[-1][0].endswith("\\"):
            found[-1] = (found[-1][0].removesuffix("\\") + line.strip(), [])
        elif found and line.strip():
            found[-1][1].append(line)
    return found


class Runner:
    """Runs blocks in the working folder; `capture` is pytest's capfd."""

    def __init__(self, capture: Any) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self._capture = capture

    def run(self, block: Block) -> None:
        """Run one block, or write its file."""
        if block.language == "python":
            exec(compile(block.body, f"<line {block.line}>", "exec"), self.names)
        elif block.language == "console":
            commands = steps(block.body)
            assert commands, f"line {block.line}: a console block without `$ `"
            for command, shown in commands:
                status, output = self.command(command)
                assert status == (block.status if command == commands[-1][0] else 0), output
                check_shown(shown, output, command)
        elif block.title:
            path = Path(block.title)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.body, "utf-8")

    def command(self, line: str) -> tuple[int, str]:
        """Exit status and output of a command line."""
        words = shlex.split(line, comments=True)
        if words[0] != "cascade" or SHELL.search(QUOTED.sub("", line)):
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            done = subprocess.run(
                ["bash", "-c", line],
                capture_output=True,
                text=True,
                env={**os.environ, "PATH": path},
            )
            return done.returncode, done.stdout + done.stderr
        from cascade.cli import main

        before, sys.argv = sys.argv, words
        self._capture.readouterr()
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            sys.argv = before
        return status, "".join(self._capture.readouterr())


def check_shown(shown: list[str], output: str, command: str) -> None:
    """Raise AssertionError where a shown line is not in the output, after the lines before it."""
    actual = iter([_plain(line) for line in output.splitlines()])
    for line in shown:
        if line.strip() != "...":
            assert _plain(line) in actual, f"{command}\nshows no line\n{line}\nbut\n{output}"


def _plain(line: str) -> str:
    return " ".join(re.sub(r"\d+", "0", re.sub("█+", "█", line)).split())
