"""Leads a port of the machine into a test bed, which has a network of its own.

  forward.py listen PORT COMMAND ARGS…   listens on 127.0.0.1:PORT and becomes COMMAND, which inherits the socket
  forward.py connect PORT                in the bed: joins what arrives at that socket to the bed's own 127.0.0.1:PORT
"""

import asyncio
import os
import socket
import sys

VARIABLE = "MALIKNODE_BED_SOCKET"


def listen(port, command):
    """Opens the socket outside of the bed; a socket stays in the network in which it was made."""
    try:
        listener = socket.create_server(("127.0.0.1", port), backlog=128)
    except OSError as e:
        sys.exit(f"Port {port} of this machine is not free: {e.strerror}. Choose another with --port.")
    listener.set_inheritable(True)
    os.environ[VARIABLE] = str(listener.fileno())
    os.execvp(command[0], command)


async def copy(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def connect(port):
    async def join(reader, writer):
        try:
            other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, other_writer), copy(other_reader, writer))

    listener = socket.socket(fileno=int(os.environ[VARIABLE]))
    listener.setblocking(False)
    async with await asyncio.start_server(join, sock=listener) as server:
        await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        listen(int(sys.argv[2]), sys.argv[3:])
    else:
        asyncio.run(connect(int(sys.argv[2])))
