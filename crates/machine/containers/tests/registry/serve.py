"""A registry that has one image twice: at the tag v1 another one than the pinned one. It prints its port and the digest of the
pinned image, and then a line for each request.

    python3 serve.py [lie]    with `lie` it answers for the pinned digest with the other image
"""
import gzip
import hashlib
import io
import json
import sys
import tarfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
BLOBS = {}


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def blob(data, kind):
    BLOBS[digest(data)] = data
    return {"mediaType": kind, "size": len(data), "digest": digest(data)}


def manifest(label):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        text = label.encode()
        entry = tarfile.TarInfo("label")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    layer = archive.getvalue()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {"which": label}},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
    }
    kind = "application/vnd.docker."
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(json.dumps(config).encode(), kind + "container.image.v1+json"),
        "layers": [blob(gzip.compress(layer, mtime=0), kind + "image.rootfs.diff.tar.gzip")],
    }
    return json.dumps(document).encode()


PINNED, MOVED = manifest("pinned"), manifest("moved")
MANIFESTS = {"v1": MOVED, digest(MOVED): MOVED, digest(PINNED): MOVED if sys.argv[1:] == ["lie"] else PINNED}


class Registry(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        print(self.command, self.path, flush=True)
        last = self.path.rsplit("/", 1)[-1]
        if self.path == "/v2/":
            self.answer(b"{}", "application/json")
        elif "/manifests/" in self.path and last in MANIFESTS:
            self.answer(MANIFESTS[last], MANIFEST)
        elif "/blobs/" in self.path and last in BLOBS:
            self.answer(BLOBS[last], "application/octet-stream")
        else:
            self.answer(b"{}", "application/json", 404)

    do_HEAD = do_GET

    def answer(self, body, kind, status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if kind == MANIFEST:
            self.send_header("Docker-Content-Digest", digest(body))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
print(server.server_address[1], digest(PINNED), flush=True)
server.serve_forever()
