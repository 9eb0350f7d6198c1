"""What is odd in a file and read all the same, with a warning."""

import pytest


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("Level 1,Level 2\nTotal,\nGarden,Rakes\n", "totals or notes: 'Total' (line 2);"),
        ("Level 1,Level 2\nGarden,Rakes\nSource: own data,\n", "'Source: own data' (line 3)"),
        ("Garden > Rakes\ngarden > Hoses\n", "'Garden' (line 1), 'garden' (line 2);"),
        (
            "Level 1,Level 2,Level 3\nGarden,Rakes,Rakes\nGarden,Hoses,\n",
            "1 rows have the name of a level again in the next one (line 2)",
        ),
        ("Our goods\nGarden > Rakes\nTools > Saws\n", "line 1: 'Our goods' is read as a node"),
        ("code,path\n1,Garden\n,Garden > Rakes\n", "1 nodes have no code, though others have"),
        ('[{"id": 1, "name": "A", "children": [{"name": "B"}]}]', "('B' (line 1))"),
        ("1 - Garden\n3 - Garden > Tools > Rakes\n", "1 nodes are in paths, but have no line"),
    ],
)
def test_what_is_odd_is_told(load, caplog, content, told):
    load(content)
    assert told in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        "Total\n  Garden\n    Rakes\n",  # a node above others
        "Garden > Rakes\nTools > rakes\n",
        "conceptUri,preferredLabel,broader\na,Garden,\nb,Rakes,a\nc,rakes for hay,a\n",
        "code,level 1,level 2\nr,Garden,Rakes\nh,Garden,Hoses\n",  # only rows have codes
    ],
)
def test_what_is_usual_is_not_told(load, caplog, content):
    load(content)
    assert caplog.text == ""


def test_signs_of_html_are_read_as_what_they_stand_for(load):
    tax = load("Home &amp; Garden\nHome &amp; Garden > Pots &#38; Pans\nFood &lt;fresh&gt;\n")
    assert tax.names == ("Home & Garden", "Pots & Pans", "Food <fresh>")
    assert tax.find("home &amp; garden/pots &amp; pans") == 1
