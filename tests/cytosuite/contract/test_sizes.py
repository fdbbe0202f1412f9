import pytest

from cytosuite.contract.sizes import Size, consent, probes

# of five frames of nuclei of 50 px; blobs, where the network has seen others
FRAMES = [(47.5, 47.5), (26.2, 47.5), (37.8, 37.8), (47.5, 47.5), (33.7, 47.5)]
TENS = [(10, 10)] * 3


@pytest.mark.parametrize(
    "pairs, sequence, um, doubted",
    [
        (FRAMES, True, 42.65, [1]),
        (FRAMES, False, 42.65, [1]),  # four of five agree
        (FRAMES[:3], False, None, []),  # too few
        (FRAMES[:1], True, None, []),
        ([*TENS, (20, 20)], True, 10, []),  # no network's
        ([*TENS, (20, 25)], True, 10, [3]),
        ([*TENS, (20, 25)], False, 10, []),  # its blobs are as large
        ([(10, 10), (10, 10), (20, 10), (20, 10)], False, None, []),  # two kinds
        ([(10, 12), (40, 30)], True, 25, [0, 1]),  # nobody knows
    ],
)
def test_images_agree_on_a_size_or_do_not(pairs, sequence, um, doubted):
    sizes = {
        n: Size(network, "estimated" if network == blobs else "network", blobs)
        for n, (network, blobs) in enumerate(pairs)
    }
    agreed = consent(sizes, sequence=sequence)
    if um is None:
        assert agreed is None
        return
    metadata, doubts = agreed
    assert metadata["diameter_um"] == pytest.approx(um)
    assert list(doubts) == doubted
    count = len(pairs) - len(doubted) or len(pairs)
    assert metadata["diameter_source"] == f"shared, median of {count} images"


def test_the_images_that_are_asked_are_evenly_apart():
    assert probes(1) == {0}
    assert probes(3) == {0, 1, 2}
    assert sorted(probes(101)) == [0, 25, 50, 75, 100]
