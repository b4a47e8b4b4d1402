import json
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from fake_zoo import fake_zoo

from zoo_pipeline.report import render

HOSTILE = "<script>alert(1)</script>"
SCORES = [
    "trajectories_true", "ari", "ami", "exact_trajectories", "margin", "kendall_tau_mean", "kendall_tau_min",
    "order_exact", "direction_accuracy", "direction_undecided",
]  # fmt: skip


@pytest.fixture(scope="module")
def zoo():
    return fake_zoo(12, 8, 40)


@pytest.fixture(scope="module")
def page(zoo):
    return render(zoo)


def without_plotly(page):
    """The page as we wrote it: plotly.js, the first and longest script, taken out."""
    scripts = re.findall(r"<script[^>]*>.*?</script>", page, flags=re.DOTALL)
    return page.replace(max(scripts, key=len), "")


def figures(page):
    return json.loads(re.search(r'<script id="figures"[^>]*>(.*?)</script>', page, flags=re.DOTALL)[1])


def cards(page):
    pattern = r'data-key="(\w+)">.*?<p class="value[^>]*>(.*?)</p>.*?<p class="meaning">(.*?)</p>'
    found = re.findall(pattern, page, flags=re.DOTALL)
    return {key: (value.replace("\N{NO-BREAK SPACE}", " "), meaning) for key, value, meaning in found}


def test_every_figure_of_the_summary_is_shown_with_a_sentence(zoo):
    summary = zoo.summary | {
        "trajectories_found": 13,
        "exact_trajectories": 11 / 12,
        "ari": 0.9912,
        "ami": 0.8765,
        "margin": 2.345,
        "kendall_tau_mean": 0.99991,
        "kendall_tau_min": 0.75,
        "order_exact": 0.5,
        "direction_accuracy": 0.9375,
        "direction_undecided": 0.0625,
    }
    shown = cards(without_plotly(render(replace(zoo, summary=summary))))
    assert {key: value for key, (value, _) in shown.items()} == {
        "trajectories_found": "13 of 12",
        "exact_trajectories": "91.7 %",
        "ari": "0.991",
        "ami": "0.876",
        "margin": "2.35×",
        "kendall_tau_mean": "&gt; 0.999",
        "kendall_tau_min": "0.750",
        "order_exact": "50.0 %",
        "direction_accuracy": "93.8 %",
        "direction_undecided": "6.2 %",
    }
    assert all(meaning.endswith(".") for _, meaning in shown.values())
    assert shown["trajectories_found"][1] == "1 more than there are models: some trajectories came apart."


def test_sizes_seconds_facts_and_cut_are_shown(zoo, page):
    text = without_plotly(page)
    assert "96 checkpoints alone (40 numbers each" in text
    assert re.search(r"separation</dt>.*?1\.9 s", text, flags=re.DOTALL)
    assert "2.8 s in all" in text
    assert "largest gap in the heights of the tree, at height 0.310" in text
    for label, value in zoo.facts.items():
        assert label in text
        assert value in text


def test_nothing_is_loaded_from_elsewhere(page):
    text = without_plotly(page)
    assert not re.findall(r"""(?:src|href|action|data|poster)\s*=\s*["']?\s*(?:https?:)?//""", text)
    assert not re.findall(r"@import|url\(|<link|<img|<iframe|<base", text)
    assert "default-src 'none'" in text


def test_every_figure_has_its_place(page):
    drawn = figures(page)
    assert set(drawn) == {
        "paths", "saw-tooth", "dendrogram", "order", "step-length", "turning-angle", "curvature", "loss", "accuracy",
    }  # fmt: skip
    for slug in drawn:
        assert f'id="{slug}"' in page


def test_hostile_text_is_escaped_everywhere(zoo):
    runs = pa.array([HOSTILE if row % 2 else "b" for row in range(zoo.assignments.num_rows)])
    hostile = replace(
        zoo,
        name=HOSTILE,
        facts={HOSTILE: HOSTILE},
        assignments=zoo.assignments.set_column(0, "run", runs),
        summary=zoo.summary | {"cut": {"rule": HOSTILE, "height": 0.3}, "seconds": {HOSTILE: 1.0}},
    )
    page = render(hostile)
    assert HOSTILE not in page
    assert "<script>alert" not in page
    assert page.count("</script>") == 3
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    hover = " ".join(figures(page)["paths"]["data"][0]["hovertext"])
    assert "&lt;script&gt;" in hover
    assert "<script" not in hover


