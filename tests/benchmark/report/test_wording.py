from math import inf, nan

import pytest

from cytosuite.benchmark.report import wording as w
from cytosuite.benchmark.report.figures import heat
from cytosuite.benchmark.report.sections.errors import rounded
from cytosuite.benchmark.report.verdict import _share
from cytosuite.benchmark.scores.standings import Summary
from cytosuite.errors import count
from cytosuite.figures.svg import Axis
from cytosuite.ranking.rule import joined

WORDS = {
    w.number: {(0.7812,): "0.78", (1234.5,): "1.23e+03", (0.00042,): "0.00042", (inf,): "∞"},
    w.decimals: {
        ((0.82, 0.000905),): 2,
        ((0.811, 0.814),): 3,
        ((0.0042,),): 4,
        ((412.7,),): 1,
        ((0.2, 1e13),): 2,
    },
    w.fixed: {(0.8, 3): "0.800", (4e-4, 3): "<0.001", (-4e-4, 3): ">-0.001", (0.0, 3): "0.000"},
    w.against: {(0.7312, 0.7284): "0.731 against 0.728", (0.73, 0.73): "0.73 for both"},
    w.probability: {(0.0163,): "p = 0.016", (0.00002,): "p < 0.001", (nan,): "no test"},
    w.interval: {(0.7, 0.82): "0.70 to 0.82", (nan, nan): "", (1.0, 1.0): ""},
    w.estimate: {
        (Summary(0.75, 0.7, 0.82),): "0.75 (0.70 to 0.82)",
        (Summary(1.0),): "1.00",
    },
    w.duration: {(0.0421,): "42 ms", (3.21,): "3.2 s", (95,): "1 min 35 s", (7300,): "2 h 2 min"},
    w.memory: {(3 * 2**29,): "1.5 GiB", (512,): "512 B", (None,): "-"},
    count: {(1, "case"): "1 case", (0, "case"): "0 cases"},
    w.doi_link: {("10.1093/b",): "https://doi.org/10.1093/b", ("javascript:alert(1)",): ""},
    w.formulas: {("`A n B * a` of <all>",): "<code>A ∩ B · a</code> of &lt;all&gt;"},
    _share: {(1.0,): "all", (0.9995,): "99.9 % of", (0.87,): "87 % of"},
    rounded: {(3.594,): "3.59", (3651.2,): "3651"},
    joined: {(("SEG",),): "SEG", (("SEG", "DET", "F1"),): "SEG, DET and F1"},
    heat: {(1.0,): "--g:55%", (0.5,): ""},
    Axis.position: {(Axis(0.0, 2.0), 0.5): 0.25, (Axis(1.0, 100.0, log=True), 10.0): 0.5},
}


@pytest.mark.parametrize("function", WORDS)
def test_values_by_hand(function):
    assert {value: function(*value) for value in WORDS[function]} == WORDS[function]
