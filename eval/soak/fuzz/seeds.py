"""Whole files that fuzzing begins from, a few for each reader."""

from __future__ import annotations

import csv
import io
import json
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import inputs
from attack import ROOT

Seeds = dict[str, bytes]

TABLE = """code,name,parent,synonyms,description
A,"Clothing, all",,,
A1,Hats,A,caps|"bonnets",On heads
A2,Shoes,A,,
B,Food & drink,,,"two
lines"
B1,Crème,B,,
"""
PATHS = "Clothing > Hats\nClothing > Shoes\n# a comment\nFood > Cheese > Gouda\nFood > Milk\n"
LEVELS = "Level 1;Level 2;Level 3\nClothing;Hats;\nClothing;Shoes;\nFood;Cheese;Gouda\n"
ESCO = """conceptUri,preferredLabel,altLabels,code,status
http://x/C1,Managers,"bosses
chiefs",C1,released
http://x/C11,Chief executives,,C11,released
"""
GOOGLE = """# Google_Product_Taxonomy_Version: 2021-09-21
1 - Animals & Pet Supplies
3237 - Animals & Pet Supplies > Live Animals
2 - Animals & Pet Supplies > Pet Supplies
"""
SHOPIFY = """# Shopify Product Taxonomy - Categories: 2026-01
gid://shopify/TaxonomyCategory/ap : Animals
gid://shopify/TaxonomyCategory/ap-1 : Animals > Live Animals
"""
TURTLE = """@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix : <http://example.org/> .
:scheme a skos:ConceptScheme .
:fruit a skos:Concept ; skos:prefLabel "Fruit"@en, "Obst"@de ; skos:topConceptOf :scheme ;
    skos:narrower :pear .
:apple a skos:Concept ; skos:prefLabel "Apples"@en ; skos:broader :fruit ; skos:notation "A01" .
:pear a skos:Concept ; skos:prefLabel "Pears"@en ; skos:scopeNote "Not apples."@en .
"""
RDF = """<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
         xmlns:skos="http://www.w3.org/2004/02/skos/core#">
<skos:Concept rdf:about="http://example.org/f#fruit"><skos:prefLabel xml:lang="fr">Fruits
</skos:prefLabel></skos:Concept>
<skos:Concept rdf:about="http://example.org/f#apple"><skos:prefLabel>Pommes</skos:prefLabel>
<skos:broader rdf:resource="http://example.org/f#fruit"/></skos:Concept>
</rdf:RDF>
"""
GPC = """<?xml version="1.0" encoding="utf-8"?>
<schema name="GPC" language="en">
<segment code="10000000" text="Pet Care" definition="">
<family code="10100000" text="Pets"><class code="10101500" text="Aquarium">
<brick code="10000648" text="Aids &amp; more" definition="A brick."/></class></family></segment>
<segment code="11000000" text="Other"/>
</schema>
"""
NESTED = """name: shop
language: en
nodes:
- code: A
  name: Clothing
  children:
  - {code: A1, name: Hats, synonyms: [caps], description: On heads}
  - Shoes
- {code: F, name: Food, children: [{code: F1, name: Cheese}, Milk]}
"""
CONFIG = """taxonomy: store
method: cascade
columns: {text: [name, description], label: label}
retrieval: {encoder: minilm, candidates: 10, texts: leaf, temperature: 0.05}
descent: {beam: 3, stop: 0.0, answer: likeliest, ends: [A, B]}
fusion: {weights: {rewrite: 1.0, llm: [0.05, 0.0]}}
llm: {model: smollm2-135m, engine: transformers, prompt: choose-child, max_chars: 200}
routing: {fast: {retrieval: 1.0}, threshold: 0.9}
pictures: {root: photos, urls: false}
"""
JOURNALLED = "id,name\n1,a\n2,b\n"
PREDICTIONS = "id,code,confidence,path\n1,A1,0.9,Clothing > Hats\n2,B1,0.5,\n3,,,\n"
CODES = b"A000J#F01.A0F6E$F02.A06XF$F03.A06JD\nOATS0\nOATS0#F28.MILL1\n A0B9Z # F27.A0B9Z \n"


def workbook(table: str) -> bytes:
    """A workbook with a title above a table, and a cell that is merged downwards."""
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    for row in (["A title"], *csv.reader(io.StringIO(table))):
        sheet.append(row)
    sheet.merge_cells("C4:C5")
    kept = io.BytesIO()
    book.save(kept)
    return kept.getvalue()


def taxonomies() -> dict[str, Seeds]:
    """Seeds by format."""
    tree = [{"code": "A", "name": "Clothing", "children": [{"code": "A1", "name": "Hats"}]}]
    flat = [{"id": 1, "name": "Top"}, {"id": 2, "name": "Below", "parent_id": 1}]
    linked = {
        "@context": {"skos": "http://www.w3.org/2004/02/skos/core#"},
        "@graph": [
            {"@id": "http://x/a", "@type": "skos:Concept", "skos:prefLabel": "A"},
            {
                **{"@id": "http://x/b", "@type": "skos:Concept", "skos:prefLabel": "B"},
                "skos:broader": {"@id": "http://x/a"},
            },
        ],
    }
    gpc = {
        "Schema": [
            {
                **{"Level": 1, "Code": 10000000, "Title": "Pet Care", "Active": True},
                "Childs": [{"Level": 2, "Code": 10100000, "Title": "Pets", "Childs": []}],
            }
        ]
    }
    shopify = {
        "version": "2026-01",
        "verticals": [
            {
                **{"name": "Animals", "prefix": "ap"},
                "categories": [{"id": "gid://shopify/TaxonomyCategory/ap", "name": "Animals"}],
            }
        ],
    }
    return {
        "tables": {
            **{
                "table.csv": TABLE.encode(),
                "levels.csv": LEVELS.encode(),
                "esco.csv": ESCO.encode(),
            },
            "tabs.tsv": TABLE.replace(",", "\t").encode(),
            "sheet.xlsx": workbook(TABLE),
        },
        "lines": {
            **{"paths.txt": PATHS.encode(), "google.txt": GOOGLE.encode()},
            "shopify.txt": SHOPIFY.encode(),
        },
        "structured": {
            **{"nested.yaml": NESTED.encode(), "tree.json": json.dumps(tree).encode()},
            **{"flat.json": json.dumps(flat).encode(), "gpc.json": json.dumps(gpc).encode()},
            "shopify.json": json.dumps(shopify).encode(),
        },
        "skos": {
            **{"skos.ttl": TURTLE.encode(), "skos.rdf": RDF.encode()},
            "skos.jsonld": json.dumps(linked).encode(),
        },
        "gpc": {"gpc.xml": GPC.encode()},
        "efsa": catalogues(),
    }


