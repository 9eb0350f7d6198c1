"""The page in a browser: Debian's or the user's Chromium, which Playwright drives."""

import csv
import shutil
import socket
import threading
import time

import pytest
import uvicorn

from cascade.config.serving import ServeConfig
from cascade.review.routes import make_router
from cascade.serving.http.app import guarded

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium in the PATH")
playwright.expect.set_options(timeout=20_000)
expect = playwright.expect


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def serve():
    """Serves sessions; gives their addresses."""
    servers = []

    def start(session):
        listening = socket.create_server(("127.0.0.1", 0))
        app = guarded([make_router(session)], ServeConfig())
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        servers.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{listening.getsockname()[1]}/review/"

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join()


@pytest.fixture
def review(browser, serve):
    """Opens the page of a session as a reviewer; what the browser complains of fails the test."""
    contexts, complaints = [], []

    def opened(session, reviewer="ann", *, address=None, **look):
        context = browser.new_context(viewport={"width": 1360, "height": 820}, **look)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda told: complaints.append(told.text))
        page.complaints = complaints
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address or serve(session))
        page.fill("#reviewer", reviewer)
        page.keyboard.press("Enter")
        settled(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def settled(page):
    """Wait until an item can be decided."""
    expect(page.locator("#number")).to_contain_text("Row")
    page.wait_for_timeout(200)  # keys in the first moments are taken for the item before


def serious(page):
    """What axe-core finds; the page forbids scripts of others, so it is run past its policy."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        (v["id"], [n["target"] for n in v["nodes"]][:3])
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


def row_of(page):
    return int(page.inner_text("#number").split()[1])


def press(page, *keys):
    """Press keys that decide, each on an item of its own."""
    for key in keys:
        before = page.inner_text("#number")
        page.keyboard.press(key)
        expect(page.locator("#number")).not_to_have_text(before)
        settled(page)


def test_a_session_by_keys_alone(session, review):
    page = review(session)
    first = row_of(page)
    press(page, "Enter", "2", "n")
    verdicts = [(d.row, d.action) for d in session.decisions()]
    assert verdicts[0] == (first, "accept")
    assert [action for _, action in verdicts] == ["accept", "choose", "nowhere"]

    page.keyboard.press("c")
    page.keyboard.type("not sure")
    page.keyboard.press("Enter")
    press(page, "a", "s")
    assert session.decisions()[-1].comment == "not sure"

    skipped = session.db.value("SELECT row FROM skips")
    press(page, "u")
    assert row_of(page) == skipped
    press(page, "u")
    assert row_of(page) == verdicts[2][0] or len(session.labels()) == 3

    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("n")  # which is no decision while the help is open
    page.keyboard.press("Escape")
    assert len(session.labels()) == 3


def test_search_files_where_it_finds(session, review):
    page = review(session)
    row = row_of(page)
    page.keyboard.press("/")
    page.keyboard.type("spad")
    expect(page.locator("#found [role=option]").first).to_contain_text("Spades")
    expect(page.locator("#search")).to_have_attribute("aria-expanded", "true")
    press(page, "Enter")
    assert session.labels() == {row: "Garden > Tools > Spades"}
    expect(page.locator("#told")).to_have_text("Filed under Spades.")
    page.keyboard.press("/")
    page.keyboard.type("qqqq")
    expect(page.locator("#found")).to_contain_text("Nothing is called so")
    page.keyboard.press("Escape")
    expect(page.locator("#tree")).to_be_visible()
    assert page.evaluate("document.activeElement.id") == "title"


def test_the_tree_is_walked_up_and_down(session, review):
    page = review(session)
    row, answer = row_of(page), page.inner_text("#path li:last-child .name")
    expect(page.locator("#tree [aria-selected=true] > .label")).to_contain_text(answer)
    page.keyboard.press("ArrowLeft")
    up = page.evaluate("document.activeElement.dataset.code")
    assert session.showing.row(row)["answer"]["code"].startswith(f"{up} > ")
    press(page, "Enter")
    assert session.labels() == {row: up}

    page.keyboard.press("Home")  # no key of the page
    page.keyboard.press("ArrowUp")
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.dataset.code") == "Toys"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")  # opens, or goes down
    page.keyboard.press("ArrowRight")
    press(page, "Enter")
    assert session.decisions()[-1].code.startswith("Clothing")


def test_a_page_that_is_loaded_again_shows_the_same_item(session, review):
    page = review(session)
    press(page, "Enter")
    row = row_of(page)
    page.reload()
    settled(page)
    assert row_of(page) == row
    expect(page.locator("#who")).to_have_text("ann")
    expect(page.locator("#count")).to_have_text("1 of 40")


def test_two_reviewers_have_different_items_and_their_conflict_is_settled(opened, review, serve):
    session = opened(double=1.0)
    address = serve(session)
    ann, bob = (review(session, who, address=address) for who in ("ann", "bob"))
    assert row_of(ann) == row_of(bob)  # as two shall look at each
    row = row_of(ann)
    press(ann, "Enter")
    press(bob, "n")
    ann.select_option("#order", "conflicts")
    expect(ann.locator("#number")).to_contain_text(f"Row {row}")
    expect(ann.locator("#verdicts")).to_contain_text("bob: nowhere")
    ann.wait_for_timeout(200)
    ann.evaluate("document.activeElement.blur()")
    ann.keyboard.press("n")
    expect(ann.locator("#title")).to_have_text("Nothing is left in this queue.")
    assert session.labels()[row] is None

    single = opened(folder=session.folder.with_name("single"))
    address = serve(single)
    ann, bob = (review(single, who, address=address) for who in ("ann", "bob"))
    assert row_of(ann) != row_of(bob)


def test_queues_filters_figures_and_the_export(session, review, tmp_path):
    page = review(session)
    page.select_option("#order", "random")
    settled(page)
    page.evaluate("document.activeElement.blur()")
    press(page, "Enter", "Enter", "n")
    page.keyboard.press("f")
    page.keyboard.type("straw")
    page.keyboard.press("Tab")
    expect(page.locator("#title")).to_contain_text("straw")
    page.fill("#words", "")
    page.keyboard.press("Tab")
    page.evaluate("document.activeElement.blur()")
    settled(page)
    page.keyboard.press("b")
    expect(page.locator("#below")).to_be_visible()
    page.click("#below")
    expect(page.locator("#below")).to_be_hidden()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("g")
    expect(page.locator("#figures-body")).to_contain_text("are exactly right (95% interval")
    expect(page.locator("#figures-body")).to_contain_text("From 3 rows of the random part")
    with page.expect_download() as download:
        page.click("text=All as CSV")
    download.value.save_as(tmp_path / "got.csv")
    with (tmp_path / "got.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 and rows[0]["review_by"] == "ann"


def test_texts_of_items_are_shown_as_text(opened, review, tmp_path):
    bad = "<img src=x onerror=\"document.title='owned'\"><script>alert(1)</script>"
    rows = [{"name": bad, bad: bad, "cascade_code": "Toys", "cascade_message": bad}]
    page = review(opened(rows, folder=tmp_path / "s"))
    assert page.inner_text("#title") == bad
    assert page.locator("main img:not(#image), main script").count() == 0
    assert "owned" not in page.title()


def test_a_decision_that_the_server_did_not_hear_is_sent_again(session, review):
    page = review(session)
    row = row_of(page)
    with playwright_route(page, "**/api/decisions"):
        page.keyboard.press("Enter")
        expect(page.locator("#trouble")).to_contain_text("sent again")
        assert session.labels() == {}
        page.keyboard.press("n")  # nothing else can be decided meanwhile
    expect(page.locator("#number")).not_to_contain_text(f"Row {row} ")
    expect(page.locator("#trouble")).to_be_hidden()
    assert [d.action for d in session.decisions()] == ["accept"]
    page.complaints[:] = [told for told in page.complaints if "503" not in told]


class playwright_route:
    """Answers an address as a server that is away does."""

    def __init__(self, page, address):
        self.page, self.address = page, address

    def __enter__(self):
        self.page.route(self.address, lambda route: route.fulfill(status=503, body=""))

    def __exit__(self, *error):
        self.page.unroute(self.address)


def test_what_is_decided_is_seen_beside_items_like_it(session, review):
    page = review(session)
    page.fill("#words", "straw")
    page.keyboard.press("Tab")
    expect(page.locator("#title")).to_contain_text("straw")
    settled(page)
    page.keyboard.press("/")
    page.keyboard.type("toys")
    expect(page.locator("#found [role=option]").first).to_contain_text("Toys")
    press(page, "Enter")
    expect(page.locator("#examples")).to_contain_text("straw hat no")
    expect(page.locator("#candidates li").first).to_contain_text("Toys 1 row like it")


def test_a_picture_is_shown_and_enlarged(opened, review, tmp_path):
    from PIL import Image

    Image.new("RGB", (300, 200), "teal").save(tmp_path / "a.png")
    (tmp_path / "rows.csv").write_text("name,picture,cascade_code\na,a.png,Toys\n")
    page = review(opened(tmp_path / "rows.csv", image="picture"))
    expect(page.locator("#picture")).to_be_visible()
    assert page.evaluate("document.getElementById('image').naturalWidth") == 300
    page.keyboard.press("p")
    expect(page.locator("#large")).to_be_visible()


def test_facets_are_added_and_taken_away_by_keys(food_session, review):
    page = review(food_session)
    expect(page.locator("#facets-list button")).to_have_text(["Process Baked ✕"])
    expect(page.locator("#facets-implied")).to_contain_text("Oats")
    page.keyboard.press("e")
    page.keyboard.type("salt")
    expect(page.locator("#facets-found [role=option]")).to_have_text(["SaltIngredient"])
    page.keyboard.press("Enter")
    expect(page.locator("#facets-list button")).to_have_text(
        ["Ingredient Salt ✕", "Process Baked ✕"]
    )
    expect(page.locator("#accept")).to_contain_text("File this code")
    press(page, "Enter")
    assert food_session.labels() == {1: "OATS0#F04.SALT0$F28.BAKED"}
    expect(page.locator("#told")).to_have_text("Filed under Oats, salt, baked.")
    expect(page.locator("#accept")).to_contain_text("Accept")
    press(page, "u")
    expect(page.locator("#facets-list button")).to_have_text(["Process Baked ✕"])
    page.click("#facets-list button")
    expect(page.locator("#facets-list button")).to_have_count(0)
    page.click("#facets-reset")
    expect(page.locator("#facets-list button")).to_have_count(1)
    page.click("#facets-list button")
    expect(page.locator("#facets-list button")).to_have_count(0)
    press(page, "a")
    assert food_session.labels() == {1: "OATS0"}


def test_another_base_term_keeps_facets_and_broken_rules_are_told(food_session, review):
    page = review(food_session)
    expect(page.locator("#facets-list button")).to_have_count(1)
    page.keyboard.press("/")
    page.keyboard.type("wheat flour")
    expect(page.locator("#found [role=option]").first).to_contain_text("Wheat flour")
    page.keyboard.press("Shift+Enter")
    expect(page.locator("#facets-base")).to_have_text("Wheat flour · FLOUR#F28.BAKED")
    page.keyboard.press("e")
    page.keyboard.type("liquid")
    expect(page.locator("#facets-found [role=option]")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#facets-list button")).to_have_count(2)
    page.keyboard.press("e")
    page.keyboard.type("a powder")
    expect(page.locator("#facets-found [role=option]").first).to_contain_text("A powder")
    assert serious(page) == []
    page.keyboard.press("Enter")
    expect(page.locator("#facets-rules")).to_contain_text("Physical state")
    press(page, "Enter")
    assert food_session.labels()[1].startswith("FLOUR#F03.")


@pytest.mark.parametrize("look", ["light", "dark", "narrow"])
def test_nothing_keeps_people_out(session, review, look):
    """axe-core finds nothing serious; keys of one letter can be switched off."""
    page = review(session, color_scheme="dark" if look == "dark" else "light")
    if look == "narrow":
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.evaluate("window.scrollTo(0, 500)")
    press(page, "2")
    assert page.evaluate("window.scrollY") == 0

    assert serious(page) == []
    page.keyboard.press("/")
    page.keyboard.type("rake")
    expect(page.locator("#found [role=option]").first).to_be_visible()
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    expect(page.locator("#figures")).to_be_visible()
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert serious(page) == []
    page.uncheck("#keys")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.wait_for_timeout(200)
    assert len(session.labels()) == 1
