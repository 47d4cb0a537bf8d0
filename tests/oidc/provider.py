"""npm's oidc-provider as the identity provider of the tests, on a free loopback port, and a browser of few lines that logs in by it."""

import fcntl
import filecmp
import html
import http.cookiejar
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "outside"))
from harness import HILUM, free_port, wait_for_port

SECRET = "a secret: 100% + / of the tests"  # that has to be coded as a form


def packages():
    """The folder with what package-lock.json pins; installed once, by names and digests."""
    folder = os.path.join(os.path.dirname(os.path.abspath(HILUM)), "oidc-provider")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted, kept = (os.path.join(place, "package-lock.json") for place in (HERE, folder))
        if not os.path.exists(os.path.join(folder, "whole")) or not filecmp.cmp(wanted, kept, shallow=False):
            for name in ("package.json", "package-lock.json"):
                shutil.copy(os.path.join(HERE, name), folder)
            subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            open(os.path.join(folder, "whole"), "w", encoding="utf-8").close()
    return folder


class Provider:
    """Starts and ends; `people` are written before each start and by set()."""

    def __init__(self, redirect_uri, public=False, **options):
        self.folder, self.port, self.process = tempfile.mkdtemp(prefix="hilum-oidc-"), free_port(), None
        self.people = {}
        client = {"client_id": "hilum", "redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none" if public else "client_secret_basic"}
        if not public:
            client["client_secret"] = SECRET
        self.options = {"port": self.port, "client": client, "people": os.path.join(self.folder, "people.json"), **options}

    @property
    def issuer(self):
        return f"{'https' if 'tls' in self.options else 'http'}://127.0.0.1:{self.port}"

    def entry(self, roles="readers=radiologist, it=administrator", **more):
        """What PUT /api/provider takes."""
        return {"issuer": self.issuer, "name": "Testing", "client_id": "hilum", "client_secret": SECRET, "roles": roles, **more}

    def set(self, login, **claims):
        self.people[login] = claims
        with open(self.options["people"], "w", encoding="utf-8") as file:
            json.dump(self.people, file)

    def start(self, **options):
        self.options.update(options)
        path = os.path.join(self.folder, "options.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.options, file)
        for patience in range(5, -1, -1):  # the port is written into configurations before it is listened at: a connection of others may have it for a moment
            with open(os.path.join(self.folder, "log.txt"), "ab") as log:
                self.process = subprocess.Popen(["node", os.path.join(HERE, "server.mjs"), path], cwd=packages(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            try:
                wait_for_port(self.port, process=self.process)
                return self
            except RuntimeError:
                if not patience:
                    with open(os.path.join(self.folder, "log.txt"), encoding="utf-8") as log:
                        sys.stderr.write(log.read()[-2000:])
                    raise
                time.sleep(0.5)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.text = status, headers, body.decode("utf-8", "replace")
        self.location = headers.get("Location")

    def json(self):
        return json.loads(self.text)


class Surfer:
    """Keeps cookies, follows no redirect by itself."""

    def __init__(self):
        self.cookies = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(secure_protocols=("http", "https")))  # loopback is as good as TLS, as browsers have it

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *ignored):
                return None

        self.opener = urllib.request.build_opener(Stay, urllib.request.HTTPCookieProcessor(self.cookies), urllib.request.ProxyHandler({}))

    def get(self, url, form=None, headers=None):
        request = urllib.request.Request(url, urllib.parse.urlencode(form).encode() if form else None, headers or {})
        try:
            with self.opener.open(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def to_callback(self, url, login, password="anything"):
        """From our button to the address that the provider sends the browser back to, which is not followed yet."""
        answer = self.get(url)
        for _ in range(8):
            if answer.location:
                url = urllib.parse.urljoin(url, answer.location)
                if "/api/session/provider/callback" in url:
                    return url
                answer = self.get(url)
            elif 'name="password"' in answer.text:
                url = urllib.parse.urljoin(url, html.unescape(re.search(r'action="([^"]*)"', answer.text)[1]))
                answer = self.get(url, {"login": login, "username": login, "password": password})
            else:
                raise AssertionError(f"{url} answered {answer.status}: {answer.text[:500]}")
        raise AssertionError("the provider sends the browser in circles")
