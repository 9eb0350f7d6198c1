"""XML from strangers: parsed by expat without document type declarations, entities or network."""

from __future__ import annotations

from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler

from cascade.errors import TaxonomyError
from cascade.taxonomy.formats.file import TaxonomyFile


def parse(file: TaxonomyFile, handler: ContentHandler) -> None:
    """Send the elements of a file to a handler.

    Raises
    ------
    TaxonomyError
        The XML is broken or has a document type declaration. Entities can be declared nowhere
        else, so neither expansion (billion laughs) nor outside files (XXE) remain possible.
    """
    import defusedxml
    import defusedxml.sax

    try:
        defusedxml.sax.parseString(file.data, handler, forbid_dtd=True)
    except defusedxml.DefusedXmlException:
        raise TaxonomyError(
            "the XML has a document type declaration (<!DOCTYPE>), which may define entities and "
            "is refused for safety; write it without one: xmllint --noent --dropdtd",
            file=file.path,
            line=file.line_of("<!DOCTYPE", "<!ENTITY"),
        ) from None
    except SAXParseException as error:
        raise TaxonomyError(
            f"broken XML: {error.getMessage()}", file=file.path, line=error.getLineNumber()
        ) from None
    except (SAXException, LookupError, ValueError) as error:
        raise TaxonomyError(f"broken XML: {error}", file=file.path) from None
