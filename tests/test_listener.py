"""What a notebook runs that stands in none of its cells is reported, and read as its cells are."""

import json
from pathlib import Path

import pytest
from test_sandbox import LIMITS, Cell

from autograder.forbidden.attempts import attempts
from autograder.forbidden.run_texts import RunText, is_data, unusual
from autograder.grading.grade import ran_in
from autograder.sandbox.object_client import Student
from autograder.sandbox.session import Session
from autograder.sandbox.zygote_client import Zygote

COURSE = Path(__file__).parent.parent
GIVEN = [("given", "import torch\nimport torch.nn as nn")]
TOOLS = ["autograd", "nn"]
WORD = "bytes([97, 117, 116, 111, 103, 114, 97, 100, 101, 114]).decode()"
PAYLOAD = f"text = 'import ' + {WORD}\n"

pytestmark = pytest.mark.slow(seconds=30, waits=True)


@pytest.fixture(scope="module")
def zygote():
    zygote = Zygote(COURSE)
    yield zygote
    zygote.close()


def ran(zygote, *sources, files=None, ask=lambda student: None):
    """What cells run beside their own text, and what was seen in it."""
    cells = [Cell(f"c{number}", source) for number, source in enumerate(sources)]
    with Session(zygote, LIMITS, cells, files=files) as live:
        live.run()
        line = live.fork()
        try:
            ask(Student(line))
        finally:
            line.close()
        heard = ran_in(live)
    return heard, attempts([("quiet", "x = 1")], GIVEN, TOOLS, heard), live


@pytest.mark.parametrize(
    "runs",
    [
        "import timeit\nlist(map(timeit.timeit, [text], ['pass'], [lambda: 0], [1]))",
        "import timeit\noptions = {'stmt': text, 'number': 1}\ntimeit.timeit(**options)",
        "import cProfile\nprofile = cProfile.Profile()\nprofile.runctx(text, {}, {})",
        "def get(x, name):\n    return getattr(x, name)\nget(get(print, '__self__'), 'ex' + 'ec')(text)",
        "import copy\nclass Box:\n    pass\nBox.__reduce_ex__ = lambda self, n: (exec, (text,))\ncopy.copy(Box())",
        "import io\nwith io.open('helper.py', 'w') as file:\n    file.write(text)\nimport helper",
        "import os\nopen('a', 'w').write(text)\nos.replace('a', 'other.py')\nimport other",
        "eval(compile(text, 'made', 'exec'))",
        "get_ipython().run_line_magic('time', text)",
        "import ast, cProfile\nast.PyCF_ONLY_AST = 0\ncode = ast.parse(text)\ncProfile.Profile().runctx(code, {}, {})",
        "import importlib.util\nspec = importlib.util.find_spec('json')\nspec.loader.source_to_code(text, spec.origin)",
        "import torch, timeit\nclass Data(torch.utils.data.Dataset):\n    def __len__(self):\n        return 2\n"
        "    def __getitem__(self, i):\n        timeit.timeit(text, number=1)\n        return i\n"
        "list(torch.utils.data.DataLoader(Data(), num_workers=1))",
    ],
)
def test_a_text_that_is_run_is_read(zygote, runs):
    _, [found, *_], _ = ran(zygote, PAYLOAD + runs)
    assert "autograder" in found.what and found.cell in ("c0", "")


def test_it_is_told_where_a_text_is_run(zygote):
    _, [found], _ = ran(zygote, "import timeit", PAYLOAD + "\n\nfor one in [text]:\n    timeit.timeit(one, number=1)")
    assert (found.cell, found.line) == ("c1", 5)


@pytest.mark.parametrize(
    ("runs", "seen"),
    [
        ("import pickle\npickle.loads(b'cbuiltins\\nexec\\n.')", "an object with builtins"),
        ("import pickle\npickle.loads(b'ctorch._decomp.decompositions\\nsigmoid_backward\\n.')", "an object with"),
        ("import numpy as np\nimport pickle\nnp.save('x.npy', np.array([print], object))\n"
         "np.load('x.npy', allow_pickle=True)", "an object with builtins"),
        ("import marshal\nmarshal.loads(marshal.dumps(1))", "a compiled module"),
        ("import ast\ncompile(ast.Module([ast.Pass(lineno=1, col_offset=0)], []), 'x', 'exec')", "a syntax tree"),
        ("code = (lambda: 1).__code__\ncode.replace(co_name='y')", "code.__new__"),
        ("import gc\ngc.get_objects()", "gc.get_objects"),
        ("import sys\nsys._getframe(0)", "sys._getframe"),
        ("import logging\nlogging.currentframe()", "sys._getframe"),
        ("import traceback\nnext(traceback.walk_stack(None))", "sys._getframe"),
        ("import posix\nif not posix.fork():\n    posix._exit(0)", "os.fork"),
        ("open('odd.py', 'w').write('# coding: nobodys\\nx = 1')\ntry:\n    import odd\nexcept SyntaxError:\n    pass",
         "a coding"),
    ],
)  # fmt: skip
def test_what_is_done_in_place_of_running_a_text_is_seen(zygote, runs, seen):
    _, found, _ = ran(zygote, runs)
    assert any(seen in one.what for one in found)


