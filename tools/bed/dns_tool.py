"""A minimal DNS client and server for scale.py (RFC 1035). The same client asks through a tunnel and directly.

  dns_tool.py ask SERVER NAME COUNT   sends A queries one after another; prints JSON: the seconds of each, and the answers
  dns_tool.py serve ADDRESS           an upstream that answers every A query with its own address; runs until it is killed
"""

import json
import socket
import sys
import time


def query(number, name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return number.to_bytes(2, "big") + bytes.fromhex("01000001000000000000") + labels + b"\0\0\1\0\1"


def address_in(answer):
    """Returns the first A record's address, or an empty text."""
    if len(answer) < 12 or answer[7] == 0:
        return ""
    # The copy of the question follows the header; then a name, type A, class IN, TTL, length 4.
    at = answer.find(b"\0\1\0\1", answer.index(b"\0", 12) + 5)
    return ".".join(map(str, answer[at + 10:at + 14])) if at > 0 else ""


def ask(server, name, count):
    took, answers = [], {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        s.connect((server, 53))
        for number in range(count):
            text = query(number, name)
            started_at = time.perf_counter()
            try:
                s.send(text)
                answer = s.recv(1500)
                while answer[:2] != text[:2]:  # a late answer to an earlier query
                    answer = s.recv(1500)
            except OSError as e:
                result = type(e).__name__
            else:
                took.append(time.perf_counter() - started_at)
                result = address_in(answer)
            answers[result] = answers.get(result, 0) + 1
    print(json.dumps({"seconds": took, "answers": answers}))


def serve(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((address, 53))
        while True:
            text, sender = s.recvfrom(1500)
            try:
                end = text.index(b"\0", 12) + 5
            except ValueError:
                continue
            found = text[end - 4:end - 2] == b"\0\1"
            reply = text[:2] + b"\x81\x80\0\1" + bytes([0, found]) + b"\0\0\0\0" + text[12:end]
            if found:
                reply += bytes.fromhex("c00c000100010000003c0004") + socket.inet_aton(address)
            s.sendto(reply, sender)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        ask(sys.argv[2], sys.argv[3], int(sys.argv[4]))
