"""The leaderboard's page in a real Chromium: charts, tables, keyboard, phone, light and dark, no network."""

import os
import re
import subprocess
import sys

import pytest
from browser import opened_browser, opened_page
from made_runs import make_measurement, make_recipe, make_result, make_run, make_target, write_records

from pipeline.board_page.facts import facts_of, training_exaflop
from pipeline.board_page.page import make_page, write_page
from pipeline.errors import Top1Error
from pipeline.journal import Journal
from pipeline.leaderboard import make_board
from recipes.schema import Source

NASTY = "net<img src=x onerror=alert(1)>&\"'"


def write_curve(folder, top1s):
    with Journal(folder) as journal:
        for epoch, top1 in enumerate(top1s, start=1):
            journal.append(100 * epoch, epoch, **{"val/top1": top1})


def make_book():
    cited = Source("he2015", "Deep Residual Learning for Image Recognition", "arXiv:1512.03385")
    old = make_recipe(name="old", family="Old", year=2012, targets=(make_target(top1=59.3),))
    many = make_recipe(
        departures=("The order of images is another one.",), targets=(make_target(source=cited, std=0.12),)
    )
    nasty = make_recipe(name=NASTY, year=2021, family="A & B", targets=(make_target(top1=83.9),))
    never = [
        make_recipe(name=f"never{i}", year=2017, targets=(make_target(top1=70 + i / 4),)) for i in range(40)
    ]
    return {recipe.name: recipe for recipe in (old, many, nasty, *never)}


def make_runs(runs):
    book = make_book()
    for seed, top1 in enumerate([76.3, 76.5, 76.31]):
        folder = make_run(runs, book["net50"], seed=seed, result=make_result(make_measurement(top1)))
        write_curve(folder, [40, 60, top1])
    write_curve(make_run(runs, book["old"], result=make_result(make_measurement(57.0))), [20, 57])
    make_run(runs, book[NASTY], result=make_result(make_measurement(85.0)))
    demo = {"name": "demo-digits", "official": None}
    demo = make_run(
        runs, make_recipe(name="demo"), data=demo, result=make_result(make_measurement(97.5, images=360))
    )
    write_records(demo, [1])
    with (demo / "metrics.jsonl").open("a") as file:
        file.write("{torn\n")
    return book


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    runs = tmp_path_factory.mktemp("board") / "runs"
    return make_board(runs, make_runs(runs), with_missing=True)


