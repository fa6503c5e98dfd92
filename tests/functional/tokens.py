"""Keys and access tokens for tests, made with the openssl command: Python's library cannot sign."""

import base64
import json
import os
import subprocess
import time


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*argv, data=b""):
    return subprocess.run(["openssl"] + list(argv), input=data, capture_output=True, check=True, timeout=60).stdout


class Key:
    """One private key, of RS256, ES256 or EdDSA, in a file below `where`."""

    ALGORITHMS = {
        "RS256": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "ES256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "EdDSA": ["-algorithm", "ED25519"],
    }

    def __init__(self, where, alg, kid):
        self.alg, self.kid, self.where = alg, kid, where
        self.path = os.path.join(where, "%s-%s.pem" % (alg, kid))
        openssl("genpkey", "-out", self.path, *self.ALGORITHMS[alg])

    def jwk(self):
        der = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")
        if self.alg == "RS256":
            n = bytes.fromhex(openssl("rsa", "-in", self.path, "-noout", "-modulus").split(b"=")[1].decode())
            return {"kty": "RSA", "kid": self.kid, "use": "sig", "alg": "RS256", "n": b64url(n), "e": "AQAB"}
        if self.alg == "ES256":
            return {"kty": "EC", "crv": "P-256", "kid": self.kid, "x": b64url(der[-64:-32]), "y": b64url(der[-32:])}
        return {"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": b64url(der[-32:])}

    def sign(self, text):
        if self.alg == "EdDSA":
            source = os.path.join(self.where, "to-sign")
            with open(source, "wb") as f:
                f.write(text)
            return openssl("pkeyutl", "-sign", "-rawin", "-in", source, "-inkey", self.path)
        der = openssl("dgst", "-sha256", "-sign", self.path, data=text)
        if self.alg == "RS256":
            return der
        # SEQUENCE of two INTEGERs, all shorter than 128 octets.
        r = der[4:4 + der[3]]
        s = der[6 + der[3]:]
        return b"".join(n.lstrip(b"\0").rjust(32, b"\0") for n in (r, s))

    def token(self, claims, **header):
        head = dict({"alg": self.alg, "kid": self.kid, "typ": "at+jwt"}, **header)
        text = b64url(json.dumps(head).encode()) + "." + b64url(json.dumps(claims).encode())
        return text + "." + b64url(self.sign(text.encode()))


class Issuer:
    """Somebody who gives tokens out, and the file of the public keys."""

    NAME, AUDIENCE = "https://id.example.org", "mail"

    def __init__(self, where):
        self.where = where
        self.jwks = os.path.join(where, "jwks.json")
        self.keys = {alg: Key(where, alg, "one") for alg in ("EdDSA",)}

    def key(self, alg):
        if alg not in self.keys:
            self.keys[alg] = Key(self.where, alg, alg.lower())
        return self.keys[alg]

    def publish(self, keys=None):
        """As an operator should: under another name first."""
        with open(self.jwks + ".new", "w") as f:
            json.dump({"keys": [k.jwk() for k in (self.keys.values() if keys is None else keys)]}, f)
        os.rename(self.jwks + ".new", self.jwks)

    def claims(self, name, **changed):
        now = int(time.time())
        c = {"iss": self.NAME, "aud": [self.AUDIENCE, "else"], "sub": "7", "email": name, "email_verified": True,
             "iat": now, "nbf": now, "exp": now + 300, "scope": "openid mail.all"}
        c.update(changed)       # None takes one away
        return {k: v for k, v in c.items() if v is not None}

    def token(self, name, alg="EdDSA", **changed):
        return self.key(alg).token(self.claims(name, **changed))

    def conf(self, text, **more):
        """The configuration with all that tokens need."""
        keys = dict(oauth_keys=self.jwks, oauth_issuer=self.NAME, oauth_audience=self.AUDIENCE, oauth_scope="mail.all", **more)
        lines = "".join("%s = %s\n" % pair for pair in keys.items())
        return text + "\n[auth]\n" + lines
