"""Changes of files that keep most of their structure: bytes, lines, tokens, JSON, zips, tensors."""

from __future__ import annotations

import io
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

MOST = 200_000  # bytes of a changed file
TOKENS = re.compile(rb'\w+|[^\w\s]|\s+|"[^"\n]*"')
ODD: tuple[bytes, ...] = (
    *(b"", b"0", b"-1", b"1.0", b"1e400", b"NaN", b"inf", b"null", b"true", b"None", b"~"),
    *(b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc3\x28", b"\xed\xa0\x80", b"\x85"),
    *(b'"', b"'", b'""', b",", b";", b"\t", b"|", b">", b" > ", b"/", b"\\", b"#", b"$", b"%s"),
    *(
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"{",
        b"}",
        b"[",
        b"]",
        b"[[",
        b"{}",
        b"[]",
        b"&",
        b"<",
        b"*a",
    ),
    *(b"<!--", b"<![CDATA[", b"<!DOCTYPE a [", b"&#0;", b"&lol;", b"@prefix", b"<<:", b"!!python/"),
    *(b"{{", b"{%", b"{{ ''.__class__ }}", b"---\n", b"../", b"/etc/passwd", b"http://[", b"file:"),
    *(b"99999999999999999999", b"2147483648", b"A" * 5000, b"\xf0\x9f\xa7\x80", b"\xe2\x80\xae"),
    *(b"\xe2\x80\xa8", b"\xc2\xa0", b"\xe2\x80\x8b", b"code", b"name", b"parent", b"id", b"label"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, float("nan"), float("inf"), -(2**70), 10**400, ""),
    *("x", "\0", "A" * 3000, "1.0", "../..", [], {}, [[]], [None], {"": None}, {"a": {"b": []}}),
    *([1, "a", None], "2020-01-01", "\ud800", 1e-320),
)
DEEP: tuple[tuple[bytes, bytes], ...] = (
    *(
        (b"[", b"]"),
        (b'{"a":', b"}"),
        (b"- ", b""),
        (b"<a>", b"</a>"),
        (b"a > ", b""),
        (b"(", b")"),
    ),
    *((b"{a: ", b"}"), (b'"', b'"'), (b"a/", b""), (b"#F01.", b"")),
)
BROKEN = (
    *(zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError, EOFError, IndexError),
)

Change = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


def mutate(data: bytes, change: int, others: Sequence[bytes]) -> bytes:
    """One change of a file, chosen by an integer; `others` are files to take pieces of."""
    chance = random.Random(change)
    structured = _structured(data)
    some = structured if structured and chance.random() < 0.6 else PLAIN
    return chance.choice(some)(data, chance, others)[:MOST]


def _structured(data: bytes) -> tuple[Change, ...]:
    """Changes that know the format."""
    if data[:4] == b"PK\x03\x04":
        return (in_zip,)
    if data[:1] in b"[{" and data:
        return (in_json, in_json_lines)
    if len(data) > 9 and data[8:9] == b"{" and struct.unpack("<Q", data[:8])[0] < len(data):
        return (in_tensors,)
    if data[:3] == b"---":
        return (in_head,)
    return ()


def cut(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """The beginning, the end, or all but a piece."""
    a, b = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    return chance.choice((data[:a], data[a:], data[:a] + data[b:]))


def flip(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Some bytes become others."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8)) if data else 0):
        changed[chance.randrange(len(data))] = chance.choice(
            (0, 10, 34, 255, chance.randrange(256))
        )
    return bytes(changed)


def tokens(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """A word or sign becomes another of the file, or an odd one; or goes, or comes twice."""
    found = TOKENS.findall(data) or [b""]
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(found))
        other = chance.choice((chance.choice(ODD), chance.choice(found), b""))
        found[at] = chance.choice((other, found[at] + other, other + found[at], found[at] * 2))
    return b"".join(found)


def lines(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Lines go, come twice, change places, are indented, cut, or come many times."""
    found = data.splitlines(keepends=True) or [b""]
    a, b = (chance.randrange(len(found)) for _ in range(2))
    kind = chance.randrange(7)
    if kind == 0:
        del found[a]
    elif kind == 1:
        found.insert(b, found[a])
    elif kind == 2:
        found[a], found[b] = found[b], found[a]
    elif kind == 3:
        found[a] = chance.choice((b" ", b"\t", b"    ", b"- ", b"# ")) + found[a]
    elif kind == 4:
        found[a] = found[a][: chance.randrange(len(found[a]) + 1)]
    elif kind == 5:
        found[a : a + 1] = [found[a]] * chance.choice((3, 100, 500))
    else:
        found.insert(a, chance.choice(ODD) + b"\n")
    return b"".join(found)


def splice(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """The beginning of one file, and the end of another."""
    other = chance.choice(others)
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def deepen(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Brackets, elements or paths within one another, many times."""
    opening, closing = chance.choice(DEEP)
    times, at = chance.choice((30, 200, 3000, 20_000)), chance.randrange(len(data) + 1)
    inner = data[at : at + chance.randrange(50)]
    end = closing * chance.choice((times, times, 0))
    return data[:at] + opening * times + inner + end + data[at + len(inner) :]


def recode(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Another encoding, other ends of lines, another delimiter, a mark before it."""
    kind = chance.randrange(6)
    if kind == 0:
        encoding = chance.choice(("utf-16", "utf-16-be", "utf-32", "cp1250", "utf-8-sig", "utf-7"))
        return data.decode("utf-8", "replace").encode(encoding, "replace")
    if kind == 1:
        return data.replace(b"\n", chance.choice((b"\r\n", b"\r", b"\n\n", b"\x0b", b"\0")))
    if kind == 2:
        return data.replace(b",", chance.choice((b";", b"\t", b"|", b"", b",,")))
    if kind == 3:
        return (
            chance.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\n\n", b"\0", b"#", b"sep=;\n")) + data
        )
    if kind == 4:
        return data.replace(b'"', chance.choice((b"'", b"", b'""')))
    return data.swapcase()


PLAIN: tuple[Change, ...] = (cut, flip, tokens, tokens, lines, lines, splice, deepen, recode)


def in_json(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """A value of a JSON document goes, becomes another, or gets another key."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return tokens(data, chance, others)
    return json.dumps(_changed(value, chance)).encode("utf-8", "surrogatepass")


def in_json_lines(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """One line's document changes."""
    found = data.split(b"\n")
    at = chance.randrange(len(found))
    found[at] = in_json(found[at], chance, others)
    return b"\n".join(found)


def _changed(value: Any, chance: random.Random) -> Any:
    """A JSON value with a change in one place."""
    if not isinstance(value, dict | list) or not value or chance.random() < 0.1:
        return chance.choice((chance.choice(VALUES), [value], {"x": value}, str(value)))
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key, other = chance.choice(keys), chance.choice(keys)
    kind = chance.randrange(8)
    if kind == 0:
        del value[key]
    elif kind == 1:
        value[key], value[other] = value[other], value[key]
    elif kind == 2 and isinstance(value, dict):
        value[chance.choice((str(other), "", "id", "children", "x" * 300))] = value.pop(key)
    elif kind == 3 and isinstance(value, list):
        value[:] = value * 2
    else:
        value[key] = _changed(value[key], chance)
    return value


def in_head(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """The head of a prompt changes as YAML, the body stays; or the other way round."""
    head, mark, body = data[4:].partition(b"---\n")
    if chance.random() < 0.5:
        return b"---\n" + chance.choice((tokens, lines, deepen))(head, chance, others) + mark + body
    return b"---\n" + head + mark + chance.choice((tokens, lines, deepen))(body, chance, others)


def in_zip(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """A member of a zip (a workbook, a catalogue) changes, goes, or comes twice."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
    except BROKEN:
        return flip(data, chance, others)
    if not members:
        return flip(data, chance, others)
    at = chance.randrange(len(members))
    name, content = members[at]
    kind = chance.randrange(8)
    if kind == 0:
        del members[at]
    elif kind == 1:
        members[at] = (chance.choice(("../x.xml", "x", name.upper(), "\0", name + "/")), content)
    else:
        change = chance.choice((tokens, tokens, lines, cut, flip, deepen))
        members[at] = (name, change(content, chance, [other for _, other in members]))
    made = io.BytesIO()
    try:
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)
    except (ValueError, IndexError):  # of a name that no zip can have
        return data
    return made.getvalue()


def in_tensors(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """The head of a safetensors file changes, or its numbers."""
    size = struct.unpack("<Q", data[:8])[0]
    head, body = data[8 : 8 + size], bytearray(data[8 + size :])
    if chance.random() < 0.5 and len(body) >= 8:
        for _ in range(chance.choice((1, 4, 64))):
            at = chance.randrange(len(body) // 4) * 4
            odd = (float("nan"), float("inf"), -1.0, 1e38, 0.0)
            body[at : at + 4] = chance.choice(
                (struct.pack("<f", chance.choice(odd)), b"\xff\xff\xff\x7f", struct.pack("<i", -1))
            )
    else:
        try:
            about = json.loads(head)
        except (ValueError, RecursionError):
            return flip(data, chance, others)
        own = about.get("__metadata__") if isinstance(about, dict) else None
        meta = own.get("cascade") if isinstance(own, dict) else None
        if isinstance(meta, str) and chance.random() < 0.6:
            own["cascade"] = in_json(meta.encode("utf-8", "replace"), chance, others).decode(
                "utf-8", "replace"
            )
        else:
            about = _changed(about, chance)
        head = json.dumps(about).encode()
    return struct.pack("<Q", len(head)) + head + bytes(body)
