import csv

from typer.testing import CliRunner

from cascade.cli.app import app


def test_fit_and_classify_as_a_user_would_type_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open("rows.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "label"])
        for at in range(20):
            writer.writerow([f"garden rake {at * 7}", "Home > Rakes"])
            writer.writerow([f"wool hat {at * 11}", "Clothing > Hats"])
    runner = CliRunner()
    done = runner.invoke(
        app,
        ["fit", "rows.csv", "--text", "name", "--label", "label", "-o", "p", "--recipe", "quick"],
    )
    assert done.exit_code == 0, done.output
    assert "fitted to 40 rows" in done.output
    done = runner.invoke(app, ["classify", "rows.csv", "-c", "p", "-o", "out.csv"])
    assert done.exit_code == 0, done.output
    with open("out.csv") as file:
        rows = list(csv.DictReader(file))
    assert all(row["cascade_path"] == row["label"] for row in rows)


def test_an_unknown_recipe_names_those_that_ship(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("name,label\na,A > B\n")
    done = CliRunner().invoke(
        app, ["fit", str(path), "--label", "label", "--recipe", "quik", "-o", str(tmp_path / "p")]
    )
    assert done.exit_code != 0
    assert "fast, quick" in str(done.exception or "") + done.output
