"""The HTML report in Chromium: `pip install playwright`, and a `chromium` on the path; skipped without."""

import shutil
from itertools import pairwise
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from acceptance.command import MODELS, SEED, cnnlint
from analyzer.report.test_html import HOSTILE, renamed
from zoo import folder, keras_path

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]

AXE = ("axe-core", "4.14.1", "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def unet(path: Path) -> Path:
    """Write a U-Net of three levels, whose skip connections are concatenations."""
    nodes, weights = [], []

    def conv(name: str, x: str, before: int, after: int) -> str:
        weights.append(
            helper.make_tensor(f"{name}.w", TensorProto.FLOAT, (after, before, 3, 3), [0.1] * after * before * 9)
        )
        nodes.append(helper.make_node("Conv", [x, f"{name}.w"], [f"{name}.y"], name=name, pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"{name}.y"], [f"{name}.z"], name=f"{name}_relu"))
        return f"{name}.z"

    x, skips, channels = "image", [], 3
    for level in range(3):
        x = conv(f"down{level}a", x, channels, 4 << level)
        channels = 4 << level
        x = conv(f"down{level}b", x, channels, channels)
        skips.append((x, channels))
        nodes.append(
            helper.make_node("MaxPool", [x], [f"pool{level}.y"], f"pool{level}", kernel_shape=[2, 2], strides=[2, 2])
        )
        x = f"pool{level}.y"
    weights.append(helper.make_tensor("scales", TensorProto.FLOAT, (4,), [1, 1, 2, 2]))
    for level in reversed(range(3)):
        skip, width = skips[level]
        nodes.append(helper.make_node("Resize", [x, "", "scales"], [f"up{level}.y"], f"up{level}", mode="nearest"))
        nodes.append(helper.make_node("Concat", [f"up{level}.y", skip], [f"cat{level}.y"], f"cat{level}", axis=1))
        x = conv(f"up{level}a", f"cat{level}.y", channels + width, width)
        channels = width
    nodes.append(helper.make_node("Identity", [x], ["masks"], "masks"))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 64, 64))
    masks = helper.make_tensor_value_info("masks", TensorProto.FLOAT, (1, 4, 64, 64))
    graph = helper.make_graph(nodes, "unet", [image], [masks], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def model_of(name: str, tmp_path: Path) -> Path:
    if name == "seed_cnn":
        return SEED
    if name == "unet":
        return unet(tmp_path / "unet.onnx")
    if name == "hostile":
        return renamed(tmp_path / "hostile.onnx", HOSTILE)
    return keras_path(name)


class Watched:
    """A page that remembers what it complained of and asked for."""

    def __init__(self, browser, path: Path, **options) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        self.page = self.context.new_page()
        self.said = list[str]()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.said.append(request.url) if request.url != self.page.url else None)
        self.page.on("requestfinished", lambda request: None)
        self.said_before = path.as_uri()
        self.page.goto(path.as_uri())
        self.page.locator(".network").first.scroll_into_view_if_needed()
        self.page.locator(".network .node").first.wait_for()

    def complaints(self) -> list[str]:
        return [said for said in self.said if said not in {self.said_before, "data:,"}]


@pytest.fixture
def shown(browser, tmp_path):
    opened = list[Watched]()

    def show(*models: Path, command=("lint", "--static", "--isolated"), **options) -> Watched:
        page = tmp_path / "report.html"
        page.write_text(cnnlint(*command, "--format", "html", *models).stdout, encoding="utf-8")
        opened.append(Watched(browser, page, **options))
        return opened[-1]

    yield show
    for each in opened:
        each.context.close()


NAMES = ["seed_cnn", "ResNet50", "DenseNet121", "NASNetMobile", "unet", "hostile"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [1440, 390])
def test_a_report_is_drawn_without_an_error_a_request_or_a_line_too_wide(name, width, shown, tmp_path):
    watched = shown(model_of(name, tmp_path), viewport={"width": width, "height": 844})
    page = watched.page
    page.locator(".node:not(.folded)").first.click()
    assert page.locator(".layer-details dt").filter(has_text="Receptive field").count() == 1
    if page.get_by_role("button", name="Unfold all").count():
        page.get_by_role("button", name="Fold all", exact=True).click()
        folded = page.locator(".node").count()
        page.get_by_role("button", name="Unfold all").click()
        assert page.locator(".node").count() > folded
    layers = page.evaluate("document.querySelector('.network').view.picture.data.layers.length")
    assert page.locator(".node").count() == layers
    assert page.locator(".chart canvas").count() >= 3
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert watched.complaints() == []


