"""A browser for bench.py: signing up, forms, pages, and the events of the progress page."""

import http.client
import json
import time
import urllib.parse
from dataclasses import dataclass

PORT = 8085
BASE = f"localhost:{PORT}"
PASSWORD = "correct horse battery staple"
# The server closes an idle connection after 10 s. A browser then opens another one. This browser does so earlier, so
# that it never sends on a connection that is being closed.
IDLE_LIMIT = 5


class Browser:
    """A client with one keep-alive connection and cookies by host."""

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
        if time.monotonic() - self.answered > IDLE_LIMIT:
            self.connection.close()
        self.connection.request(method, path, body, {k: v for k, v in headers.items() if v})
        response = self.connection.getresponse()
        text = response.read().decode(errors="replace")
        self.answered = time.monotonic()
        for line in response.headers.get_all("Set-Cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            self.cookies.setdefault(host, {})[name] = value
        return response.status, response.headers.get("Location", ""), text

    def get(self, host, path):
        """Returns a page's host, path and text. Follows redirects."""
        for _ in range(6):
            status, location, text = self.request("GET", host, path)
            if status == 200:
                return host, path, text
            if status not in (302, 303, 307):
                break
            host, path = resolve(host, path, location)
        raise RuntimeError(f"{host}{path} answered {status}")


def resolve(host, path, location):
    to = urllib.parse.urlsplit(urllib.parse.urljoin(f"http://{host}{path}", location))
    return to.netloc, to.path + (f"?{to.query}" if to.query else "")


@dataclass
class Tenant:
    """A tenant that has signed up."""

    host: str
    browser: Browser
    slot: int = 0

    def post(self, action, form):
        """Sends a form and expects a redirect. Returns its target and the seconds until the response arrived."""
        started_at = time.perf_counter()
        status, location, text = self.browser.request("POST", self.host, f"/do/{action}", form)
        took = time.perf_counter() - started_at
        if status not in (302, 303) or "error" in location:
            raise RuntimeError(f"{action} {form}: {status} {location} {text[:300]}")
        return location, took


def sign_up(name, plan="studio"):
    """Signs a tenant up and reads the progress page's events until all parts are ready."""
    browser, host = Browser(), f"{name}.{BASE}"
    form = {"name": name, "password": PASSWORD, "plan": plan}
    started_at = time.perf_counter()
    status, location, text = browser.request("POST", BASE, "/do/sign_up", form)
    if status not in (302, 303) or f"//{host}/" not in location:
        raise RuntimeError(f"sign-up of {name}: {status} {location} {text[:300]}")
    answered = time.perf_counter()
    host, path, _ = browser.get(*resolve(BASE, "/", location))
    if path != "/progress":
        raise RuntimeError(f"sign-up of {name} led to {host}{path}")
    redirected = time.perf_counter()
    events = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    events.request("GET", "/live/progress", headers={"Host": host, "Cookie": browser.cookie(host)})
    for line in events.getresponse():
        if not line.startswith(b"data:"):
            continue
        view = json.loads(line[5:])
        parts = view["status"]
        if all("ready" in part for part in parts.values()):
            break
    else:
        raise RuntimeError(f"the events of {name} ended before all parts were ready: {parts}")
    ready = time.perf_counter()
    events.close()
    took = {
        "total": ready - started_at,
        "answer": answered - started_at,
        "redirect": redirected - answered,
        "wait": ready - redirected,
        **{part: state["ready"]["took_ms"] / 1000 for part, state in parts.items()},
    }
    took["made"] = max(took[part] for part in parts)
    return Tenant(host, browser, view["slot"]), took
