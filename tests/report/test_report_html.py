import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from market_days import FIRST_CLOSE, SYMBOLS, Logbook, year
from test_report_summary import fold

from firm.events import Record
from firm.report.chart import Chart, Scale, Series, draw
from firm.report.html import render
from firm.report.tables import ROWS_MAX
from firm.report.timescale import time_ticks
from firm.report.words import money, money_axis, number, percent_axis, signed, ticks

HEAD = bytes(range(32))
VOID = {"meta", "input", "br", "link", "img"}


class Checked(HTMLParser):
    """Reads a page; every tag must be closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, key, value or "") for key, value in attrs]
        self.ids += [value or "" for key, value in attrs if key == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, key, value or "") for key, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Checked:
    checked = Checked()
    checked.feed(page)
    checked.close()
    assert checked.open == []
    assert len(checked.ids) == len(set(checked.ids)), "an id is used twice"
    return checked


def report(records: list[Record]) -> str:
    return render(fold(records), HEAD, [20.0, 31.5], "runs/2024")


def nothing_happened() -> list[Record]:
    log = Logbook()
    log.open()
    return log.records


CASES = {
    "a year": lambda: year(seed=7),
    "one day": lambda: year(seed=7, days=1),
    "no trades": lambda: year(seed=7, days=20, orders_a_day=0),
    "halted": lambda: year(seed=7, days=30, halt=True),
    "thousands of orders": lambda: year(seed=7, days=60, orders_a_day=60),
    "nothing": nothing_happened,
    "empty": list,
}


@pytest.mark.parametrize("case", CASES)
def test_every_report_is_whole_and_needs_nothing_from_outside(case: str):
    page = report(CASES[case]())
    checked = read(page)

    assert not re.search(r"(https?:)?//[a-z0-9.-]+\.[a-z]", page, re.IGNORECASE)
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page
    assert "@import" not in page
    loads = {
        (tag, key) for tag, key, _ in checked.attributes if key in {"src", "href", "srcset", "data", "action"}
    }
    assert loads == set()
    assert {tag for tag, _, _ in checked.attributes} <= {
        *(
            "html",
            "meta",
            "section",
            "h2",
            "dl",
            "dd",
            "div",
            "figure",
            "svg",
            "title",
            "desc",
            "line",
            "text",
        ),
        *("path", "circle", "span", "script", "table", "th", "td", "tr", "input", "i", "p", "label", "code"),
    }
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert ET.fromstring(drawing).find("desc") is not None
    assert "nan" not in re.sub(r"<(style|script).*?</\1>", "", page, flags=re.DOTALL).lower().split()


def test_the_figures_of_the_summary_are_in_the_report():
    summary = fold(year(seed=7))
    said = summary.as_dict(HEAD)
    text = " ".join(read(render(summary, HEAD, [20.0, 31.5])).text)

    for figure in (
        HEAD.hex(),
        f"${said['final_equity']:,.0f}",
        f"{said['max_drawdown'] * 100:.2f} %",
        f"${said['var_99']:,.0f}",
        f"${said['es_975']:,.0f}",
        f"{said['orders_proposed']:,}",
        f"{said['fills_buy']:,} buys, {said['fills_sell']:,} sells",
        "20.0 ms",
        "2024-01-02 to 2024-12-16",
        "synthetic daily bars, seed 7",
        "firm verify DIR",
        "firm replay DIR",
        *SYMBOLS,
    ):
        assert figure in text, figure


def test_data_that_are_not_synthetic_carry_no_badge():
    log = Logbook()
    log.open(label="IB paper account")
    assert "synthetic" not in report(log.records)
    assert ">synthetic data<" in report(nothing_happened())


def test_words_of_the_log_cannot_become_markup():
    log = Logbook()
    log.open(["<script>alert(1)</script>", *SYMBOLS[1:]], label='"><img onerror=x>')
    page = report([*log.records, *year(seed=7, days=60, halt=True)[5:]])

    read(page)
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "insider list &lt;2022-03&gt;" in page
    assert "0.20 &lt;limit&gt;" in page
    assert page.count("</script>") == page.count("<script")


def test_a_halted_run_says_so_at_the_top_and_why():
    page = report(year(seed=7, days=30, halt=True))
    header = page[page.index("<header>") : page.index("</header>")]

    assert ">halted<" in header
    assert "risk: drawdown 0.2013" in header
    assert "Ann Lee: drill over" in page


def test_of_too_many_orders_the_newest_are_shown_and_the_rest_is_counted():
    records = year(seed=7, days=60, orders_a_day=60)
    page = report(records)

    assert f"The newest {ROWS_MAX} of 3,600 orders; {3_600 - ROWS_MAX:,} older ones are not shown." in page
    orders = page[page.index('id="h-orders"') : page.index('id="h-refusals"')]
    assert orders.count("<tr>") == ROWS_MAX + 1
    assert len(page) < 1_500_000


def test_a_run_without_orders_says_so():
    page = report(year(seed=7, days=20, orders_a_day=0))

    for words in ("No order was proposed.", "Nothing was refused.", "No position was ever held."):
        assert words in page
    assert "The book was never marked" in report(nothing_happened())
    assert "Risk was never measured" in report(nothing_happened())


def test_a_curve_lies_inside_its_axes_and_its_ends_where_they_belong():
    times = [FIRST_CLOSE + n * 86_400 * 10**9 for n in range(3)]
    series = Series("line", "Equity", "c-main", [100.0, 140.0, 90.0], money)
    chart = Chart("k", "T", "D", times, [series], money_axis, str)
    scale = Scale(chart, 940, 250)

    assert scale.marks[0] <= 90
    assert scale.marks[-1] >= 140
    assert (scale.x(times[0]), scale.x(times[2])) == (scale.left, scale.right)
    assert scale.y(scale.marks[0]) == scale.bottom
    path = re.search(r'class="line c-main" d="M([^"]+)"', draw(chart, 940, 250, "wide"))
    assert path is not None
    points = [tuple(map(float, pair.split())) for pair in path[1].split("L")]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert points[1][1] < points[0][1] < points[2][1], "higher values are higher on the page"


def test_a_long_curve_keeps_its_extremes():
    times = [FIRST_CLOSE + n for n in range(50_000)]
    values = [0.0] * 50_000
    values[31_234], values[777] = 99.0, -99.0
    chart = Chart("k", "T", "D", times, [Series("line", "A", "c-main", values, money)], money_axis, str)
    drawn = draw(chart, 940, 250, "wide")

    scale = Scale(chart, 940, 250)
    assert f" {scale.y(99.0):.1f}L" in drawn
    assert f" {scale.y(-99.0):.1f}L" in drawn
    assert len(drawn) < 25_000


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 9.2, [0, 2, 4, 6, 8, 10]),
        (-0.0657, 0, [-0.08, -0.06, -0.04, -0.02, 0]),
        (965_000, 1_045_000, [960_000, 980_000, 1_000_000, 1_020_000, 1_040_000, 1_060_000]),
    ],
)
def test_axis_marks_are_round_and_cover_the_values(low: float, high: float, expected: list[float]):
    assert ticks(low, high) == expected


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e9])
def test_a_value_that_never_changes_has_an_axis_too(value: float):
    marks = ticks(value, value)
    assert marks[0] <= value <= marks[-1]
    assert len(marks) > 2


def test_numbers_are_worded_with_the_decimals_they_need():
    assert [money_axis([960_000.0, 980_000.0, 1_000_000.0])(v) for v in (980_000, 1_000_000)] == [
        "$0.98M",
        "$1.00M",
    ]
    assert money_axis([-40_000.0, -20_000.0])(-20_000) == "−$20k"
    assert percent_axis([-0.075, -0.05])(-0.075) == "−7.5 %"
    assert number(-0.004, 2) == "0.00"
    assert (signed(0.04, 1), signed(-12.3, 1), signed(12.3, 1)) == ("0.0", "−12.3", "+12.3")
    assert money(None) == "–"


@pytest.mark.parametrize(
    ("span_s", "wanted", "expected"),
    [
        (3_600 * 6, 4, ["22:00", "00:00", "02:00"]),
        (86_400 * 10, 5, ["4 Jan", "6 Jan", "8 Jan", "10 Jan", "12 Jan"]),
        (86_400 * 350, 8, ["Mar 2024", "May", "Jul", "Sep", "Nov"]),
        (86_400 * 365 * 6, 8, ["2025", "2026", "2027", "2028", "2029"]),
        (0, 8, ["2 Jan 2024"]),
    ],
)
def test_time_marks_stand_at_round_moments(span_s: int, wanted: int, expected: list[str]):
    assert [words for _, words in time_ticks(FIRST_CLOSE, FIRST_CLOSE + span_s * 10**9, wanted)] == expected
