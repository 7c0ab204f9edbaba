"""What cells reach, rule by rule, in tiny modules: what counts, what does not, what is a hole."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pixgrad.book.ledger import reach as reaching
from pixgrad.book.ledger.code import named_in
from pixgrad.book.ledger.mentions import FUNCTIONS
from pixgrad.book.ledger.units import Module, dump

CODE = Path(reaching.__file__).parents[3]


def reach(cell: str, lazy: tuple[str, ...] = (), **sources: str) -> dict[str, dict[str, str]]:
    """Of one cell, in modules given as text; ``p__q`` is the module q of the package p."""
    modules = {}
    for key, text in sources.items():
        name = key.replace("__", ".")
        is_package = any(other.startswith(key + "__") for other in sources)
        modules[name] = Module(name, textwrap.dedent(text), is_package)
    return reaching.reach([textwrap.dedent(cell)], modules.get, lazy)


def names(cell: str, lazy: tuple[str, ...] = (), **sources: str) -> set[str]:
    found = reach(cell, lazy, **sources)
    return {f"{m}.{n}" for m, units in found.items() if m for n in units if n}


M = """
import numpy as np
LIMIT = 3
OTHER = 4

def used(x):
    '''Text.'''
    return helper(x) + LIMIT

def helper(x):
    return np.abs(x)

def unused(x, y: np.ndarray = None):
    return x

class Box:
    side = 1
    def area(self):
        return square(self.side)

def square(x):
    return x * x
