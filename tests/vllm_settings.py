"""How vLLM is run by tests, on a CPU: exactly, and without minutes of compiling."""

OPTIONS = {"enforce_eager": True, "block_size": 32, "max_model_len": 2048}
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "HF_HUB_OFFLINE": "1",
}
