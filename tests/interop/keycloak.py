#!/usr/bin/python3
"""People log in by Keycloak: groups and realm roles become roles, tokens are signed with each algorithm that is taken, and the check of the provider finds nothing wrong.

Keycloak comes from Maven Central, pinned by version and digest, into the build folder; it runs in a temporary folder on a free loopback port. BUILD names the build folder.
"""

import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
os.environ.setdefault("HILUM", os.path.join(BUILD, "hilum"))
sys.path.insert(0, os.path.join(ROOT, "tests", "outside"))
sys.path.insert(0, os.path.join(ROOT, "tests", "oidc"))
from harness import Hilum, free_port, wait_for_port, wait_until  # noqa: E402
from provider import Surfer  # noqa: E402

ARTIFACT = "org.keycloak:keycloak-quarkus-dist:26.4.7:zip"
DIGEST = "dd9834c023460be856f731423d86228c23b5d002194a2064642bec0cc6573eaa"
SECRET = "of the tests"
CALLBACK = "/api/session/provider/callback"


def fetch():
    """The archive, checked."""
    folder = os.path.join(BUILD, "keycloak")
    path = os.path.join(folder, "keycloak-quarkus-dist-26.4.7.zip")
    if not os.path.exists(path):
        subprocess.run(["mvn", "-B", "-q", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"], check=True, stdout=subprocess.DEVNULL)
    with open(path, "rb") as archive:
        if hashlib.file_digest(archive, "sha256").hexdigest() != DIGEST:
            raise SystemExit(f"keycloak: {path} is another file than the one that was tried")
    return path


def realm(redirect_uri):
    def mapper(kind, **config):
        return {"name": kind, "protocol": "openid-connect", "protocolMapper": kind, "config": {"id.token.claim": "true", **config}}

    def client(algorithm):
        return {
            "clientId": f"hilum-{algorithm}", "secret": SECRET, "redirectUris": [redirect_uri], "standardFlowEnabled": True, "directAccessGrantsEnabled": False,
            "attributes": {"id.token.signed.response.alg": algorithm, "pkce.code.challenge.method": "S256"},
            "protocolMappers": [
                mapper("oidc-group-membership-mapper", **{"claim.name": "groups", "full.path": "false"}),
                mapper("oidc-usermodel-realm-role-mapper", **{"claim.name": "realm_access.roles", "multivalued": "true", "jsonType.label": "String"}),
            ],
        }

    def person(name, groups, roles):
        return {"username": name, "enabled": True, "email": f"{name}@example.org", "emailVerified": True, "firstName": name.title(), "lastName": "Roe", "groups": groups, "realmRoles": roles, "credentials": [{"type": "password", "value": "right"}]}

    keys = [{"name": algorithm, "providerId": kind, "config": {"priority": ["100"], **config}} for algorithm, kind, config in (("PS256", "rsa-generated", {"algorithm": ["PS256"]}), ("ES256", "ecdsa-generated", {"ecdsaEllipticCurveKey": ["P-256"]}))]
    return {
        "realm": "hospital", "enabled": True, "sslRequired": "none", "groups": [{"name": "radiology"}, {"name": "porters"}], "roles": {"realm": [{"name": "pacs-admin"}]},
        "clients": [client(algorithm) for algorithm in ("RS256", "PS256", "ES256")], "users": [person("ada", ["/radiology"], ["pacs-admin"]), person("bob", ["/porters"], [])],
        "components": {"org.keycloak.keys.KeyProvider": [{"name": "RS256", "providerId": "rsa-generated", "config": {"priority": ["100"]}}] + keys},
    }


class Keycloak:
    def __init__(self, redirect_uri):
        self.folder, self.port = tempfile.mkdtemp(prefix="hilum-keycloak-"), free_port()
        with zipfile.ZipFile(fetch()) as archive:
            archive.extractall(self.folder)
        (self.home,) = pathlib.Path(self.folder).glob("keycloak-*")
        imported = self.home / "data" / "import"
        imported.mkdir(parents=True)
        (imported / "hospital.json").write_text(json.dumps(realm(redirect_uri)), encoding="utf-8")
        self.issuer = f"http://127.0.0.1:{self.port}/realms/hospital"

    def __enter__(self):
        environment = dict(os.environ, JAVA_OPTS_APPEND="-Xmx768m")
        command = ["bash", self.home / "bin" / "kc.sh", "start-dev", "--import-realm", f"--http-port={self.port}", "--http-host=127.0.0.1", "--health-enabled=false", "--cache=local"]
        with open(os.path.join(self.folder, "log.txt"), "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)
        wait_for_port(self.port, 300, self.process)
        return self

    def __exit__(self, kind, *_):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(60)
        if kind:
            with open(os.path.join(self.folder, "log.txt"), encoding="utf-8", errors="replace") as log:
                sys.stderr.write(log.read()[-4000:])
        shutil.rmtree(self.folder, ignore_errors=True)


def enter(server, keycloak, **more):
    return command(server, "/api/provider", "PUT", {"issuer": keycloak.issuer, "name": "Keycloak", "client_id": "hilum-RS256", "client_secret": SECRET, "roles": "radiology=radiologist", **more})


def log_in(server, name):
    """The session, or why there is none."""
    surfer = Surfer()
    surfer.get(surfer.to_callback(server.url("/api/session/provider"), name, "right"))
    answer = surfer.get(server.url("/api/session"))
    return answer.json() if answer.status == 200 else surfer.get(server.url("/api/login")).json()["refused"]


def command(server, path, method="GET", body=None):
    token = pathlib.Path(server.data, "token").read_text(encoding="utf-8").strip()
    status, _, text = server.request(path, method, json.dumps(body).encode() if body is not None else None, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    assert status in (200, 201, 204), text
    return json.loads(text) if text else None


def check(what, seen, wanted):
    print(f"keycloak: {what}: {seen}")
    assert seen == wanted, f"{what}: {seen}, and not {wanted}"


def main():
    folder = tempfile.mkdtemp(prefix="hilum-keycloak-data-")
    server = Hilum(data=os.path.join(folder, "data"))
    try:
        with Keycloak(server.url(CALLBACK)) as keycloak:
            server.start()
            enter(server, keycloak)
            command(server, "/api/accounts/boss", "PUT", {"shown": "Boss", "roles": ["administrator"], "password": "correct horse battery"})
            steps = wait_until(lambda: (lambda got: got["state"] == "ok" and got["steps"])(command(server, "/api/connections/provider/login/check", "POST", {})), 120, "the check finds all well")
            check("the check", [step["step"] for step in steps], ["reach", "clock", "description", "keys"])
            ada = log_in(server, "ada")
            check("a person of a group", (ada["name"], ada["shown"], ada["roles"]), ("ada", "Ada Roe", ["radiologist"]))
            bob = log_in(server, "bob")
            check("a person of another group", "porters" in bob, True)
            for algorithm in ("PS256", "ES256"):
                enter(server, keycloak, client_id=f"hilum-{algorithm}", groups_claim="realm_access.roles", roles="pacs-admin=administrator")
                check(f"a realm role, in a token signed with {algorithm}", log_in(server, "ada")["roles"], ["administrator"])
    finally:
        if server.process:
            server.__exit__(None, None, None)
        shutil.rmtree(folder, ignore_errors=True)
    print("keycloak: all as it should be")


if __name__ == "__main__":
    main()
