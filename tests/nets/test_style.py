"""Style transfer on a convolution by hand: the Gram matrix, the losses, the descent."""

import pytest

torch = pytest.importorskip("torch")

from pixgrad.nets.style import gram, transferred  # noqa: E402  (needs torch)


def pictures():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, 1, 3, 12, 12, generator=generator)


def features(image):
    kernels = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(2))
    maps = torch.nn.functional.conv2d(image, kernels).relu()
    return [image, maps]


def test_gram_forgets_places_and_is_the_mean_of_products():
    maps = torch.rand(1, 3, 5, 4, generator=torch.Generator().manual_seed(3))
    found = gram(maps)
    assert found[0, 2] == pytest.approx((maps[0, 0] * maps[0, 2]).mean().item())
    torch.testing.assert_close(gram(maps.flip(3)), found)
    torch.testing.assert_close(found, found.T)


def test_the_descent_lowers_the_loss_of_style_and_starts_from_the_content():
    content, style = pictures()
    image, losses = transferred(features, content, style, 40, 10.0, 0.0)
    assert losses[0][0] == 0
    assert losses[-1][1] < 0.5 * losses[0][1]
    assert 0 <= image.min() <= image.max() <= 1
    wanted = [gram(maps) for maps in features(style)]
    first = [
        ((gram(maps) - of).norm() / of.norm()).item() ** 2
        for maps, of in zip(features(content), wanted, strict=True)
    ]
    assert losses[0][1] == pytest.approx(sum(first) / 2)


def test_without_style_the_content_stays():
    content, style = pictures()
    image, _ = transferred(features, content, style, 5, 0.0, 0.0)
    torch.testing.assert_close(image, content)
