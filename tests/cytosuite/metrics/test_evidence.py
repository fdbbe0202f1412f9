import pickle

import numpy as np
import pytest

from cytosuite.metrics import FAMILIES, assd, dice, metrics_of, n_ssim, seg, ssim, w1
from cytosuite.metrics.evidence import CASE_FACTS, SET_FACTS, Evidence, Facts, gather
from cytosuite.metrics.images.n_ssim import triple
from cytosuite.metrics.images.pair import pair
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.metrics.labels.surfaces import surface_table
from cytosuite.metrics.realism.scene import Scene
from cytosuite.volume import Volume

TRUTH = np.zeros((12, 12, 12), np.uint16)
TRUTH[3:9, 3:9, 3:9] = 1


def facts(**known):
    """Return facts that are known already."""
    return Facts({name.replace("__", ":"): lambda v=v: v for name, v in known.items()})


def test_evidence_is_gathered_once_for_all_its_metrics():
    calls = []

    def count(truth, prediction):
        calls.append((truth, prediction))
        return len(calls)

    counted = Evidence(count, ("truth", "prediction"))
    found = gather([counted] * 3, facts(truth=1, prediction=2))
    assert found == {counted: 1}
    assert calls == [(1, 2)]


def test_a_fact_is_read_once_and_only_if_wanted():
    read = []
    known = Facts(
        {name: lambda n=name: read.append(n) or TRUTH for name in ("truth", "prediction", "image")}
    )
    gather([seg.evidence, dice.evidence], known)
    assert read == ["truth", "prediction"]
    gather([n_ssim.evidence], known)
    assert read == ["truth", "prediction", "image"]


def test_missing_facts_are_named_and_leave_the_evidence_out():
    known = facts(truth=TRUTH, prediction=TRUTH)
    assert assd.evidence.missing(known) == ["spacing"]
    assert ssim.evidence.missing(known) == ["data_range"]
    assert set(gather([assd.evidence, seg.evidence], known)) == {seg.evidence}


def test_metrics_from_facts_are_those_of_arrays():
    image, moved = np.roll(TRUTH, 2), np.roll(TRUTH, 1)
    known = facts(truth=TRUTH, prediction=moved, image=image, spacing=(2, 1, 1))
    found = gather([m.evidence for m in (seg, assd, n_ssim)], known)
    assert seg.of(found[seg.evidence]) == seg(TRUTH, moved)
    assert assd.of(found[assd.evidence]) == assd(TRUTH, moved, (2, 1, 1))
    assert n_ssim.of(found[n_ssim.evidence]) == n_ssim(TRUTH, moved, image)


def test_images_of_a_set_are_known_by_their_form():
    arrays = facts(real__arrays=[TRUTH], synthetic__arrays=[TRUTH + 2])
    assert w1.of(w1.evidence.of(arrays)) == 2
    scene = Scene(Volume(TRUTH, (1, 1, 1)), TRUTH)
    scenes = facts(real__scenes=[scene], synthetic__scenes=[scene])
    assert w1.evidence.missing(scenes) == ["real", "synthetic"]
    ready = {m.name for m in metrics_of("realism") if not m.evidence.missing(scenes)}
    assert {"region_similarity", "feature_distance", "patch_KID"} <= ready
    assert "label_AUC" not in ready


def test_uses_are_handed_over_where_they_are_known():
    def joined(truth, spacing=None):
        return truth, spacing

    optional = Evidence(joined, ("truth",), uses=("spacing",))
    assert optional.of(facts(truth=1)) == (1, None)
    assert optional.of(facts(truth=1, spacing=(2, 2))) == (1, (2, 2))


def test_unknown_facts_are_an_error():
    with pytest.raises(ValueError, match=r"^evidence: unknown facts \['mask'\]$"):
        Evidence(len, ("truth", "mask"))


@pytest.mark.parametrize(
    "evidence",
    {m.evidence: None for family in FAMILIES for m in metrics_of(family)},
    ids=lambda evidence: evidence.gather.__name__,
)
def test_every_evidence_is_of_a_case_or_of_a_set(evidence):
    wanted = set(evidence.needs)
    assert wanted <= set(CASE_FACTS if evidence.scope == "case" else SET_FACTS)
    assert evidence.scope == "case" or evidence.pool is None


def test_pooled_evidence_is_that_of_all_cases():
    cases = [(TRUTH, np.roll(TRUTH, n)) for n in (0, 1)]
    tables = [overlap(*case) for case in cases]
    assert dice.evidence.pool is not None
    assert dice.of(dice.evidence.pool(tables)) == pytest.approx(
        (dice(*cases[0]) + dice(*cases[1])) / 2
    )
    assert assd.evidence.pool is not None
    pooled = assd.evidence.pool([surface_table(*case, (1, 1, 1)) for case in cases])
    assert pooled.assd.size == 2


def test_pairs_and_triples_are_not_pooled():
    image = np.random.default_rng(0).random((11, 11))
    assert ssim.evidence.pool is n_ssim.evidence.pool is None
    assert pair(image, image, data_range=1).truth is image
    assert len(set(triple(image, image, image).scales)) == 1


@pytest.mark.parametrize("name", FAMILIES)
def test_evidence_is_the_same_object_after_a_way_through_another_process(name):
    for metric in metrics_of(name):
        assert pickle.loads(pickle.dumps(metric.evidence)) is metric.evidence


def test_evidence_that_is_in_no_module_cannot_travel():
    with pytest.raises(pickle.PicklingError, match="pair has no name"):
        pickle.dumps(Evidence(pair, ("truth",)))
