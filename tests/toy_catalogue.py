"""A small catalogue in EFSA's format, with foods of our own."""

import zipfile
from xml.sax.saxutils import escape

# code: name, type, detail level, hierarchies (parent, reportable), implicit facets
TERMS = {
    "GRAIN": ("Grains", "r", "H", {"report": ("root", False), "expo": ("root", True)}, []),
    "OATS0": (
        "Oats",
        "r",
        "C",
        {"report": ("GRAIN", True), "racsource": ("root", True)},
        ["F27.OATS0"],
    ),
    "WHEAT": (
        "Wheat",
        "r",
        "C",
        {"report": ("GRAIN", True), "racsource": ("root", True)},
        ["F27.WHEAT"],
    ),
    "REDWH": (
        "Red wheat",
        "r",
        "E",
        {"report": ("WHEAT", True), "racsource": ("WHEAT", True)},
        ["F27.REDWH"],
    ),
    "FLOUR": (
        "Wheat flour",
        "d",
        "C",
        {"report": ("GRAIN", True), "ingred": ("root", True)},
        ["F27.WHEAT", "F28.MILL1"],
    ),
    "DRIED": ("Drink powder", "d", "C", {"report": ("GRAIN", True)}, []),
    "STEW0": ("Stew", "c", "C", {"report": ("root", True)}, []),
    "OTHER": ("Other grains", "r", "P", {"report": ("GRAIN", True)}, []),
    "SECRT": ("Held back", "r", "C", {"report": ("root", False)}, []),
    "UNDER": ("Below what is held back", "r", "C", {"report": ("SECRT", True)}, []),
    "GONE0": ("Gone", "r", "C", {"report": ("root", False)}, []),
    "EMPTY": ("Dismissed", "r", "C", {"report": ("root", False)}, []),
    "LONE0": ("Hierarchy term elsewhere", "r", "H", {"report": ("root", True)}, []),
    "MILL0": ("Milled", "f", "C", {"process": ("root", True)}, []),
    "MILL1": ("Finely milled", "f", "C", {"process": ("MILL0", True)}, []),
    "MILL2": ("Coarsely milled", "f", "C", {"process": ("MILL0", True)}, []),
    "BAKED": ("Baked", "f", "C", {"process": ("root", True)}, []),
    "OLDPR": ("An old process", "f", "C", {"process": ("root", True)}, []),
    "HIDDN": ("A heading", "f", "C", {"process": ("root", False)}, []),
    "A07MR": ("Diluted", "f", "C", {"process": ("root", True)}, []),
    "A0C0R": ("Somehow processed", "f", "C", {"process": ("root", True)}, []),
    "A07Y4": ("A powder", "f", "C", {"state": ("root", True)}, []),
    "LIQUD": ("A liquid", "f", "C", {"state": ("root", True)}, []),
    "PLANT": ("A plant", "f", "C", {"source": ("root", True)}, []),
    "SALT0": ("Salt", "f", "C", {"ingred": ("root", True)}, []),
}
DEPRECATED = {"GONE0", "OLDPR"}
CATEGORIES = {
    "F01": ("source", "Source", True),
    "F03": ("state", "Physical state", True),
    "F04": ("ingred", "Ingredient", False),
    "F27": ("racsource", "Source commodities", False),
    "F28": ("process", "Process", False),
}
BASE = {"report", "expo"}
PROCESSES = """\
ROOT_GROUP_CODE;ROOT_GROUP_LABEL;FORBIDDEN_PROCS;FORBIDDEN_PROCS_LABELS;ORDINAL_CODE
GRAIN;Grains;MILL1;Finely milled;1.1
GRAIN;Grains;MILL2;Coarsely milled;1.2
GRAIN;Grains;BAKED;Baked;2
"""


def xml(terms=TERMS, extra=""):
    """The catalogue as XML."""
    hierarchies = "".join(
        f"<hierarchy><hierarchyDesc><code>{code}</code><label>{code}</label>"
        f"<hierarchyApplicability>{'base' if code in BASE else 'attribute'}"
        "</hierarchyApplicability></hierarchyDesc></hierarchy>"
        for code in sorted({*BASE, *(hierarchy for hierarchy, _, _ in CATEGORIES.values())})
    )
    attributes = "".join(
        f"<attribute><attributeDesc><code>{code}</code><name>{hierarchy}</name>"
        f"<label>{label}</label><attributeType>catalogue</attributeType>"
        f"<attributeCatalogueCode>TOY.{hierarchy}</attributeCatalogueCode>"
        f"<attributeSingleOrRepeatable>{'single' if single else 'repeatable'}"
        "</attributeSingleOrRepeatable></attributeDesc></attribute>"
        for code, (hierarchy, label, single) in CATEGORIES.items()
    )
    attributes += (
        "<attribute><attributeDesc><code>A01</code><label>Scientific names</label>"
        "<attributeType>xs:string</attributeType></attributeDesc></attribute>"
    )
    return (
        f"<message>{extra}<catalogue><catalogueDesc><code>TOY</code><label>Toy</label><scopeNote>"
        "[defaultHierarchy=report]</scopeNote></catalogueDesc><catalogueVersion><version>1.0"
        "</version></catalogueVersion><catalogueHierarchies>"
        f"{hierarchies}</catalogueHierarchies><catalogueAttributes>{attributes}"
        f"</catalogueAttributes><catalogueTerms>"
        f"{''.join(term(code, *about) for code, about in terms.items())}"
        "</catalogueTerms></catalogue></message>"
    )


def term(code, name, kind, detail, places, facets):
    """One term as XML."""
    placed = "".join(
        f"<hierarchyAssignment><hierarchyCode>{hierarchy}</hierarchyCode>"
        f"<parentCode>{parent}</parentCode><order>1</order>"
        f"<reportable>{str(reportable).lower()}</reportable></hierarchyAssignment>"
        for hierarchy, (parent, reportable) in places.items()
    )
    every = f"{code}#{'$'.join(facets)}" if facets else code
    values = {
        "termType": [kind],
        "detailLevel": [detail],
        "implicitFacets": facets,
        "allFacets": [every],
        "A01": ["Toyus exemplaris"],
    }
    implicit = "".join(
        f"<implicitAttribute><attributeCode>{attribute}</attributeCode><attributeValues>"
        + "".join(f"<attributeValue>{value}</attributeValue>" for value in found)
        + "</attributeValues></implicitAttribute>"
        for attribute, found in values.items()
        if found
    )
    status = "DEPRECATED" if code in DEPRECATED else "APPROVED"
    return (
        f"<term><termDesc><termCode>{code}</termCode><termExtendedName>{escape(name)}"
        f"</termExtendedName></termDesc><termVersion><status>{status}</status></termVersion>"
        f"<hierarchyAssignments>{placed}</hierarchyAssignments>"
        f"<implicitAttributes>{implicit}</implicitAttributes></term>"
    )


def packed(path, text):
    """A catalogue file with this XML."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("TOY.xml", text)
    return path
