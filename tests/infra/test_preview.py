"""The pictures of the dashboards: every graph is there, its figures are right, nothing foreign."""

import re

import pytest
from lxml import etree

from infra.local.figures import Figure, Recording
from infra.local.picture import picture
from infra.local.preview import BOARDS, FOLDER
from infra.local.widgets import widgets
from tests.infra.test_observability import boards


def figure(name, value, at=0.0, **dimensions):
    return Figure("PFI", name, dimensions, at, value)


RECORDING = Recording(
    [
        figure("MailsSettled", 1, route="integrated"),
        figure("MailsSettled", 1, 1.0, route="forwarded"),
        figure("MailsSettled", 1, 1.0, route="forwarded", reason="902"),
        figure("MailsSettled", 1, 9.0, route="integrated"),
        figure("IntegratedShare", 1, establishment="ch"),
        figure("IntegratedShare", 0, 1.0, establishment="ch"),
        figure("IntegratedShare", 0, 1.0, establishment="ehpad"),
        figure("DocumentsRefused", 1, dpi="a"),
        figure("DocumentsRefused", 1, dpi="b"),
        figure("ArrivalToAckMs", 100),
        figure("ArrivalToAckMs", 300),
        figure("ArrivalToAckMs", 900),
    ],
    slices=3,
)


def body(aws, name):
    return {"widgets": boards(aws)[f"pfi-{name}"]}


@pytest.fixture
def lines(aws):
    """Values by title and label of the graphs of the activity."""
    found = widgets(body(aws, "activite"), RECORDING)
    return {(each.title, line.label): line.values for each in found for line in each.lines}


def titles(svg):
    """Titles as they stand, the line breaks of the drawing taken out."""
    graphs = etree.fromstring(svg.encode()).iterchildren("{*}svg")
    found = ("".join(each.xpath(".//*[contains(@class, 'plot_title')]//text()")) for each in graphs)
    return [re.sub(r"\s", "", each) for each in found]


def wanted(aws, name):
    given = (each["properties"].get("title") for each in boards(aws)[f"pfi-{name}"])
    return [re.sub(r"\s", "", each) for each in given if each]


@pytest.mark.parametrize("name", BOARDS)
def test_every_graph_of_a_dashboard_is_in_its_picture(aws, name):
    drawn = picture(name, list(widgets(body(aws, name), RECORDING)), RECORDING)
    assert titles(drawn) == wanted(aws, name)


@pytest.mark.parametrize("name", BOARDS)
def test_the_picture_of_the_documentation_shows_the_dashboard_of_today(aws, name):
    drawn = (FOLDER / f"dashboard-{name}.svg").read_text(encoding="utf-8")
    assert titles(drawn) == wanted(aws, name), "run make dashboards"


@pytest.mark.parametrize("name", BOARDS)
def test_a_picture_runs_nothing_and_fetches_nothing(name):
    drawn = (FOLDER / f"dashboard-{name}.svg").read_text(encoding="utf-8")
    assert not re.search(r"<script|@import|url\(|<image|\son\w+=|<foreignObject", drawn)
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", drawn))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_a_plain_metric_is_read_with_exactly_its_dimensions(lines):
    assert lines["Courriels terminés, par issue", "transférés"] == [1.0, None, None]


def test_the_share_is_calculated_where_there_were_mails(lines):
    assert lines["Part des courriels intégrés (%)", "intégrés"] == [50.0, None, 100.0]


def test_a_search_finds_one_line_for_each_combination(lines):
    found = {label for title, label in lines if title == "Courriels par issue et motif"}
    assert found == {"forwarded 902"}
    assert lines["Part intégrée par établissement (%)", "ch"] == [50.0, None, None]
    assert lines["Courriels par établissement", "ehpad"] == [1.0, None, None]


def test_the_sum_of_a_search_is_one_line(lines):
    assert lines["Documents", "refusés"] == [2.0, None, None]


def test_percentiles_are_those_of_the_slice(lines):
    assert lines["De l'arrivée à l'acquittement du DPI (ms)", "médiane"] == [300.0, None, None]
    assert lines["De l'arrivée à l'acquittement du DPI (ms)", "95e centile"][0] == 900.0


def test_mathematics_that_is_not_understood_is_told():
    metrics = [[{"expression": "ANOMALY(x)", "label": "?"}]]
    given = {"type": "metric", "x": 0, "y": 0, "width": 8, "height": 6}
    board = {"widgets": [{**given, "properties": {"title": "t", "metrics": metrics}}]}
    with pytest.raises(ValueError, match="not understood"):
        list(widgets(board, RECORDING))
