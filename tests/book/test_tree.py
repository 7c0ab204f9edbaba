"""The lines that pandoc does not tell: words, labels and texts are found where they stand."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pixgrad.book.ledger import qmd
from pixgrad.book.rendering.tree import Tree

PAGE = """\
---
lang: ru
---

# Глава {#sec-one}

Слово[^далеко] и `код`, $x^2$, *выделено* и
вторая строка "в кавычках", цена 5\\$ и 6$.

```{python}
#| fig-cap: "Подпись"
вместо = "текста"
```

| столбец | шаг |
|---------|----:|
| ячейка  | 2   |

: Размеры {#tbl-sizes}

## Без метки

::: {.callout-note title="Название"}
внутри [ссылки](куда.qmd#якорь){.класс}
:::

$$
\\frac{1}{2}
$$ {#eq-half}

![Рисунок](a%20b.png){#fig-a fig-alt="описание"}

[^далеко]: сноска
    продолжена

конец
"""


def tree() -> Tree:
    return Tree(qmd.parse(PAGE), [(11, "Подпись с $y$ и [@ключ]")])


def lines_of(kind: str) -> dict[str, int]:
    return {str(one.content): one.line for one in tree().of(kind)}


def line_of(text: str) -> int:
    return PAGE.count("\n", 0, PAGE.index(text)) + 1


def test_words_stand_on_their_lines():
    words = lines_of("Str")
    for word in ("Слово", "выделено", "вторая", "столбец", "ячейка", "Размеры", "метки", "внутри",
                 "ссылки", "сноска", "продолжена", "конец"):  # fmt: skip
        assert words[word] == line_of(word), word
    assert "вместо" not in words
    assert words["Подпись"] == 11


def test_a_dollar_is_written_unless_it_is_escaped():
    dollars = {one.content: one.is_written for one in tree().of("Str") if "$" in one.content}
    assert dollars == {"5$": False, "6$.": True}


def test_formulas_pictures_links_and_citations():
    assert [one.line for one in tree().of("Math")] == [line_of("$x^2$"), line_of("\\frac"), 11]
    (image,), (link,), (cite,) = (list(tree().of(kind)) for kind in ("Image", "Link", "Cite"))
    assert (image.target, image.line) == ("a%20b.png", line_of("![Рисунок]"))
    assert (link.target, link.line) == ("куда.qmd#якорь", line_of("внутри"))
    assert (cite.keys, cite.line) == (["ключ"], 11)
    assert any(
        one.kind == "Div" and one.attributes == {"title": "Название"} for one in link.around()
    )


def test_labels_are_what_the_author_wrote():
    assert dict(map(reversed, tree().labels)) == {
        "sec-one": 5,
        "tbl-sizes": line_of("ячейка") - 2,
        "eq-half": line_of("{#eq-half}"),
        "fig-a": line_of("{#fig-a"),
    }
    assert "без-метки" in tree().ids


def test_texts_are_paragraphs_with_the_line_of_each_character():
    texts = {text.text: text.lines for text in tree().texts}
    first = next(text for text in texts if text.startswith("Слово"))
    assert first == (
        'Слово и \ufffc, \ufffc, выделено и\nвторая строка "в кавычках", цена 5$ и 6$.'
    )
    assert texts[first][0] == 7 and texts[first][first.index("кавычках")] == 8
    assert texts["описание"][0] == line_of("описание")
    assert texts["сноска\nпродолжена"][-1] == line_of("продолжена")


def test_a_page_may_begin_with_code_and_a_picture_may_stand_in_a_sentence():
    text = "```\nкод\n```\n\nДо ![](a.png){fig-alt='вид'} после.\n"
    texts = [one.text for one in Tree(qmd.parse(text)).texts if one.text]
    assert texts == ["вид", "До  после."]


WORDS = ("раз", "два", "три", "[четыре](пять)", "*шесть*", "`семь`", "$8$")
PARAGRAPH = st.lists(st.sampled_from(WORDS), min_size=1)


@settings(max_examples=25, deadline=None)
@given(st.lists(PARAGRAPH, min_size=1, max_size=12))
def test_repeated_words_keep_to_their_lines(paragraphs):
    text = "\n\n".join(" ".join(words) for words in paragraphs) + "\n"
    found = [
        one.line for one in Tree(qmd.parse(text)).elements if one.kind in ("Str", "Code", "Math")
    ]
    assert found == [2 * number + 1 for number, words in enumerate(paragraphs) for _ in words]
