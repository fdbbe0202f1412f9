import pytest
import torch

from cytosuite.algorithms.cyclegan3d.training.pool import ImagePool

SHAPE = (1, 2, 2, 2)


def _images(*values):
    """Return one image for each value, which fills it."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1, 1).expand(-1, *SHAPE)


def _values(images):
    return images[:, 0, 0, 0, 0].tolist()


def test_a_pool_fills_before_it_gives_old_images():
    pool = ImagePool(3, SHAPE)
    for number in (1.0, 2.0, 3.0):
        assert _values(pool.exchange(_images(number))) == [number]
    assert _values(pool.kept) == [1, 2, 3]
    assert int(pool.count) == 3


def test_a_full_pool_gives_half_old_images_and_loses_none():
    torch.manual_seed(0)
    pool = ImagePool(10, SHAPE)
    given = [float(number) for number in range(410)]
    shown = [_values(pool.exchange(_images(number)))[0] for number in given]
    assert shown[:10] == given[:10]
    old = sum(one != two for one, two in zip(shown, given, strict=True))
    assert 160 < old < 240
    # Those that filled the pool were shown at once, and stayed.
    assert sorted(shown + _values(pool.kept)) == sorted(given + given[:10])
    assert int(pool.count) == 10


def test_a_batch_is_exchanged_image_by_image():
    pool = ImagePool(3, SHAPE)
    assert _values(pool.exchange(_images(1, 2))) == [1, 2]
    torch.manual_seed(1)
    shown = _values(pool.exchange(_images(3, 4, 5, 6)))
    assert shown[0] == 3
    assert sorted([*shown[1:], *_values(pool.kept)]) == [1, 2, 3, 4, 5, 6]


def test_a_pool_of_size_0_keeps_nothing():
    pool = ImagePool(0, SHAPE)
    for number in range(20):
        assert _values(pool.exchange(_images(number, -number))) == [number, -number]
    assert len(pool.kept) == int(pool.count) == 0


@pytest.mark.parametrize("at", [1, 4, 17])
def test_a_pool_from_a_checkpoint_goes_on_alike(at):
    whole, first, second = ImagePool(4, SHAPE), ImagePool(4, SHAPE), ImagePool(4, SHAPE)
    expected, found = [], []
    for number in range(30):
        torch.manual_seed(number)
        expected += _values(whole.exchange(_images(number)))
    for number in range(30):
        if number == at:
            second.load_state_dict(first.state_dict())
        torch.manual_seed(number)
        found += _values((first if number < at else second).exchange(_images(number)))
    assert found == expected
    assert found != list(range(30))
    assert torch.equal(whole.kept, second.kept)


def test_images_are_given_without_gradient_and_in_their_dtype():
    pool = ImagePool(1, SHAPE)
    images = _images(*[0.1] * 12).clone().requires_grad_()
    shown = pool.exchange(images)
    assert not shown.requires_grad
    assert shown.dtype == torch.float32
    assert pool.kept.dtype == torch.float16
    torch.testing.assert_close(shown, images.detach(), atol=1e-4, rtol=1e-3)


def test_a_kept_image_does_not_change_with_the_given_one():
    pool = ImagePool(1, SHAPE)
    images = _images(1.0).clone()
    shown = pool.exchange(images)
    images += 5
    assert _values(pool.kept) == _values(shown) == [1]
