"""The vLLM engine: a language model on one or several GPUs, in this process.

Prompts are handed over as token ids and in such an order that equal beginnings come together,
so that the prefix cache computes each once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import (
    ConfigError,
    EngineError,
    MissingExtraError,
    WeightsError,
    install_command,
)
from cascade.generation.engines.token_engine import (
    Generated,
    GenerationRequest,
    TokenEngine,
)
from cascade.generation.engines.trie_queries import NextTokenQuery
from cascade.generation.grammar import Constraint
from cascade.models.language_models import adapter_rank, load_tokenizer, safetensors_folder
from cascade.models.runtime import Precision
from cascade.models.weights import find_weights

OURS = ("model", "tokenizer", "trust_remote_code", "dtype", "enable_lora", "max_lora_rank")
PICKLED = ("pt", "npcache")  # ways of loading that read pickles
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM can be told

_ENVIRONMENT = {
    # The engine in this process: no process of its own that imports the caller's script again.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "HF_HUB_OFFLINE": "1",  # weights were found, or fetched, before
}


class VLLMEngine(TokenEngine):
    """Scores and generates with vLLM.

    Parameters
    ----------
    llm
        A `vllm.LLM` with guidance as the backend of structured outputs.
    tokenizer
        The model's, as loaded by transformers.
    name
        For messages and traces.
    adapter
        Folder of a LoRA adapter.
    """

    def __init__(
        self, llm: Any, tokenizer: Any, *, name: str = "llm", adapter: Path | None = None
    ) -> None:
        from vllm.sampling_params import MAX_LOGPROB_TOKEN_IDS

        super().__init__(name, tokenizer, widest=MAX_LOGPROB_TOKEN_IDS)
        self._llm = llm
        self._lora = None
        if adapter is not None:
            from vllm.lora.request import LoRARequest

            self._lora = LoRARequest(adapter.name, 1, str(adapter))

    @classmethod
    def load(
        cls,
        name: str = "smollm2-135m",
        *,
        adapter: str | None = None,
        precision: Precision = "auto",
        options: Mapping[str, Any] | None = None,
        allow_download: bool = False,
    ) -> VLLMEngine:
        """The engine over the weights called `name`, with the LoRA adapter in a folder if named.

        Parameters
        ----------
        options
            Further arguments of `vllm.LLM`, such as `tensor_parallel_size`.

        Raises
        ------
        MissingExtraError
            vLLM is not installed.
        WeightsError
            The weights or the adapter are not found, or vLLM cannot run them.
        ConfigError
            An option is not for the user to set.
        """
        options = dict(options or {})
        _check(options)
        with _environment():
            try:
                from vllm import LLM
                from vllm.exceptions import VLLMError
            except ImportError as error:
                if error.name != "vllm":
                    raise
                raise MissingExtraError("the engine vllm", "vllm", "vllm") from None
            folder = safetensors_folder(find_weights(name, allow_download=allow_download))
            if adapter is not None:
                rank = adapter_rank(Path(adapter))
                options |= {"enable_lora": True, "max_lora_rank": _room(rank)}
            ours = {
                "load_format": "safetensors",
                "enable_prefix_caching": True,
                "generation_config": "vllm",  # greedy, whatever the model's makers advise
                "structured_outputs_config": {"backend": "guidance"},
                "disable_log_stats": True,
            }
            try:
                llm = LLM(str(folder), dtype=precision, trust_remote_code=False, **(ours | options))
            except (ValueError, TypeError, RuntimeError, OSError, VLLMError) as error:
                problem = " ".join(str(error).split())
                raise WeightsError(
                    f"vLLM cannot run {name!r} with the options {options}: {problem:.500}"
                ) from error
        return cls(
            llm,
            load_tokenizer(folder),
            name=name,
            adapter=Path(adapter) if adapter is not None else None,
        )

    def close(self) -> None:
        """Give the model's memory back."""
        self._llm.llm_engine.engine_core.shutdown()

    def _next_token_logprobs(self, queries: Sequence[NextTokenQuery]) -> list[NDArray[np.float64]]:
        from vllm import SamplingParams

        params = [
            SamplingParams(
                temperature=0, max_tokens=1, logprob_token_ids=query.tokens, detokenize=False
            )
            for query in queries
        ]
        outputs = self._run([query.prompt for query in queries], params)
        return [
            _wanted(query, output.logprobs) for query, output in zip(queries, outputs, strict=True)
        ]

    def _generate(self, requests: Sequence[GenerationRequest]) -> list[Generated]:
        from vllm import SamplingParams

        params = [
            SamplingParams(
                temperature=0,
                max_tokens=request.max_tokens,
                stop=request.stop,
                stop_token_ids=[self.tokenizer.eos_token_id],
                # Read after the grammar has been applied, and before all else.
                logprobs=0 if request.constraint else None,
                structured_outputs=_structured(request.constraint),
            )
            for request in requests
        ]
        outputs = self._run([request.prompt for request in requests], params)
        return [Generated(output.text, output.cumulative_logprob) for output in outputs]

    def _run(self, prompts: Sequence[Sequence[int]], params: Sequence[Any]) -> list[Any]:
        """vLLM's first output for each prompt."""
        from vllm.exceptions import VLLMError

        try:
            answers = self._llm.generate(
                [{"prompt_token_ids": list(prompt)} for prompt in prompts],
                params,
                use_tqdm=False,
                lora_request=self._lora,
            )
        except (ValueError, RuntimeError, VLLMError) as error:
            problem = " ".join(str(error).split())
            raise EngineError(f"vLLM could not answer: {problem:.500}") from error
        return [answer.outputs[0] for answer in answers]


def _check(options: Mapping[str, Any]) -> None:
    for option in options:
        if option in OURS:
            raise ConfigError(
                f"llm.vllm.options: {option!r} is not set here; cascade sets it by llm.model, "
                "llm.adapter and llm.precision, and code beside weights is never run"
            )
    if options.get("load_format") in PICKLED:
        raise ConfigError(
            f"llm.vllm.options: the load_format {options['load_format']!r} reads pickles, which "
            "can hold code; give weights as safetensors"
        )


def _room(rank: int) -> int:
    """The least rank of those that vLLM knows that holds an adapter of this rank."""
    room = next((known for known in RANKS if known >= rank), None)
    if room is None:
        raise WeightsError(f"the adapter has the rank {rank}; vLLM takes {RANKS[-1]} at the most")
    return room


def _structured(constraint: Constraint | None) -> Any:
    from vllm.sampling_params import StructuredOutputsParams

    return None if constraint is None else StructuredOutputsParams(grammar=constraint.lark)


def _wanted(query: NextTokenQuery, logprobs: Any) -> NDArray[np.float64]:
    try:
        (first,) = logprobs
        return np.array([first[token].logprob for token in query.tokens])
    except (KeyError, TypeError, ValueError):
        raise EngineError(
            "vLLM gave no log-probabilities of the tokens asked for; this needs a version that "
            f"knows `logprob_token_ids`: {install_command('vllm')}"
        ) from None


@contextmanager
def _environment() -> Iterator[None]:
    """Settings that vLLM reads while it loads; those that the user has made hold."""
    added = {key: value for key, value in _ENVIRONMENT.items() if key not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for key in added:
            del os.environ[key]
