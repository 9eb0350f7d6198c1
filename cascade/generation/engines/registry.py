"""The engine that a config names."""

from __future__ import annotations

from cascade.config import LLMConfig
from cascade.generation.engine import Engine


def make_engine(config: LLMConfig, *, allow_download: bool = False) -> Engine:
    """The language model of a config, in the engine that it names.

    Raises
    ------
    WeightsError
        The weights or the adapter are not found, or are not what they should be.
    MissingExtraError
        The engine is not installed.
    ConfigError, EngineError
        The settings do not go together, or the server that is named does not answer.
    """
    if config.engine == "server":
        from cascade.generation.engines.server_engine import make_server_engine

        return make_server_engine(config, allow_download=allow_download)
    if config.engine == "vllm":
        from cascade.generation.engines.vllm_engine import VLLMEngine

        return VLLMEngine.load(
            config.model,
            adapter=config.adapter,
            precision=config.precision,
            options=config.vllm.options,
            allow_download=allow_download,
        )
    from cascade.generation.engines.transformers_engine import TransformersEngine

    return TransformersEngine.load(
        config.model,
        adapter=config.adapter,
        device=config.device,
        precision=config.precision,
        batch_tokens=config.batch_tokens,
        allow_download=allow_download,
    )
