"""The internet of `./dev bench neighbours`: servers in the bed's namespace `wan`. Each runs until it is killed.

  outside.py dns ADDRESS          a resolver: A queries get its own address; a name that begins with "big" gets 60 kB, by TCP
  outside.py echo ADDRESS PORT    returns UDP packets from the address that they were sent to
  outside.py accept ADDRESS PORT  accepts TCP connections and holds as many of the last ones as it may
"""

import collections
import resource
import socket
import sys
import threading

BIG = b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x00\x01\x00\xff" + b"x" * 255  # a TXT record of 256 bytes, TTL 0
BIG_RECORDS = 220  # 59 kB


def reply(text, address, by_tcp):
    """Returns the answer to a query, or nothing if it is not one (RFC 1035)."""
    try:
        end = text.index(b"\0", 12) + 5
    except ValueError:
        return None
    def answer(flags, records, data=b""):
        return text[:2] + flags + b"\0\1" + records.to_bytes(2, "big") + b"\0\0\0\0" + text[12:end] + data

    if text[13:16] == b"big":
        # Truncated by UDP, so that the resolver asks again by TCP.
        return answer(b"\x81\x80", BIG_RECORDS, BIG * BIG_RECORDS) if by_tcp else answer(b"\x83\x80", 0)
    if text[end - 4:end - 2] != b"\0\1":
        return answer(b"\x81\x80", 0)
    return answer(b"\x81\x80", 1, bytes.fromhex("c00c000100010000003c0004") + socket.inet_aton(address))


def answer_connection(connection, address):
    with connection, connection.makefile("rb") as stream:
        connection.settimeout(20)
        try:
            while size := stream.read(2):
                text = reply(stream.read(int.from_bytes(size, "big")), address, True)
                connection.sendall(len(text).to_bytes(2, "big") + text)
        except (OSError, TypeError):
            return  # the other side has gone, or sent what is no query


def answer_connections(address):
    listener = socket.create_server((address, 53), backlog=512)
    while True:
        connection = listener.accept()[0]
        threading.Thread(target=answer_connection, args=(connection, address), daemon=True).start()


def dns(address):
    threading.Thread(target=answer_connections, args=(address,), daemon=True).start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((address, 53))
        while True:
            text, sender = s.recvfrom(1500)
            if text := reply(text, address, False):
                s.sendto(text, sender)


def echo(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO (ip(7)): the answer comes from the address that was asked
        s.bind((address, port))
        while True:
            data, about, _, sender = s.recvmsg(1500, 64)
            try:
                s.sendmsg([data], [(level, kind, bytes(4) + value[4:8] + bytes(4)) for level, kind, value in about], 0, sender)
            except OSError:
                continue  # sent from port 0


def accept(address, port):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    held = collections.deque(maxlen=limit - 100)
    with socket.create_server((address, port), backlog=4096) as listener:
        while True:
            held.append(listener.accept()[0])


if __name__ == "__main__":
    kind, address, *port = sys.argv[1:]
    {"dns": dns, "echo": echo, "accept": accept}[kind](address, *map(int, port))
