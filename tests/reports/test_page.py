"""The report page: what it says, and in a real browser that it sorts, filters, opens panels and lets nothing out."""

import base64
import csv
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser.visit import Visit
from hypothesis import given
from hypothesis import strategies as st
from sweeps import REPOSITORY, drained, run_snakemake, runner_of, study_in, toy, write

from nodesweep.cli.main import main
from nodesweep.cli.report import _packs
from nodesweep.common.errors import NodesweepError
from nodesweep.common.markdown import CELL_CHARACTERS, inert, read
from nodesweep.common.text import plain, visible
from nodesweep.launch.journal_events import Ended, Intent, event_of
from nodesweep.reports.page.packing import PANELS_A_PACK, script_json
from nodesweep.reports.page.panels import TAIL_LINES, journal_lines, tail
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.sweep.study import Study

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TRAINER = REPOSITORY / "tests" / "programs" / "hostile_trainer.sh"
MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>"
TITLE = f"Sweep {MARKUP} **bold** \u202egnp {'w' * 900}"
NOTE = "<b onmouseover=alert(1)>note</b> [x](javascript:alert(1)) | \u202egnp"
HOST = "node1<iframe src=//example.org>\u202e\x1b]0;x\x07"
FIGURE = {
    "name": "tflops",
    "title": f"Points {MARKUP}",
    "caption": f"Hand-made {MARKUP}",
    "spec": {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "data": {"values": []},
        "transform": [{"calculate": "datum.nodes * 2", "as": "double"}],
        "mark": {"type": "point", "size": 400, "filled": True, "tooltip": True},
        "encoding": {
            "x": {"field": "double", "type": "quantitative"},
            "y": {"field": "seconds", "type": "quantitative"},
            "tooltip": {"field": "words"},
        },
        "width": 200,
        "height": 100,
    },
}


def sweep(**changes: Any) -> dict[str, Any]:
    """The sweep of the tests: nodes 1, 2, 8 end well and 4 runs out of memory, in this order."""
    command = ["bash", str(TRAINER), "{{ iterations }}", "{{ nodes }}", "{{ 11000 - 1000 * nodes }}"]
    workload = {"name": "hostile", "command": command, "log_format": "megatron-deepspeed"}
    layouts = [{"nodes": [1, 2, 8, 4, 16], "global_batch": 16, "sequence_length": 128, "note": NOTE}]
    return toy(title=TITLE, workload=workload, layouts=layouts, exclude=["nodes == 16"], **changes)


def made(folder: Path, *commands: str) -> Path:
    """The page of the sweep in a folder, after these commands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in (*commands, "report"):
            assert main([command, "--configfile", "sweep.yaml"]) == 0
    return folder / "results" / "toy" / "report.html"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The sweep, run, with a figure and the facts of one layout's job, all of it hostile."""
    folder = tmp_path_factory.mktemp("report")
    study = study_in(folder, **sweep())
    runner = runner_of(study)
    runner.add(list(study.layouts))
    drained(runner, len(study.layouts))
    first = next(iter(study.layouts))
    log = next(study.directory(first).glob("*.log"))
    log.with_suffix(".provenance").write_text(f"host\tname\t{HOST}\nenvironment\tA\tone\\ntwo\n")
    figures = study.folder / "figures"
    figures.mkdir()
    points = [
        {"slug": slug, "nodes": layout.nodes, "seconds": 1, "words": MARKUP} for slug, layout in study.layouts.items()
    ]
    FIGURE["spec"]["data"] = {"values": points}
    (figures / "tflops.json").write_text(json.dumps(FIGURE))
    made(folder, "measure", "tables")
    return study


@pytest.fixture
def visit(browser: "Browser", ran: Study) -> Iterator[Visit]:
    """Its page in the browser; whatever a test does there, it asks for nothing and complains of nothing."""
    with Visit(browser, ran.folder / "report.html") as visit:
        yield visit
        assert (visit.requests, visit.complaints) == ([], [])


