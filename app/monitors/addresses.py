"""Where messages may go: every address of a host is checked, and the checked one is connected to.

A host's name may stand for an address inside the operator's network, where a receiver could make
this server ask what nobody else can reach. It may also stand for another address each time.
"""

import socket
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from app.errors import TruthlineError

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
# Addresses of IPv4 within IPv6: NAT64, 6to4 and Teredo lead to networks that can't be checked.
TRANSLATED = [
    ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
]


class RefusedAddress(TruthlineError):
    """A receiver is where messages may not go."""


def checked_addresses(host: str, port: int, allowed: Sequence[Network]) -> list[str]:
    """The addresses of a host, each of which is public or within an allowed network.

    Raises:
        RefusedAddress: one is neither, or there is none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise RefusedAddress("the host has no address") from None
    addresses = list(dict.fromkeys(str(place[4][0]) for place in found))
    for text in addresses:
        if not _may_be_told(ip_address(text.partition("%")[0]), allowed):
            raise RefusedAddress("the host is on a private network (TRUTHLINE_RECEIVER_NETWORKS)")
    return addresses


def _may_be_told(address: Address, allowed: Sequence[Network]) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if any(address in network for network in allowed):
        return True
    is_translated = any(address in network for network in TRANSLATED)
    return address.is_global and not address.is_multicast and not is_translated
