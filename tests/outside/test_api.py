#!/usr/bin/python3
"""/api is what docs/openapi.json says: every route is described, every described answer has the form it is said to have."""

import json
import os
import re
import socket
import sqlite3
import sys
import tempfile
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, Hilum, pydicom_files, wait_until
from test_outbox import put_in

with open(os.path.join(ROOT, "docs", "openapi.json"), encoding="utf-8") as f:
    OPENAPI = json.load(f)

TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict, "null": type(None)}


def fits(value, schema, where):
    """Checks the part of JSON Schema that the description uses."""
    if "$ref" in schema:
        return fits(value, OPENAPI["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], where)
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert any(isinstance(value, TYPES[name]) and not (isinstance(value, bool) and name in ("integer", "number")) for name in types), f"{where}: {value!r} is no {types}"
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value!r} is none of {schema['enum']}"
    if isinstance(value, list):
        for i, item in enumerate(value):
            fits(item, schema["items"], f"{where}[{i}]")
    if isinstance(value, dict) and "properties" in schema:
        for name in schema["required"]:
            assert name in value, f"{where} lacks {name}"
        for name, item in value.items():
            assert name in schema["properties"], f"{where} has {name}, which is not described"
            fits(item, schema["properties"][name], f"{where}.{name}")
    return True


class Api(unittest.TestCase):
    # What a GET becomes as a WebSocket ("WS") is described with it.
    def test_every_route_is_described_and_every_description_is_a_route(self):
        with open(os.path.join(ROOT, "src", "service", "routes.c"), encoding="utf-8") as f:
            routes = {(method.lower().replace("ws", "get"), path) for method, path in re.findall(r'\{"([A-Z]+)", "(/(?:api/|healthz|metrics)[^"]*)"', f.read())}
        described = {(method, path) for path, methods in OPENAPI["paths"].items() for method in methods}
        self.assertEqual(routes, described)

    def test_a_folder_that_is_not_there_is_a_warning(self):
        with Hilum(config="models: {folder: /nowhere/modles}\n") as server:
            health = server.get_json("/healthz")
            self.assertEqual(health["status"], "warnings")
            self.assertIn("models.folder: there is no folder /nowhere/modles", health["warnings"])
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
                f.write("models: {folder: /nowhere/modles}\npage: {folder: /nowhere/page}\n")
                f.flush()
                checked = server.command("config", "check", f.name)
                self.assertIn("models.folder: there is no folder /nowhere/modles", checked.stderr)
                self.assertIn("page.folder: there is no folder /nowhere/page", checked.stderr)

    def test_the_query_parameters_that_are_taken_are_those_described(self):
        with open(os.path.join(ROOT, "src", "service", "routes.c"), encoding="utf-8") as f:
            table = f.read()
        taken = {(method.lower().replace("ws", "get"), path): set(names.split()) for method, path, names in re.findall(r'\{"([A-Z]+)",\s*"(/api/[^"]*)",[^{}]*?"([^"]*)"\}', table)}
        whatever = {(method.lower(), path) for method, path in re.findall(r'\{"([A-Z]+)",\s*"(/api/[^"]*)",[^{}"]*NULL\}', table)}
        described = {(method, path): {p["name"] for p in row.get("parameters", []) if p["in"] == "query"} for path, methods in OPENAPI["paths"].items() for method, row in methods.items() if path.startswith("/api/")}
        self.assertEqual(whatever, {("get", "/api/session/provider/callback")})  # what a provider adds is to be passed over (RFC 6749, 4.1.2)
        self.assertEqual(taken, {row: names for row, names in described.items() if row not in whatever})

    def test_answers_have_the_form_described(self):
        path = next(p for p in pydicom_files() if os.path.basename(p) == "CT_small.dcm")
        with Hilum() as server:
            server.storescu(path)
            server.put_json("/api/peers/pacs", {"title": "PACS", "host": "127.0.0.1", "port": 104, "rights": ["target"], "plain": "accepted"})
            server.put_json("/api/hl7-targets/ris", {"host": "127.0.0.1", "port": 2575})
            checked = 0
            for where, methods in OPENAPI["paths"].items():
                answer = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {}).get("application/json")
                if answer and "{" not in where:
                    fits(server.get_json(where), answer["schema"], where)
                    checked += 1
            self.assertGreaterEqual(checked, 9)
            for request in (("/api/rules/x", "PUT", b"{}"), ("/api/peers/x", "PUT", b"[]"), ("/api/nothing", "GET", None), ("/api/findings/none/judge", "POST", b'{"state":"accepted","by":"me"}'), ("/api/peers/none", "DELETE", None),
                            ("/api/findings/none/judge", "POST", b'{"state":"accepted","by":"me","comment":["lost"]}'), ("/api/hl7-targets/x", "PUT", b'{"host":"h\\r\\n","port":1}')):
                status, headers, body = server.request(*request)
                self.assertIn(status, (400, 404), request)
                self.assertEqual(headers["Content-Type"], "application/problem+json", request)
                fits(json.loads(body), OPENAPI["components"]["schemas"]["Problem"], str(request))

    def test_a_list_that_ends_before_its_end_says_how_many_there_are(self):
        total = lambda path: (lambda answer: (int(answer[1]["X-Total-Count"]), len(json.loads(answer[2]))))(self.server.request(path))
        with Hilum() as self.server:
            self.assertEqual((total("/api/jobs"), total("/api/deliveries")), ((0, 0), (0, 0)))
            self.assertEqual(self.server.stop(), 0)
            put_in(self.server, [("hl7", "gone", f"M{number}") for number in range(502)] + [("dicom", "gone", "1.2.3")])
            with sqlite3.connect(os.path.join(self.server.data, "hilum.db")) as database:
                database.executemany("INSERT INTO job (key, kind, study, series, model, input, state, priority, created_ns, retry_ns) VALUES (?, 'model', ?, '', 'm', '', 0, 0, 0, 7258118400000000000)", [(f"k{number}", f"1.2.{number % 2}") for number in range(503)])
                database.execute("UPDATE delivery SET study = '1.2.0' WHERE kind = 'dicom'")
            database.close()
            self.server.start()  # the jobs are due in 2200: none of them ends while they are counted
            self.assertEqual(total("/api/jobs"), (503, 500))
            self.assertEqual(total("/api/jobs?study=1.2.1"), (251, 251))
            self.assertEqual(total("/api/deliveries"), (503, 500))
            self.assertEqual(total("/api/deliveries?state=waiting"), (503, 500))
            self.assertEqual(total("/api/deliveries?state=waiting&study=1.2.0"), (1, 1))
            self.assertEqual(total("/api/deliveries?state=dead"), (0, 0))

    def test_a_rule_takes_effect_at_once_and_is_refused_by_member(self):
        with Hilum() as server:
            names = {rule["name"] for rule in server.get_json("/api/rules")}
            server.put_json("/api/rules/second", {"modality": "CT", "model": "head-ct-hyperdense", "priority": 3})
            self.assertEqual({rule["name"] for rule in server.get_json("/api/rules")}, names | {"second"})
            status, _, body = server.request("/api/rules/third", "PUT", b'{"model":"m","modalty":"CT"}')
            self.assertEqual(status, 400)
            self.assertIn("modalty", json.loads(body)["detail"])
            self.assertEqual(server.request("/api/rules/second", "DELETE")[0], 204)
            self.assertEqual({rule["name"] for rule in server.get_json("/api/rules")}, names)

    def test_names_are_taken_up_to_their_limit_and_refused_past_it_where_they_are_entered(self):
        entries = {"rules": {"model": "m"}, "hl7-targets": {"host": "127.0.0.1", "port": 1}, "peers": {"title": "V", "host": "127.0.0.1", "port": 1, "rights": ["target"]}}
        with Hilum() as server:
            for kind, entry in entries.items():
                self.assertEqual(server.put_json(f"/api/{kind}/{'n' * 64}", entry)["name"], "n" * 64, kind)
                status, _, body = server.request(f"/api/{kind}/{'n' * 65}", "PUT", json.dumps(entry).encode())
                self.assertEqual(status, 400, kind)
                self.assertIn("64", json.loads(body)["detail"], kind)
            self.assertEqual(server.put_json("/api/rules/many", {"model": "m", "hl7_to": [f"t{i}" for i in range(8)]})["name"], "many")
            status, _, body = server.request("/api/rules/many", "PUT", json.dumps({"model": "m", "hl7_to": [f"t{i}" for i in range(9)]}).encode())
            self.assertEqual(status, 400)
            self.assertIn("'hl7_to' has 9 names, at most 8 are served", json.loads(body)["detail"])

    def test_a_change_made_from_an_older_version_is_answered_409(self):
        entries = {"/api/rules/v": ({"model": "m"}, "priority", 1, 2), "/api/hl7-targets/v": ({"host": "127.0.0.1", "port": 1}, "port", 2, 3),
                   "/api/peers/v": ({"title": "V", "host": "127.0.0.1", "port": 1, "rights": ["target"]}, "port", 2, 3)}
        with Hilum() as server:
            for where, (entry, member, one, other) in entries.items():
                first = server.put_json(where, entry)
                fits(first, OPENAPI["paths"][where.replace("/v", "/{name}")]["put"]["responses"]["200"]["content"]["application/json"]["schema"], where)
                second = server.put_json(where, dict(first, **{member: one}))
                self.assertEqual(second["version"], first["version"] + 1, where)
                status, _, body = server.request(where, "PUT", json.dumps(dict(first, **{member: other})).encode())
                self.assertEqual(status, 409, where)
                self.assertIn("read it again", json.loads(body)["detail"])
                del first["version"]
                self.assertEqual(server.put_json(where, dict(first, **{member: other}))[member], other, where)

    def test_event_streams_begin_with_an_id(self):
        path = next(p for p in pydicom_files() if os.path.basename(p) == "CT_small.dcm")
        with Hilum() as server:
            server.storescu(path)
            with urllib.request.urlopen(server.url("/api/events"), timeout=10) as stream:
                lines = []
                while not lines or not lines[-1].startswith(b"id: "):
                    lines.append(stream.readline())
            begun = lines[-1][4:].strip().decode()
            server.put_json("/api/rules/told", {"model": "m"})
            with urllib.request.urlopen(urllib.request.Request(server.url("/api/events"), headers={"Last-Event-ID": begun}), timeout=10) as stream:
                text = b""
                while b"config.changed" not in text:
                    text += stream.readline()
            self.assertNotIn(b"reset", text)

    def first_event(self, server, last_id):
        """What a reader that comes back with this id is told first: (id, event)."""
        with urllib.request.urlopen(urllib.request.Request(server.url("/api/events"), headers={"Last-Event-ID": last_id}), timeout=10) as stream:
            told = {}
            while not ("id" in told and "event" in told):
                name, _, value = stream.readline().decode().strip().partition(": ")
                told[name] = value
        return told["id"], told["event"]

    def test_more_event_streams_than_there_may_be_keep_nobody_from_all_else(self):
        with Hilum() as server:
            streams = [socket.create_connection(("127.0.0.1", server.http)) for _ in range(300)]
            for stream in streams:
                stream.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answers = []
            for stream in streams:
                stream.settimeout(10)
                try:
                    answers.append(stream.recv(4096).decode())
                except ConnectionResetError:  # past the connections that there may be at once
                    answers.append("")
            statuses = [answer.split(" ")[1] if answer else "" for answer in answers]
            self.assertEqual(statuses.count("200"), 64)
            refused = [answer for answer, status in zip(answers, statuses) if status == "503"]
            self.assertGreater(len(refused), 100)
            for answer in refused:
                self.assertRegex(answer, r"\r\nRetry-After: [0-9]+\r\n")
                self.assertRegex(answer, r"\r\nConnection: [Cc]lose\r\n")
            for _ in range(20):
                self.assertEqual(server.get_json("/healthz")["status"], "ok")
            for stream in streams:
                stream.close()

    def test_old_events_are_dropped_and_a_reader_from_before_is_told_to_read_anew(self):
        path = next(p for p in pydicom_files() if os.path.basename(p) == "CT_small.dcm")
        with Hilum() as server:
            server.storescu(path)
            epoch = server.get_json("/api/status")["epoch"]
            self.assertNotEqual(self.first_event(server, f"{epoch}-1")[1], "reset")
            time.sleep(4)  # every cursor is past the object
            self.assertEqual(server.stop(), 0)
            database = sqlite3.connect(os.path.join(server.data, "hilum.db"))
            database.execute("UPDATE event SET time_ns = time_ns - 31 * 86400 * 1000000000")
            database.commit()
            last = database.execute("SELECT max(number) FROM event").fetchone()[0]
            database.close()
            server.start()
            wait_until(lambda: self.first_event(server, f"{epoch}-1")[1] == "reset", 5, "a reset")
            server.put_json("/api/rules/new", {"model": "m"})
            number = int(self.first_event(server, f"{epoch}-1")[0].split("-")[1])
            self.assertEqual(number, last + 1)  # the reset's id is that of now
            self.assertEqual(self.first_event(server, f"{epoch}-{last}"), (f"{epoch}-{last + 1}", "config.changed"))  # this one missed nothing


if __name__ == "__main__":
    unittest.main()