def slug_of(study: Study, nodes: int) -> str:
    """The layout on so many nodes."""
    return next(slug for slug, layout in study.layouts.items() if layout.nodes == nodes)


def test_the_page_is_the_same_bytes_again(ran: Study) -> None:
    """Made twice from the same files it is the same, and holds no address of a network but names of formats."""
    page = ran.folder / "report.html"
    before = page.read_bytes()
    made(ran.folder.parents[1])
    assert page.read_bytes() == before


def test_findings_come_first(visit: Visit, ran: Study) -> None:
    """Counts in the head; then how it scales, the best of each node count, and what failed with its evidence."""
    page = visit.page
    assert [" ".join(text.split()) for text in page.locator(".counts li").all_text_contents()] == ["3 ok", "1 oom"]
    headings = page.locator("main h2").all_text_contents()
    assert headings == ["Findings", "Figures", "Tables", "All layouts"]
    found = page.locator("[id='-findings'] h3").all_text_contents()
    assert found[:3] == ["How it scales", "Best layout of each number of nodes", "What failed, and why"]
    assert visit.column("failed", "Layout") == [slug_of(ran, 4)]
    assert visit.column("failed", "Evidence")[0].endswith("Tried to allocate <b onclick=alert(1)>2.00 GiB</b>")
    assert visit.column("best", "Nodes") == ["1", "2", "8"]
    page.locator("[data-name=failed] a").click()
    assert page.locator("dialog[open] h2").text_content() == slug_of(ran, 4)


def test_columns_sort_by_value(visit: Visit) -> None:
    """A click sorts by number and not by text, a second one falling, the third as it was; unknown ones last."""
    heading = visit.table("table-0-0").locator("th", has_text="Sec/it")
    # Sorted as texts these were in another order.
    as_configured = ["10.0", "9.00", "3.00", "-"]
    assert visit.column("table-0-0", "Sec/it") == as_configured
    heading.locator("button").click()
    assert (visit.column("table-0-0", "Sec/it"), heading.get_attribute("aria-sort")) == (
        ["3.00", "9.00", "10.0", "-"],
        "ascending",
    )
    heading.locator("button").press("Enter")
    assert visit.column("table-0-0", "Sec/it") == ["10.0", "9.00", "3.00", "-"]
    heading.locator("button").press("Enter")
    assert (visit.column("table-0-0", "Sec/it"), heading.get_attribute("aria-sort")) == (as_configured, None)


def test_tables_filter(visit: Visit) -> None:
    """A search over all columns, and conditions of single columns; what is no condition is marked and lets all pass."""
    table = visit.table("layouts")
    search = table.locator("input[type=search]")
    search.fill("oom")
    assert visit.column("layouts", "Nodes") == ["4"]
    assert table.locator(".shown").text_content() == "1 of 4 rows"
    search.fill("")
    table.locator("button", has_text="Filter columns").click()
    nodes = table.get_by_label("Filter by Nodes")
    for condition, passing in ((">=4", "84"), ("2..4", "24"), ("!1", "284"), ("2", "2"), (">= 99", ""), (">x", "1284")):
        nodes.fill(condition)
        assert "".join(visit.column("layouts", "Nodes")) == passing, condition
    assert "wrong" in (nodes.get_attribute("class") or "")
    nodes.fill("<8")
    table.get_by_label("Filter by Outcome").select_option("ok")
    assert visit.column("layouts", "Nodes") == ["1", "2"]
    with visit.page.expect_download() as saved:
        table.locator("button", has_text="Save as CSV").click()
    rows = list(csv.DictReader(Path(saved.value.path()).read_text().splitlines()))
    assert [(row["Nodes"], row["Sec/it"], row["Outcome"]) for row in rows] == [("1", "10", "ok"), ("2", "9", "ok")]