def test_unknown_truth_reads_na(zoo):
    summary = zoo.summary | dict.fromkeys(SCORES) | {"direction_undecided": 0.25}
    trajectories = zoo.trajectories
    for name in ("model_id", "kendall_tau", "purity", "exact", "order_exact", "direction_correct"):
        index = trajectories.column_names.index(name)
        trajectories = trajectories.set_column(index, name, pa.nulls(trajectories.num_rows))
    nothing = pa.nulls(zoo.assignments.num_rows, pa.int32())
    assignments = zoo.assignments.set_column(1, "model_id", nothing).set_column(2, "epoch", nothing)
    checkpoints = pa.table({"model_id": nothing, "epoch": nothing})
    page = render(
        replace(zoo, summary=summary, trajectories=trajectories, assignments=assignments, checkpoints=checkpoints)
    )
    shown = cards(without_plotly(page))
    assert {key for key, (value, _) in shown.items() if value == "n/a"} == set(SCORES) - {
        "trajectories_true",
        "direction_undecided",
    }
    assert shown["trajectories_found"][0] == "12"
    assert shown["direction_undecided"][0] == "25.0 %"
    assert "nothing is scored" in page
    assert "The true epochs are unknown" in page
    assert "No loss was recorded" in page
    assert figures(page)["step-length"]["layout"]["xaxis"]["title"]["text"] == "recovered position"


def test_diverged_models_are_left_out_and_counted():
    page = without_plotly(render(fake_zoo(8, 10, 30, diverged=2, undecided=1, swapped=1)))
    assert "2 models diverged" in page
    assert "left out of the analysis with 20 checkpoints" in page
    assert "8 checkpoints with a loss that is not a finite number" in page
    assert "For 1 trajectory the direction is undecided" in page
    assert "NaN" not in json.dumps(figures(page)["accuracy"])


@pytest.mark.parametrize(
    ("models", "checkpoints", "diverged"), [(1, 10, 0), (5, 2, 0), (1, 2, 0), (1, 1, 0), (2, 4, 2)]
)
def test_small_zoos_render(models, checkpoints, diverged):
    zoo = fake_zoo(models, checkpoints, 10, diverged=diverged) if diverged < models else empty_zoo(models, checkpoints)
    page = render(zoo)
    assert page.rstrip().endswith("</html>")
    assert ("dendrogram" in figures(page)) == ((models - diverged) * checkpoints > 1)


def empty_zoo(models, checkpoints):
    """A zoo of which every model diverged."""
    zoo = fake_zoo(models, checkpoints, 10)
    rows = zoo.assignments.num_rows
    none = pa.array(np.full(rows, -1, dtype=np.int32))
    assignments = zoo.assignments
    for name in ("trajectory", "leaf"):
        assignments = assignments.set_column(assignments.column_names.index(name), name, none)
    return replace(
        zoo,
        assignments=assignments,
        trajectories=zoo.trajectories.slice(0, 0),
        geometry=zoo.geometry.set_column(zoo.geometry.column_names.index("trajectory"), "trajectory", none),
        linkage=np.empty((0, 4)),
        embedding=np.full((rows, 3), np.nan, dtype=np.float32),
        summary=zoo.summary | dict.fromkeys(SCORES) | {"trajectories_found": 0, "checkpoints": 0},
    )


def test_the_worst_trajectories_come_first():
    page = without_plotly(render(fake_zoo(30, 10, 20, swapped=1, undecided=2)))
    first = [int(number) for number in re.findall(r"</i>(\d+)</td>", page)]
    assert first[:4] == [0, 28, 29, 1]
    assert len(first) == 20
    assert "The 20 worst of 30" in page


def test_tables_that_do_not_correspond_are_refused(zoo):
    with pytest.raises(ValueError, match="geometry has 5 rows but assignments has 96"):
        replace(zoo, geometry=zoo.geometry.slice(0, 5))
    with pytest.raises(ValueError, match=r"embedding has shape \(96, 2\), expected \(96, 3\)"):
        replace(zoo, embedding=zoo.embedding[:, :2])
