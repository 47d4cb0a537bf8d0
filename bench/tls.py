#!/usr/bin/python3
"""What TLS costs: C-STORE by DCMTK's client and frames by curl, in the clear and over TLS, in turns against one server; medians of the ratios (docs/performance.md). Prints, and asserts nothing: on one machine client and server
share the cores. HILUM in the environment names the program."""

import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from servers import DICOMWEB, NODELAY, STOCK, Images, harness  # noqa: F401

from test_tls import Authority  # noqa: E402

ROUNDS, OBJECTS, FRAMES, SIDE = int(os.environ.get("ROUNDS", 7)), 200, 500, 512


def stored(port, title, images, count, env, options=()):
    paths, uids = images.renew(count)
    began = time.monotonic()
    subprocess.run(["storescu", "-aet", title, "-aec", "HILUM", *options, "127.0.0.1", str(port), *paths], check=True, capture_output=True, env=env)
    return time.monotonic() - began, uids[0]


def fetched(url, count, folder, options=()):
    """One connection, so many times the same frame."""
    config = os.path.join(folder, "curl.txt")
    with open(config, "w", encoding="ascii") as file:
        file.write(f'url = "{url}"\noutput = "/dev/null"\n' * count)
    began = time.monotonic()
    subprocess.run(["curl", "-sS", "--http1.1", "-H", 'Accept: multipart/related; type="application/octet-stream"', *options, "-K", config], check=True)
    return time.monotonic() - began


def main():
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder, "authority")
        (pem, key), (scanner_pem, scanner_key) = authority.sign("server"), authority.sign("scanner")
        dicoms, https = harness.free_port(), harness.free_port()
        config = f'http: {{tls_listen: "127.0.0.1:{https}"}}\ndicom: {{tls_listen: "127.0.0.1:{dicoms}"}}\ntls: {{certificate: "{pem}", key: "{key}", authorities: "{authority.pem}"}}\n'
        tls = ("+tls", scanner_key, scanner_pem, "+cf", authority.pem)
        images = Images(folder, SIDE, OBJECTS)
        with harness.Hilum(config=config) as server:
            ways = {"plain": (server.dicom, "PLAIN", ()), "TLS": (dicoms, "TLS", tls)}
            for client, env in (("without Nagle's algorithm", NODELAY), ("stock", STOCK)):
                rates = {name: [] for name in ways}
                start = {name: min(stored(port, title, images, 1, env, options)[0] for _ in range(3)) for name, (port, title, options) in ways.items()}
                for turn in range(ROUNDS):
                    for name in list(ways)[:: -1 if turn % 2 else 1]:
                        port, title, options = ways[name]
                        seconds, uids = stored(port, title, images, OBJECTS, env, options)
                        rates[name].append((OBJECTS - 1) / (seconds - start[name]))
                ratio = statistics.median(a / b for a, b in zip(rates["TLS"], rates["plain"]))
                print(f"C-STORE of 512 kB, {client}: plain {statistics.median(rates['plain']):.0f}/s, TLS {statistics.median(rates['TLS']):.0f}/s, ratio {ratio:.2f}", flush=True)
            path = "/dicom-web/studies/{}/series/{}/instances/{}/frames/1".format(*uids)
            sites = {"plain": (server.url(path), ()), "TLS": (f"https://localhost:{https}{path}", ("--cacert", authority.pem))}
            rates = {name: [] for name in sites}
            for turn in range(ROUNDS):
                for name in list(sites)[:: -1 if turn % 2 else 1]:
                    url, options = sites[name]
                    rates[name].append(FRAMES / fetched(url, FRAMES, folder, options))
            ratio = statistics.median(a / b for a, b in zip(rates["TLS"], rates["plain"]))
            print(f"frames of 512 kB by one connection: plain {statistics.median(rates['plain']):.0f}/s, TLS {statistics.median(rates['TLS']):.0f}/s, ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
