"""Libraries that answers use where a tool is forbidden, and of some of them the parts that answers use.

Installed libraries have many functions that run a text, or that hand on the modules which they import themselves. So
their names are not listed, but those of the libraries and parts that answers use.
"""

from __future__ import annotations

from functools import lru_cache

_PYTHONS = (
    "__future__ abc argparse array ast atexit base64 bisect builtins bz2 calendar cmath code codecs collections "
    "colorsys concurrent contextlib copy csv dataclasses datetime decimal difflib doctest enum errno "
    "faulthandler fileinput fnmatch fractions functools gc getpass glob graphlib gzip hashlib heapq html "
    "dis inspect io ipaddress itertools json keyword linecache locale logging lzma math multiprocessing "
    "numbers operator os pathlib pdb pickle platform pprint queue random re resource sched secrets shutil signal "
    "stat statistics string struct subprocess sys sysconfig tempfile textwrap threading time token "
    "tokenize traceback tracemalloc types typing unicodedata urllib uuid warnings weakref zipfile zlib "
    "zoneinfo cProfile profile pstats tarfile sqlite3 configparser reprlib contextvars binascii socket ssl xml"
)
_OTHERS = (
    "certifi cv2 einops fastprogress google graphviz imageio ipykernel ipywidgets jaxtyping jupyter kaggle "
    "matplotlib matplotlib_inline mpl_toolkits networkx numpy opt_einsum pandas plotly psutil requests rich "
    "scipy seaborn skimage sklearn tabulate tensorboard torch torchinfo torchmetrics torchsummary torchtext "
    "torchvision torchviz tqdm typing_extensions wandb attr attrs cycler mpmath packaging sympy"
)
_WHOLE = frozenset([*_PYTHONS.split(), *_OTHERS.split()])
"""what is imported by answers, or without any use in them; what is listed elsewhere is an attempt all the same"""
_PARTS = (
    *("importlib.reload", "importlib.util.find_spec", "importlib.metadata.version", "importlib.resources"),
    *("importlib.metadata.PackageNotFoundError", "importlib.invalidate_caches"),
    *("timeit.timeit", "timeit.repeat", "timeit.Timer", "timeit.default_timer"),
    *("unittest.TestCase", "unittest.main", "unittest.TextTestRunner", "unittest.TestSuite", "unittest.makeSuite"),
    *("unittest.TestLoader", "unittest.defaultTestLoader", "unittest.skip", "unittest.skipIf", "unittest.TestResult"),
    *("unittest.skipUnless", "unittest.expectedFailure", "unittest.SkipTest", "unittest.mock"),
    *("pytest.skip", "pytest.fail"),
    *("pytest.approx", "pytest.raises", "pytest.mark", "pytest.fixture", "pytest.warns", "pytest.param"),
    *("IPython.display", "IPython.core.display", "IPython.core.display_functions", "IPython.lib.display"),
    *("IPython.core.interactiveshell.InteractiveShell", "IPython.core.pylabtools", "IPython.utils.capture"),
    *("IPython.core.debugger.set_trace", "IPython.utils.io", "IPython.lib.pretty"),
    *("IPython.get_ipython", "IPython.core.getipython.get_ipython", "IPython.version_info"),
    *("IPython.core.magic.register_cell_magic", "IPython.core.magic.register_line_magic"),
    *(f"PIL.{name}" for name in ("Image", "ImageDraw", "ImageFont", "ImageOps", "ImageFilter", "ImageEnhance")),
    *(f"PIL.{name}" for name in ("ImageChops", "ImageColor", "ImageStat", "ImageSequence", "ImageFile", "ExifTags")),
    "PIL.UnidentifiedImageError",
    *(f"torch.utils.{name}" for name in ("data", "tensorboard", "checkpoint", "benchmark", "collect_env")),
    *("torch.utils.model_zoo", "torch.utils.parametrize", "torch.utils.deterministic", "torch.utils.flop_counter"),
    *(f"numpy.testing.assert_{name}" for name in ("", "allclose", "equal", "almost_equal", "approx_equal", "raises")),
    *(f"yaml.{name}" for name in ("safe_load", "safe_load_all", "safe_dump", "safe_dump_all", "dump", "dump_all")),
    *("yaml.YAMLError", "yaml.SafeLoader", "yaml.SafeDumper", "yaml.load", "yaml.CSafeLoader", "yaml.CSafeDumper"),
    *(f"numpy.testing.assert_array_{name}" for name in ("equal", "almost_equal", "less", "max_ulp")),
)
_LIMITED = ("importlib", "timeit", "unittest", "pytest", "IPython", "PIL", "torch.utils", "numpy.testing", "yaml")
"""libraries of which only parts are used"""
_CLOSED = (
    *("numpy.f2py", "networkx.lazy_imports", "networkx.utils", "matplotlib.testing", "pandas.eval"),
    *("sympy.parsing", "sympy.external", "sympy.utilities"),
    *("typing_extensions.get_type_hints", "typing_extensions.evaluate_forward_ref"),
)
"""parts that no answer uses, of other libraries"""
SAID = {"__version__", "__name__", "__doc__", "__file__"}
"""what every library says of itself"""


@lru_cache(4096)
def is_usual(path: str) -> bool:
    """Whether answers use what a dotted path stands for, or something below it; `pytest.raises.x` is as usual."""
    top, last = path.partition(".")[0], path.rpartition(".")[2]
    if last in SAID or (top == "__main__" and path != top):
        return True
    if limited := next((one for one in _LIMITED if _begins(path, one)), ""):
        return path == limited or any(_begins(path, part) or _begins(part, path) for part in _PARTS)
    return top in _WHOLE and not any(_begins(path, one) for one in _CLOSED)


@lru_cache(4096)
def is_limited(path: str) -> bool:
    """Whether a path leads into a library of which only parts are used."""
    return any(_begins(path, one) for one in (*_LIMITED, *_CLOSED))


def _begins(path: str, start: str) -> bool:
    return path == start or path.startswith(f"{start}.")
