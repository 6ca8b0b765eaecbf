"""A webhook's other end that does what a test tells it, over TLS, in a thread of its own."""

import ipaddress
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

HANG_SECONDS = 20.0
FLOOD_BYTES = 1024**3
NAME = "hooks.localhost"


@dataclass(frozen=True)
class Call:
    """One request."""

    headers: Mapping[str, str]
    body: bytes


@dataclass
class Hook:
    """What came in, and what went out."""

    url: str
    certificate: Path
    got: list[Call] = field(default_factory=list)
    followed: bool = False
    sent_bytes: int = 0


@contextmanager
def hook_server(act: str = "200", identity: tuple[Path, Path] | None = None) -> Iterator[Hook]:
    """Answers with a status, or does `redirect`, `hang`, `flood`, for the block.

    `identity`: files of a key and its certificate; without, it has its own.
    """
    with TemporaryDirectory() as directory:
        key, certificate = identity or new_identity(Path(directory))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server = _Server(("127.0.0.1", 0), _handler(act))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        hook = Hook(f"https://{NAME}:{server.server_port}/in", certificate)
        server.hook = hook
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)


def _handler(act: str) -> type[BaseHTTPRequestHandler]:
    return type("Handler", (_Handler,), {"act": act})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hook: Hook


class _Handler(BaseHTTPRequestHandler):
    act: str

    @property
    def hook(self) -> Hook:
        assert isinstance(self.server, _Server)
        return self.server.hook

    def do_POST(self) -> None:
        self.hook.followed |= self.path != "/in"
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.hook.got.append(Call(dict(self.headers), body))
        with suppress(OSError):
            self._answer()

    def do_GET(self) -> None:
        self.hook.followed = True
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name
        """Say nothing."""

    def _answer(self) -> None:
        match self.act:
            case "redirect":
                self.send_response(307)
                self.send_header("location", "/elsewhere")
                self.end_headers()
            case "hang":
                time.sleep(HANG_SECONDS)
            case "flood":
                self._flood()
            case status:
                self.send_response(int(status))
                self.send_header("content-length", "0")
                self.end_headers()

    def _flood(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(FLOOD_BYTES))
        self.end_headers()
        chunk = b"x" * 65_536
        for _ in range(FLOOD_BYTES // len(chunk)):
            self.wfile.write(chunk)
            self.hook.sent_bytes += len(chunk)


def new_identity(directory: Path) -> tuple[Path, Path]:
    """A key, and a certificate for the server's name that it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = directory / "key.pem", directory / "certificate.pem"
    files[0].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files[1].write_bytes(certificate.public_bytes(Encoding.PEM))
    return files
