r"""What it costs to hold a model to the children of one node, cold and warm.

Cold is the time from the names of all children to the point where the first token can be chosen
among them; warm is the same for the next item at the same node. All times are of the processor,
medians. What belongs to the vocabulary (tokenizer, tries of its tokens) is ready in all cases.
Names are made of the words of the shipped store taxonomy, and each is followed by a newline.

- cascade: names to token ids, ids to a trie, and what the local reading takes from it, all words
  new, also to the tokenizer, which keeps some; where the words are known from other nodes; and from
  ids alone, which is what remains where names have been encoded before;
- llguidance: a Lark grammar of the names, a matcher, the first mask (what the engine generates
  with); also a JSON enum, which allows the names in quotes, for what it is worth;
- xgrammar: an EBNF grammar, compiled, a matcher, the first mask;
- outlines-core: a regular expression, its index, a guide, the first tokens.

Those that are not here are run by another interpreter (`--rivals PYTHON`, such as that of `make
test-vllm`, which has them all); each has a process of its own and a time limit for all its runs.

python eval/bench/constraints.py --rivals .venv-vllm/bin/python --out eval/results/constraints.json
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RIVALS = ("llguidance", "llguidance, JSON enum", "xgrammar", "outlines-core")
END = "\n"


def names(n: int) -> list[str]:
    """Different names of one to four words, each with a blank before it."""
    import cascade

    words = sorted(
        {
            word
            for name in cascade.load("store").taxonomy.names
            for word in re.findall(r"\w{3,}", name)
        }
    )
    rng = np.random.default_rng(0)
    found: dict[str, None] = {}
    while len(found) < n:
        found[" " + " ".join(rng.choice(words, rng.integers(1, 5), replace=False))] = None
    return list(found)


def repeated(run: Callable[[], Any], repeats: int) -> float:
    """Median of the seconds of some runs."""
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        run()
        seconds.append(time.process_time() - started)
    return float(np.median(seconds))


def ours(answers: tuple[str, ...], repeats: int) -> dict[str, float]:
    """Seconds of the transformers engine's trie."""
    from cascade.generation.engine import Prompt, Question
    from cascade.generation.engines.transformers_engine import TransformersEngine
    from cascade.generation.tree_scoring.trie import Trie

    engine = TransformersEngine.load()
    question = [Question(Prompt(end=END), answers)]
    spelled = engine._encoder.answers(answers, END)

    model = engine._encoder._texts.backend.model

    def cold() -> Any:
        engine._encoder.forget()
        model._clear_cache()
        return words_known()

    def words_known() -> Any:
        engine._tries.clear()
        return engine._tries.of(question)[0].plan("local")

    found = {
        "cold": repeated(cold, repeats),
        "words_known": repeated(words_known, repeats),
        "cold_from_ids": repeated(lambda: Trie.build(spelled).plan("local"), repeats),
        "warm": repeated(lambda: engine._tries.of(question)[0].plan("local"), repeats),
    }
    return found


def of_llguidance(answers: list[str], tokenizer: Any, enum: bool) -> tuple[Any, Any]:
    """Cold and warm runs of llguidance."""
    import llguidance.hf
    from llguidance import LLMatcher

    vocabulary = llguidance.hf.from_tokenizer(tokenizer)

    def grammar() -> Any:
        if enum:
            return LLMatcher.grammar_from_json_schema(json.dumps({"enum": answers}))
        choices = "\n  | ".join(map(json.dumps, answers))
        return LLMatcher.grammar_from_lark(f'start: choice "\\n"\nchoice: {choices}\n')

    def mask(spec: Any) -> None:
        matcher = LLMatcher(vocabulary, spec)
        if matcher.get_error():
            raise SystemExit(matcher.get_error())
        matcher.compute_bitmask()

    spec = grammar()
    return lambda: mask(grammar()), lambda: mask(spec)


def of_xgrammar(answers: list[str], tokenizer: Any) -> tuple[Any, Any]:
    """Cold and warm runs of xgrammar."""
    import xgrammar

    info = xgrammar.TokenizerInfo.from_huggingface(tokenizer)
    bits = xgrammar.allocate_token_bitmask(1, info.vocab_size)
    source = f"root ::= ({' | '.join(map(json.dumps, answers))}) " + r'"\n"'

    def compiled() -> Any:
        return xgrammar.GrammarCompiler(info, cache_enabled=False).compile_grammar(source)

    def mask(grammar: Any) -> None:
        xgrammar.GrammarMatcher(grammar).fill_next_token_bitmask(bits)

    kept = compiled()
    return lambda: mask(compiled()), lambda: mask(kept)


