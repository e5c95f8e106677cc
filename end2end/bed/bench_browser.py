"""The product as a browser sees it, for bench.py: signing up, forms, pages, the events of the progress page."""

import http.client
import json
import time
import urllib.parse
from dataclasses import dataclass

PORT = 8085
BASE = f"localhost:{PORT}"
PASSWORD = "correct horse battery staple"
# The server closes a kept connection on which no head comes for 10 s; a browser opens another then, and so
# does this one, before it could meet the closing.
IDLE = 5


class Browser:
    """A person with a browser: one kept connection, cookies by host."""

    def __init__(self):
        self.cookies = {}
        self.connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        self.answered = time.monotonic()

    def cookie(self, host):
        return "; ".join(f"{k}={v}" for k, v in self.cookies.get(host, {}).items())

    def request(self, method, host, path, form=None):
        headers = {"Host": host, "Accept": "text/html", "Cookie": self.cookie(host)}
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form).encode()
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{host}"}
        if time.monotonic() - self.answered > IDLE:
            self.connection.close()
        self.connection.request(method, path, body, {k: v for k, v in headers.items() if v})
        answer = self.connection.getresponse()
        text = answer.read().decode(errors="replace")
        self.answered = time.monotonic()
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            self.cookies.setdefault(host, {})[name] = value
        return answer.status, answer.headers.get("Location", ""), text

    def get(self, host, path):
        """A page, redirects followed: its host, path and text."""
        for _ in range(6):
            status, location, text = self.request("GET", host, path)
            if status == 200:
                return host, path, text
            if status not in (302, 303, 307):
                break
            host, path = aimed(host, path, location)
        raise RuntimeError(f"{host}{path} answered {status}")


def aimed(host, path, location):
    to = urllib.parse.urlsplit(urllib.parse.urljoin(f"http://{host}{path}", location))
    return to.netloc, to.path + (f"?{to.query}" if to.query else "")


@dataclass
class Tenant:
    """Somebody who has signed up."""

    host: str
    browser: Browser
    slot: int = 0

    def post(self, action, form):
        """Sends a form and wants a redirect: where to, and the seconds until the answer was there."""
        begun = time.perf_counter()
        status, location, text = self.browser.request("POST", self.host, f"/api/{action}", form)
        took = time.perf_counter() - begun
        if status not in (302, 303) or "error" in location:
            raise RuntimeError(f"{action} {form}: {status} {location} {text[:300]}")
        return location, took


def sign_up(name):
    """Signs somebody up and watches the progress page's own events until all parts are there."""
    browser, host = Browser(), f"{name}.{BASE}"
    form = {"name": name, "password": PASSWORD, "plan": "studio"}
    begun = time.perf_counter()
    status, location, text = browser.request("POST", BASE, "/api/sign_up", form)
    if status not in (302, 303) or f"//{host}/" not in location:
        raise RuntimeError(f"sign-up of {name}: {status} {location} {text[:300]}")
    answered = time.perf_counter()
    host, path, _ = browser.get(*aimed(BASE, "/", location))
    if path != "/progress":
        raise RuntimeError(f"sign-up of {name} led to {host}{path}")
    arrived = time.perf_counter()
    events = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    events.request("GET", "/progress/live", headers={"Host": host, "Cookie": browser.cookie(host)})
    for line in events.getresponse():
        if not line.startswith(b"data:"):
            continue
        view = json.loads(line[5:])
        parts = view["status"]
        if all("ready" in part for part in parts.values()):
            break
    else:
        raise RuntimeError(f"the events of {name} ended before all parts were there: {parts}")
    ready = time.perf_counter()
    events.close()
    took = {
        "total": ready - begun,
        "answer": answered - begun,
        "arrive": arrived - answered,
        "watch": ready - arrived,
        **{part: state["ready"]["took_ms"] / 1000 for part, state in parts.items()},
    }
    took["made"] = max(took[part] for part in parts)
    return Tenant(host, browser, view["slot"]), took
