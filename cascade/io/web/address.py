"""Addresses that rows name, with the hosts that the user lets be reached."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable
from contextlib import suppress

SCHEMES = ("http://", "https://")


class WebAddress(str):
    """An address that a user lets be fetched, with the hosts that the user has named.

    Parameters
    ----------
    address
        `http://...` or `https://...`
    hosts
        Hosts that may be fetched from wherever they are, in this machine's own network too.
    others
        Whether other, public hosts may be fetched from.
    """

    hosts: frozenset[str]
    others: bool

    def __new__(cls, address: str, hosts: Iterable[str] = (), *, others: bool = True) -> WebAddress:
        """See the class."""
        made = super().__new__(cls, address)
        made.hosts, made.others = frozenset(map(_named, hosts)), others
        return made


def is_address(name: str) -> bool:
    """Whether a name is that of something on the web, and of no file."""
    return name[:8].lower().startswith(SCHEMES)


def _named(host: str) -> str:
    """A host as the user has named it, perhaps with what else stands in an address."""
    with suppress(ValueError):
        host = urllib.parse.urlsplit(host if "//" in host else f"//{host}").hostname or host
        return plain_host(host)
    return host


def plain_host(host: str) -> str:
    """A host in the form that is sent: lower case, letters of all scripts in Punycode."""
    host = host.strip().strip("[]").rstrip(".").lower()
    return host if host.isascii() else host.encode("idna").decode("ascii")
