"""XML from strangers, read with defusedxml: no document type declarations, entities or network."""

from __future__ import annotations

from collections.abc import Callable
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl, Locator

from cascade.taxonomy.formats.file import TaxonomyFile


def parse(
    file: TaxonomyFile,
    start: Callable[[str, dict[str, str], int], None] = lambda *_: None,
    end: Callable[[str], None] = lambda *_: None,
) -> None:
    """Call `start` with name, attributes and line of each element that opens, `end` with its name.

    Raises
    ------
    TaxonomyError
        The XML is broken or has a document type declaration. Entities can be declared nowhere
        else, so neither expansion (billion laughs) nor outside files (XXE) remain possible.
    """
    import defusedxml
    import defusedxml.sax

    class Handler(ContentHandler):
        _locator: Locator

        def startElement(self, name: str, attrs: AttributesImpl) -> None:
            start(name, dict(attrs), self._locator.getLineNumber() or 0)

        def endElement(self, name: str) -> None:
            end(name)

    try:
        defusedxml.sax.parseString(file.data, Handler(), forbid_dtd=True)
    except defusedxml.DefusedXmlException:
        raise file.error(
            "the XML has a document type declaration (<!DOCTYPE>), which may define entities and "
            "is refused for safety; write it without one: xmllint --noent --dropdtd",
            file.line_of("<!DOCTYPE", "<!ENTITY"),
        ) from None
    except SAXParseException as error:
        raise file.error(f"broken XML: {error.getMessage()}", error.getLineNumber()) from None
    except (SAXException, LookupError, ValueError) as error:
        raise file.error(f"broken XML: {error}") from None