def test_a_thousand_layers_are_unfolded_in_a_few_seconds_and_one_is_selected_at_once(shown, tmp_path):
    page = shown(model_of("NASNetMobile", tmp_path)).page
    unfolding = page.evaluate(
        "() => { const from = performance.now(); const { picture } = document.querySelector('.network').view;"
        " picture.outline.openAll(); picture.render(); return performance.now() - from; }"
    )
    selecting = page.evaluate(
        "() => { const from = performance.now(); const { view } = document.querySelector('.network');"
        " for (let at = 0; at < 100; at += 1) view.show(at * 9); return (performance.now() - from) / 100; }"
    )
    assert unfolding < 8000
    assert selecting < 100


def test_no_two_layers_are_drawn_over_each_other(shown, tmp_path):
    for name in ("unet", "ResNet50"):
        page = shown(model_of(name, tmp_path)).page
        overlaps = page.evaluate(
            "() => { const { picture } = document.querySelector('.network').view; picture.outline.openAll();"
            " picture.render(); const a = picture.items; return a.flatMap((p, i) => a.slice(i + 1).filter((q) =>"
            " Math.abs(p.x - q.x) < (p.width + q.width) / 2 - 1 && Math.abs(p.y - q.y) < (p.height + q.height) / 2 - 1"
            ").map((q) => [p.key, q.key])); }"
        )
        assert overlaps == [], name


def test_a_tall_network_is_printed_in_columns_and_pages_that_cut_no_layer(shown, tmp_path):
    page = shown(model_of("ResNet50", tmp_path)).page
    cuts = page.evaluate(
        "() => { dispatchEvent(new Event('beforeprint'));"
        " return [...document.querySelectorAll('.paper svg')].map((svg) => {"
        " const { y, height } = svg.viewBox.baseVal; return [y, y + height, svg.height.baseVal.value]; }); }"
    )
    layers = page.evaluate(
        "document.querySelector('.network').view.picture.items.map((item) => [item.y - item.height / 2, item.height])"
    )
    assert len(cuts) > 1
    assert all(before[1] == pytest.approx(after[0]) for before, after in pairwise(cuts))
    for top, height in layers:
        assert sum(upper <= top and top + height <= lower for upper, lower, _ in cuts) == 1
    assert all(500 * (lower - upper) / 1000 <= printed <= 900 for upper, lower, printed in cuts)
    assert page.locator(".paper").first.get_attribute("aria-hidden") == "true"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".paper").count() == 0


def test_the_keyboard_walks_along_the_network_opens_and_folds(shown, tmp_path):
    page = shown(model_of("DenseNet121", tmp_path)).page
    page.locator(".node[tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator(".layer-details h4").inner_text() != ""
    before = page.locator(".node").count()
    for _ in range(30):
        if "folded" in page.evaluate("document.activeElement.getAttribute('class')"):
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    opened = page.locator(".node").count()
    assert opened > before
    assert page.evaluate("document.activeElement.classList.contains('node')")
    page.keyboard.press("f")
    assert page.locator(".node").count() == before


def test_models_are_sorted_filtered_and_reached_from_the_table(shown, tmp_path):
    models = [MODELS / "smelly.onnx", MODELS / "vgg_style.onnx", SEED]
    page = shown(*models).page
    rows = page.locator("table.models tbody tr")
    page.get_by_role("button", name="Parameters", exact=True).first.click()
    values = [int(text.replace(",", "")) for text in rows.locator("td:nth-child(6)").all_inner_texts()]
    assert values == sorted(values, reverse=True)
    page.get_by_label("Filter models").fill("vgg")
    assert [row.is_visible() for row in rows.all()].count(True) == 1
    page.get_by_role("link", name="vgg_style").first.click()
    assert page.locator("details.model", has_text="vgg_style").first.get_attribute("open") is not None


def test_a_finding_leads_to_its_layer_and_the_layer_to_the_page_of_its_rule(shown):
    page = shown(MODELS / "smelly.onnx").page
    finding = page.locator("details.finding[open]").first
    finding.get_by_role("button", name="Show in the network").click()
    page.locator(".layer-details .at-layer a").first.click()
    finding.locator(".links a").click()
    assert page.locator("details.rule[open]").count() == 1


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core, fetched once into the folder of the zoo."""
    from docs.make_vendor import Library, members

    kept = folder() / f"axe-{AXE[1]}.js"
    if not kept.exists():
        try:
            kept.write_text(members(Library(*AXE, ("axe.min.js",)))["axe.min.js"], encoding="utf-8")
        except OSError as error:
            pytest.skip(f"axe-core cannot be fetched: {error}")
    return kept.read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_serious(scheme, width, shown, axe):
    page = shown(MODELS / "smelly.onnx", SEED, color_scheme=scheme, viewport={"width": width, "height": 844}).page
    page.locator(".node").nth(3).click()
    page.locator("details.all-layers summary").first.click()
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.evaluate(axe)
    violations = page.evaluate("axe.run().then((found) => found.violations)")
    grave = [
        (each["id"], [node["html"][:200] for node in each["nodes"]][:3])
        for each in violations
        if each["impact"] in {"serious", "critical"}
    ]
    assert grave == []
