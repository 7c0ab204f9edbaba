"""Runs inside the kernel: notes what a chapter imports, reads and lists.

``execute`` sends the text of this file to the kernel, so it imports nothing of the project.
Readers in C raise no ``open`` event; whoever calls one says so first:
``sys.audit("pixgrad.read", path)``. ``sys.audit("pixgrad.source", name, origin)`` tells which
origin served a named data source. Child processes are not seen.
"""

import json
import os
import re
import sys

EVENTS = {"open", "os.listdir", "os.scandir", "pixgrad.read", "pixgrad.source"}


class Trace:
    """Absolute paths of what the kernel touched; ``sources`` maps a data source to its origin."""

    def __init__(self):
        self.reads, self.written, self.explicit, self.listings = set(), set(), set(), set()
        self.sources = {}

    def hook(self, event, args):
        if event not in EVENTS:
            return
        try:
            self._note(event, args)
        except (OSError, TypeError, ValueError):
            return  # a path that is no path: the call itself will say so

    def save(self, path):
        """Write the trace as JSON."""
        folders_of_imports = {os.path.abspath(entry) for entry in sys.path}
        modules = set()
        for module in list(sys.modules.values()):
            known = getattr(module, "__dict__", {})  # some modules make up any attribute asked for
            folders_of_imports.update(map(os.path.abspath, known.get("__path__") or ()))
            if isinstance(known.get("__file__"), str):
                modules.add(os.path.abspath(known["__file__"]))
        trace = {
            "modules": sorted(modules),
            "reads": sorted(self.reads - self.written),
            "explicit": sorted(self.explicit),
            "listings": sorted(self.listings - folders_of_imports),
            "sources": self.sources,
        }
        with open(path, "w", encoding="utf-8") as file:
            json.dump(trace, file)

    def _note(self, event, args):
        if event == "pixgrad.source":
            name, origin = args
            self.sources[str(name)] = str(origin)
            return
        if isinstance(args[0], int):
            return
        path = os.path.abspath(os.fsdecode(args[0] if args[0] is not None else "."))
        if event == "pixgrad.read":
            self.explicit.add(path)
        elif event != "open":
            self.listings.add(path)
        elif (args[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            self.written.add(path)
        else:
            self.reads.add(path)


class Written:
    """The value of code in a line of prose as the markdown that stands there, as in Quarto."""

    def __init__(self, value):
        self.value = value

    def _repr_markdown_(self):
        own = getattr(self.value, "_repr_markdown_", None)
        text = own() if callable(own) else None
        if text is not None:
            return text
        if isinstance(self.value, str):
            return re.sub(r"([\\`*_{}\[\]()>#+.!-])", r"\\\1", self.value)
        return str(self.value)


trace = Trace()
sys.addaudithook(trace.hook)
