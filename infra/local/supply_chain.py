"""What the product is made of, and whether a weakness of it is known: `make sbom`, `make audit`.

Both read the locks, which are the truth: what a lock does not name is not installed. The bill of
materials is made when it is needed and not committed, so that it cannot be an old one.
"""

import base64
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from infra.local.deployer import ROOT

LOCKS: Final = {"function": "requirements-function.txt", "development": "requirements-dev.txt"}
"""The layer of the functions, and everything that builds, deploys and tests."""
FOLDER: Final = ROOT / ".build" / "sbom"
_TOOLS: Final = Path(sys.executable).parent


class NotAudited(RuntimeError):
    """The audit cannot say anything; the message says why."""


def bill(lock: Path) -> dict[str, Any]:
    """The CycloneDX document of one Python lock, the same at every run."""
    done = subprocess.run(  # noqa: S603  (our own pinned program, no shell)
        [
            str(_TOOLS / "cyclonedx-py"),
            *("requirements", str(lock), "--pyproject", str(ROOT / "pyproject.toml")),
            *("--output-reproducible", "--output-format", "JSON", "--output-file", "-"),
        ],
        check=True,
        capture_output=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def npm_components(lock: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The packages of an npm lock: the command line of CDK."""
    for path, package in sorted(lock["packages"].items()):
        if not path:
            continue
        name = path.rpartition("node_modules/")[2]
        _, _, digest = package["integrity"].partition("-")
        content = base64.b64decode(digest).hex()
        purl = f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"
        yield {
            "bom-ref": purl,
            "type": "library",
            "name": name,
            "version": package["version"],
            "purl": purl,
            "licenses": [{"license": {"id": package["license"]}}],
            "hashes": [{"alg": "SHA-512", "content": content}],
        }


def bills() -> dict[str, dict[str, Any]]:
    """The documents, by name; what comes from npm is in the one of the development."""
    found = {name: bill(ROOT / lock) for name, lock in LOCKS.items()}
    npm = json.loads((ROOT / "package-lock.json").read_text())
    found["development"]["components"] += npm_components(npm)
    return found


def unproven(report: Mapping[str, Any]) -> list[str]:
    """Packages that were not looked up: pip-audit leaves them out and ends well."""
    return [each["name"] for each in report["dependencies"] if "skip_reason" in each]


def weaknesses(report: Mapping[str, Any]) -> Iterator[str]:
    """``package version: ids, corrected in …`` of each known weakness."""
    for package in report["dependencies"]:
        for each in package.get("vulns", ()):
            mended = ", ".join(each["fix_versions"]) or "no version yet"
            yield f"{package['name']} {package['version']}: {each['id']}, corrected in {mended}"


def audited(lock: Path, command: Sequence[str] = (str(_TOOLS / "pip-audit"),)) -> list[str]:
    """Known weaknesses of what a lock names; NotAudited unless each package was looked up."""
    words = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "-f", "json")
    done = subprocess.run(  # noqa: S603  (our own pinned program, no shell)
        [*command, "-r", str(lock), *words], check=False, capture_output=True, text=True
    )
    try:
        report = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise NotAudited(f"the service of weaknesses does not answer: {last[:200]}") from None
    if missing := unproven(report):
        shown = ", ".join(missing[:5])
        raise NotAudited(f"{len(missing)} packages were not looked up ({shown}…)")
    return list(weaknesses(report))


def _write_bills() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, document in bills().items():
        path = FOLDER / f"{name}.cdx.json"
        path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
        _say([f"{path.relative_to(ROOT)}: {len(document['components'])} packages"])
    return 0


def _audit() -> int:
    found: list[str] = []
    try:
        for lock in LOCKS.values():
            found += audited(ROOT / lock)
    except NotAudited as why:
        _say([f"NOT AUDITED: {why}"])
        return 2
    _say(found or ["no known weakness in what the locks name"])
    return 1 if found else 0


def _say(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def main(words: Sequence[str]) -> int:
    """`sbom` or `audit`."""
    return {"sbom": _write_bills, "audit": _audit}[words[0]]()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
