import pytest
from PIL import Image

from cascade.errors import InputError
from cascade.io import open_table
from cascade.io.tables.opening import TableFile


@pytest.fixture
def photos(tmp_path):
    for name in ("b.png", "Fruit/Apple/1.jpg", "Fruit/Apple/2.JPG", "Fruit/Pear/1.webp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "Fruit" / "._1.jpg").write_bytes(b"left by a Mac")
    (tmp_path / ".hidden").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / ".hidden" / "a.png")
    return tmp_path


def test_a_folder_of_pictures_is_a_table_of_them_with_the_folders_between(photos):
    with open_table(photos) as table:
        assert (table.columns, table.pictures, table.folder) == (
            ("image", "folder"),
            "image",
            photos,
        )
        assert [row.cells for row in table] == [
            ("Fruit/Apple/1.jpg", "Fruit > Apple"),
            ("Fruit/Apple/2.JPG", "Fruit > Apple"),
            ("Fruit/Pear/1.webp", "Fruit > Pear"),
            ("b.png", ""),
        ]


def test_other_files_are_passed_over_and_counted(photos, caplog):
    (photos / "notes.txt").write_text("hello")
    (photos / ".DS_Store").write_text("hello")
    with open_table(photos) as table:
        assert len(list(table)) == 4
    assert "1 files are not pictures" in caplog.text


def test_a_folder_without_pictures_is_refused_with_a_file_to_give(tmp_path):
    (tmp_path / "items.csv").write_text("a\n1\n")
    with pytest.raises(
        InputError, match=r"without pictures; give a file, for example .*items\.csv"
    ):
        open_table(tmp_path)


def test_a_source_tells_when_a_picture_was_replaced(photos):
    before = TableFile(str(photos)).sha256
    assert TableFile(str(photos)).sha256 == before
    Image.new("RGB", (9, 9)).save(photos / "b.png")
    assert TableFile(str(photos)).sha256 != before
