"""Colours of plots on the dark page."""

from pixgrad.book.rendering.dark_figures import DARK, lightened, themed

STYLE = '<style type="text/css">*{}</style>'


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_and_lines_stand_out_on_the_dark_ground():
    ground = DARK["ffffff"]
    for text in ("000000", "222222", "444444", "1f2328", "57606a"):
        assert contrast(DARK[text], ground) >= 4.5, text
    for line in ("0072b2", "cc3311", "009e73", "cc79a7", "e69f00", "56b4e9"):
        assert contrast(DARK[line], ground) >= 3, line


def test_known_colours_become_variables_with_the_light_one_as_default():
    svg = f'<svg>{STYLE}<path style="fill: #0072B2; stroke: #123456"/></svg>'
    made = themed(svg)
    assert 'style="fill: var(--c0072b2, #0072b2); stroke: #123456"' in made
    assert f"--c0072b2:{DARK['0072b2']};" in made


def test_a_picture_with_pixels_stays_as_it_is():
    svg = f'<svg>{STYLE}<image href="data:,"/><path style="fill: #ffffff"/></svg>'
    assert themed(svg) == svg


def test_coordinates_lose_what_nobody_sees_and_scales_keep_all():
    svg = (
        f"<!DOCTYPE svg><svg><metadata>\n  <a/></metadata>\n <defs>{STYLE}</defs>"
        '<path d="M 1.23456 -0.00499 \nL 2 3 "'
        ' transform="translate(1.23456 2.34567) scale(0.015625)"/>'
        '<use x="9.87654" y="-1.5"/></svg>'
    )
    made = lightened(svg)
    assert '<path d="M 1.23 -0.00 \nL 2 3 "' in made
    assert 'transform="translate(1.23456 2.34567) scale(0.015625)"' in made
    assert '<use x="9.87" y="-1.5"/>' in made
    assert "metadata" not in made and "DOCTYPE" not in made
    assert lightened("<svg><metadata/></svg>") == "<svg><metadata/></svg>"  # not Matplotlib's