def test_a_text_that_only_a_test_makes_run_is_read(zygote):
    source = PAYLOAD + "import timeit\ndef f(x):\n    try:\n        timeit.timeit(text, number=1)\n"
    source += "    except ImportError:  # nothing leads to what runs here\n        return x"
    _, [found], _ = ran(zygote, source, ask=lambda student: student.f(1))
    assert "autograder" in found.what and (found.cell, found.line) == ("c0", 5)


HONEST = [
    "import logging, warnings\nlogging.getLogger('x').warning('y', stacklevel=2)\nwarnings.warn('z')",
    "import torch\nlist(torch.utils.data.DataLoader(torch.arange(4), num_workers=1))",
    "x = 1\nprint(f'{x:.2f}')",
    "from dataclasses import dataclass, field\n@dataclass(frozen=True, order=True)\nclass P:\n    x: int\n"
    "    y: list = field(default_factory=list)\nP(1)",
    "from collections import namedtuple\nfrom typing import NamedTuple\nQ = namedtuple('Q', 'a b')\n"
    "class R(NamedTuple):\n    a: int\n    b: float = 2.0\nQ(1, 2), R(1)",
    "import torch, pickle, copy\nnet = torch.nn.LSTM(2, 3)\ntorch.save(net.state_dict(), 'net.pt')\n"
    "net.load_state_dict(torch.load('net.pt'))\ntorch.save(net, 'whole.pt')\n"
    "torch.load('whole.pt', weights_only=False)\ncopy.deepcopy(net)\npickle.loads(pickle.dumps(net))",
    "import numpy as np, pickle\nnp.save('a.npy', np.array([1, 'a', None], object))\n"
    "np.load('a.npy', allow_pickle=True)\nnp.savez('b.npz', x=np.ones(3))\nnp.load('b.npz')['x']",
    "class Net:\n    pass\nimport pickle\nopen('n', 'wb').write(pickle.dumps(Net()))\npickle.load(open('n', 'rb'))",
    "1 / 0",
    "import traceback\ntry:\n    int('x')\nexcept ValueError:\n    traceback.print_exc()",
    "import inspect\ndef f(x: 'int') -> 'str':\n    return x\ninspect.signature(f)",
    "import functools\n@functools.singledispatch\ndef g(x):\n    return x\n@g.register\ndef _(x: int):\n    return x",
    "from enum import Enum\nclass Kind(Enum):\n    A = 1\nKind.A",
    "import timeit\ntimeit.timeit('1 + 1', number=3)",
    "import torch\nw = torch.ones(2, requires_grad=True)\no = torch.optim.Adam([w])\n(w * w).sum().backward()\n"
    "o.step()",
    "import scipy.stats, scipy.optimize, sklearn.cluster, sklearn.datasets\nsklearn.datasets.load_digits()\n"
    "scipy.stats.norm(0, 1).pdf(0.0)",
    "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2], label='$x^2$')\nplt.legend()\nplt.show()",
    "%%time\nfor i in range(3):\n    print(i)",
    "!pip install numpy\n%timeit -n 1 -r 1 1 + 1",
    "def f(x:\n    return",
    "import sys\nsys.setrecursionlimit(100_000)\nfrom collections import namedtuple\nnamedtuple('P', 'a b')",
    "import torch\nfrom torch.utils.data import DataLoader, TensorDataset, random_split\n"
    "data = TensorDataset(torch.ones(8, 2), torch.ones(8))\n"
    "for x, y in DataLoader(data, batch_size=4, num_workers=2):\n    x.sum()\n"
    "part, _ = random_split(data, [4, 4])\nw = torch.ones(2, requires_grad=True)\n"
    "kept = {'type': torch.float32, 'part': part, 'layer': torch.nn.TransformerEncoderLayer(4, 2, 8),\n"
    "        'optimizer': torch.optim.SGD([w], 0.1)}\ntorch.save(kept, 'kept.pt')\n"
    "torch.load('kept.pt', weights_only=False)",
    "import pickle, re, random, types, functools\n"
    "pickle.loads(pickle.dumps([re.compile('a'), random.Random(0), types.SimpleNamespace(a=1), {1}, range(3), int]))",
    "import cProfile\nprofile = cProfile.Profile()\nprofile.enable()\nsum(range(9))\nprofile.disable()",
    "%matplotlib inline\nx = 1\n" + "# a long comment about nothing at all\n" * 1500,
    "%%time\nclass L:\n    pass\nprint(L.__subclasses__())",
    "    class L:\n        pass\n    print(L.__subclasses__())",
]


