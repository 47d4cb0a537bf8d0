#!/usr/bin/python3
"""Other people's clients over TLS and with tokens: pynetdicom over mutual TLS (1.2 and 1.3), dicomweb-client with a token over HTTPS, curl. Pinned, from PyPI, into the build folder. BUILD names it."""

import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
os.environ.setdefault("HILUM", os.path.join(BUILD, "hilum"))
sys.path.insert(0, os.path.join(ROOT, "tests", "outside"))
PINS = ("pynetdicom==3.0.4", "pydicom==3.0.1", "dicomweb-client==0.60.1")

PYNETDICOM = r"""
import ssl, sys, pydicom
from pynetdicom import AE, debug_logger
from pynetdicom.sop_class import CTImageStorage, Verification
port, authority, certificate, key, path, version = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
context.load_cert_chain(certificate, key)
context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
ae = AE(ae_title="CT1")
ae.add_requested_context(Verification)
ae.add_requested_context(CTImageStorage)
association = ae.associate("127.0.0.1", int(port), ae_title="HILUM", tls_args=(context, "localhost"))
assert association.is_established, "no association"
assert association.send_c_echo().Status == 0
assert association.send_c_store(path).Status == 0
association.release()
print("echo and store")
"""

DICOMWEB = r"""
import sys, pydicom, requests
from dicomweb_client.api import DICOMwebClient
url, authority, token, study = sys.argv[1:]
session = requests.Session()
session.trust_env, session.verify = False, authority
session.headers["Authorization"] = "Bearer " + token
client = DICOMwebClient(url + "/dicom-web", session=session)
(found,) = client.search_for_studies(search_filters={"StudyInstanceUID": study})
series = client.search_for_series(study)
(instance,) = client.retrieve_study(study)
assert instance.StudyInstanceUID == study
(metadata,) = client.retrieve_study_metadata(study)
frames = client.retrieve_instance_frames(study, series[0]["0020000E"]["Value"][0], instance.SOPInstanceUID, frame_numbers=[1])
assert frames[0] == instance.PixelData[: len(frames[0])] and len(frames[0]) > 0
anonymous = requests.Session()
anonymous.trust_env, anonymous.verify = False, authority
assert anonymous.get(url + "/dicom-web/studies").status_code == 401
print("search, retrieve, metadata, a frame; without a token 401")
"""


def tools():
    folder = os.path.join(BUILD, "clients-" + "-".join(pin.replace("==", "-") for pin in PINS))
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(os.path.join(folder, "whole")):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([os.path.join(folder, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check", *PINS], check=True)
        open(os.path.join(folder, "whole"), "w", encoding="ascii").close()
    return python


def run(python, script, *arguments):
    done = subprocess.run([python, "-c", script, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout.strip()


def main():
    import corpus
    from harness import Hilum, free_port
    from test_tls import Authority

    python = tools()
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder, "authority")
        server_pem, server_key = authority.sign("server")
        scanner_pem, scanner_key = authority.sign("scanner")
        dicoms, https = free_port(), free_port()
        config = f'http: {{names: localhost, tls_listen: "127.0.0.1:{https}"}}\ndicom: {{tls_listen: "127.0.0.1:{dicoms}"}}\ntls: {{certificate: "{server_pem}", key: "{server_key}", authorities: "{authority.pem}"}}\n'
        with Hilum(config=config) as server:
            with open(os.path.join(server.data, "token"), encoding="ascii") as file:
                ours = file.read().strip()
            command = dict(os.environ, HILUM_TOKEN_FILE=os.path.join(server.data, "token"))
            hilum = lambda *arguments: subprocess.run([os.environ["HILUM"], *arguments, "--server", server.url("")], check=True, capture_output=True, text=True, env=command).stdout.strip()
            hilum("peer", "add", "ct1", "--title", "CT1", "--address", "127.0.0.1:104", "--rights", "store", "--tls", "required", "--no-echo")
            for number, version in ((1, "TLSv1_2"), (2, "TLSv1_3")):
                path = os.path.join(folder, f"{number}.dcm")
                with open(path, "wb") as file:
                    file.write(corpus.part10(corpus.sound(number), corpus.EXPLICIT, f"{corpus.ROOT}.{number}.1"))
                print(f"pynetdicom over mutual {version}:", run(python, PYNETDICOM, dicoms, authority.pem, scanner_pem, scanner_key, path, version), flush=True)
            token = hilum("token", "make", "viewer", "--roles", "radiologist", "--days", "1").splitlines()[-1]
            print("dicomweb-client over HTTPS:", run(python, DICOMWEB, f"https://localhost:{https}", authority.pem, token, f"{corpus.ROOT}.1"), flush=True)
            curl = subprocess.run(["curl", "-sS", "--cacert", authority.pem, "-H", f"Authorization: Bearer {token}", "-o", "/dev/null", "-w", "%{http_code} %{ssl_verify_result}", f"https://localhost:{https}/dicom-web/studies/{corpus.ROOT}.2/metadata"],
                                  capture_output=True, text=True, check=True).stdout
            assert curl == "200 0", curl
            print("curl with the token:", curl, flush=True)
            assert ours not in server.log() and token not in server.log(), "a secret stands in the log"


if __name__ == "__main__":
    main()
