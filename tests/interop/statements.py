#!/usr/bin/python3
"""Every SQL statement of the program is prepared on SQLite and, through the table in postgresql.py, on PostgreSQL 15.

The statements are the constants of src/store and of *_sql.c, as the preprocessor joins them, and those that the rooms' tests make at run time, from
HILUM_SQL_TRACE (src/store/sql.c). The schema is what `hilum serve` gives a new database, step by step. PostgreSQL runs in a temporary folder with a socket and no
port; started by root it runs as Debian's user `postgres`. BUILD names the build folder.
"""

import ctypes
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import tempfile

from concurrent.futures import ThreadPoolExecutor

import postgresql

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
os.environ.setdefault("HILUM", os.path.join(BUILD, "hilum"))
sys.path.insert(0, os.path.join(ROOT, "tests", "outside"))
import harness  # noqa: E402

ROOMS = ["store", "access", "queue", "archive", "finding", "flow", "reading"]
TESTS_SECONDS = 600
SHOWN = 200  # characters of a statement

# Statements of src/store that a driver has its own for. Pattern, reason.
DRIVER = [
    (r"PRAGMA ", "settings of a connection to SQLite"),
    (r"BEGIN IMMEDIATE", "how a transaction that will write begins"),
    (r'SELECT count\(\*\) FROM "%', "the rows of each table that a copy of the database has, by SQLite's own list of them"),
    (r"SELECT .* FROM (sqlite_schema|pragma_[a-z_]+)\b", "what SQLite knows of its tables and their pages"),
]

# What the two must say alike where a word of the table is a function of ours: expression, values.
ALIKE = [
    ("?1 GLOB ?2", [(text, pattern) for text in ("ABC", "abc", "A[1]", "A.C", "a\\c", "A+(C)^$|{}", "") for pattern in ("A*", "a*", "A?C", "A.C", "*[[]1]", "a\\*", "*+(C)^$|{}", "", "*")]),
    ("CAST(a AS INTEGER) FROM (SELECT ?1 AS a) AS one", [(text,) for text in ("12", "012", "-3", "+4", " 5", "6 ", "7a", "a7", "", "1.9", "-", "20260101123456")]),
]

STATEMENT = re.compile(r"(SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|DROP|REPLACE|PRAGMA|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b")


# ---- the constants

TOKEN = re.compile(rb'^# (\d+) "([^"\n]*)"[^\n]*\n|"((?:[^"\\\n]|\\.)*)"|(\n)|[ \t]+|\'(?:[^\'\\\n]|\\.)*\'|[^\s"\']+', re.M)
ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]+|[0-7]{1,3}|.)")
LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}


def unescape(match):
    what = match.group(1)
    if what.startswith(b"x"):
        return bytes([int(what[1:], 16)])
    return bytes([int(what, 8)]) if what.isdigit() else LETTERS.get(what, what)


def literals(preprocessed):
    """Each string constant with the file and line where its first piece stands."""
    place, line, pieces, start = "", 0, [], None
    for token in TOKEN.finditer(preprocessed):
        marker, path, piece, end = token.groups()
        if marker:
            place, line = path.decode(), int(marker)
        elif end:
            line += 1
        elif piece is not None:
            start = start if pieces else (place, line)
            pieces.append(ESCAPE.sub(unescape, piece))
        elif not token.group().isspace() and pieces:
            yield start, b"".join(pieces).decode("utf-8", "replace")
            pieces = []


def preprocess(entry):
    words = shlex.split(entry["command"])
    if os.path.basename(words[0]) == "ccache":
        words = words[1:]
    at = words.index("-o")
    words = [w for w in words[:at] + words[at + 2:] if w != "-c"] + ["-E"]
    return subprocess.run(words, cwd=entry["directory"], check=True, capture_output=True).stdout


