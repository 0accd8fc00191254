"""No network for this Python: anything but this machine is refused, at once.

The root conftest.py runs this file in the process of the tests and puts its folder
first on PYTHONPATH, so that every Python which the tests start, kernels and servers
too, imports it by its name before anything else. A test or a cell that needs a
network then fails in words instead of waiting for one.
"""

import errno
import ipaddress
import socket


def is_here(address):
    """Whether `address`, as `socket.connect` takes it, is on this machine."""
    if not isinstance(address, tuple):  # a Unix socket's path
        return True
    host = address[0].decode() if isinstance(address[0], bytes) else address[0]
    if host in (None, "", "localhost"):
        return True
    try:
        where = ipaddress.ip_address(host)
    except ValueError:  # a name
        return host == socket.gethostname()
    return where.is_loopback or where.is_unspecified


def guarded(method):
    """`method` of a socket, which takes an address last, for this machine alone."""

    def call(self, *args):
        if not is_here(args[-1]):
            words = f"the tests run without a network, {args[-1]!r} was refused"
            raise OSError(errno.ENETUNREACH, words)
        return method(self, *args)

    return call


def guarded_lookup(look_up):
    def call(host, *args, **options):
        if not is_here((host,)):
            words = f"the tests run without a network, {host!r} was not looked up"
            raise socket.gaierror(socket.EAI_NONAME, words)
        return look_up(host, *args, **options)

    return call


if not hasattr(socket, "without_network"):
    socket.without_network = True
    for _name in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, _name, guarded(getattr(socket.socket, _name)))
    for _name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        setattr(socket, _name, guarded_lookup(getattr(socket, _name)))
