"""The file that a taxonomy is read from: its bytes, its text, and a first look at it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from zipfile import ZipFile, is_zipfile

from cascade.errors import TaxonomyError, did_you_mean
from cascade.io.encodings import guess_encoding, marked_encoding
from cascade.io.zips import BROKEN

logger = logging.getLogger(__name__)

NAMING = "--taxonomy-encoding, or --encoding of cascade taxonomy, such as cp1250"
"""How a user names the encoding of a taxonomy."""

_BINARY = (
    (b"\x1f\x8b", "gzip data", "unpack it first (gunzip)"),
    (b"BZh", "bzip2 data", "unpack it first (bunzip2)"),
    (b"\xfd7zXZ\x00", "xz data", "unpack it first (unxz)"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "unpack it first (unzstd)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"PAR1", "a Parquet file", "write it as CSV with columns code,name,parent"),
    (
        b"\xd0\xcf\x11\xe0",
        "an old Excel workbook (.xls), or one with a password",
        "save it as .xlsx without a password, or the sheet as CSV",
    ),
    (b"%PDF", "a PDF", "give the taxonomy as CSV, YAML or lines of 'A > B > C'"),
    (b"SQLite format 3\x00", "an SQLite database", "export the table as CSV"),
    (b"PK\x03\x04", "a zip archive", "unpack it first"),
    (b"PK\x05\x06", "a zip archive", "unpack it first"),
)
_PACKAGES = (
    ("xl/workbook.bin", "a binary Excel workbook (.xlsb)", "save it as .xlsx"),
    ("xl/workbook.xml", "an Excel workbook", "let its content decide how it is read"),
    ("word/document.xml", "a Word document", "copy the table into a sheet, saved as .xlsx or CSV"),
    ("content.xml", "an OpenDocument file (.ods)", "save the sheet as .xlsx or CSV"),
    ("Index/Document.iwa", "a file of Apple's Numbers", "export it as .xlsx or CSV"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_XML_ENCODING = re.compile(rb"\s*<\?xml[^>]*encoding=[\"']([\w.-]+)")
_XML_ROOT = re.compile(r"<\s*([A-Za-z_][\w.-]*(?::[\w.-]+)?)")
_XML_DECLARED = re.compile(r"\A(\s*<\?xml[^>]{0,99}?)\s{1,9}encoding=[\"'][\w.-]+[\"']")
_STANZA = re.compile(r"\[\[?[A-Za-z][^\]\n,]*\]\]?[^,\n]*(?:\n|$)")
_OURS = re.compile(r"(?:#.*\n|(?:name|title|language): .*\n)*nodes:\n *- code: ")
_HEAD = 200
_DEEPEST = 400  # elements of XML in each other


@dataclass(frozen=True)
class TaxonomyFile:
    """A file and its content, which is read when it is asked for.

    Parameters
    ----------
    path
        Where it is.
    encoding
        Of the text, where the caller knows it.
    scheme, sheet
        What the caller asks for, see `cascade.taxonomy.formats.read`.
    part
        What of the file is read, for messages; empty where it is all.
    """

    path: Path
    encoding: str | None = None
    scheme: str | None = None
    sheet: str | None = None
    part: str = ""

    @property
    def label(self) -> str:
        """The file as messages name it: `nace.xlsx, sheet 'Classes'`."""
        return f"{self.path}, {self.part}" if self.part else str(self.path)

    @property
    def is_archive(self) -> bool:
        """Whether this is a zip archive, or is called like a catalogue of EFSA, which is one."""
        try:
            return is_zipfile(self.path) or self.path.suffix.lower() == ".ecf"
        except ValueError:  # a name that no file can have; reading it tells
            return False

    @property
    def is_ours(self) -> bool:
        """Whether this is our own form of nested YAML, as its first lines tell at once."""
        return _OURS.match(self.text) is not None

    @cached_property
    def package(self) -> frozenset[str]:
        """The names of what is in a zip archive, such as a workbook; empty where this is none."""
        try:
            with self.path.open("rb") as file:
                if file.read(2) != b"PK":
                    return frozenset()
                with ZipFile(file) as archive:
                    return frozenset(archive.namelist())
        except BROKEN:
            return frozenset()  # reading it as text tells what is wrong

    @cached_property
    def data(self) -> bytes:
        """The bytes of a text file.

        Raises
        ------
        TaxonomyError
            There is no such file, it is a folder, it cannot be read, it is empty, or it is packed
            or a workbook.
        """
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise self.error(_unreadable(self.path, error)) from error
        except ValueError as error:
            name = repr(str(self.path))
            raise TaxonomyError(f"no usable file name: {error}", file=name) from error
        for start, what, cure in _BINARY:
            if data.startswith(start):
                if start[:2] == b"PK" and not self.package:
                    raise self.error(
                        "this begins like a workbook or another zip archive, but is damaged or cut "
                        "off; copy or download it again"
                    )
                if start[:2] == b"PK":
                    what, cure = self._packed() or (what, cure)
                raise self.error(f"this is {what}, not a text file; {cure}")
        if not data.strip(b" \t\r\n\v\f\x00\xef\xbb\xbf\xfe\xff"):
            raise self.error("the file is empty; expected a taxonomy")
        return data

    def _packed(self) -> tuple[str, str] | None:
        """What a zip archive is, and the cure; None where it is not known."""
        for entry, what, cure in _PACKAGES:
            if entry in self.package:
                return what, cure
        return None

    @cached_property
    def text(self) -> str:
        r"""The whole text, each line ending in `\n`, without a byte order mark.

        Its encoding is that which the caller or its XML names, that of a byte order mark, or a
        guess (see `guess_encoding`); a guess other than UTF-8 is logged as a warning.

        Raises
        ------
        TaxonomyError
            This is no text, or not in that encoding; the line is named.
        """
        declared = _XML_ENCODING.match(self.data)
        named = self.encoding or (declared[1].decode() if declared else None)
        marked = marked_encoding(self.data)
        if not named and not marked and (wide := _wide(self.data)):
            raise self.error(
                f"this seems to be {wide.upper()} without a byte order mark; save the file as "
                f"UTF-8, or name its encoding, {wide}: {NAMING}"
            )
        if not named and not marked:
            self._refuse_control_characters(self.data.decode("latin-1"))
        encoding = named or marked or guess_encoding(self.data, doubtful="cp1252")
        text = self._decode(encoding)
        self._refuse_control_characters(text)
        if encoding not in (named, marked, "utf-8"):
            logger.warning(
                "%s: not UTF-8; read as %s (if names look wrong, save it as UTF-8, or name its "
                "encoding: %s)",
                self.path,
                encoding,
                NAMING,
            )
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return text.removeprefix("\ufeff")

    def _decode(self, encoding: str) -> str:
        try:
            return self.data.decode(encoding)
        except UnicodeDecodeError as error:
            raise self.error(
                f"byte 0x{self.data[error.start]:02x} is not {encoding} ({error.reason}); "
                f"repair that line, save the file as UTF-8, or name its encoding: {NAMING}",
                self.data.count(b"\n", 0, error.start) + 1,
            ) from None
        except (LookupError, ValueError):
            raise self.error(
                f"no text encoding is called {encoding!r}; use for example 'utf-8' or 'cp1252'"
            ) from None

    def _refuse_control_characters(self, text: str) -> None:
        if found := _CONTROL.search(text):
            raise self.error(
                f"not a text file: it has the control character {found[0]!r}; expected text in "
                f"UTF-8, UTF-16 with a byte order mark, or Windows-1252 (name another: {NAMING})",
                text.count("\n", 0, found.start()) + 1,
            )

    def lines(self) -> Iterator[tuple[int, str]]:
        """Each line with its number, without blank lines and `#` comments."""
        return _lines(self.text)

    @cached_property
    def head(self) -> list[tuple[int, str]]:
        """The first 200 of `lines`; never empty."""
        found = list(islice(_lines(self.text[: 1 << 18]), _HEAD))
        if not found and not self.start:
            raise self.error("the file is empty; expected a taxonomy")
        return found or [(1, self.start[:80])]

    @cached_property
    def start(self) -> str:
        """The first 4,096 characters that are not blank."""
        return self.text[: 1 << 16].lstrip()[:4096]

    @property
    def is_xml(self) -> bool:
        """Whether this is markup."""
        is_link = re.match(r"<[a-z]+:[^\s>]*>", self.start)  # `<http://..>`, as in N-Triples
        return self.start.startswith("<") and not is_link and self.root != ""

    @property
    def is_json(self) -> bool:
        """Whether this is JSON, perhaps broken; a line `[Term]` is none."""
        return self.start.startswith(("{", "[")) and not _STANZA.match(self.start)

    @cached_property
    def root(self) -> str:
        """Name of the first element of XML, with its prefix; empty where there is none."""
        found = _XML_ROOT.search(re.sub(r"<!--.*?-->", "", self.start, flags=re.DOTALL))
        return found[1] if found else ""

    def line_of(self, *parts: str) -> int | None:
        """The first line that contains one of the parts, the first part that occurs counting."""
        for part in filter(None, parts):
            if (at := self.text.find(part)) >= 0:
                return self.text.count("\n", 0, at) + 1
        return None

    def parse_xml(
        self,
        start: Callable[[str, dict[str, str], int], None] = lambda *_: None,
        end: Callable[[str], None] = lambda *_: None,
    ) -> None:
        """Call `start` with name, attributes and line of each element, `end` with its name.

        Raises
        ------
        TaxonomyError
            The XML is broken or has a document type declaration. Entities can be declared nowhere
            else, so neither expansion (billion laughs) nor outside files (XXE) remain possible.
        """
        from xml.sax import SAXException, SAXParseException
        from xml.sax.handler import ContentHandler
        from xml.sax.xmlreader import AttributesImpl, Locator

        import defusedxml
        import defusedxml.sax

        too_deep = self.error

        class Handler(ContentHandler):
            _locator: Locator
            depth = 0

            def startElement(self, name: str, attrs: AttributesImpl) -> None:
                line = self._locator.getLineNumber() or 0
                self.depth += 1
                if self.depth > _DEEPEST:
                    raise too_deep(f"more than {_DEEPEST} elements in each other", line)
                start(name, dict(attrs), line)

            def endElement(self, name: str) -> None:
                self.depth -= 1
                end(name)

        try:
            # As text, since expat calls what is not in the declared encoding an invalid token.
            data = _XML_DECLARED.sub(r"\1", self.text, count=1).encode()
            defusedxml.sax.parseString(data, Handler(), forbid_dtd=True)
        except defusedxml.DefusedXmlException:
            raise self.error(
                "the XML has a document type declaration (<!DOCTYPE>), which may define entities "
                "and is refused for safety; write it without one: xmllint --noent --dropdtd",
                self.line_of("<!DOCTYPE", "<!ENTITY"),
            ) from None
        except SAXParseException as error:
            raise self.error(f"broken XML: {error.getMessage()}", error.getLineNumber()) from None
        except (SAXException, LookupError, ValueError) as error:
            raise self.error(f"broken XML: {error}") from None

    def error(
        self, message: str, line: int | None = None, column: str | None = None
    ) -> TaxonomyError:
        """An error in this file."""
        return TaxonomyError(message, file=self.label, line=line, column=column)


def _wide(data: bytes) -> str:
    """The form of UTF-16 that has each second byte of a text empty; empty where that is not so."""
    start = data[:2000]
    for encoding, empty in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if len(empty) > 1 and 10 * empty.count(0) > 9 * len(empty):
            return encoding
    return ""


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line


def _unreadable(path: Path, error: OSError) -> str:
    if path.is_dir():
        files = sorted(p.name for p in path.iterdir() if p.is_file())
        inside = f"it holds {', '.join(files[:5])}" if files else "it holds no file"
        return f"this is a folder; give a taxonomy file ({inside})"
    if isinstance(error, FileNotFoundError):
        folder = path.parent
        if not folder.is_dir():
            return f"no such file, and no folder {str(folder)!r} either"
        return f"no such file{did_you_mean(path.name, sorted(p.name for p in folder.iterdir()))}"
    return f"the file cannot be read: {error.strerror or error}"
