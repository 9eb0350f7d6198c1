import dataclasses
import json

import pytest

from cascade.predictions import Alternative, Candidate, Level, Prediction

HATS = Candidate("h", "Hats <&>", "Clothing > Hats <&>", 0.75, {"retrieval": -0.28768, "llm": -1.5})
CAPS = Candidate("c", "Caps", "Clothing > Caps", 0.25)
PREDICTION = Prediction(
    "h",
    "Clothing > Hats <&>",
    0.6000000049,
    "retrieval",
    id="7",
    levels=(
        Level(1, "cl", "Clothing", 0.8, (Candidate("cl", "Clothing", "Clothing", 0.8),)),
        Level(2, "h", "Hats <&>", 0.6, (HATS, CAPS)),
    ),
    alternatives=(Alternative("c", "Clothing > Caps", 0.2),),
)


def test_a_prediction_is_json_of_plain_values():
    values = json.loads(PREDICTION.to_json())
    assert values == PREDICTION.to_dict()
    assert (values["code"], values["id"], values["confidence"]) == ("h", "7", 0.6)
    assert [level["level"] for level in values["levels"]] == [1, 2]
    best = values["levels"][1]["candidates"][0]
    assert best["confidence"] == 0.6
    assert (best["given_parent"], best["scores"]) == (0.75, {"retrieval": -0.2877, "llm": -1.5})
    assert values["alternatives"] == [{"code": "c", "path": "Clothing > Caps", "confidence": 0.2}]


def test_json_keeps_letters_as_they_are():
    prediction = dataclasses.replace(PREDICTION, path="Bücher > 帽子")
    assert "Bücher > 帽子" in prediction.to_json()


def test_a_prediction_is_one_line_to_read():
    assert str(PREDICTION) == "Clothing > Hats <&>  [h]  60% by retrieval"
    partial = dataclasses.replace(PREDICTION, status="partial", message="stopped")
    assert str(partial).endswith("partial: stopped")
    assert str(Prediction.failed("the text is empty")) == "error: the text is empty"


def test_a_notebook_shows_each_level_with_names_escaped():
    html = PREDICTION._repr_html_()
    assert "Hats &lt;&amp;&gt;" in html
    assert "Hats <&>" not in html
    assert "Caps 20%" in html  # of all, not of clothing
    assert html.count("<tr>") == 3
    assert "<script>" not in Prediction.failed("<script>")._repr_html_()


def test_a_failed_prediction_has_no_node():
    failed = Prediction.failed("too long", "7")
    assert (failed.code, failed.path, failed.status, failed.id) == (None, None, "error", "7")
    assert failed.names == ()
    assert failed.to_dict()["message"] == "too long"


def test_the_names_of_a_prediction_go_from_the_top():
    assert PREDICTION.names == ("Clothing", "Hats <&>")


@pytest.mark.parametrize("value", [HATS, PREDICTION, PREDICTION.levels[0]])
def test_values_cannot_be_changed(value):
    name = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, None)
