"""Pictures as a user has them: in folders, in columns, and some of them hostile."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huge_png import huge_png
from PIL import Image
from tiny_vision import save_tiny_vision

COLOURS = {"Fruit/Apple": (200, 30, 30), "Fruit/Lime": (40, 190, 40), "Dairy": (235, 235, 240)}


def draw(path, colour, seed):
    """A picture of one colour with some noise."""
    pixels = np.array(colour) + np.random.default_rng(seed).normal(0, 10, (40, 40, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def shop(folder, cascade, tmp_path_factory):
    """The working folder with sorted photos and a pack that was fitted to them."""
    model = save_tiny_vision(tmp_path_factory.mktemp("vision"))
    for at, (shelf, colour) in enumerate(COLOURS.items()):
        for number in range(8):
            draw(folder / "photos" / shelf / f"{number}.png", colour, 100 * at + number)
    recipe = {name: None for name in ("lexical", "sentence", "both", "routing")}
    picture = {"model": str(model), "heads": {"epochs": 60}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "picture": picture}))
    done = cascade("fit", "photos", "--label", "folder", "--recipe", "recipe.yaml", "-o", "p")
    assert done.status == 0, done.err
    return folder


def rows(name):
    with open(name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_sorted_folder_is_learnt_and_another_is_filed(shop, cascade):
    for at, (shelf, colour) in enumerate(COLOURS.items()):
        draw(shop / "new" / shelf / "a.png", colour, 7 + at)
    done = cascade("classify", "new", "-c", "p", "-o", "out.csv")
    assert done.status == 0, done.err
    found = rows("out.csv")
    assert [row["image"] for row in found] == sorted(f"{shelf}/a.png" for shelf in COLOURS)
    assert all(row["cascade_path"] == row["folder"] for row in found)
    (shop / "outs").mkdir()
    done = cascade("classify", "new", "photos", "-c", "p", "-o", "outs/")
    assert done.status == 0, done.err
    assert len(rows("outs/new.csv")) == 3 and len(rows("outs/photos.csv")) == 24


def test_a_hostile_folder_is_told_row_by_row_and_all_others_are_answered(shop, cascade):
    bad = shop / "bad"
    draw(bad / "good.png", COLOURS["Fruit/Lime"], 1)
    whole = (bad / "good.png").read_bytes()
    (bad / "cut.png").write_bytes(whole[: len(whole) // 2])
    (bad / "empty.png").write_bytes(b"")
    (bad / "wrong.jpg").write_text("this is no picture")
    (bad / "huge.png").write_bytes(huge_png(9000, 7000))
    Image.new("1", (20_000, 20_000)).save(bad / "bomb.png")
    Image.new("1", (4000, 10)).save(bad / "long.png")
    draw(shop / "beside.png", COLOURS["Dairy"], 1)
    (bad / "out.png").symlink_to(shop / "beside.png")
    (bad / "gone.png").symlink_to(bad / "nowhere.png")
    expected = {
        "bomb.png": "far more pixels",
        "cut.png": "cannot be read",
        "empty.png": "it is empty",
        "gone.png": "is not there",
        "good.png": "",
        "huge.png": "9,000 x 7,000 pixels",
        "long.png": "no side over 20 times",
        "out.png": "not in the folder",
        "wrong.jpg": "not a picture of a known kind",
    }
    done = cascade("classify", "bad", "-c", "p", "-o", "out.csv")
    assert done.status == 3, done.err
    found = {row["image"]: row for row in rows("out.csv")}
    assert found.keys() == expected.keys()
    for name, problem in expected.items():
        assert problem in found[name]["cascade_message"], name
        assert (found[name]["cascade_status"] == "error") == bool(problem)
    assert found["good.png"]["cascade_path"] == "Fruit > Lime"


def test_paths_of_a_column_stay_in_the_folder_of_the_file(shop, cascade):
    names = ["photos/Dairy/1.png", "/etc/hostname", "../beside.png", "", "https://shop.example/a"]
    with open("items.csv", "w", newline="") as file:
        csv.writer(file).writerows([["photo"], *([name] for name in names)])
    done = cascade("classify", "items.csv", "-c", "p", "--image", "photo", "-o", "out.csv")
    assert done.status == 3, done.err
    messages = [row["cascade_message"] for row in rows("out.csv")]
    for message, problem in zip(
        messages,
        ["", "not in the folder", "not in the folder", "there is no picture", "--allow-urls"],
        strict=True,
    ):
        assert problem in message
    assert messages[0] == ""
    done = cascade(
        *["classify", "items.csv", "-c", "p", "--image", "photo", "--image-root", "nowhere"]
    )
    assert done.status == 2 and "there is no such folder" in done.err
    (shop / "lists").mkdir()
    (shop / "items.csv").rename(shop / "lists" / "items.csv")
    options = "classify lists/items.csv -c p --image photo --image-root . -o root.csv"
    assert cascade(*options.split()).status == 3
    assert rows("root.csv")[0]["cascade_path"] == "Dairy"


def test_bytes_in_a_parquet_file_are_read_and_kept(shop, cascade):
    files = [shop / "photos" / shelf / "3.png" for shelf in COLOURS]
    pictures = [file.read_bytes() for file in files]
    nested = [{"bytes": picture, "path": "x.png"} for picture in pictures]
    table = pa.table({"photo": pictures, "nested": nested, "label": list(COLOURS)})
    pq.write_table(table, "items.parquet")
    for column in ("photo", "nested"):
        out = f"{column}.parquet"
        done = cascade("classify", "items.parquet", "-c", "p", "--image", column, "-o", out)
        assert done.status == 0, done.err
        found = pq.read_table(out)
        assert found["photo"].to_pylist() == pictures
        said = [path.replace(" > ", "/") for path in found["cascade_path"].to_pylist()]
        assert said == list(COLOURS)


def test_a_report_shows_pictures_of_the_worst_mistakes(shop, cascade):
    # A shelf that was sorted wrongly.
    (shop / "photos" / "Dairy" / "0.png").rename(shop / "photos" / "Fruit" / "Apple" / "wrong.png")
    done = cascade("eval", "photos", "-c", "p", "--label", "folder", "-o", "run")
    assert done.status == 0, done.err
    page = (shop / "run" / "report.html").read_text()
    assert page.count('<img src="data:image/jpeg;base64,') == 1
    assert "Fruit/Apple/wrong.png" in page
    figures = json.loads((shop / "run" / "metrics.json").read_text())["figures"]
    assert figures["exact_match"]["value"] == pytest.approx(23 / 24)


def test_pictures_of_bytes_are_measured_too(shop, cascade):
    files = {shelf: shop / "photos" / shelf / "2.png" for shelf in COLOURS}
    labels = [shelf.replace("/", " > ") for shelf in ("Dairy", "Fruit/Lime", "Fruit/Apple")]
    pictures = [file.read_bytes() for file in files.values()]
    pq.write_table(pa.table({"photo": pictures, "label": labels}), "items.parquet")
    options = "eval items.parquet -c p --image photo --label label -o run"
    done = cascade(*options.split())
    assert done.status == 0, done.err
    assert '<img src="data:image/jpeg;base64,' in (shop / "run" / "report.html").read_text()


def test_rows_without_any_picture_cannot_be_learnt_from(folder, cascade):
    (folder / "rows.csv").write_text("photo,label\nnowhere.png,A\nnowhere.png,B\n")
    done = cascade(
        *[
            "fit",
            "rows.csv",
            "--image",
            "photo",
            "--label",
            "label",
            "-o",
            "p",
            "--recipe",
            "pictures",
        ]
    )
    assert done.status == 2
    assert "no picture can be read" in done.err and "nowhere.png is not there" in done.err


def test_a_folder_for_an_encoder_that_reads_none_is_refused_at_once(shop, cascade, loaded):
    options = ("-t", "tax.csv", "--method", "retrieval", "-o", "out.csv")
    done = cascade("classify", "photos", *options)
    assert done.status == 2
    assert "reads no pictures" in done.err and not (shop / "out.csv").exists()


def test_no_picture_that_may_be_read_is_nothing_to_learn_from(folder, cascade):
    (folder / "rows.csv").write_text("name,photo,label\nhat,../a.png,A\ncap,gone.png,B\n")
    options = "fit rows.csv --text name --image photo --label label -o p --recipe quick"
    done = cascade(*options.split())
    assert done.status == 2
    assert "no picture can be read" in done.err and "--image-root" in done.err


def test_a_column_of_pictures_that_was_named_wrongly_is_told(shop, cascade):
    (shop / "items.csv").write_text("photo,label\nphotos/Dairy/1.png,Dairy\n")
    for command in ("classify items.csv -c p --image foto", "eval items.csv -c p --image foto"):
        done = cascade(*command.split(), *(["--label", "label"] if "eval" in command else []))
        assert done.status == 2
        assert "'foto' is not in items.csv" in done.err
