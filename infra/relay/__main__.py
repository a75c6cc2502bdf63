"""``python -m infra.relay --listen 0.0.0.0:2575 --url https://…`` until it is told to stop."""

import signal
import ssl
import sys
import threading
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from infra.relay.server import Relay, Relaying
from infra.relay.upstream import Upstream


def add_options(parser: ArgumentParser) -> None:
    """What the relay is told; the same for `pfi relay`."""
    parser.add_argument("--listen", type=_address, required=True, metavar="ADRESSE:PORT")
    parser.add_argument("--url", type=_https, required=True, metavar="https://…/")
    own = parser.add_argument_group("vers la PFI (HTTPS, TLS mutuel)")
    own.add_argument("--certificate", type=Path, required=True, metavar="CLIENT.pem")
    own.add_argument("--key", type=Path, required=True, metavar="CLIENT.key")
    own.add_argument("--ca", type=Path, metavar="AC.pem", help="défaut : celles du système")
    own.add_argument("--patience", type=float, default=20, metavar="S", help="avant de répondre AR")
    theirs = parser.add_argument_group("côté référentiel (MLLP)")
    theirs.add_argument("--tls-certificate", type=Path, metavar="SERVEUR.pem")
    theirs.add_argument("--tls-key", type=Path, metavar="SERVEUR.key")
    theirs.add_argument("--tls-clients", type=Path, metavar="AC.pem", help="TLS mutuel")


def _address(word: str) -> tuple[str, int]:
    host, _, port = word.rpartition(":")
    try:
        ip_address(host.strip("[]"))
        return host.strip("[]"), int(port)
    except ValueError:
        raise ArgumentTypeError("adresse IP et port attendus, par exemple 10.1.2.3:2575") from None


def _https(word: str) -> str:
    if urlsplit(word).scheme != "https" or not urlsplit(word).hostname:
        raise ArgumentTypeError("une adresse https:// est attendue")
    return word


def relay_of(options: Namespace) -> Relay:
    """The relay that the options describe; OSError when a file or the port is not to be had."""
    context = ssl.create_default_context(cafile=options.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(options.certificate, options.key)
    relaying = Relaying(
        upstream=lambda: Upstream(options.url, context), patience_s=options.patience, tell=_told
    )
    return Relay(options.listen, relaying, _mllp_context(options))


def _mllp_context(options: Namespace) -> ssl.SSLContext | None:
    if options.tls_certificate is None:
        if not ip_address(options.listen[0]).is_loopback:
            _told("MLLP without TLS: identities pass this network in clear")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(options.tls_certificate, options.tls_key)
    if options.tls_clients is not None:
        context.load_verify_locations(options.tls_clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _told(line: str) -> None:
    """For the journal of the machine, which adds the time of its own."""
    sys.stdout.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n")
    sys.stdout.flush()


def run(options: Namespace) -> int:
    """Relay until SIGTERM or Ctrl-C."""
    try:
        relay = relay_of(options)
    except OSError as fault:  # ssl.SSLError is one
        sys.stderr.write(f"pfi: relais : {fault.strerror or type(fault).__name__}\n")
        return 2
    told_to_stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: told_to_stop.set())
    relay.start()
    _told(f"listening on {options.listen[0]}:{relay.port}")
    told_to_stop.wait()
    relay.stop()
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """The program of the systemd unit."""
    parser = ArgumentParser(prog="pfi relay", description="MLLP vers l'adresse HTTPS de la PFI")
    add_options(parser)
    return run(parser.parse_args(words))


if __name__ == "__main__":
    raise SystemExit(main())
