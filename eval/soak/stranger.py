"""What strangers may send, one kind in one process, with what came of it as JSON.

The attacks are those of the tests, over a pack that was fitted here.

    PYTHONPATH=.:eval/soak python -m stranger arrays my-pack
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import pickle
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attack import ROOT
from fuzz.guard import HANG_S, Hang, alarm, limit_memory, place

for tests in ("tests/pipeline", "tests/generation", "tests/models", "tests"):
    sys.path.insert(0, str(ROOT / tests))

Try = tuple[str, Callable[[], Any], str | None]
"""In words; what reads it; what the refusal must say, or None where it may also be read."""


class Taken(AssertionError):
    """What should have been refused, or left unused, was taken."""


def settings(pack: Path, copy: Path) -> Iterator[Try]:
    """What a pack cannot set is not set."""
    from test_packs_of_strangers import NEEDS_A_WORD, set_in

    from cascade.config import CascadeConfig
    from cascade.pipeline.load import load_config

    values = ["/", True, ["127.0.0.1"], {"worker_cls": "mine.Worker"}, "HOME", 7, "openai"]
    values += ["http://127.0.0.1:9/v1"]

    def of(config: Any, field: str) -> Any:
        for part in field.split("."):
            config = getattr(config, part)
        return config

    def unused(field: str, value: Any) -> None:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(pack, copy)
        set_in(copy, **{field: value})
        if of(load_config(copy)[0], field) != of(CascadeConfig(), field):
            raise Taken(f"{field} was set")

    for field, value in itertools.product(NEEDS_A_WORD, values):
        yield f"{field}: {value}", lambda f=field, v=value: unused(f, v), None


def places(pack: Path, copy: Path) -> Iterator[Try]:
    """Names and links that lead out of a pack."""
    from test_packs_of_strangers import set_in

    from cascade.pipeline.load import load_config
    from cascade.pipeline.pack import seal

    outside = copy.parent / "outside.txt"
    outside.write_text("A > B\n", "utf-8")
    fields = ["taxonomy", "calibration.file", "neighbours.file", "heads.leaf.file"]
    fields += ["retrieval.encoder", "llm.model", "llm.adapter", "llm.prompt", "nli.model"]
    fields += ["rerank.model", "facets.categories.network"]
    names = ["../outside.txt", str(outside), "~/outside.txt", "a/../../outside.txt"]
    names += ["./../outside.txt", "heads/../../outside.txt", "/proc/self/environ"]

    def named(field: str, name: str) -> None:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(pack, copy)
        set_in(copy, **{field: name})
        load_config(copy)

    def linked(to: Path, name: str) -> None:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(pack, copy)
        (copy / name).unlink(missing_ok=True)
        (copy / name).symlink_to(to)
        seal(copy)
        load_config(copy)

    for field, name in itertools.product(fields, names):
        yield f"{field}: {name}", lambda f=field, n=name: named(f, n), "outside of the pack"
    for to, name in itertools.product((outside, ROOT), ("more.txt", "calibration.json")):
        yield f"a link {name}", lambda t=to, n=name: linked(t, n), "link"


def arrays(pack: Path, copy: Path) -> Iterator[Try]:
    """Every array of a pack, changed in each way that does not fit."""
    from test_packs_of_strangers import answer, change

    from cascade.io.files import read_tensors, write_tensors
    from cascade.pipeline.pack import seal

    def changed(path: Path, name: str, kind: str) -> None:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(pack, copy)
        about, found = read_tensors(path)
        about = {key: value for key, value in about.items() if key != "format"}
        write_tensors(
            copy / path.relative_to(pack), about, {**found, name: change(found[name], kind)}
        )
        seal(copy)
        answer(copy, method="ttc")

    for path in sorted(pack.rglob("*.safetensors")):
        for name, array in read_tensors(path)[1].items():
            kinds = ["wide", "empty", "deep"]
            kinds += ["nan", "inf"] if array.dtype.kind == "f" else ["high", "type"]
            kinds += ["low"] if array.dtype.kind == "i" else []
            for kind in kinds:
                # The last of a rising row may be any number.
                must = None if (kind, name.partition(".")[0]) == ("high", "grams") else path.name
                how = f"{path.name}: {name} {kind}"
                yield how, lambda p=path, n=name, k=kind: changed(p, n, k), must


def files(pack: Path, copy: Path) -> Iterator[Try]:
    """Files of a pack that hold something else, or half of it."""
    from test_packs_of_strangers import FILES, OTHER_DATA, answer

    from cascade.pipeline.pack import seal

    def replaced(name: str, data: bytes) -> None:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(pack, copy)
        (copy / name).write_bytes(data)
        if name != "pack.json":
            seal(copy)
        answer(copy, **({"method": "ttc"} if name.startswith("heads") else {}))  # reads all heads

    heads = [str(path.relative_to(pack)) for path in sorted(pack.rglob("*.safetensors"))]
    for name in (*FILES, *heads):
        for at, data in enumerate(OTHER_DATA):
            yield f"{name}: data {at}", lambda n=name, d=data: replaced(n, d), str(copy)
        whole = (pack / name).read_bytes()
        for part in (len(whole) // 2, len(whole) - 1):
            # The first lines of a config may be one, and so may JSON without its last line break.
            how = f"{name}: {part} bytes"
            yield how, lambda n=name, d=whole[:part]: replaced(n, d), None


def folders(pack: Path, copy: Path) -> Iterator[Try]:
    """Folders of weights with code, pickles, half files and configs of no sense."""
    from test_inspection import CODE, Touches, folder_of

    from cascade.models.weights import find_weights

    mark = copy.parent / "ran"

    def found(**files: Any) -> None:
        shutil.rmtree(copy, ignore_errors=True)
        find_weights(str(folder_of(copy, **files)))

    def with_file(name: str, data: bytes, without: str = "") -> None:
        shutil.rmtree(copy, ignore_errors=True)
        folder_of(copy)
        if without:
            (copy / without).unlink()
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_bytes(data)
        find_weights(str(copy))
        if mark.exists():
            raise Taken("a pickle was opened")

    for name in ("config", "tokenizer_config", "generation_config", "adapter_config", "any"):
        for told in ({"auto_map": CODE}, {"a": [{"auto_map": CODE}]}, {"custom_generate": "x"}):
            yield f"{name}: {told}", lambda n=name, t=told: found(**{n: t}), f"{name}.json"
    for kind in ("mine.Reader", "os.system", "transformers.AutoModel", None, 3):
        modules = [{"idx": 0, "name": "0", "path": "", "type": kind}]
        yield f"module {kind}", lambda m=modules: found(modules=m), "modules.json"
    for away in ("../other", "/etc", "a/../../b", "..\\b"):
        modules = [{"path": away, "type": "sentence_transformers.models.Dense"}]
        yield f"module at {away}", lambda m=modules: found(modules=m), "outside of its folder"
    data = pickle.dumps(Touches(mark))
    for name in ("pytorch_model.bin", "model.pt", "model.CKPT", "best.pth"):
        how = lambda n=name: with_file(n, data, without="model.safetensors")  # noqa: E731
        yield name, how, "pickle"
    for name in ("vocab.pkl", "head.joblib", "mean.npy", "model.safetensors"):
        yield name, lambda n=name: with_file(n, data), "pickle"
    for half in (b"", b"{}", (2**60).to_bytes(8, "little") + b"{}", b"\2" + b"\0" * 7 + b"[]"):
        yield "half weights", lambda h=half: with_file("model.safetensors", h), "safetensors"
    for text in ("[" * 100_000, '{"a": 1', "\0", "", '{"a": ' * 5000 + "1", "9" * 5000):
        yield "no config", lambda t=text: with_file("config.json", t.encode()), "config.json"
    for size in ({"num_hidden_layers": 10**9}, {"max_position_embeddings": 10**12}):
        yield f"{size}", lambda s=size: found(config=s), "config.json"


def templates(pack: Path, copy: Path) -> Iterator[Try]:
    """Templates that would not end, or reach out, as prompts and as chat templates."""
    import jinja2
    from test_bounded_templates import BOMBS, MESSAGES, VARIABLES

    from cascade.errors import CascadeError, ConfigError
    from cascade.generation.bounded_templates import render_chat
    from cascade.generation.prompts import PromptTemplate

    head = "---\nid: mine\nversion: 1\ntask: x\nabout: x\nvariables: {item: x, names: x, path: x}\n"

    def as_prompt(source: str) -> None:
        copy.mkdir(exist_ok=True)
        (copy / "mine.jinja").write_text(f"{head}---\n{source}", "utf-8")
        PromptTemplate.load(str(copy / "mine.jinja")).render(VARIABLES)

    def as_chat(source: str) -> None:
        try:
            render_chat(source, MESSAGES, VARIABLES)
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
            # What the loader of a model makes an error of the engine.
            raise error if isinstance(error, CascadeError) else ConfigError(f"{error!r}") from None

    for source in BOMBS:
        yield f"prompt {source[:60]}", lambda s=source: as_prompt(s), "mine"
        looped = f"{source}{{% for n in messages.x %}}{{% endfor %}}"
        yield f"chat template {source[:60]}", lambda s=looped: as_chat(s), ""


def configs(pack: Path, copy: Path) -> Iterator[Try]:
    """Bombs and other senseless files as a cascade.yaml, a recipe, a suite."""
    from test_packs_of_strangers import OTHER_DATA

    from cascade.config import CascadeConfig
    from cascade.evaluation.suite import Suite
    from cascade.training.finetune_kinds import load_recipe
    from cascade.training.packs.recipe import Recipe

    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    laughs += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    bombs = [laughs.encode(), b"a: &a [*a]", b"a: " + b"9" * 10_000, b"method: llm\nmethod: nli\n"]
    bombs += [b"a: !!timestamp x", b"a: !!int x", b"a: 1\n---\nb: 1\n", b"a: \0", b"x" * 9_000_000]
    bombs += [b"? " * 20_000, b"{" * 20_000, b"- " * 50_000, b"a: &a {<<: *a}", b"\xff" * 100]

    def read(data: bytes, reader: Callable[[str], Any]) -> None:
        copy.mkdir(exist_ok=True)
        (copy / "mine.yaml").write_bytes(data)
        reader(str(copy / "mine.yaml"))

    readers: dict[str, Callable[[str], Any]] = {
        "config": lambda path: CascadeConfig.load(Path(path)),
        "recipe of fit": Recipe.load,
        "recipe of finetune": load_recipe,
        "suite": lambda path: Suite.load(Path(path)),
    }
    for (name, reader), (at, data) in itertools.product(
        readers.items(), enumerate([*bombs, *OTHER_DATA])
    ):
        must = "mine.yaml" if data else None  # nothing is a config of defaults
        yield f"{name} {at}", lambda d=data, r=reader: read(d, r), must


KINDS = {
    kind.__name__: kind for kind in (settings, places, arrays, files, folders, templates, configs)
}


def tried(call: Callable[[], Any], says: str | None) -> str | None:
    """What is not right about an attack's end; None where all is."""
    from cascade.errors import CascadeError

    try:
        with alarm():
            call()
    except CascadeError as error:
        said = str(error)
        return None if said.strip() and (says or "") in said else f"says only: {said[:200]}"
    except Hang as error:
        return f"hang of more than {HANG_S:.0f} s {place(error)}"
    except Taken as error:
        return f"taken: {error}"
    except Exception as error:  # every other exception is what is looked for
        return f"{type(error).__name__} {place(error)}: {error}"[:240]
    return None if says is None else "taken: it was read"


def main() -> None:
    """Make all attacks of one kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("pack", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    limit_memory()
    found: dict[str, Any] = {"tries": 0, "wrong": 0, "hang_s": 0.0, "faults": []}
    with tempfile.TemporaryDirectory(prefix="stranger-") as made:
        for what, call, says in KINDS[args.kind](args.pack.resolve(), Path(made) / "copy"):
            started = time.monotonic()
            fault = tried(call, says)
            found["tries"] += 1
            found["hang_s"] = max(found["hang_s"], round(time.monotonic() - started, 2))
            if fault is not None:
                found["wrong"] += fault.startswith("taken")
                found["faults"].append(f"{what[:80]}: {fault}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
