"""Certificates for the tests of TLS, made when they are asked for: good ones, and one for each thing that can
be wrong with one. Keys are P-256, which is made in no time."""

import datetime
import functools
import hashlib
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)
PEM = serialization.Encoding.PEM


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _key():
    return ec.generate_private_key(ec.SECP256R1())


class Issuer:
    """Somebody who signs: itself, or by an issuer of its own."""

    def __init__(self, name, parent=None):
        self.key = _key()
        self.name = name
        self.parent = parent
        self.cert = _sign(self.key, name, parent or self, [
            (x509.BasicConstraints(ca=True, path_length=None), True)])

    def pem(self):
        return self.cert.public_bytes(PEM)

    def revoke(self, *certs):
        """A revocation list that holds these."""
        now = datetime.datetime.utcnow()
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=_name(self.name), last_update=now - DAY, next_update=now + DAY)
        for cert in certs:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder(cert.serial_number, now - DAY).build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(PEM)


def _sign(key, name, issuer, extensions=(), start=-1, end=1, digest=None):
    now = datetime.datetime.utcnow()
    builder = x509.CertificateBuilder(
        subject_name=_name(name), issuer_name=_name(issuer.name), public_key=key.public_key(),
        serial_number=x509.random_serial_number(), not_valid_before=now + start * DAY, not_valid_after=now + end * DAY)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer.key, digest or hashes.SHA256())


def _alternative(names):
    def one(name):
        try:
            return x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            return x509.DNSName(name)
    return x509.SubjectAlternativeName([one(name) for name in names])


class Leaf:
    """A certificate with its key, in one file that holds its issuers' as well unless `alone`."""

    def __init__(self, folder, name, issuer=None, names=("localhost", "127.0.0.1"), usage=None, key=None,
                 alone=False, password=None, **more):
        self.key = key or _key()
        self.name = name
        extensions = [(x509.BasicConstraints(ca=False, path_length=None), True)]
        if names:
            extensions.append((_alternative(names), False))
        if usage:
            extensions.append((x509.ExtendedKeyUsage([usage]), False))
        self.cert = _sign(self.key, name, issuer or self, extensions, **more)
        self.path = folder / f"{name}.pem"
        encryption = (serialization.BestAvailableEncryption(password) if password
                      else serialization.NoEncryption())
        pem = self.cert.public_bytes(PEM)
        while issuer and issuer.parent and not alone:
            pem += issuer.pem()
            issuer = issuer.parent
        self.path.write_bytes(pem + self.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption))
        self.path.chmod(0o600)

    @property
    def pin(self):
        public = self.key.public_key().public_bytes(serialization.Encoding.DER,
                                                    serialization.PublicFormat.SubjectPublicKeyInfo)
        return "sha256:" + hashlib.sha256(public).hexdigest()

    def __str__(self):
        return str(self.path)


class Certificates:
    """All of them, in one folder: each is made when it is first asked for."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def _file(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def _leaf(self, name, issuer=None, **options):
        return Leaf(self.folder, name, issuer or self.issuer, **options)

    # who is trusted

    issuer = functools.cached_property(lambda self: Issuer("Test Root"))
    between = functools.cached_property(lambda self: Issuer("Test Intermediate", self.issuer))
    stranger = functools.cached_property(lambda self: Issuer("Somebody Else"))
    ca = functools.cached_property(lambda self: self._file("ca.pem", self.issuer.pem()))

    # good ones

    good = functools.cached_property(lambda self: self._leaf("good"))
    client = functools.cached_property(lambda self: self._leaf("client", names=(), usage=Usage.CLIENT_AUTH))
    server = functools.cached_property(lambda self: self._leaf("server", usage=Usage.SERVER_AUTH))
    by_between = functools.cached_property(lambda self: self._leaf("by-between", self.between))
    wildcard = functools.cached_property(lambda self: self._leaf("wildcard", names=("*.example.org",)))
    rsa = functools.cached_property(
        lambda self: self._leaf("rsa", key=rsa.generate_private_key(65537, 2048)))
    locked = functools.cached_property(lambda self: self._leaf("locked", password=b"open sesame"))

    # and the others

    expired = functools.cached_property(lambda self: self._leaf("expired", start=-9, end=-2))
    early = functools.cached_property(lambda self: self._leaf("early", start=2, end=9))
    misnamed = functools.cached_property(
        lambda self: self._leaf("misnamed", names=("other.example", "192.0.2.7", "third.example")))
    nameless = functools.cached_property(lambda self: self._leaf("localhost", names=()))
    self_signed = functools.cached_property(lambda self: Leaf(self.folder, "self-signed"))
    unknown = functools.cached_property(lambda self: self._leaf("unknown", self.stranger))
    alone = functools.cached_property(lambda self: self._leaf("alone", self.between, alone=True))
    weak = functools.cached_property(
        lambda self: self._leaf("weak", key=rsa.generate_private_key(65537, 1024)))
    revoked = functools.cached_property(lambda self: self._leaf("revoked"))
    crl = functools.cached_property(
        lambda self: self._file("crl.pem", self.issuer.revoke(self.revoked.cert)))