def of_outlines_core(answers: list[str], tokenizer: Any) -> tuple[Any, Any]:
    """Cold and warm runs of outlines-core."""
    import outlines_core
    from outlines.models.transformers import TransformerTokenizer

    wrapped = TransformerTokenizer(tokenizer)
    tokens: dict[str, list[int]] = {}
    for token, token_id in wrapped.vocabulary.items():
        if token_id != tokenizer.eos_token_id:
            text = wrapped.convert_token_to_string(token)
            tokens.setdefault(text, []).append(token_id)
    vocabulary = outlines_core.Vocabulary(tokenizer.eos_token_id, tokens)
    regex = f"({'|'.join(map(re.escape, answers))})\n"

    def index() -> Any:
        return outlines_core.Index(regex, vocabulary)

    def mask(made: Any) -> None:
        outlines_core.Guide(made).get_tokens()

    kept = index()
    return lambda: mask(index()), lambda: mask(kept)


def inside(name: str) -> None:
    """Time one rival; the job comes on standard input."""
    from transformers import AutoTokenizer

    job = json.loads(sys.stdin.read())
    tokenizer = AutoTokenizer.from_pretrained(job["model"], local_files_only=True)
    answers, repeats = job["answers"], job["repeats"]
    if name.startswith("llguidance"):
        cold, warm = of_llguidance(answers, tokenizer, "enum" in name)
    else:
        cold, warm = {"xgrammar": of_xgrammar, "outlines-core": of_outlines_core}[name](
            answers, tokenizer
        )
    found = {"cold": repeated(cold, repeats if name != "outlines-core" else 1)}
    print(json.dumps(found | {"warm": repeated(warm, repeats)}))


def rival(name: str, python: str, job: dict[str, Any], limit: float) -> dict[str, Any]:
    """Seconds of one rival in a process of its own, or why there are none."""
    try:
        told = subprocess.run(
            [python, __file__, "--inside", name],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return {"problem": f"not through after {limit:.0f} s"}
    if told.returncode:
        return {"problem": told.stderr.strip().splitlines()[-1][:200]}
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return found


def measure(n: int, args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of all, for n children."""
    from cascade.models.language_models import safetensors_folder
    from cascade.models.weights import find_weights

    answers = names(n)
    job = {
        "model": str(safetensors_folder(find_weights("smollm2-135m"))),
        "answers": answers,
        "repeats": args.repeats,
    }
    found: dict[str, Any] = {"cascade": ours(tuple(answers), args.repeats)}
    for name in RIVALS:
        found[name] = rival(name, args.rivals, job, args.limit)
    enum = found["llguidance, JSON enum"].get("cold", float("nan"))
    own = found["cascade"]
    others = [row["cold"] for name, row in found.items() if name in RIVALS and "cold" in row]
    best = min(others, default=float("nan"))
    return {
        "children": n,
        "milliseconds": {
            name: {k: v if k == "problem" else round(1e3 * v, 3) for k, v in row.items()}
            for name, row in found.items()
        },
        "json_enum_over_ours": {
            name: round(enum / own[name], 2) for name in ("cold", "words_known", "cold_from_ids")
        },
        "best_rival_cold_over_ours": round(best / own["cold"], 2),
    }


def page(told: dict[str, Any]) -> str:
    """The record as a page of Markdown."""
    sizes = [row["children"] for row in told["found"]]
    lines = [
        "# A cold node",
        "",
        f"`{told['command']}`: processor milliseconds until the first token can be chosen, medians "
        f"of {told['repeats']}.",
        "",
        "| children | " + " | ".join(f"{size:,}" for size in sizes) + " |",
        "| --- |" + " --- |" * len(sizes),
    ]
    ways = [("cascade", "cold"), ("cascade", "words_known"), ("cascade", "cold_from_ids")]
    ways += [("cascade", "warm")] + [(name, kind) for name in RIVALS for kind in ("cold", "warm")]
    for name, kind in ways:
        cells = [row["milliseconds"][name].get(kind) for row in told["found"]]
        if any(cell is not None for cell in cells):
            shown = " | ".join("-" if cell is None else f"{cell:g}" for cell in cells)
            lines.append(f"| {name}, {kind.replace('_', ' ')} | {shown} |")
    for kind in ("cold", "words_known"):
        shown = " | ".join(f"{row['json_enum_over_ours'][kind]:g}" for row in told["found"])
        lines.append(f"| JSON enum over cascade, {kind.replace('_', ' ')} | {shown} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--children", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--rivals", metavar="PYTHON", default=sys.executable)
    parser.add_argument("--limit", type=float, default=300, help="seconds for each rival")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--inside", choices=RIVALS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        inside(args.inside)
        return
    sizes = " ".join(map(str, args.children))
    command = f"python eval/bench/constraints.py --children {sizes} --repeats {args.repeats}"
    told = {
        "command": f"{command} --limit {args.limit:.0f} --rivals PYTHON",
        "repeats": args.repeats,
        "found": [measure(n, args) for n in args.children],
    }
    print(json.dumps(told, indent=1))
    if args.out:
        args.out.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
        args.out.with_suffix(".md").write_text(page(told), "utf-8")


if __name__ == "__main__":
    main()