def test_a_panel_tells_all(visit: Visit, ran: Study) -> None:
    """A row opens a panel with script, log, journal, facts of the job, prediction and sources; Escape closes it."""
    slug = slug_of(ran, 1)
    visit.table("table-0-0").locator("tbody tr").first.locator("td").nth(2).click()
    panel = visit.page.locator("dialog[open]")
    assert panel.locator("h2").text_content() == slug
    assert visit.page.url.endswith(f"#{slug}")
    titles = panel.locator("h3").all_text_contents()
    script = panel.locator("section", has_text="Script, job.sh").locator("pre").text_content()
    assert script == ran.script(slug).read_text()
    sources = panel.locator("section", has_text="Where its numbers come from").locator("pre").text_content() or ""
    assert "iteration_seconds (Sec/it) = 10.0" in sources and re.search(r"-a1-\w{4}\.log:", sources)
    text = panel.text_content() or ""
    for said_of_it in (
        "iteration 3 of 3",
        "attempt 1 begun as",
        "ended: ok",
        "memory: ",
        "node1<iframe src=//example.org>",
    ):
        assert said_of_it in text, said_of_it
    assert len(titles) == len(set(titles)) == 9
    visit.page.keyboard.press("Escape")
    visit.page.wait_for_url(visit.own)
    assert visit.page.locator("dialog[open]").count() == 0


def test_hostile_words_are_words(visit: Visit, ran: Study) -> None:
    """Markup in title, note, figure, host, log and evidence is shown as text: no element comes of it, nothing runs."""
    page = visit.page
    assert (page.locator("h1").text_content() or "").startswith(f"Sweep {MARKUP} **bold** gnp www")
    note = "<b onmouseover=alert(1)>note</b> [x](javascript:alert(1)) | gnp"
    assert all(cell.startswith(note) for cell in visit.column("layouts", "Notes"))
    page.locator(".chart").scroll_into_view_if_needed()
    page.locator(".chart svg").wait_for()
    panel = visit.open_panel(slug_of(ran, 4))
    log = panel.locator("pre.log").text_content() or ""
    assert '</script><script>alert("log")</script><img src=x onerror=alert(1)>' in log
    assert "red  \\u202egnp.exe\\u202c [link](javascript:alert(1)) **bold** \\u2028 end" in log
    assert max(map(len, log.splitlines())) == 400
    assert page.locator("iframe, img[src=x], b[onclick], b[onmouseover], a[href^=javascript]").count() == 0
    everything = page.locator("html").text_content() or ""
    assert not set(everything) & set("\u202e\u202c\x1b\x07\u2028")
    # Nothing is broader than the window, however long its words are.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_point_of_a_figure_opens_its_layout(visit: Visit, ran: Study) -> None:
    """The figure is drawn by interpreted expressions, its tips are texts, and a click on a point opens the panel."""
    page = visit.page
    page.locator(".chart").scroll_into_view_if_needed()
    points = page.locator(".chart svg .mark-symbol path")
    points.first.hover()
    page.locator(".tip", has_text=MARKUP).wait_for()
    points.last.click()
    assert page.locator("dialog[open] h2").text_content() == slug_of(ran, 4)


def test_an_address_opens_its_panel(browser: "Browser", ran: Study) -> None:
    """`report.html#SLUG` opens with the panel of the layout; an address that nothing has closes it."""
    slug = slug_of(ran, 8)
    with Visit(browser, ran.folder / "report.html", fragment=slug) as visit:
        visit.page.locator("dialog[open] h2", has_text=slug).wait_for()
        for fragment in ("%zz", "-findings", ""):
            visit.open_panel(slug)
            visit.page.evaluate("fragment => { location.hash = fragment }", fragment)
            visit.page.locator("dialog[open]").wait_for(state="detached")
        assert (visit.requests, visit.complaints) == ([], [])


def test_an_address_given_while_a_panel_closes_opens_its_own(visit: Visit, ran: Study) -> None:
    """A browser tells that a panel has closed a moment later; the next, asked for meanwhile, opens all the same."""
    visit.open_panel(slug_of(ran, 8))
    for slug in (slug_of(ran, 8), slug_of(ran, 4)):
        visit.page.evaluate(
            """slug => {
                addEventListener("hashchange", () => { location.hash = slug }, { once: true });
                location.hash = "elsewhere";
            }""",
            slug,
        )
        visit.page.locator("dialog[open] h2", has_text=slug).wait_for()
        assert visit.page.url.endswith(f"#{slug}")


