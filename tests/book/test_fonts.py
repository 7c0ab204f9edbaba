"""The typefaces that the site carries."""

from fontTools.ttLib import TTFont

from pixgrad.book.rendering import fonts


def test_faces_are_small_have_russian_letters_and_their_licence(tmp_path):
    fonts.write(tmp_path, "ѣ")
    made = {path.stem: path for path in tmp_path.glob("*.woff2")}
    assert made.keys() == fonts.FACES.keys()
    for name in ("text-regular", "text-italic", "text-bold", "sans-regular", "sans-bold"):
        letters = TTFont(made[name]).getBestCmap()
        assert {ord(letter) for letter in "абвёжщЪЯ«»—№zZ0"} <= letters.keys(), name
        assert made[name].stat().st_size < 45_000
    assert ord("ѣ") in TTFont(made["text-regular"]).getBestCmap()  # a page uses it
    math = TTFont(made["math"])
    assert "MATH" in math and 0x1D465 in math.getBestCmap()  # the italic x
    assert made["math"].stat().st_size <= 200_000
    licences = list(tmp_path.glob("OFL-*.txt"))
    assert len(licences) == 3
    assert all("SIL OPEN FONT LICENSE" in path.read_text("utf-8").upper() for path in licences)
