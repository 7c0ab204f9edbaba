"""Runs inside the kernel and in the Pythons it starts: notes what is imported, read and listed.

``execute`` sends the text of this file to the kernel, so it imports nothing of the project.
Readers in C raise no ``open`` event; whoever calls one says so first:
``sys.audit("pixgrad.read", path)``. ``sys.audit("pixgrad.source", name, origin)`` tells which
origin served a named data source. Child processes note into a file each, line by line, as nobody
tells when one is killed: forked ones by a hook, other Pythons by the ``sitecustomize`` that is put
on their path. A child that is no Python is not seen.
"""

import functools
import json
import os
import re
import sys

EVENTS = {"open", "os.listdir", "os.scandir", "sqlite3.connect", "pickle.find_class",
          "pixgrad.read", "pixgrad.source"}  # fmt: skip
KINDS = ("reads", "written", "explicit", "listings", "modules", "probed", "asked", "unpickled")
_IMPORTER = "<frozen importlib._bootstrap_external>"
FOLDER = "PIXGRAD_TRACE"
"""Environment variable: where the children write."""


class Trace:
    """Absolute paths of what was touched; ``sources`` maps a data source to its origin.

    Parameters
    ----------
    folder : where child processes write their own.
    """

    def __init__(self, folder):
        self.folder, self.child = folder, None
        self.is_foreign = False
        """Whether this Python runs another program than the cells: its modules count whole."""
        self.sources = {}
        self.before = _top_names()
        self.found = {kind: set() for kind in KINDS}

    def start(self):
        """Listen from now on, here and in the children."""
        sys.meta_path.insert(0, self)
        sys.addaudithook(self.hook)
        for name in ("stat", "lstat", "access"):
            _wrap(name, self._stat)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.in_child)

    def find_spec(self, name, path=None, target=None):
        """Asked for every module before those who can find one."""
        self._add("probed", name)

    def in_child(self):
        """Write down what is found from now on instead of keeping it."""
        self.child = None  # the hook hears of this very file
        name = os.path.join(self.folder, f"{os.getpid()}.trace")
        try:
            self.child = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError:
            self.child = -1  # the chapter is over
        self.found = {kind: set() for kind in KINDS}

    def hook(self, event, args):
        if event not in EVENTS:
            return
        try:
            self._note(event, args)
        except (OSError, TypeError, ValueError):
            return  # a path that is no path: the call itself will say so

    def save(self, path):
        """Write the trace as JSON, those of the children included."""
        folders_of_imports = {os.path.abspath(entry) for entry in sys.path}
        loaded = set()
        for module in list(sys.modules.values()):
            known = getattr(module, "__dict__", {})  # some modules make up any attribute asked for
            folders_of_imports.update(map(os.path.abspath, known.get("__path__") or ()))
            if isinstance(known.get("__file__"), str):
                loaded.add(os.path.abspath(known["__file__"]))
        found = self.found
        # What is loaded as code but is no module was read: runpy, pkgutil.
        found["reads"] |= found["modules"] - loaded
        found["modules"] = loaded
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".trace"):
                with open(os.path.join(self.folder, name), encoding="utf-8") as file:
                    for line in file:
                        kind, value = json.loads(line)
                        if kind == "source":
                            self.sources.update([value])
                        else:
                            found[kind].add(value)
        found["reads"] -= found["written"]
        found["listings"] -= folders_of_imports
        trace = {kind: sorted(found[kind]) for kind in KINDS}
        trace["probed"] = sorted(found["probed"] - set(sys.modules))
        trace["imported"] = sorted(_top_names() - self.before)
        trace["path"] = [os.path.abspath(entry) for entry in sys.path]
        trace["sources"] = self.sources
        with open(path, "w", encoding="utf-8") as file:
            json.dump(trace, file)

    def _note(self, event, args):
        if event == "pixgrad.source":
            name, origin = map(str, args)
            self.sources[name] = origin
            self._write("source", [name, origin])
            return
        if event == "pickle.find_class":
            self._add("unpickled", str(args[1]))
            return
        if isinstance(args[0], int):
            return
        path = os.path.abspath(os.fsdecode(args[0] if args[0] is not None else "."))
        if event in ("pixgrad.read", "sqlite3.connect"):
            self._add("explicit" if event == "pixgrad.read" else "reads", path)
        elif event != "open":
            self._add("listings", path)
        elif (args[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            self._add("written", path)
        elif path.endswith((".py", ".pyc")):
            self._python(path)
        else:
            self._add("reads", path)

    def _python(self, path):
        """Whether Python imports it, or ``linecache`` shows lines of it, the callers tell."""
        callers, frame = [], sys._getframe(2)
        while frame is not None and len(callers) < 5:
            callers.append((os.path.basename(frame.f_code.co_filename), frame.f_code.co_name))
            frame = frame.f_back
        is_import = (_IMPORTER, "get_code") in callers
        if path.endswith(".pyc") and is_import:
            folder, name = os.path.split(path)
            path = os.path.join(os.path.dirname(folder), name.split(".")[0] + ".py")
            if os.path.basename(folder) != "__pycache__" or not os.path.isfile(path):
                return
        if is_import:
            self._add("reads" if self.is_foreign else "modules", path)
        elif not any(name == "linecache.py" for name, _ in callers):
            self._add("reads", path)

    def _stat(self, path):
        """``exists()`` and its kin raise no event."""
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        path = os.path.abspath(os.fsdecode(path))
        # IPython asks of every text that it shows whether it is a file; no file has such a name.
        if "\n" not in path and max(map(len, os.fsencode(path).split(b"/"))) <= _LONGEST_NAME:
            self._add("asked", path)

    def _add(self, kind, value):
        if value not in self.found[kind]:
            self.found[kind].add(value)
            self._write(kind, value)

    def _write(self, kind, value):
        if self.child is not None and self.child >= 0:
            os.write(self.child, (json.dumps([kind, value]) + "\n").encode())


_LONGEST_NAME = 255
"""Bytes of one name, in every file system in use."""


def _wrap(name, note):
    """Let a function of ``os`` note its first argument."""
    original = getattr(os, name)

    @functools.wraps(original)
    def function(path, *arguments, **options):
        note(path)
        return original(path, *arguments, **options)

    for able in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
        if original in able:
            able.add(function)
    setattr(os, name, function)


def _top_names():
    return {name.partition(".")[0] for name in list(sys.modules)}


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


def start(folder, text):
    """Trace this kernel; other Pythons that it starts find the ``text`` of this module."""
    site = os.path.join(folder, "site")
    os.makedirs(site)
    with open(os.path.join(site, "sitecustomize.py"), "w", encoding="utf-8") as file:
        file.write(text + _START)
    os.environ[FOLDER] = folder
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([site, *([before] if before else [])])
    trace = Trace(folder)
    trace.start()
    return trace


_START = """

def _start_in_child():
    folder = os.environ.get(FOLDER)
    sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(__file__)]
    own = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # the one that this file stood before
    except ImportError:
        pass
    sys.modules.setdefault("sitecustomize", own)
    if folder and os.path.isdir(folder):
        trace = Trace(folder)
        started = " ".join(getattr(sys, "orig_argv", sys.argv))
        trace.is_foreign = not ("multiprocessing" in started or "loky" in started)
        trace.in_child()
        trace.start()


_start_in_child()
"""
