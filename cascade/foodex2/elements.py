"""Large XML from strangers, an element at a time: no document types, entities or network."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import IO
from xml.parsers import expat

BLOCK = 1 << 20  # bytes that are read at a time


class Refused(ValueError):
    """The XML has a document type declaration, which may define entities."""


class Element:
    """An element with its text and what is in it; attributes are not kept."""

    __slots__ = ("children", "tag", "text")

    def __init__(self, tag: str) -> None:
        self.tag, self.text, self.children = tag, "", list[Element]()

    def of(self, tag: str) -> Iterator[Element]:
        """The elements of a name that stand in this one."""
        return (child for child in self.children if child.tag == tag)

    def within(self, *tags: str) -> Iterator[Element]:
        """The elements at the end of a path of names."""
        if not tags:
            yield self
            return
        for child in self.of(tags[0]):
            yield from child.within(*tags[1:])

    def said(self, *tags: str) -> str:
        """The text of the first element at the end of a path of names; empty if there is none."""
        found = next(self.within(*tags), None)
        return found.text.strip() if found is not None else ""


def elements(stream: IO[bytes], wanted: Collection[str]) -> Iterator[Element]:
    """The elements of some names, whole, in the order in which they end.

    What stands outside of them is forgotten, so that memory does not grow with the file. Elements
    that are wanted do not stand in one another.

    Raises
    ------
    Refused
        There is a document type declaration: entities can be declared nowhere else.
    xml.parsers.expat.ExpatError
        The XML is broken.
    """
    ready: list[Element] = []
    open_: list[Element] = []  # from the wanted one down

    def start(tag: str, _: object) -> None:
        if open_:
            element = Element(tag)
            open_[-1].children.append(element)
            open_.append(element)
        elif tag in wanted:
            open_.append(Element(tag))

    def end(_: str) -> None:
        if open_:
            element = open_.pop()
            if not open_:
                ready.append(element)

    def text(data: str) -> None:
        if open_:
            open_[-1].text += data

    def refuse(*_: object) -> None:
        raise Refused

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, refuse
    while data := stream.read(BLOCK):
        parser.Parse(data, False)
        yield from ready
        ready.clear()
    parser.Parse(b"", True)
    yield from ready
