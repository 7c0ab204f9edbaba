"""Runs the cells of a chapter in this process: what they show, and the functions they execute.

    python run_cells.py CHAPTER CODE OUT.json [trace]

``CODE`` is the folder that modules are taken from.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
import threading
from pathlib import Path


def main(chapter: str, code: str, out: str, trace: str = "") -> None:
    import matplotlib
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    from pixgrad.book.ledger import qmd

    sources = [one.source for one in qmd.read(chapter).runs]
    for name in [name for name in sys.modules if name.split(".")[0] == "pixgrad"]:
        del sys.modules[name]
    sys.path.insert(0, code)
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shell, executed, shown = InteractiveShell.instance(), set(), []
    known = set()

    def note(frame, event, argument):
        if event == "call" and frame.f_code not in known:
            known.add(frame.f_code)
            if frame.f_code.co_filename.startswith(code):
                executed.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))

    read = set()
    sys.addaudithook(lambda event, given: read.add(str(given[0])) if event == "open" else None)
    if trace:
        threading.setprofile(note)
        sys.setprofile(note)
    for source in sources:
        with capture_output() as caught:
            result = shell.run_cell(source)
        if not result.success:
            sys.exit(f"{chapter}: {result.error_in_exec or result.error_before_exec!r}")
        pictures = []
        for number in plt.get_fignums():
            picture = io.BytesIO()
            plt.figure(number).savefig(picture, format="png", metadata={"Software": None})
            pictures.append(hashlib.sha256(picture.getvalue()).hexdigest())
        plt.close("all")
        displayed = [str(one.data) for one in caught.outputs]
        printed = re.sub(r" at 0x[0-9a-f]+", "", caught.stdout)
        shown.append([printed, displayed, pictures])
    sys.setprofile(None)
    files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
    found = {
        "executed": sorted(executed),
        "modules": sorted(path for path in files if path.startswith(code)),
        "read": sorted(path for path in read if path.startswith(code)),
        "shown": shown,
    }
    Path(out).write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
