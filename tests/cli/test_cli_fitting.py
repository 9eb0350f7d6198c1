import csv


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


def test_an_unknown_recipe_names_those_that_ship(folder, cascade):
    done = cascade("fit", "items.csv", "--label", "shelf", "--recipe", "quik", "-o", "p")
    assert done.status == 2
    assert "fast, full, quick" in done.err
