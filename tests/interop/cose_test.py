#!/usr/bin/env python3
"""An independent COSE library (pycose) verifies our envelopes, and refuses altered ones.

  tests/interop/cose_test.py WRITE_VECTORS BUILD_FOLDER

WRITE_VECTORS is the program of tools/vectors; its --receipt makes a receipt under a new key. The
library is installed into BUILD_FOLDER/interop-venv at the first run, pinned by requirements.txt.
That it cannot be installed is a failure, not a reason to skip. Status: 0 when all of it holds.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parent.parent / "spec" / "vectors"
INSTALL_SECONDS = 300
# The only signature of the vectors that this library takes and we do not: spec/envelope.md asks for
# strict Ed25519, RFC 8032 does not.
LAXER = {"small-order key that signs everything"}


def inside(build):
    """The Python of an environment that holds exactly requirements.txt."""
    folder = build / "interop-venv"
    requirements = HERE / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    python, stamp = folder / "bin" / "python", folder / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                        "--require-hashes", "--no-deps", "--only-binary", ":all:",
                        "-r", requirements], check=True, timeout=INSTALL_SECONDS)
        stamp.write_text(wanted)
    return python


def require(condition, text):
    if not condition:
        raise AssertionError(text)


def cases(name):
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))["cases"]


class Library:
    """What we ask of pycose."""

    def __init__(self):
        import cbor2
        from pycose.headers import KID, Algorithm, ContentType
        from pycose.keys import OKPKey
        from pycose.keys.curves import Ed25519
        from pycose.messages import Sign1Message
        self.cbor, self.message, self.curve, self.key = cbor2, Sign1Message, Ed25519, OKPKey
        self.kid, self.algorithm, self.content_type = KID, Algorithm, ContentType

    def open(self, envelope, domain):
        """The message when its signature holds under its own kid, else None."""
        try:
            message = self.message.decode(envelope)
            message.key = self.key(crv=self.curve, x=message.phdr[self.kid])
            message.external_aad = domain.encode()
            return message if message.verify_signature() else None
        except Exception:  # noqa: BLE001: it refuses broken forms with whatever broke inside it
            return None


def check_good(library, case, domain, signer, payload):
    envelope = bytes.fromhex(case["envelope"])
    message = library.open(envelope, domain)
    require(message is not None, "does not verify")
    require(message.payload == payload, "another payload")
    require(message.phdr[library.kid] == signer, "another kid")
    require(message.phdr[library.algorithm].identifier == -8, "not EdDSA")
    name = domain.split("/")[1]
    require(message.phdr[library.content_type] == f"application/phase-{name}+cbor", "content type")
    require(message.uhdr == {}, "an unprotected header")
    for other in ("phase/manifest/2", "phase/receipt/2", "phase/checkpoint/2", "phase/node/2",
                  "phase/commit/2", ""):
        require((library.open(envelope, other) is not None) == (other == domain),
                f"verifies under {other!r}")


def check_canonical(library, payload):
    """The payload is what another library's canonical encoder writes."""
    value = library.cbor.loads(payload)
    require(library.cbor.dumps(value, canonical=True) == payload, "payload is not canonical")


def check_envelopes(library):
    verified = refused = 0
    for case in cases("envelope.json"):
        try:
            if case["error"] is None:
                signer, payload = bytes.fromhex(case["signer"]), bytes.fromhex(case["payload"])
                check_good(library, case, case["domain"], signer, payload)
                protected = library.cbor.loads(bytes.fromhex(case["envelope"])).value[0]
                structure = ["Signature1", protected, case["domain"].encode(), payload]
                digest = hashlib.sha256(library.cbor.dumps(structure)).hexdigest()
                require(digest == case["signed_hash"], "another SHA-256(Sig_structure)")
                verified += 1
            elif case["error"] == "verification_failed":
                taken = library.open(bytes.fromhex(case["envelope"]), case["domain"])
                require((taken is None) == (case["name"] not in LAXER), "taken, or refused")
                refused += 1
        except AssertionError as wrong:
            raise AssertionError(f"envelope.json: {case['name']}: {wrong}") from wrong
    require(verified >= 5 and refused >= 5, "hardly any envelope was looked at")


def check_documents(library, name, signer_key, domain_of):
    count = 0
    for case in cases(name):
        if case["error"] is not None:
            continue
        domain = domain_of(case)
        payload = library.cbor.loads(bytes.fromhex(case["envelope"])).value[2]
        try:
            check_good(library, case, domain, bytes.fromhex(case[signer_key]), payload)
            check_canonical(library, payload)
        except AssertionError as wrong:
            raise AssertionError(f"{name}: {case['name']}: {wrong}") from wrong
        count += 1
    require(count >= 3, f"hardly any document of {name} was looked at")


def check_fresh(library, write_vectors):
    """A receipt made just now: verifies, and not with any one bit turned."""
    made = json.loads(subprocess.run([write_vectors, "--receipt"], check=True, timeout=60,
                                     stdout=subprocess.PIPE).stdout)
    envelope = bytes.fromhex(made["envelope"])
    check_good(library, made, made["domain"], bytes.fromhex(made["signer"]),
               bytes.fromhex(made["payload"]))
    check_canonical(library, bytes.fromhex(made["payload"]))
    for bit in range(len(envelope) * 8):
        changed = bytearray(envelope)
        changed[bit // 8] ^= 1 << bit % 8
        taken = library.open(bytes(changed), made["domain"])
        require(taken is None, f"takes it with bit {bit} turned")
    return len(envelope) * 8


def main():
    write_vectors, build = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    if os.environ.get("PHASE_INTEROP_INSIDE") != "1":
        python = inside(build)
        return subprocess.run([python, __file__, *sys.argv[1:]],
                              env={**os.environ, "PHASE_INTEROP_INSIDE": "1"}).returncode
    library = Library()
    check_envelopes(library)
    check_documents(library, "manifest.json", "requester", lambda case: "phase/manifest/2")
    check_documents(library, "receipt.json", "provider", lambda case: f"phase/{case['kind']}/2")
    bits = check_fresh(library, write_vectors)
    print(f"pycose agrees on every vector and refuses a receipt with any of {bits} bits turned")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main())