@pytest.mark.parametrize("source", HONEST)
def test_what_libraries_run_accuses_nobody(zygote, source):
    heard, _, live = ran(zygote, source, "y = 2\nprint(y)")
    assert attempts([("c0", source)], GIVEN, TOOLS, heard) == attempts([("c0", source)], GIVEN, TOOLS)
    assert not live.incidents


def test_a_module_that_was_handed_in_is_known(zygote):
    module = "from dataclasses import dataclass\n\n@dataclass\nclass P:\n    x: int = 0\n"
    heard, _, live = ran(zygote, "import own\nown.P()", files={"own.py": module.encode()})
    read = attempts([("c0", "import own\nown.P()"), ("own.py", module)], GIVEN, TOOLS, heard)
    assert read == () and not live.incidents


def test_a_module_with_other_line_ends_is_known(zygote):
    module = "class L:\n    pass\n\nprint(L.__subclasses__())\n"
    heard, _, _ = ran(zygote, "import own", files={"own.py": b"\xef\xbb\xbf" + module.replace("\n", "\r\n").encode()})
    assert heard and attempts([("c0", "import own"), ("own.py", module)], GIVEN, TOOLS, heard) == ()


def test_what_was_asked_is_not_told(zygote):
    source = "import timeit\ndef f(x):\n    timeit.timeit(f'if 0:\\n  import ctypes.{x}', number=1)"
    _, [found], _ = ran(zygote, source, ask=lambda student: student.f("secret_4711"))
    assert found.what == "a text with ctypes"


def test_near_the_recursion_limit_no_text_runs_unheard(zygote):
    source = """
done = []
def deep(n):
    if n:
        return deep(n - 1)
    exec("done.append(1)  # " + "autograder")
for n in range(900, 3000):
    try:
        deep(n)
    except RecursionError:
        break
    if len(done) > 0:
        done.clear()
        seen = n
"""
    heard, _, _ = ran(zygote, source)
    assert [one.text for one in heard] == [b"done.append(1)  # autograder"]


def test_many_texts_cost_little(zygote):
    runs = "import time\nbegan = time.process_time()\nfor i in range(500):\n    eval(f'1 + {i}')\n"
    _, _, live = ran(zygote, runs + "print(time.process_time() - began < 2)")
    assert [output.text for output in live.outputs] == ["True\n"]


def test_nothing_is_reported_of_a_plain_notebook(zygote):
    heard, _, _ = ran(zygote, "x = 1", "def f(x):\n    return x * 2", "f(x)", ask=lambda student: student.f(2))
    assert heard == ()


def test_a_notebook_that_runs_texts_without_end_is_seen_and_stays_small(zygote):
    runs = "import timeit\nfor i in range(3000):\n    timeit.timeit(f'{i}', number=0)"
    heard, [found, *_], _ = ran(zygote, runs)
    assert len(heard) <= 1100 and "more texts" in found.what


def test_a_long_text_is_an_attempt():
    [(_, what)] = unusual([RunText("c", 1, "text", b"x = 1\n" * 8_400)], [], lambda text: ())
    assert what == "a long text of code"


@pytest.mark.parametrize(
    "path", ["torch._utils._rebuild_tensor_v2", "collections.OrderedDict", "builtins.set", "__main__.Net", "own.Net"]
)
def test_what_saved_data_is_made_of(path):
    assert is_data(path)


@pytest.mark.parametrize(
    "path", ["builtins.getattr", "os.system", "operator.attrgetter", "timeit.timeit", "builtins.type"]
)
def test_what_no_saved_data_is_made_of(path):
    assert not is_data(path)


def test_a_stream_that_was_kept_may_be_flushed_in_a_test(zygote):
    source = "import sys\nkept = sys.stderr\ndef f(x):\n    print(x, file=kept, flush=True)\n    return x"
    cells = [Cell("c0", source)]
    with Session(zygote, LIMITS, cells) as live:
        live.run()
        line = live.fork()
        assert Student(line).f(3) == 3
        line.close()
    assert json.dumps(live.incidents) == "[]"
