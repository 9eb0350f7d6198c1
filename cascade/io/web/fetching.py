"""Fetching what an address in the data names: only public hosts, within seconds, in bounds.

Addresses in data were written by anybody, so that one may lead into the network of the machine that
fetches it (server-side request forgery). A name that leads there is refused, unless the user has
named the host; the connection goes to the very address that was checked.
"""

from __future__ import annotations

import ipaddress
import re
import threading
import time
import urllib.parse
from collections.abc import Collection, Sequence

from cascade.errors import InputError
from cascade.io.web.address import WebAddress, plain_host
from cascade.io.web.breaker import Breaker
from cascade.io.web.exchange import Connections, NoReply, Reply

SECONDS = 20.0  # for one address, with all its redirects
REDIRECTS = 5
FAILURES = 4  # of a host in a row, after which it is let be
REST, LONGEST_REST = 60.0, 600.0  # seconds
HOSTS = 10_000  # whose failures are remembered

# Not public, whatever `ipaddress` of this Python says: protocol assignments with the metadata of
# clouds among them, the relays of 6to4, the metadata of Azure, documentation.
_NOT_PUBLIC = [
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "3fff::/20")
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")


def fetch(address: str, most: int, *, seconds: float = SECONDS) -> bytes:
    """The bytes at an address.

    Up to five redirects are followed, by the same rules, and none from https to http. Proxies of
    the environment are not used, since with them it is the proxy that finds the host.

    Parameters
    ----------
    address
        A `WebAddress` brings the hosts that were allowed by name; else there are none.
    most
        Bytes at the most.
    seconds
        For all of it.

    Raises
    ------
    InputError
        The address may not be fetched, its server does not answer, is too slow or has no such
        thing, or it is too large.
    """
    try:
        return _followed(address, most, time.monotonic() + seconds)
    except NoReply as failure:
        raise InputError(f"{_shown(address)} cannot be fetched: {failure.problem}") from None


def refuse_private(host: str, addresses: Sequence[str]) -> None:
    """Raise NoReply where a host has an address that is no public one.

    Every address counts, also one that is written inside another: IPv4 in IPv6 in its several
    forms.
    """
    for address in addresses:
        if why := _why_not_public(address):
            raise NoReply(
                f"the host {host} is at {address}, {why}; allow it by name with --allow-host "
                f"{host} (pictures.hosts in a cascade.yaml)",
                "is not public",
            )


def _followed(address: str, most: int, until: float) -> bytes:
    hosts = address.hosts if isinstance(address, WebAddress) else frozenset[str]()
    others = address.others if isinstance(address, WebAddress) else True
    connections, here = _connections(hosts), str(address)
    for _ in range(REDIRECTS + 1):
        url, place = _checked(here, hosts, others)
        reply = _asked(connections, url, place, most, until)
        if reply.status == 200:
            return reply.body
        if reply.status not in (301, 302, 303, 307, 308):
            raise NoReply(f"its server answered {reply.status}", f"answered {reply.status}")
        there = urllib.parse.urljoin(url, reply.headers.get("location", ""))
        if url.startswith("https:") and not there.lower().startswith("https:"):
            raise NoReply(f"it redirects from https to {there!r:.200}", "redirected")
        here = there
    raise NoReply(f"it redirects more than {REDIRECTS} times", "redirected")


def _asked(connections: Connections, url: str, place: str, most: int, until: float) -> Reply:
    """The reply of a host, unless it has failed again and again."""
    breaker = _breaker(place)
    if not breaker.allows():
        raise NoReply(
            f"{place} is let be for a while after {FAILURES} failures in a row, of which the last "
            f"{breaker.problem}",
            "let be",
        )
    try:
        seconds = max(0.0, until - time.monotonic())
        reply = connections.send(url, {"Accept": "image/*,*/*"}, seconds=seconds, most=most)
    except NoReply as failure:
        if failure.reason in ("timed out", "was not reached", "broke off"):
            breaker.failed(failure.reason)
        else:
            breaker.succeeded()
        raise
    breaker.succeeded()
    return reply