"""


def test_names_lead_from_the_cell_through_functions_and_constants():
    assert names("import m\nm.used(1)", m=M) == {"m.used", "m.helper", "m.LIMIT", "m.np"}
    assert names("from m import used as f\nf(1)", m=M) == names("import m\nm.used(1)", m=M)
    assert names("from m import Box\nBox()", m=M) == {"m.Box", "m.square"}
    assert names("import m", m=M) == set()


@pytest.mark.parametrize(
    "edit",
    [
        ("'''Text.'''", "'''Other.'''  # a remark"),
        ("return helper(x) + LIMIT", "return (helper(x)\n            + LIMIT)"),
        ("return x\n", "return x + 1\n"),
        ("OTHER = 4", "OTHER = 5\nNEW = {1: 'b'}\n\ndef new():\n    return 1\n"),
        ("import numpy as np", "import numpy as np\nfrom numpy import linalg"),
        ("return square(self.side)", "return 0"),
        ("\ndef used(x):", "\ndef early():\n    return 1\n\n\ndef used(x):"),
    ],
)
def test_what_does_not_count(edit):
    changed = M.replace(*edit)
    assert changed != M
    cell = "import m\nm.used(1)"
    assert reach(cell, m=changed) == reach(cell, m=M)


@pytest.mark.parametrize(
    ("edit", "name"),
    [
        (("+ LIMIT", "- LIMIT"), "used"),
        (("np.abs(x)", "np.abs(-x)"), "helper"),
        (("LIMIT = 3", "LIMIT = 4"), "LIMIT"),
        (("import numpy as np", "import cupy as np"), "np"),
        (("def helper(x)", "def helper(x, y=0)"), "helper"),
    ],
)
def test_what_counts(edit, name):
    cell = "import m\nm.used(1)"
    before, after = reach(cell, m=M), reach(cell, m=M.replace(*edit))
    assert {n for n in before["m"] if before["m"][n] != after["m"].get(n)} == {name}


def changes(cell: str, edit: tuple[str, str], lazy=(), **sources: str) -> bool:
    """Whether the edit of the module ``m`` counts."""
    changed = {**sources, "m": sources["m"].replace(*edit)}
    assert changed != sources
    return reach(cell, lazy, **sources) != reach(cell, lazy, **changed)


def test_what_runs_on_import_always_counts():
    source = "import matplotlib.pyplot as plt\nplt.rcParams['x'] = 1\nA = size()\n"
    source += "def size():\n    return 1\ndef other():\n    return 2\n"
    for edit in (("= 1\n", "= 2\n"), ("size()\n", "size() + 1\n"), ("return 1", "return 3")):
        assert changes("import m", edit, m=source)
    assert not changes("import m", ("return 2", "return 3"), m=source)
    assert changes("import m", ("A = size()\n", ""), m=source)
    assert changes("from p import q", ("1", "2"), p__q="x = 1", p="", m="print(1)") is False
    assert changes("import k", ("1", "2"), k="import m", m="print(1)")


def test_order_of_what_runs_on_import_counts_and_that_of_functions_does_not():
    source = "A = [1]\nB = A\nA = [2]\n\ndef f():\n    return B\n\ndef g():\n    return f()\n"
    assert changes("import m\nm.g()", ("A = [1]\nB = A\nA = [2]\n", "A = [1]\nA = [2]\nB = A\n"),
                   m=source)  # fmt: skip
    moved = "A = [1]\nB = A\nA = [2]\n\ndef g():\n    return f()\n\ndef f():\n    return B\n"
    assert reach("import m\nm.g()", m=source) == reach("import m\nm.g()", m=moved)
    first = {"a": "print(1)", "b": "print(2)", "m": "import a\nimport b"}
    assert changes("import m", ("import a\nimport b", "import b\nimport a"), **first)


def test_methods_all_count_with_their_class_and_its_bases():
    source = "class A:\n    def f(self):\n        return 1\n"
    source += "class B(A):\n    def g(self):\n        return 2"
    for edit in (("return 1", "return 3"), ("return 2", "return 3")):
        assert changes("from m import B\nB()", edit, m=source)
    assert changes("import m\nm.A()", ("return 2", "return 3"), m=source) is False


def test_words_of_strings_and_attributes_of_modules_as_values_lead_on():
    source = "def plain():\n    return 1\ndef other():\n    return 2"
    assert changes("import m\ngetattr(m, 'plain')()", ("return 1", "0"), m=source)
    assert not changes("import m\ngetattr(m, 'plain')()", ("return 2", "0"), m=source)
    assert changes("import m\nfor one in (m,):\n    one.plain()", ("return 1", "0"), m=source)
    assert changes("from m import other\nDO = 'plain it'", ("return 1", "0"), m=source)


@pytest.mark.parametrize(
    "cell",
    [
        "import m\nkind = 'a'\ngetattr(m, 'draw_' + kind)()",
        "import m\nfor name in dir(m):\n    name",
        "import m\nvars(m)[key]()",
        "import m\nm.__dict__[key]()",
        "import inspect, m\ninspect.getmembers(m)",
        "import m\nvalue = m\ngetattr(value, key)()",
        "from m import *\nglobals()[key]()",
        "import m, importlib\ngetattr(importlib.import_module(key), 'draw_' + key)()",
        "import m, sys\ngetattr(sys.modules['m'], f'draw_{key}')()",
        "import m\nm.by_name('a')()",
    ],
)
def test_names_that_are_made_up_reach_the_whole_module(cell):
    source = (
        "def draw_a():\n    return 1\ndef by_name(kind):\n    return globals()['draw_' + kind]\n"
    )
    assert changes(cell, ("return 1", "return 2"), m=source)


def test_import_star_leads_on_and_a_new_name_in_it_counts():
    star = {"m": "def f():\n    return 1\ndef g():\n    return 2\n", "k": "from m import *\n"}
    assert changes("from m import *\nf()", ("return 1", "0"), **star)
    assert changes("from k import *\nf()", ("return 1", "0"), **star)
    assert changes("import k\nk.f()", ("return 1", "0"), **star)
    assert not changes("import k\nk.f()", ("return 2", "0"), **star)
    shadowed = {"m": "def g():\n    return 2\n", "k": "def f():\n    return 0\nfrom m import *\n"}
    assert changes("from m import *\nprint(len([]))", ("def g", "def len"), **shadowed)
    listed = {**star, "m": star["m"] + "__all__ = ['f', 'g']\n"}
    assert changes("import k\nk.f()", ("'f', ", ""), **listed)
    assert not changes("import m\nm.f()", ("'f', ", ""), **listed)


REGISTER = {
    "base": "class Base:\n    known = []\n"
    "    def __init_subclass__(cls):\n        Base.known.append(cls)\n",
    "m": "from base import Base\nclass One(Base):\n    def f(self):\n        return 1\n",
}


def test_subclass_of_a_base_that_hears_of_it_counts():
    cell = "import m\nfrom base import Base\n[k().f() for k in Base.known]"
    assert changes(cell, ("return 1", "return 2"), **REGISTER)
    assert changes(cell, ("class One", "class Two(Base):\n    pass\nclass One"), **REGISTER)
    plain = {**REGISTER, "base": "class Base:\n    pass\n"}
    asked = "import m\nfrom base import Base\n[k().f() for k in Base.__subclasses__()]"
    assert changes(asked, ("return 1", "return 2"), **plain)
    assert not changes("import m\nfrom base import Base\nBase()", ("return 1", "2"), **plain)


def test_function_that_registers_itself_counts():
    source = "ALL = {}\ndef register(f):\n    ALL[f.__name__] = f\n    return f\n"
    source += "@register\ndef a():\n    return 1\n"
    assert changes("from m import ALL\nALL[key]()", ("return 1", "return 2"), m=source)
    cached = "import functools\n@functools.lru_cache(maxsize=None)\ndef a():\n    return 1\n"
    assert not changes("import m", ("return 1", "return 2"), m=cached)


def test_what_an_unreached_header_looks_up_has_to_exist():
    source = "SIZE = 1\ndef unused(x=SIZE):\n    return x\nclass Unused(Base):\n    pass\n"
    source = "from k import Base\n" + source
    assert changes("import m", ("SIZE = 1\n", ""), m=source, k="class Base:\n    pass\n")
    assert not changes("import m", ("SIZE = 1", "SIZE = 2"), m=source, k="class Base:\n    pass\n")
    with_base = reach("import m", m=source, k="class Base:\n    x = 1\n")
    assert with_base == reach("import m", m=source, k="class Base:\n    x = 2\n")
    assert with_base != reach("import m", m=source, k="class Other:\n    x = 1\n")


PRINTING = {
    "text": "import inspect\ndef source(*functions):\n"
    "    return [inspect.getsource(f) for f in functions]\n",
    "m": "class A:\n    def f(self):\n        return 1  # one\n"
    "    def g(self):\n        return 2  # two\n"
    "def h():\n    return 3  # three\n",
}


def test_source_text_that_is_printed_counts_with_its_comments():
    cell = "from text import source\nimport m\nsource(m.A.f)"
    assert changes(cell, ("# one", "# eins"), **PRINTING)
    assert not changes(cell, ("# two", "# zwei"), **PRINTING)
    assert not changes(cell + "\nm.h()", ("# three", "# drei"), **PRINTING)
    assert changes("import inspect, m\ninspect.getsource(m.h)", ("# three", "# 3"), **PRINTING)
    assert changes("import m\nprint(m.h.__doc__)", ("# three", "# 3"), **PRINTING)
    inherited = {**PRINTING, "m": PRINTING["m"] + "class B(A):\n    pass\n"}
    assert changes("from text import source\nimport m\nsource(m.B.f)", ("# one", "#"), **inherited)
    by_loop = "from text import source\nimport m\nfor f in (m.h, m.A):\n    source(f)"
    assert changes(by_loop, ("# three", "# drei"), **PRINTING)


def test_type_checking_and_main_blocks_are_not_run():
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import heavy\n"
    source += "if __name__ == '__main__':\n    print(1)\n"
    assert not changes("import m", ("print(1)", "print(2)"), m=source, heavy="print(3)")
    assert "heavy" not in reach("import m", m=source, heavy="print(3)")


def test_a_new_import_of_a_module_with_effects_counts_and_of_a_quiet_one_does_not():
    sources = {"m": "X = 1\n", "loud": "print(1)\n", "quiet": "def f():\n    return 1\n"}
    assert changes("import m", ("X = 1", "X = 1\nimport loud"), **sources)
    assert not changes("import m", ("X = 1", "X = 1\nimport quiet"), **sources)
    assert changes("import m", ("X = 1", "X = 1\nimport absent_library"), **sources)
    assert not changes("import m", ("X = 1", "X = 1\nimport textwrap"), **sources)


def test_lazily_imported_module_counts():
    lazy = {"k": "def f():\n    import m\n    return m.g()\n", "m": "def g():\n    return 1\n"}
    assert changes("import k\nk.f()", ("return 1", "return 2"), lazy=("m",), **lazy)


def test_cells_that_are_not_python_count_by_their_words():
    source = "def f():\n    return 1\ndef g():\n    return 2\n"
    assert changes("%timeit -n 1 x = !f", ("return 1", "0"), m=source, lazy=("m",))
    assert changes("import m\n%matplotlib inline\nm.f()", ("return 1", "0"), m=source)


def test_names_in_files_that_are_read_count():
    text = "figure.hooks: p.q:late, p.r\nother.late: 1"
    assert named_in([text], ["p.q", "s"]) == {"q", "late", "r"}
    assert named_in([text], []) == set()
    modules = {"m": Module("m", "def late():\n    return 1\ndef never():\n    return 1\n")}
    assert set(reaching.reach(["import m"], modules.get, (), ["late"])["m"]) == {"late"}


# The dump


ODD = '''
def f(a, /, b: int = 1, *c, d=f"{1!r:>{2}} x" "y", **e):
    """Doc."""
    x: "int" = u"ü\\u200b" + 'a' f"{a=}" + rb"\\0".decode()
    match a:
        case {"k": [1, *_], **rest} if x: pass
        case str(y) | y: pass
    with open(a) as g, (yield): ...
    return [i for i in range(10**30) if not i] or 1e400 or 1j or (lambda: ...)
'''


def pythons() -> list[str]:
    found = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3"))
    return [str(path) for path in found if int(path.parts[-3].split(".")[1]) >= 10]


@pytest.mark.parametrize("python", pythons(), ids=lambda path: path.split("/")[-3])
def test_dump_is_the_same_in_every_python(python, tmp_path):
    """The whole ledger, too, and what no module here has."""
    (tmp_path / "odd.py").write_text(ODD, "utf-8")
    paths = [tmp_path / "odd.py", *sorted((CODE / "pixgrad/book/ledger").glob("*.py"))]
    program = (
        f"import sys, ast, hashlib; sys.path.insert(0, {str(CODE)!r})\n"
        "from pixgrad.book.ledger.units import dump\n"
        "text = ''.join(dump(ast.parse(open(p, encoding='utf-8').read())) for p in sys.argv[1:])\n"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    outputs = {
        subprocess.run([one, "-c", program, *map(str, paths)], capture_output=True, text=True,
                       check=True).stdout
        for one in (python, sys.executable)
    }  # fmt: skip
    assert len(outputs) == 1


def test_dump_leaves_out_docstrings_and_nothing_else():
    import ast

    one, other = (ast.parse(text) for text in (ODD, ODD.replace('"""Doc."""', "'''D'''")))
    assert dump(one) == dump(other)
    assert dump(one) != dump(ast.parse(ODD.replace("1e400", "2e300")))
    assert isinstance(one.body[0], FUNCTIONS)
