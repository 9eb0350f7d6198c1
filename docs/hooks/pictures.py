"""The pictures of README.md and docs/, made anew from the repository's root (needs chromium):

python docs/hooks/pictures.py [demo] [report] [review]
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from cascade.cli import main
from cascade.cli.console import err, out

IMAGES = Path(__file__).parents[1] / "images"
ALONE = "header, section {{ display: none }} section#{0} {{ display: block; border: 0 }}"
PARTS = {
    "report": ("", 860),
    "confidence": (ALONE.format("confidence") + "figure:nth-of-type(n + 3) { display: none }", 900),
    "errors": (ALONE.format("where"), 855),
}
"""What is hidden of the page, as style, and pixels down that are shown of the rest at most."""
SHOWN = "P0006"  # the item on the picture of the review page
DEMO = (
    "classify examples/products.csv -t store --text name --text description --label label "
    "--table --limit 10"
)
# As in docs/tutorials/first-hour.md.
EVAL = "eval examples/products.csv -t store --text name --label label --limit 100"
# The picture loads nothing from elsewhere: without Rich's web font, the reader's own is used.
SVG = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "Fira Code, monospace", "Menlo, Consolas, DejaVu Sans Mono, monospace"
)


def run(line: str) -> None:
    """Run the command line in this process, with both consoles recording."""
    sys.argv = ["cascade", *line.split()]
    for console in (out, err):
        console.record, console.width, console._force_terminal = True, 96, True
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code


def demo() -> None:
    """What `make demo` shows, of the first rows."""
    run(DEMO)
    screen = Console(record=True, width=96, file=io.StringIO())
    screen.print("[bold green]$[/] make demo")
    for console in (out, err):
        shown = console.export_text(styles=True).rstrip().splitlines()
        lines = [line for line in shown if "rows/s" not in line]  # depends on the machine
        screen.print(Text.from_ansi("\n".join(lines)))
    screen.save_svg(str(IMAGES / "demo.svg"), title="cascade", code_format=SVG)


def report() -> None:
    """Parts of a report of `cascade eval`, as Chromium draws it without network and profile."""
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync "
        "--hide-scrollbars --window-size=1080,5200"
    )
    with tempfile.TemporaryDirectory() as folder:
        run(f"{EVAL} -o {folder}/run")
        page = Path(folder, "run/report.html")
        whole = page.read_text("utf-8")
        places = (f"--user-data-dir={folder}/profile", f"--screenshot={folder}/page.png")
        command = ["chromium", *options.split(), *places, page.as_uri()]
        for name, (style, most) in PARTS.items():
            page.write_text(whole.replace("</head>", f"<style>{style}</style></head>"), "utf-8")
            subprocess.run(command, check=True, capture_output=True, timeout=300)
            with Image.open(f"{folder}/page.png") as shown:
                seen = ImageChops.invert(shown.convert("L")).getbbox()
                top, bottom = (max(0, seen[1] - 16), seen[3] + 24) if seen else (0, most)
                part = shown.crop((0, top, shown.width, min(top + most, bottom))).quantize(128)
                part.save(IMAGES / f"{name}.png", optimize=True)


def review() -> None:
    """The review page in the middle of a session, as Chromium draws it."""
    import csv
    import shutil
    import socket
    import threading

    import uvicorn
    from playwright.sync_api import sync_playwright

    import cascade
    from cascade.config.serving import ServeConfig
    from cascade.review import open_session
    from cascade.review.decisions import decide
    from cascade.review.routes import make_router
    from cascade.serving.http.app import guarded

    with Path("examples/products.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"]]
    labels = [row.pop("label") for row in rows]
    texts = ["name", "description"]
    classifier = cascade.load("store", descent={"beam": 6})
    answers = list(classifier.classify_many(rows, text=texts))
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(
            rows,
            classifier=classifier,
            answers=answers,
            text=texts,
            id="id",
            folder=f"{folder}/products.review",
        )
        shown = next(at for at, row in enumerate(rows, 1) if row["id"] == SHOWN)
        for at, label in enumerate(labels, 1):
            if at != shown:
                decide(session.db, session.taxonomy, "Ann", at, "choose", code=label)
        session.ask([shown])
        session.warm_up()
        listening = socket.create_server(("127.0.0.1", 0))
        app = guarded([make_router(session)], ServeConfig())
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/review/"
        with sync_playwright() as started:
            browser = started.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = browser.new_page(viewport={"width": 1280, "height": 840})
            page.goto(address)
            page.fill("#reviewer", "Ann")
            page.keyboard.press("Enter")
            page.wait_for_selector("#examples li")
            page.wait_for_timeout(1000)
            with Image.open(io.BytesIO(page.screenshot())) as picture:
                picture.quantize(128).save(IMAGES / "review.png", optimize=True)
            browser.close()
        server.should_exit = True
        thread.join()
        session.close()


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or ["demo", "report", "review"]
    for name in wanted:
        {"demo": demo, "report": report, "review": review}[name]()