@cache
def catalogues() -> Seeds:
    """A catalogue of EFSA's form, as it is published and as a workbook."""
    from openpyxl import Workbook

    sys.path.insert(0, str(ROOT / "tests"))
    import toy_catalogue

    with tempfile.TemporaryDirectory() as made:
        ecf = toy_catalogue.packed(Path(made) / "TOY.ecf", toy_catalogue.xml()).read_bytes()
    sheets: dict[str, list[list[Any]]] = {
        "term": [
            ["termCode", "termExtendedName", "termType", "allFacets", "masterParentCode"],
            ["GRAIN", "Grains", "r", "", "root"],
            ["OATS0", "Oats", "r", "OATS0#F27.OATS0", "GRAIN"],
        ],
        "attribute": [["code", "name", "label"], ["F27", "racsource", "Source"]],
        "hierarchy": [["code", "label", "hierarchyApplicability"], ["master", "Master", "both"]],
    }
    book = Workbook()
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    kept = io.BytesIO()
    book.save(kept)
    return {"TOY.ecf": ecf, "toy.xlsx": kept.getvalue()}


@cache
def tables() -> Seeds:
    """The same few rows in all formats, with pictures and odd values in some."""
    rows, found = inputs.rows(30), {}
    with tempfile.TemporaryDirectory() as made:
        for kind in inputs.KINDS:
            found[f"items.{kind}"] = inputs.write(Path(made) / f"x.{kind}", rows).read_bytes()
        odd = Path(made) / "odd.parquet"
        _odd_parquet(odd)
        found["odd.parquet"] = odd.read_bytes()
    nested = '{"name": {"en": "hat", "tags": [1, null]}, "price": 1e3}\n{"name": "b", "new": []}\n'
    found["nested.jsonl"] = nested.encode()
    found["items.tsv"] = found["items.csv"].replace(b",", b"\t")
    return found


def _odd_parquet(path: Path) -> None:
    """A column of each type."""
    import datetime as dt
    from decimal import Decimal

    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "name": pa.array(["hat", None]).dictionary_encode(),
        "bytes": pa.array([b"\xff\0", None]),
        "when": pa.array([dt.datetime(2020, 1, 1), None]),
        "price": pa.array([Decimal("1.50"), None]),
        "nested": pa.array([{"a": [1, None]}, None]),
        "nan": pa.array([float("nan"), None]),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32())),
    }
    pq.write_table(pa.table(columns), path)


def shipped(folder: str, pattern: str) -> Seeds:
    """Files of a folder of this repository."""
    found = sorted((ROOT / folder).glob(pattern))
    return {path.name: path.read_bytes() for path in found}


@cache
def journal() -> Seeds:
    """The journal of a run of two rows that was interrupted, and its part."""
    from cascade.io import open_output, open_table

    with tempfile.TemporaryDirectory() as made:
        source = Path(made) / "in.csv"
        source.write_text(JOURNALLED, "utf-8")
        out = Path(made) / "out.csv"
        with open_table(source) as table:
            rows = list(table)
            with open_output(out, table, {"cascade_code": str}, source=source) as sink:
                sink.write(0, rows, [{"cascade_code": "A"}] * 2)
        parts = Path(made) / "out.csv.parts"
        return {path.name: path.read_bytes() for path in parts.iterdir() if path.name != "lock"}


@cache
def pictures() -> Seeds:
    """Small pictures of some formats."""
    from PIL import Image

    found = {}
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"):
        made = io.BytesIO()
        Image.new("RGB", (12, 9), (200, 30, 40)).save(made, kind)
        found[f"p.{kind.lower()}"] = made.getvalue()
    return found


@cache
def pack() -> Seeds:
    """The files of a small pack of words and characters, made by `cascade fit`."""
    from cascade.config import Columns
    from cascade.io.tables.opening import TableFile
    from cascade.taxonomy import Taxonomy
    from cascade.training.packs.fit import Fit
    from cascade.training.packs.recipe import Recipe

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        source = inputs.write(folder / "rows.csv", inputs.rows(160))
        columns = Columns(text=["name"], label="label")
        tree = Taxonomy.load(inputs.taxonomy(folder / "tax.csv"))
        fit = Fit(TableFile(str(source)), tree, columns, Recipe.load("quick"), folder / "pack")
        fit.prepare()
        fit.run()
        files = [path for path in (folder / "pack").rglob("*") if path.is_file()]
        return {path.relative_to(folder / "pack").as_posix(): path.read_bytes() for path in files}
