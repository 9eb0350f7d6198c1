import csv
import json


def test_fit_and_classify_as_a_user_would_type_them(folder, cascade):
    with open("rows.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "label"])
        for at in range(20):
            writer.writerow([f"garden rake {at * 7}", "Home > Rakes"])
            writer.writerow([f"wool hat {at * 11}", "Clothing > Hats"])
    columns = ("--text", "name", "--label", "label")
    done = cascade("fit", "rows.csv", *columns, "-o", "p", "--recipe", "quick")
    assert done.status == 0, done.err
    assert "fitted to 40 rows" in done.err
    done = cascade("classify", "rows.csv", "-c", "p", "-o", "out.csv")
    assert done.status == 0, done.err
    with open("out.csv") as file:
        rows = list(csv.DictReader(file))
    assert all(row["cascade_path"] == row["label"] for row in rows)


def test_columns_of_other_names_stand_for_those_of_the_pack(folder, cascade):
    with open("rows.csv", "w", newline="") as file, open("new.csv", "w", newline="") as other:
        writers = csv.writer(file), csv.writer(other)
        for writer, columns in zip(writers, (["name", "label"], ["title", "shelf"]), strict=True):
            writer.writerow(columns)
            for at in range(20):
                writer.writerow([f"garden rake {at * 7}", "Home > Rakes"])
                writer.writerow([f"wool hat {at * 11}", "Clothing > Hats"])
    columns = ("--text", "name", "--label", "label")
    assert cascade("fit", "rows.csv", *columns, "-o", "p", "--recipe", "quick").status == 0
    for command in (
        ("classify", "new.csv", "-c", "p", "--text", "title", "-o", "out.csv"),
        ("eval", "new.csv", "-c", "p", "--text", "title", "--label", "shelf", "-o", "run"),
    ):
        done = cascade(*command)
        assert done.status == 0, done.err
    with open("out.csv") as file:
        assert all(row["cascade_path"] == row["shelf"] for row in csv.DictReader(file))
    found = json.loads((folder / "run" / "metrics.json").read_text())
    assert found["figures"]["exact_match"]["value"] == 1
    done = cascade(*("classify", "new.csv", "-c", "p", "--text", "title", "--text", "shelf"))
    assert done.status == 2
    assert "the pack was fitted to 1 (name)" in " ".join(done.err.split())


def test_an_unknown_recipe_names_those_that_ship(folder, cascade):
    done = cascade("fit", "items.csv", "--label", "shelf", "--recipe", "quik", "-o", "p")
    assert done.status == 2
    assert "fast, few, few-tuned, full, pictures, quick, two-stage" in " ".join(done.err.split())


def test_fields_of_a_recipe_are_set_from_the_command_line(folder, cascade):
    with open("rows.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "label"])
        for at in range(12):
            writer.writerow([f"steel pan {at * 7}", "Home > Pans"])
            writer.writerow([f"wool hat {at * 11}", "Clothing > Hats"])
    fit = ("fit", "rows.csv", "--label", "label", "--recipe", "quick", "--text", "name", "-o", "p")
    done = cascade(*fit, "--set", "lexical.cost=0.5", "--set", "lexical.forms=[leaf]")
    assert done.status == 0, done.err
    metrics = json.loads((folder / "p" / "metrics.json").read_text())
    assert "ttc.conditional" not in metrics["scorers"]
    readme = (folder / "p" / "README.md").read_text()
    assert '"cost": 0.5' in readme
    assert "lexical.cost=0.5" in readme


def test_a_field_that_a_recipe_does_not_have_is_refused_by_name(folder, cascade):
    fit = ("fit", "items.csv", "--label", "shelf", "--recipe", "two-stage", "-o", "p")
    for setting, said in (
        ("llama.balance=3", "llama.balance"),
        ("llama.balanced=many", "llama.balanced"),
        ("llama=null", "nothing is to be fitted"),
        ("llama.balanced", "expected KEY=VALUE"),
    ):
        done = cascade(*fit, "--set", setting)
        assert done.status == 2
        assert said in " ".join(done.err.split())
        assert not (folder / "p").exists()
