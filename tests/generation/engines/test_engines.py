"""Which engine a config names, and what is said where it cannot be had."""

import importlib.util

import pytest
import yaml
from json_server import MODELS, json_server

import cascade
from cascade.config import CascadeConfig, LLMConfig
from cascade.errors import ConfigError, MissingExtraError
from cascade.generation.engines.registry import make_engine
from cascade.models.diagnose import diagnose

no_vllm = pytest.mark.skipif(
    importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here"
)


@pytest.mark.weights
@no_vllm
def test_a_missing_engine_names_the_extra_that_brings_it():
    with pytest.raises(MissingExtraError, match="pip install 'vllm>="):
        make_engine(LLMConfig(engine="vllm"))


def test_doctor_tells_whether_vllm_is_there():
    (finding,) = [finding for finding in diagnose() if finding.what == "vllm"]
    if importlib.util.find_spec("vllm") is None:
        assert finding.state == "optional"
        assert finding.cure.startswith("pip install 'vllm>=")
    else:
        assert finding.state == "ok"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"trust_remote_code": True}, "trust_remote_code"),
        ({"model": "other"}, "'model' is not set here"),
        ({"load_format": "pt"}, "reads pickles"),
    ],
)
def test_options_that_would_run_code_or_change_the_model_are_refused(options, problem):
    config = LLMConfig.model_validate({"engine": "vllm", "vllm": {"options": options}})
    with pytest.raises(ConfigError, match=problem):
        make_engine(config)


def test_a_server_without_an_address_is_asked_for_one():
    with pytest.raises(ConfigError, match=r"set llm\.server\.url"):
        make_engine(LLMConfig(engine="server"))


def test_a_server_is_asked_only_by_those_who_named_it(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret")
    with json_server(lambda *_: MODELS) as server:
        own = {"url": server.url, "kind": "openai", "api_key_env": "SOME_KEY"}
        config = {"taxonomy": "store", "method": "llm", "llm": {"engine": "server", "server": own}}
        (tmp_path / "cascade.yaml").write_text(yaml.safe_dump(config))
        with pytest.raises(ConfigError, match=r"set llm\.server\.url"):
            cascade.load(tmp_path)  # as a pack that somebody passed on
        assert server.url in caplog.text
        loaded = cascade.pipeline.load.load_config(tmp_path / "cascade.yaml")[0]
        assert loaded == CascadeConfig.parse(config)