def test_without_scripts_it_can_be_read(browser: "Browser", ran: Study) -> None:
    """Where no script runs, findings and tables are all there."""
    with Visit(browser, ran.folder / "report.html", javascript=False) as visit:
        assert visit.column("table-0-0", "Sec/it") == ["10.0", "9.00", "3.00", "-"]
        assert visit.table("failed").locator("tbody tr").count() == 1
        assert visit.page.locator(".tools").count() == 0


def test_a_thousand_layouts(browser: "Browser", tmp_path: Path) -> None:
    """With 1,000 rows all of them are sorted and filtered, though only some are put into the table at once."""
    axes = {"nodes": [1, 2, 4, 8, 16], "global_batch": [16 * n for n in range(1, 11)]}
    axes["sequence_length"] = [64 * n for n in range(1, 21)]
    write(tmp_path / "sweep.yaml", toy(layouts=[axes], prune="never"))
    made(tmp_path, "measure", "tables")
    with Visit(browser, tmp_path / "results" / "toy" / "report.html") as visit:
        table = visit.table("layouts")
        assert table.locator(".shown").text_content() == "1000 rows"
        assert len(visit.column("layouts", "Layout")) == 200
        for _ in range(2):
            table.locator("th button", has_text="Sequence").click()
        table.locator("th button", has_text="Nodes").click()
        assert set(visit.column("layouts", "Nodes")) == {"1"}
        table.locator(".scroll").evaluate("box => { box.scrollTop = box.scrollHeight }")
        table.locator("tbody tr").nth(399).wait_for(state="attached")
        assert visit.column("layouts", "Nodes") == ["1"] * 200 + ["2"] * 200
        table.locator("input[type=search]").fill("s1280")
        assert table.locator(".shown").text_content() == "50 of 1000 rows"
        last = visit.column("layouts", "Layout")[-1]
        assert "pending" in (visit.open_panel(last).text_content() or "")
        assert (visit.requests, visit.complaints) == ([], [])


def test_the_workflow_makes_the_page_and_snakemakes_own_report(tmp_path: Path) -> None:
    """`snakemake` makes the page after the tables; `snakemake --report` takes it in, with captions and no network."""
    config = write(tmp_path / "sweep.yaml", toy(seconds=0))
    found = run_snakemake(tmp_path, config, "all")
    assert found.returncode == 0, found.stdout
    page = tmp_path / "results" / "toy" / "report.html"
    assert "<h1><bdi>Toy sweep</bdi></h1>" in page.read_text()
    found = run_snakemake(tmp_path, config, "all", "--report", "own.html")
    assert found.returncode == 0, found.stdout
    own = (tmp_path / "own.html").read_text()
    for caption in ("Every point of the sweep: what runs", "a panel for every layout", "which nodes x DP x MP"):
        assert caption in own


def test_an_unmeasured_sweep_has_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Before anything was measured the command says what to do first."""
    write(tmp_path / "sweep.yaml", toy())
    monkeypatch.chdir(tmp_path)
    assert main(["report", "--configfile", "sweep.yaml"]) == 1
    assert "results.csv does not exist yet; run the sweep, or `nodesweep measure`, first" in capsys.readouterr().err


def test_a_file_that_is_no_figure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A figure that cannot be read is an error of one line with the way out."""
    write(tmp_path / "sweep.yaml", toy())
    made(tmp_path, "measure", "tables")
    figures = tmp_path / "results" / "toy" / "figures"
    figures.mkdir()
    (figures / "memory.json").write_text("[1]")
    monkeypatch.chdir(tmp_path)
    assert main(["report", "--configfile", "sweep.yaml"]) == 1
    assert "memory.json is no figure; run `nodesweep figures` again" in capsys.readouterr().err