@pytest.fixture(scope="module")
def file(board, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "board.html"
    write_page(board, path)
    return path


@pytest.fixture(scope="module")
def browser():
    with opened_browser() as opened:
        yield opened


@pytest.fixture
def page(browser, file):
    with opened_page(browser, file.as_uri()) as opened:
        yield opened
        assert opened.errors == []


def column(page, section, heading):
    """Return the texts of a column, from the top."""
    headings = page.locator(f"#{section} thead th").all_inner_texts()
    cells = page.locator(f"#{section} tr.row > :nth-child({headings.index(heading) + 1})")
    return [text.strip() for text in cells.all_inner_texts()]


def number(text):
    return float(text.replace("−", "-").split()[0])


# ---------------------------------------------------------------- as it opens


def test_the_page_asks_for_nothing_but_itself_and_reports_no_error(page, file):
    page.wait_for_selector("#lineage svg")
    assert page.requests == [file.as_uri()]
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg", "", file.read_text().split("<main>")[0])


def test_every_chart_is_drawn_with_the_figures_that_belong_to_it(page):
    # 43 recipes of one target each and the demo's, all top-1 on ImageNet.
    for chart in ("lineage", "parameters", "cost"):
        assert page.locator(f"#{chart} circle.paper").count() == 44
        assert page.locator(f"#{chart} .mark").count() == 3
        labels = page.locator(f"#{chart} svg text").all_text_contents()
        assert "top-1, %" in labels
    page.get_by_role("button", name="Show GPU-hours").click()
    assert page.locator("#cost circle.paper").count() == 3, "only what was run has GPU-hours"


def test_learning_curves_have_a_line_a_seed_and_the_papers_figure(page):
    panel = page.locator(".panel", has=page.get_by_role("heading", name="net50"))
    assert panel.locator("path.curve").count() == 3
    assert panel.locator("line.target").count() == 1
    assert "paper 76.4" in panel.locator("svg text").all_text_contents()
    assert "seeds 0, 1, 2" in panel.inner_text()


def test_demonstrations_stand_in_a_section_of_their_own_without_a_verdict(page):
    assert column(page, "comparable", "Model") == ["old", "net50", NASTY]
    assert column(page, "comparable", "Verdict") == ["short", "reproduced", "above"]
    assert column(page, "others", "Model") == ["demo"]
    assert "Verdict" not in page.locator("#others thead th").all_inner_texts()
    assert "data set 'demo-digits' instead of imagenet" in page.locator("#others").inner_text()


def test_several_seeds_show_their_mean_and_spread(page):
    reached = dict(
        zip(column(page, "comparable", "Model"), column(page, "comparable", "Reached"), strict=True)
    )
    assert reached["net50"] == "76.4 ±0.1"  # 76.37 and 0.113, with the decimals the paper has


def test_a_damaged_line_of_a_log_is_counted_and_named(page):
    text = page.get_by_role("heading", name="Not read").locator("..").inner_text()
    assert "1 damaged line of its log skipped" in text
    assert "metrics.jsonl, line 2" in text


def test_names_are_shown_as_they_are_and_run_nothing(page):
    assert page.locator("#comparable").get_by_role("button", name=NASTY, exact=True).count() == 1
    assert page.locator("img").count() == 0


# ---------------------------------------------------------------- sorting, filtering, opening


def test_a_click_on_a_heading_sorts_and_a_second_one_sorts_the_other_way(page):
    heading = page.locator("#comparable thead th", has_text="Gap")
    heading.get_by_role("button").click()
    gaps = [number(text) for text in column(page, "comparable", "Gap")]
    assert gaps == sorted(gaps)
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.get_by_role("button").click()
    gaps = [number(text) for text in column(page, "comparable", "Gap")]
    assert gaps == sorted(gaps, reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"


def test_every_column_of_every_table_sorts_without_losing_a_row(page):
    page.locator("details.fold summary").click()
    for section in ("comparable", "others", "missing"):
        before = sorted(column(page, section, "Model"))
        for button in page.locator(f"#{section} thead button").all():
            button.click()
            assert sorted(column(page, section, "Model")) == before
    rows = page.locator("tr.row").evaluate_all(
        "rows => rows.every(r => r.nextElementSibling.id === r.id + '-details')"
    )
    assert rows, "what a row opens stays below it"


def test_a_row_opens_its_protocol_departures_citation_and_runs(page):
    page.locator("#comparable").get_by_role("button", name="net50").click()
    details = page.locator("#comparable tr.details:not([hidden])")
    text = details.inner_text()
    for part in (
        "single_crop 224/256 bilinear",
        "The order of images is another one.",
        "Deep Residual Learning for Image Recognition",
        "top-1 76.4 ± 0.12 over 50,000 images",
        "The best epoch was selected on the test set: shown, never judged.",
        "top1 train net50 --data /data --seed 0",
    ):
        assert part in text
    assert details.locator("a").count() == 3, "a link to each run"
    assert details.locator("svg path.curve").count() == 3


def test_search_and_filters_leave_what_matches_in_tables_and_charts(page):
    page.get_by_label("Search").fill("NEVER1")
    assert page.locator("tr.row:visible").count() == 11  # never1, never10 to never19
    assert page.locator("#shown").inner_text() == "11 of 44 rows"
    assert page.locator("#lineage g.dim").count() == 44 - 11
    page.get_by_label("Search").fill("")
    page.get_by_label("Result").select_option("reproduced")
    assert page.locator("tr.row:visible").count() == 1
    assert page.locator(".panel").count() == 1


def test_hundreds_that_were_not_run_are_folded_until_asked_for(page):
    assert page.locator("#missing tr.row:visible").count() == 0
    page.locator("#missing summary").click()
    assert page.locator("#missing tr.row:visible").count() == 40


# ---------------------------------------------------------------- the keyboard


def test_the_keyboard_alone_sorts_opens_and_reads_the_charts(page):
    page.locator("#comparable thead button").first.focus()
    page.keyboard.press("Enter")
    # By the Unicode collation, where punctuation comes before digits.
    assert column(page, "comparable", "Model") == [NASTY, "net50", "old"]
    opener = page.locator("#comparable .opener").last
    opener.focus()
    page.keyboard.press("Space")
    assert opener.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Space")
    assert opener.get_attribute("aria-expanded") == "false"
    page.locator("#lineage").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#tip").inner_text().startswith("old")
    assert "59.3 published" in page.locator("#tip").inner_text()
    assert "57 reached (-2.3): short" in page.locator("#tip").inner_text()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "old"
    assert page.locator("#comparable tr.details:not([hidden])").count() == 1


def test_every_control_can_be_reached_with_the_tab_key_and_shows_that_it_is_focused(page):
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or page.evaluate("document.activeElement === document.body")
    assert {"theme", "search", "family", "status", "lineage", "parameters", "cost", "opener"} <= reached


# ---------------------------------------------------------------- light, dark, phone, without scripts


def contrast(page, selector):
    """Return the contrast of an element's text with the page behind it, by WCAG 2's formula."""
    colors = page.locator(selector).first.evaluate(
        """e => { const c = document.createElement('canvas').getContext('2d');
            const rgb = v => { c.clearRect(0, 0, 1, 1); c.fillStyle = v; c.fillRect(0, 0, 1, 1);
                               return [...c.getImageData(0, 0, 1, 1).data.slice(0, 3)]; };
            const style = one => getComputedStyle(one);
            return [rgb(style(e).color), rgb(style(document.body).backgroundColor)]; }"""
    )
    one, other = sorted((luminance(color) for color in colors), reverse=True)
    return (one + 0.05) / (other + 0.05)


def luminance(color):
    parts = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(browser, file, scheme):
    with opened_page(browser, file.as_uri(), color_scheme=scheme) as page:
        for selector in (
            "body",
            ".lead",
            ".verdict.reproduced",
            ".verdict.above",
            ".verdict.short",
            "thead th",
        ):
            assert contrast(page, selector) >= 4.5, selector


def test_the_theme_can_be_changed_and_is_remembered(page):
    def background():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    button = page.locator("#theme")
    assert button.inner_text() == "auto"
    button.click()
    light = background()
    button.click()
    assert button.inner_text() == "dark"
    dark = background()
    assert dark != light
    page.reload()
    assert background() == dark


def test_a_phone_shows_the_page_without_scrolling_sideways(browser, file):
    with opened_page(browser, file.as_uri(), viewport={"width": 390, "height": 844}, has_touch=True) as page:
        page.wait_for_selector("#lineage svg")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        shown = page.locator("#comparable thead th:visible").all_inner_texts()
        assert shown == ["Model", "Paper", "Reached", "Gap", "Verdict"]
        page.locator("#comparable .opener").first.tap()
        assert "single_crop 224/256 bilinear" in page.locator("tr.details:not([hidden])").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.errors == []


def test_without_scripts_the_tables_and_their_details_are_still_there(browser, file):
    with opened_page(browser, file.as_uri(), java_script_enabled=False) as page:
        assert page.locator("tr.row:visible").count() == 44
        assert page.get_by_text("The order of images is another one.").first.is_visible()
        assert not page.locator("#lineage").is_visible()


# ---------------------------------------------------------------- the page's facts


def test_the_cost_of_a_training_is_what_its_paper_counts():
    # 90 epochs of 1,281,167 // 256 batches of 256, three passes of 1e9 multiply-adds, two operations each.
    assert training_exaflop(make_recipe()) == pytest.approx(90 * 5004 * 256 * 3 * 2 * 1e9 / 1e18, rel=1e-6)


def test_a_long_curve_is_thinned_and_keeps_its_last_point(tmp_path):
    folder = make_run(tmp_path, result=make_result())
    write_curve(folder, [i / 10 for i in range(1, 1000)])
    facts, _ = facts_of(make_board(tmp_path, {}))
    (curve,) = facts["curves"]
    assert len(curve["points"]) <= 200
    assert curve["points"][-1] == [999, 99.9]


def test_a_page_that_cannot_be_written_is_told_and_nothing_is_left_behind(tmp_path, board):
    with pytest.raises(Top1Error, match="cannot be written: No such file or directory"):
        write_page(board, tmp_path / "no" / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_links_to_runs_are_relative_to_where_the_page_lies(tmp_path):
    folder = make_run(tmp_path / "runs", make_recipe(), result=make_result())
    text = make_page(make_board(tmp_path / "runs", {}), tmp_path)
    assert f'href="{os.path.relpath(folder, tmp_path)}"' in text
    assert str(tmp_path) not in text.replace(str(folder), "")


def test_the_command_writes_the_page_and_says_where(tmp_path):
    make_run(tmp_path / "runs", result=make_result())
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "leaderboard", "--html", "board.html"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "board.html\n"
    assert "<!doctype html>" in (tmp_path / "board.html").read_text()
