import gzip
import io
import logging
import zipfile

import pytest

from cascade.errors import TaxonomyError

UMLAUTS = "code,name,parent\n1,Hüte & Mützen,\n2,Strohhüte,1\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_unicode_with_and_without_marks_and_all_line_ends_are_read(load, encoding, newline):
    text = UMLAUTS.replace("\n", newline)
    if encoding == "utf-16-le":
        text = "\ufeff" + text
    assert load(text.encode(encoding)).names == ("Hüte & Mützen", "Strohhüte")


def test_windows_1252_is_told_apart_and_said(load, caplog):
    with caplog.at_level(logging.WARNING):
        assert load(UMLAUTS.encode("cp1252")).names == ("Hüte & Mützen", "Strohhüte")
    assert "not UTF-8; read as cp1252" in caplog.text


def test_a_byte_that_windows_1252_lacks_is_named_with_its_line(load):
    with pytest.raises(TaxonomyError, match=r"taxonomy\.txt, line 3: byte 0x81 is not cp1252"):
        load(b"A > B\nA > C\nA > H\x81te\n")


def test_one_damaged_line_of_utf_8_is_not_taken_for_windows_1252(load):
    damaged = UMLAUTS.encode() + b"3,H\xfcte,1\n"
    with pytest.raises(TaxonomyError, match=r"line 4: byte 0xfc is not utf-8 .*repair that line"):
        load(damaged)


def test_a_named_encoding_is_used(load):
    assert load("A > Ж\nA > Ш\n".encode("koi8-r"), encoding="koi8-r").names == ("A", "Ж", "Ш")
    with pytest.raises(TaxonomyError, match="line 2: byte 0xff is not utf-8"):
        load(b"A > B\n\xff > C", encoding="utf-8")
    for unknown in ("utf-99", "base64", "a\0b"):
        with pytest.raises(TaxonomyError, match="no text encoding is called"):
            load("A > B", encoding=unknown)


def test_messages_about_an_encoding_say_how_to_name_it(load, caplog):
    load(UMLAUTS.encode("cp1252"))
    assert "or name its encoding: --taxonomy-encoding, or --encoding of cascade tax" in caplog.text
    with pytest.raises(TaxonomyError, match="name its encoding: --taxonomy-encoding"):
        load(b"A > B\nA > C\nA > H\x81te\n")


@pytest.mark.parametrize("encoding", [None, "cp1250"])
def test_xml_in_an_encoding_that_it_does_not_declare_is_read(load, encoding):
    xml = '<schema>\n<segment code="1" text="Bačkory a Štětce"/></schema>'
    declared = '<?xml version="1.0" encoding="utf-8"?>\n' if encoding else ""
    tax = load((declared + xml).encode("cp1250"), encoding=encoding)
    assert tax.names[0] == ("Bačkory a Štětce" if encoding else tax.names[0])


@pytest.mark.parametrize("content", [b"A > B\nA\x00B > C\n", bytes(range(256)) * 9])
def test_binary_data_is_no_text_file(load, content):
    with pytest.raises(TaxonomyError, match="not a text file"):
        load(content)


@pytest.mark.parametrize(
    "content", [b"", b"\n \n", b"\f", b"\xc2\xa0\n", b"\xef\xbb\xbf", b"\xff\xfe"]
)
def test_an_empty_file_says_so(load, content):
    with pytest.raises(TaxonomyError, match="the file is empty"):
        load(content)


def test_only_comments_hold_no_node(load):
    with pytest.raises(TaxonomyError, match="all lines begin with '#', and are comments"):
        load("# nothing\n# here\n")


def packed_zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(b"A > B"), "gzip data, not a text file; unpack"),
        (packed_zip("taxonomy.csv"), "a zip archive, not a text file; unpack"),
        (packed_zip("xl/workbook.xml"), "this workbook cannot be read"),
        (packed_zip("xl/workbook.bin"), r"a binary Excel workbook \(.xlsb\), not a text file"),
        (
            packed_zip("mimetype", "content.xml"),
            r"an OpenDocument file \(.ods\)",
        ),
        (b"\xd0\xcf\x11\xe0", r"an old Excel workbook \(.xls\), or one with a password"),
        (b"PAR1abcPAR1", "a Parquet file"),
        (b"%PDF-1.4", "a PDF"),
    ],
    ids=lambda value: value if isinstance(value, str) else "bytes",  # some hold the time
)
def test_packed_and_binary_files_are_called_by_name(load, content, what):
    with pytest.raises(TaxonomyError, match=what):
        load(content)
