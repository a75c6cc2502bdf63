"""Child paths in the namespace of CDA: ``recordTarget/patientRole/id``, never ``//``."""

from functools import cache
from typing import Final

from lxml import etree

_HL7: Final = "urn:hl7-org:v3"


def h(name: str) -> str:
    """The qualified name of a CDA element."""
    return f"{{{_HL7}}}{name}"


@cache
def _qualified(path: str) -> str:
    return "/".join(h(step) for step in path.split("/"))


def first(element: etree._Element | None, path: str) -> etree._Element | None:
    """The first element at this path below `element`."""
    return None if element is None else element.find(_qualified(path))


def every(element: etree._Element | None, path: str) -> list[etree._Element]:
    """All elements at this path below `element`, in document order."""
    return [] if element is None else list(element.iterfind(_qualified(path)))


def code_of(element: etree._Element | None) -> str:
    """``@code`` of a coded value; '' when absent."""
    return "" if element is None else element.get("code", "").strip()
