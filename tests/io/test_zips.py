import zipfile

import pytest

from cascade.errors import InputError, TaxonomyError
from cascade.io import open_table
from cascade.taxonomy import Taxonomy

MIB = b"A" * (1 << 20)


def bomb(path, like, member):
    """A zip as another, of which one file unpacks to 80 MiB of one letter."""
    with zipfile.ZipFile(like) as given, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name in given.namelist():
            if name != member:
                made.writestr(name, given.read(name))
        with made.open(member, "w") as file:
            for _ in range(80):
                file.write(MIB)
    return path


@pytest.fixture
def workbook(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["id", "name"])
    book.active.append([1, "hat"])
    book.save(tmp_path / "rows.xlsx")
    return tmp_path / "rows.xlsx"


def test_a_workbook_that_unpacks_to_far_more_than_its_size_is_refused(workbook, tmp_path):
    path = bomb(tmp_path / "bomb.xlsx", workbook, "xl/worksheets/sheet1.xml")
    with pytest.raises(InputError, match=r"bomb\.xlsx.*sheet1\.xml.*would unpack to 83,886,080"):
        open_table(path)


def test_a_catalogue_that_unpacks_to_far_more_than_its_size_is_refused(ecf, tmp_path):
    path = bomb(tmp_path / "BOMB.ecf", ecf, zipfile.ZipFile(ecf).namelist()[0])
    with pytest.raises(TaxonomyError, match="would unpack to"):
        Taxonomy.load(path)


def test_a_workbook_of_equal_rows_is_read(tmp_path):
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for _ in range(2000):
        sheet.append(["the same"] * 20)
    book.save(tmp_path / "same.xlsx")
    with open_table(tmp_path / "same.xlsx") as table:
        assert len(list(table)) == 1999
