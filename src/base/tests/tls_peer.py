#!/usr/bin/python3
"""The other end of test_tls.c, by Python's ssl: `certificates FOLDER` makes an authority and what it signs with the openssl program; `call PORT WHAT FOLDER` is a client, `answer WHAT FOLDER` a server that names its port in FOLDER/port."""

import os
import socket
import ssl
import subprocess
import sys
import time


def run(*args):
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def authority(folder, name):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN=authority {name}", "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem")


def certificate(folder, name, subject, names, by="ca", days=30, more=""):
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject, "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.csr")
    with open(f"{folder}/{name}.ext", "w", encoding="ascii") as file:
        file.write(f"subjectAltName={names}\n{more}")
    if days > 0:
        run("openssl", "x509", "-req", "-in", f"{folder}/{name}.csr", "-CA", f"{folder}/{by}.pem", "-CAkey", f"{folder}/{by}.key", "-set_serial", "7", "-extfile", f"{folder}/{name}.ext", "-days", str(days), "-out", f"{folder}/{name}.pem")
        return
    # Only `ca` gives a certificate that has ended.
    os.makedirs(f"{folder}/db", exist_ok=True)
    for path, text in (("db/index", ""), ("db/serial", "08\n"), ("ca.cnf", f"[ca]\ndefault_ca=it\n[it]\ndatabase={folder}/db/index\nserial={folder}/db/serial\nnew_certs_dir={folder}/db\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n")):
        with open(f"{folder}/{path}", "w", encoding="ascii") as file:
            file.write(text)
    run("openssl", "ca", "-batch", "-config", f"{folder}/ca.cnf", "-cert", f"{folder}/{by}.pem", "-keyfile", f"{folder}/{by}.key", "-in", f"{folder}/{name}.csr", "-extfile", f"{folder}/{name}.ext", "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-notext", "-out", f"{folder}/{name}.pem")


def certificates(folder):
    authority(folder, "ca")
    authority(folder, "stranger")
    certificate(folder, "server", "/CN=server", "DNS:localhost,IP:127.0.0.1")
    certificate(folder, "elsewhere", "/CN=elsewhere", "DNS:elsewhere.example")
    certificate(folder, "ended", "/CN=ended", "DNS:localhost,IP:127.0.0.1", days=0)
    certificate(folder, "strange", "/CN=strange", "DNS:localhost,IP:127.0.0.1", by="stranger")
    certificate(folder, "scanner", "/CN=scanner 1/O=Ward", "DNS:scanner.example")
    chains(folder, (8, 9))
    certificate(folder, "alone", "/CN=alone", "DNS:localhost", by="link1")
    certificate(folder, "servers", "/CN=servers", "DNS:localhost", more="extendedKeyUsage=serverAuth\n")
    certificate(folder, "clients", "/CN=clients", "DNS:localhost", more="extendedKeyUsage=clientAuth\n")
    certificate(folder, "oldlink", "/CN=old link", "DNS:link.example", days=0, more="basicConstraints=critical,CA:TRUE\n")
    certificate(folder, "under", "/CN=under", "DNS:localhost", by="oldlink")
    with open(f"{folder}/oldlink.pem", encoding="ascii") as above, open(f"{folder}/under.pem", "a", encoding="ascii") as file:
        file.write(above.read())
    revoked(folder)


def revoked(folder):
    """none.crl and link1.crl: the authority's lists of revoked certificates, an empty one and that with link 1."""
    ca = ("openssl", "ca", "-batch", "-config", f"{folder}/ca.cnf", "-cert", f"{folder}/ca.pem", "-keyfile", f"{folder}/ca.key")
    run(*ca, "-gencrl", "-crldays", "30", "-out", f"{folder}/none.crl")
    run(*ca, "-revoke", f"{folder}/link1.pem")
    run(*ca, "-gencrl", "-crldays", "30", "-out", f"{folder}/link1.crl")


def chains(folder, lengths):
    """chainN.pem: a certificate with N authorities between it and `ca`, behind it."""
    by, between = "ca", ""
    for i in range(1, max(lengths) + 1):
        certificate(folder, f"link{i}", f"/CN=link {i}", "DNS:link.example", by=by, more="basicConstraints=critical,CA:TRUE\n")
        by = f"link{i}"
        with open(f"{folder}/{by}.pem", encoding="ascii") as file:
            between = file.read() + between
        if i in lengths:
            certificate(folder, f"chain{i}", f"/CN=chain {i}", "DNS:chain.example", by=by)
            with open(f"{folder}/chain{i}.pem", "a", encoding="ascii") as file:
                file.write(between)


def old(context):
    """What no policy of today takes: CBC and no forward secrecy."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")


def ancient(context):
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def call(port, what, folder):
    plain = socket.create_connection(("127.0.0.1", port))
    plain.settimeout(10)
    if what == "silent":
        plain.recv(1)
        return 0
    if what in ("http", "dicom", "leaves"):
        plain.sendall({"http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "dicom": b"\x01\x00\x00\x00\x00\x44\x00\x01\x00\x00" + b"HILUM".ljust(58), "leaves": b""}[what])
        if what != "leaves":
            plain.recv(100)
        return 0
    context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    if what in ("scanner", "strange", "chain8", "chain9", "alone", "servers", "under"):
        context.load_cert_chain(f"{folder}/{what}.pem", f"{folder}/{what}.key")
    if what == "1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    {"old": old, "ancient": ancient}.get(what, lambda _: None)(context)
    try:
        with context.wrap_socket(plain, server_hostname="localhost") as wire:
            wire.sendall(bytes(range(256)) * 4096)
            got = b""
            while len(got) < 1 << 20:
                part = wire.recv(1 << 16)
                if not part:
                    return 3
                got += part
            assert got == bytes(range(256)) * 4096
            if what == "1.2":
                assert wire.version() == "TLSv1.2", wire.version()
            wire.unwrap()
    except (ssl.SSLError, ConnectionError):
        return 2
    return 0


def answer(what, folder):
    listener = socket.create_server(("127.0.0.1", 0))
    with open(f"{folder}/port.new", "w", encoding="ascii") as file:
        file.write(f"{listener.getsockname()[1]}\n")
    os.rename(f"{folder}/port.new", f"{folder}/port")
    plain, _ = listener.accept()
    plain.settimeout(10)
    if what == "banner":
        plain.sendall(b"220 mail.example ESMTP\r\n")
        plain.recv(1000)
        return
    if what == "silent":
        time.sleep(1)
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    name = what if what in ("server", "elsewhere", "ended", "strange", "clients") else "server"
    context.load_cert_chain(f"{folder}/{name}.pem", f"{folder}/{name}.key")
    {"old": old, "ancient": ancient}.get(what, lambda _: None)(context)
    try:
        with context.wrap_socket(plain, server_side=True) as wire:
            got = b""
            while len(got) < 1 << 20:
                part = wire.recv(1 << 16)
                if not part:
                    return
                got += part
            wire.sendall(got)
            wire.unwrap()
    except (ssl.SSLError, ConnectionError, OSError):
        pass


if __name__ == "__main__":
    if sys.argv[1] == "certificates":
        certificates(sys.argv[2])
    elif sys.argv[1] == "call":
        sys.exit(call(int(sys.argv[2]), sys.argv[3], sys.argv[4]))
    else:
        answer(sys.argv[2], sys.argv[3])