def _checked(address: str, hosts: Collection[str], others: bool) -> tuple[str, str]:
    """The address as it is sent, its host and port; NoReply where it may not be fetched."""
    try:
        parts = urllib.parse.urlsplit(address.strip())
        port = parts.port
        host = plain_host(parts.hostname or "")
    except (ValueError, UnicodeError) as error:
        raise NoReply(f"it is no address ({error})", "is none") from None
    if parts.scheme not in ("http", "https") or not host:
        raise NoReply(
            f"{_shown(address)} is not allowed; expected http:// or https:// and a host", "is none"
        )
    if parts.username is not None or parts.password is not None:
        raise NoReply("it holds a user or a password, which are not sent", "is none")
    if not others and host not in hosts:
        raise NoReply(
            f"{host} is none of the hosts that are allowed by name; add --allow-host {host}, or "
            "--allow-urls for all public hosts",
            "is not allowed",
        )
    name = f"[{host}]" if ":" in host else host
    place = name if port is None else f"{name}:{port}"
    path = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = urllib.parse.quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    return urllib.parse.urlunsplit((parts.scheme, place, path, query, "")), place


def _shown(address: str) -> str:
    """An address for messages, without what stands before its host."""
    head, slashes, rest = address.partition("//")
    place = re.split("[/?#]", rest, maxsplit=1)[0]
    return f"{head}{slashes}{place.rpartition('@')[2]}{rest[len(place) :]}"[:300]


def _why_not_public(address: str) -> str:
    """What keeps an IP address from being a public one; empty if nothing does."""
    found = ipaddress.ip_address(address.partition("%")[0])
    for inner in _inner_addresses(found):
        if why := _why_not_public(str(inner)):
            return why
    kinds = {
        "this machine itself": found.is_loopback or found.is_unspecified,
        "a link-local address (as are those of cloud metadata)": found.is_link_local,
        "a multicast address": found.is_multicast,
        "a reserved address": found.is_reserved and not _inner_addresses(found),
        "an address of a private network": not found.is_global and not _inner_addresses(found),
        "an address that is set apart": any(found in network for network in _NOT_PUBLIC),
    }
    if isinstance(found, ipaddress.IPv6Address) and found.is_site_local:
        return "an address of a private network"
    return next((kind for kind, holds in kinds.items() if holds), "")


def _inner_addresses(
    found: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> list[ipaddress.IPv4Address]:
    """IPv4 addresses inside an IPv6 address: mapped, compatible, NAT64, 6to4, Teredo, ISATAP."""
    if isinstance(found, ipaddress.IPv4Address):
        return []
    inner = [found.ipv4_mapped, found.sixtofour, *(found.teredo or ())]
    isatap = int(found) >> 32 & 0xFFFFFFFF in (0x5EFE, 0x2005EFE)
    if isatap or found in _NAT64 or (found in _COMPATIBLE and int(found) > 0xFFFF):
        inner.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
    return [address for address in inner if address is not None]


_lock = threading.Lock()
_by_hosts: dict[frozenset[str], Connections] = {}
_breakers: dict[str, Breaker] = {}


def _connections(hosts: frozenset[str]) -> Connections:
    """Connections that go to public hosts and to these; kept while the process runs."""

    def check(host: str, port: int, addresses: Sequence[str]) -> None:
        if plain_host(host) not in hosts:
            refuse_private(host, addresses)

    with _lock:
        if hosts not in _by_hosts:
            _by_hosts[hosts] = Connections(check)
        return _by_hosts[hosts]


def _breaker(place: str) -> Breaker:
    with _lock:
        if len(_breakers) >= HOSTS:
            _breakers.clear()
        return _breakers.setdefault(place, Breaker(FAILURES, REST, LONGEST_REST))
