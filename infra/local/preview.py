"""`make dashboards`: a picture of both dashboards, drawn from a run of the demonstration.

The dashboards are those that the deployed stack holds; the figures are those that its functions
wrote down and the depths of its queues. The pictures are SVG without scripts or foreign addresses.
"""

import json
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from infra.local.delivery import Delivery
from infra.local.demo import Demo
from infra.local.deployer import ROOT
from infra.local.figures import Figure, Recorder, Recording
from infra.local.hospital import DEMO_ESTABLISHMENT, DEMO_FALLBACK, DEMO_MAILBOX, settings_of
from infra.local.laptop import CONTEXT, Laptop
from infra.local.picture import picture
from infra.local.widgets import widgets
from pfi.names import Environment

FOLDER: Final = ROOT / "docs" / "reference"
BOARDS: Final = ("activite", "exploitation")


def record(folder: Path) -> tuple[list[Figure], dict[str, Mapping[str, Any]]]:
    """Run the demonstration; its figures, and the bodies of the dashboards that were deployed."""
    settings = settings_of(Environment.TEST, DEMO_MAILBOX, DEMO_FALLBACK)
    demo = Demo()
    with Laptop(folder, settings, _say, demo.dpi_script(folder)) as laptop:
        laptop.load_patients(DEMO_ESTABLISHMENT, demo.patients())
        recorder = Recorder(laptop.environment, _queues(laptop.outputs), "/aws/lambda/")
        recorder.start()
        try:
            Delivery(laptop, _say).run(demo.files())
            for name in ("certificates", "collect"):
                _call(laptop, name)
            time.sleep(5)
        finally:
            recorder.stop()
        return recorder.figures, {name: _body(laptop, name) for name in BOARDS}


def _queues(outputs: Mapping[str, str]) -> dict[str, str]:
    urls = [url for name, url in outputs.items() if re.fullmatch(r"(Queue|Dlq)\w+Url", name)]
    return {url.rpartition("/")[2]: url for url in urls}


def _call(laptop: Laptop, step: str) -> None:
    name = laptop.outputs[f"Function{step.capitalize()}"]
    laptop.client("lambda").invoke(FunctionName=name, Payload=b"{}")


def _body(laptop: Laptop, name: str) -> Mapping[str, Any]:
    board = f"{CONTEXT['name']}-{name}"
    given = laptop.client("cloudwatch").get_dashboard(DashboardName=board)["DashboardBody"]
    found: Mapping[str, Any] = json.loads(given)
    return found


def draw(
    bodies: Mapping[str, Mapping[str, Any]], figures: Iterable[Figure], folder: Path
) -> list[Path]:
    """Write the picture of each dashboard."""
    recording = Recording(list(figures))
    written = []
    for name, body in bodies.items():
        path = folder / f"dashboard-{name}.svg"
        found = list(widgets(body, recording))
        path.write_text(picture(f"pfi-{name}", found, recording), encoding="utf-8")
        written.append(path)
    return written


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


def main() -> None:
    """Record, draw."""
    with tempfile.TemporaryDirectory() as folder:
        figures, bodies = record(Path(folder))
        for path in draw(bodies, figures, FOLDER):
            _say(str(path.relative_to(ROOT)))


if __name__ == "__main__":
    main()