def constants(wanted):
    """{text: "file:line"} of the statements in the source files that are wanted."""
    with open(os.path.join(BUILD, "compile_commands.json")) as f:
        entries = [e for e in json.load(f) if wanted(os.path.relpath(e["file"], ROOT))]
    out = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for preprocessed in pool.map(preprocess, entries):
            for (path, line), text in literals(preprocessed):
                if STATEMENT.match(text):
                    out.setdefault(text, f"{os.path.relpath(path, ROOT)}:{line}")
    return out


def is_program(path):
    return bool(re.match(r"src/store/[^/]*\.c$|src/(?!.*/tests/).*_sql\.c$", path))


def is_test(path):
    return "/tests/" in path or path.startswith("tests/support/")


# ---- the trace

def read_trace(path):
    """(how, text) of what SQLite was given."""
    if not os.path.exists(path):
        sys.exit(f"{BUILD} has no trace of its statements: build it with HILUM_FAULTS")
    with open(path, encoding="utf-8", errors="replace") as f:
        return [tuple(record.split("\x1f")) for record in f.read().split("\x1e")[:-1]]


def trace_of_room(folder, room):
    path = os.path.join(folder, f"trace-{room}")
    done = subprocess.run([os.path.join(BUILD, f"test_{room}")], cwd=ROOT, env=dict(os.environ, HILUM_SQL_TRACE=path), timeout=TESTS_SECONDS, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"test_{room} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return read_trace(path)


def new_database(folder):
    """The path of a new database, and the statements that made its tables, in order."""
    path = os.path.join(folder, "trace-new")
    data = os.path.join(folder, "data")
    with harness.Hilum(data=data, env={"HILUM_SQL_TRACE": path}):
        pass
    steps = [text for how, text in read_trace(path) if not is_driver(text) and (how == "exec" or text.startswith("CREATE"))]
    return os.path.join(data, "hilum.db"), list(dict.fromkeys(steps))


def is_driver(text):
    return any(re.match(pattern, text) for pattern, _ in DRIVER)


# ---- the databases

class Sqlite:
    name = "SQLite"

    def __init__(self, path):
        self.db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    def complaint(self, text):
        try:
            self.db.execute("EXPLAIN " + text, [None] * postgresql.parameters(text))
        except sqlite3.Error as e:
            return str(e)
        return None

    def value(self, expression, values):
        return str(self.db.execute("SELECT " + expression, values).fetchone()[0])


class Postgresql:
    """A server of its own, and one connection through libpq."""

    name = "PostgreSQL"
    BIN = "/usr/lib/postgresql/15/bin"

    def __init__(self, folder):
        if not os.path.exists(self.BIN):
            sys.exit(f"{self.BIN} is not there; tools/setup interop installs it")
        self.folder = folder
        self.user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if self.user:
            subprocess.run(["chown", "postgres:postgres", folder], check=True)
        self.pq = ctypes.CDLL("libpq.so.5")
        for function in ("PQconnectdb", "PQexec", "PQprepare", "PQexecParams"):
            getattr(self.pq, function).restype = ctypes.c_void_p
        for function in ("PQerrorMessage", "PQresultErrorMessage", "PQgetvalue"):
            getattr(self.pq, function).restype = ctypes.c_char_p

    def command(self, *words):
        done = subprocess.run([os.path.join(self.BIN, words[0]), *words[1:]], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, **self.user)
        if done.returncode != 0:
            raise RuntimeError(f"{words[0]} failed: {done.stdout}")

    def __enter__(self):
        data = os.path.join(self.folder, "data")
        self.command("initdb", "-D", data, "-U", "hilum", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        self.command("pg_ctl", "start", "-w", "-s", "-D", data, "-l", os.path.join(self.folder, "log"), "-o",
                     f"-k {self.folder} -c listen_addresses= -c fsync=off")
        self.connection = ctypes.c_void_p(self.pq.PQconnectdb(f"host={self.folder} user=hilum dbname=postgres".encode()))
        if self.pq.PQstatus(self.connection) != 0:
            why = self.pq.PQerrorMessage(self.connection).decode()
            self.__exit__()
            raise RuntimeError(why)
        return self

    def __exit__(self, *_):
        self.pq.PQfinish(self.connection)
        self.command("pg_ctl", "stop", "-s", "-m", "immediate", "-D", os.path.join(self.folder, "data"))

    def result(self, pointer):
        result = ctypes.c_void_p(pointer)
        message = self.pq.PQresultErrorMessage(result).decode().strip()
        self.pq.PQclear(result)
        return message or None

    def run(self, text):
        return self.result(self.pq.PQexec(self.connection, text.encode()))

    def complaint(self, text):
        return self.result(self.pq.PQprepare(self.connection, b"", postgresql.translate(text).encode(), 0, None))

    def value(self, expression, values):
        given = (ctypes.c_char_p * len(values))(*[value.encode() for value in values])
        text = "SELECT " + postgresql.translate(expression)
        result = ctypes.c_void_p(self.pq.PQexecParams(self.connection, text.encode(), len(values), None, given, None, None, 0))
        value = self.pq.PQgetvalue(result, 0, 0) or self.pq.PQresultErrorMessage(result)
        self.pq.PQclear(result)
        return {b"t": "1", b"f": "0"}.get(value, value.decode())


# ---- the judgement

def shape(text):
    """What a text made from this one at run time matches: it goes on, or has values where this one has %s."""
    return re.compile(re.sub(r"%(?:\\?\.\\?\*)?[sdu]", ".*", re.escape(text).replace(r"\%", "%")), re.S)


def gather(folder):
    """{text: where} to prepare, the steps of a new database, and its path."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        traces = pool.map(lambda room: trace_of_room(folder, room), ROOMS)
        program, tests = constants(is_program), constants(is_test)
        path, steps = new_database(folder)
        trace = {given for one in traces for given in one}
    run = {text for how, text in trace if how == "prepare"}
    executed = {text for how, text in trace if how == "exec"}
    made = {text: "made at run time" for text in run - set(program) - set(tests) if re.search(r"\b(FROM|INTO|UPDATE) [a-z]", text)}
    out = dict(made)
    for text, where in program.items():
        if text in executed or text in steps or (is_driver(text) and where.startswith("src/store/")):
            continue
        unseen = text not in run
        if unseen and any(map(shape(text).match, made)):
            continue
        if unseen:
            print(f"no test of a room runs {where}: {text[:SHOWN]}")
        out[text] = where
    return out, steps, path


def make_tables(server, steps):
    given = [("the prelude", postgresql.PRELUDE)] + [("a step", postgresql.translate(step)) for step in steps]
    return [f"PostgreSQL does not take {what}: {why}\n    {text[:SHOWN]}" for what, text in given for why in [server.run(text)] if why]


def judge(statements, databases):
    out = []
    for text, where in sorted(statements.items(), key=lambda item: item[1]):
        for database in databases:
            why = database.complaint(text)
            if why:
                out.append(f"{where}: {database.name} does not prepare it: {why}\n    {text[:SHOWN]}")
    return out


def compare(sqlite, server):
    out = []
    for expression, cases in ALIKE:
        for values in cases:
            both = sqlite.value(expression, values), server.value(expression, values)
            if both[0] != both[1]:
                out.append(f"SELECT {expression} of {values} is {both[0]} in SQLite and {both[1]} in PostgreSQL")
    return out


def unused(texts):
    """Rows of the table that no text needs."""
    return [f"postgresql.py: nothing needs the row {pattern}" for pattern, _, _ in postgresql.WORDS
            if not any(re.search(pattern, "".join(postgresql.STRING.split(text)[::2])) for text in texts)]


def main():
    with tempfile.TemporaryDirectory(prefix="hilum-sql-") as folder, tempfile.TemporaryDirectory(prefix="hilum-pg-") as place:
        statements, steps, path = gather(folder)
        sqlite = Sqlite(path)
        with Postgresql(place) as server:
            complaints = make_tables(server, steps) + judge(statements, [sqlite, server]) + compare(sqlite, server)
        complaints += unused([*statements, *steps])
    print("\n".join(complaints + [f"{len(statements)} statements and {len(steps)} steps on two databases, {len(complaints)} complaints"]))
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