def test_imported_rows_have_a_panel(tmp_path: Path) -> None:
    """The panel of a row of a hand-kept table tells its file and line, though it has no folder of its own."""
    write(tmp_path / "sweep.yaml", toy())
    (tmp_path / "old.md").write_text(
        "| Nodes | DP | MP | PP | MBS | GBS | Sec/it | TFLOPs |\n|---|---|---|---|---|---|---|---|\n"
        "| 4 | 4 | 1 | 1 | 1 | 16 | 12.5 | 1.0 |\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert main(["import", "old.md", "--configfile", "sweep.yaml"]) == 0
    page = made(tmp_path, "measure", "tables").read_text()
    packed = page.split('class="pack">', 1)[1].split("<", 1)[0]
    panels = json.loads(zlib.decompress(base64.b64decode(packed)))
    [(_, imported)] = [(slug, sections) for slug, sections in panels.items() if slug.startswith("imported-")]
    sources = next(data for title, _, data in imported if title == "Where its numbers come from")
    assert sources.startswith("imported from old.md, line 3\niteration_seconds (Sec/it) = 12.5\n")


@given(st.text())
def test_cells_say_the_same_on_the_page_as_in_markdown(text: str) -> None:
    """What was made inert for markdown reads as the plain text it came from."""
    assert read(inert(text)) == plain(text, CELL_CHARACTERS)


@given(st.text())
def test_shown_texts_keep_their_lines_and_hide_nothing(text: str) -> None:
    """Lines stay lines, and every character is one that can be seen."""
    shown = visible(text)
    assert shown.count("\n") == text.replace("\r\n", "\n").replace("\r", "\n").count("\n")
    assert all(one.isprintable() or one in "\n\t" for one in shown)


@given(st.text(), st.text())
def test_data_cannot_leave_its_element(key: str, value: str) -> None:
    """JSON inside a page has no character that HTML reads, and is the same JSON."""
    text = script_json({key: [value]})
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == {key: [value]}


def test_panels_are_packed_in_order() -> None:
    """Packs hold so many panels each, the last one the rest, and give them back, however many processes make them."""
    rows = [{"slug": f"n{number}"} for number in range(3 * PANELS_A_PACK + 1)]
    found = list(_packs(rows, lambda row: (row["slug"], [["Script", "text", f"echo {row['slug']}"]])))
    assert [slug for slugs, _ in found for slug in slugs] == [row["slug"] for row in rows]
    assert [len(slugs) for slugs, _ in found] == [PANELS_A_PACK] * 3 + [1]
    assert json.loads(zlib.decompress(base64.b64decode(found[3][1]))) == {"n600": [["Script", "text", "echo n600"]]}


def test_what_is_wrong_with_one_panel_is_told() -> None:
    """Also where another process makes it."""

    def panel(row: dict[str, Any]) -> Any:
        raise NodesweepError(f"{row['slug']} has no figure")

    with pytest.raises(NodesweepError, match="n0 has no figure"):
        list(_packs([{"slug": f"n{number}"} for number in range(PANELS_A_PACK + 1)], panel))


def test_the_tail_of_a_log() -> None:
    """The last lines; a line that was cut at its beginning is none of them, a progress bar's states are lines."""
    lines = "".join(f"line {number}\n" for number in range(100))
    assert tail(lines.encode(), whole=True).split("\n")[0] == f"line {100 - TAIL_LINES}"
    assert tail(b"half a line\nnext\n", whole=False) == "next"
    assert tail(b"10%\r20%\r\xff\x1b[2K30%\n", whole=True) == "10%\n20%\n\ufffd30%"


def test_a_journal_in_words() -> None:
    """Each event is one line that begins with its time."""
    events = [
        Intent(time=0, attempt=2, key="a-2", elapse_limit_seconds=60),
        Ended(time=61.5, record=TerminalRecord(outcome="oom", where="in\x1b[1miteration 1")),
        event_of({"event": "rerun", "time": "?"}),
    ]
    assert list(journal_lines(events)) == [
        "1970-01-01 00:00:00 UTC: attempt 2 begun as a-2, at most 60 s",
        "1970-01-01 00:01:01 UTC: ended: oom initeration 1",
        "at an unknown time: asked for again by hand",
    ]
