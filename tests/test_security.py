"""Hostile submissions, through the sandbox: they earn nothing that they did not work out, and nothing else happens."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import Hall, cell, lost_points, points, shown, wanted

from autograder.grading.server import GradingServer, Lost

pytestmark = pytest.mark.slow(seconds=140, waits=True)

# A student may know every line of this package. What follows is run by the student's process before it attacks.
KNOWS = """
import os, socket, struct, sys
from autograder.sandbox.inside import object_server, student_process
from autograder.sandbox.wire import channel as channels, messages as wire
from autograder.sandbox.wire.channel import *
from autograder.sandbox.wire.messages import *
from autograder.sandbox.wire.values import *

pytestmark = pytest.mark.slow(seconds=140, waits=True)

def reply(make, only=None):
    '''Answer every question, or those for one name, with make(nonce).'''
    honest = object_server.ObjectServer.answer
    def answer(self, question):
        if only is not None and not (isinstance(question, Get) and question.name == only):
            return honest(self, question)
        return make(question.nonce)
    object_server.ObjectServer.answer = answer

def raw(make, only='ReLU'):
    '''Answer with bytes that are no message, or hardly one.'''
    reply(lambda nonce: nonce, only)
    student_process.encode = lambda thing: make(thing) if isinstance(thing, bytes) else wire.encode(thing)

def packed(nonce, value):
    '''A Returned by hand; value is MessagePack.'''
    return b'\\x83\\xa4type\\xa8returned\\xa5nonce\\xc4' + bytes([len(nonce)]) + nonce + b'\\xa5value' + value

def frame_of(name):
    frame = sys._getframe()
    while name not in frame.f_locals:
        frame = frame.f_back
    return frame

def post(message, sock=None):
    data = message if isinstance(message, bytes) else wire.encode(message)
    sock = sock or socket.socket(fileno=os.dup(100))
    post.count = getattr(post, 'count', 10**6) + 1
    sock.send(channels._HEADER.pack(b'agw1', post.count, 0, len(data)) + data)
"""

# Each is one cell at the end of a homework in which nothing was written.
ATTACKS: dict[str, str] = {
    # ---- the notebook's own machinery
    "transformer-empties-cells": "get_ipython().input_transformers_post.append(lambda lines: [])",
    "run-cell-replaced": """
shell = get_ipython()
shell.run_cell = type(shell).run_cell = lambda *a, **k: type('R', (), {'success': True})()
""",
    "hook-publishes-full-marks": """
from IPython.display import publish_display_data
def five(*a):
    get_ipython().displayhook(5.0)
    publish_display_data({'text/plain': '5'})
for event in ('pre_run_cell', 'post_run_cell', 'pre_execute', 'post_execute'):
    get_ipython().events.register(event, five)
""",
    "custom-exception-handler": """
import atexit, sys
get_ipython().set_custom_exc((BaseException,), lambda *a, **k: [])
sys.excepthook = lambda *a: None
sys.unraisablehook = lambda *a: None
atexit.register(print, 35)
class Late:
    def __del__(self): print(35)
late = Late()
""",
    # ---- objects that agree with everything
    "equal-to-everything": """
class Right:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __lt__ = __le__ = __gt__ = __ge__ = __eq__
    def __bool__(self): return True
    def __float__(self): return 1.0
    def __len__(self): return 2
    def __iter__(self): return iter((self, self))
    def __call__(self, *args, **kwargs): return self
    def __hash__(self): return 1
    shape = dtype = property(lambda self: self)
numerical_gradient = mse_loss = bce_loss = train_step = Linear = ReLU = Sigmoid = MLP = Right()
""",
    "every-attribute-is-itself": """
class Self:
    def __getattr__(self, name): return self
    def __call__(self, *args, **kwargs): return self
    def __setattr__(self, name, value): pass
Linear = ReLU = Sigmoid = MLP = numerical_gradient = mse_loss = bce_loss = train_step = Self()
""",
    "functions-and-generators": """
def numerical_gradient(*a, **k): return lambda: a
def mse_loss(*a): return (x for x in a)
def bce_loss(*a): yield from a
class ReLU:
    def forward(self, x): return self.forward
    def backward(self, dy): return ReLU
Sigmoid = Linear = MLP = ReLU
""",
    "tensors-that-lie": """
class Lie(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None): return True
    shape = property(lambda self: (1, 1))
    dtype = property(lambda self: torch.float32)
    def __eq__(self, other): return True
    def detach(self): return self
    def numpy(self): return self
    def tobytes(self): return b''
lie = torch.zeros(3).as_subclass(Lie)
numerical_gradient = lambda *a, **k: lie
mse_loss = bce_loss = lambda *a: (lie, lie)
class ReLU:
    forward = backward = lambda self, x: lie
Sigmoid = Linear = MLP = ReLU
""",
    "pickle-payload": """
import os, pickle
class Payload:
    def __reduce__(self): return os.system, ('touch /tmp/was-here',)
numerical_gradient = lambda *a, **k: Payload()
mse_loss = bce_loss = lambda *a: (pickle.dumps(Payload()), Payload())
class ReLU:
    def forward(self, x): return Payload()
    def backward(self, dy): return pickle.dumps(Payload())
Sigmoid = Linear = MLP = ReLU
""",
    # ---- code that does nothing
    **{
        f"everything-returns-{name}": f"""
def numerical_gradient(f, x, eps=1e-6): {value}
def mse_loss(y, x): {value}
def bce_loss(y, x): {value}
def train_step(x, *a): {value}
class Linear:
    def __init__(self, *a): self.weight = self.bias = self.weight_grad = self.bias_grad = torch.zeros(1)
    def forward(self, x): {value}
    def backward(self, x): {value}
class ReLU:
    def forward(self, x): {value}
    def backward(self, x): {value}
class Sigmoid(ReLU): pass
class MLP(ReLU):
    def __init__(self, *a): self.parameters, self.grads, self.cache = {{}}, {{}}, {{}}
    def clear_grad_and_cache(self): {value}
"""
        for name, value in {
            "nothing": "return None",
            "its-argument": "return x",
            "its-argument-twice": "return x, x",
            "zeros": "return torch.zeros(x.shape) if hasattr(x, 'shape') else 0.0",
            "two-zeros": "return torch.zeros(()), torch.zeros(x.shape) if hasattr(x, 'shape') else 0.0",
            "nan": "return float('nan')",
            "infinity": "return float('inf'), torch.full((2, 3), float('nan'))",
        }.items()
    },
    "answers-of-other-tests": """
import os, pickle
def remembered(x):
    seen = pickle.load(open('seen', 'rb')) if os.path.exists('seen') else []
    pickle.dump(seen + [x.clone()], open('seen', 'wb'))
    return next((old for old in seen if old.shape == x.shape), x)
class ReLU:
    def forward(self, x): return remembered(x)
    def backward(self, dy): return remembered(dy)
Sigmoid = ReLU
mse_loss = bce_loss = lambda y, y_hat: (remembered(y).mean(), remembered(y_hat))
""",
    # ---- tools that a check might trust
    "torch-is-patched": """
import numpy, unittest
always = lambda *a, **k: True
for owner in (torch, torch.Tensor, numpy):
    for name in ('equal', 'allclose', 'isclose', 'array_equal', 'all', 'any', 'isfinite'):
        if hasattr(owner, name):
            setattr(owner, name, always)
torch.testing.assert_close = numpy.testing.assert_allclose = lambda *a, **k: None
unittest.TestCase.assertEqual = lambda *a, **k: None
compare = lambda *a, **k: None
""",
    "grader-is-patched-in-its-own-process": """
import msgspec, sys
import autograder.forbidden.runtime, autograder.sandbox.inside.object_server, autograder.sandbox.inside.shell
import autograder.examination.hidden, autograder.sandbox.student_error
try:
    import autograder.examination.score, autograder.examination.messages
    autograder.examination.score.earned = lambda points, tests: points
    autograder.examination.messages.explain = lambda error: ''
except Exception:
    pass
autograder.examination.hidden.close = lambda *a, **k: None
autograder.sandbox.student_error.StudentError.__init__ = lambda *a: None
msgspec.msgpack.decode = lambda *a, **k: True
sys.modules['pytest'] = sys
""",
    # ---- the wire
    "wire-says-true": KNOWS + "reply(lambda n: Returned(n, True))",
    "wire-says-none": KNOWS + "reply(lambda n: Returned(n, None))",
    "wire-says-empty-tensor": KNOWS + "reply(lambda n: Returned(n, Tensor('float32', [0], b'')))",
    "wire-says-nan": KNOWS + "reply(lambda n: Returned(n, float('nan')))",
    "wire-says-script": KNOWS + "reply(lambda n: Raised(n, '<script>', '<script>alert(35)</script>', '<img>', 1))",
    "wire-says-not-implemented": KNOWS + "reply(lambda n: Raised(n, 'AssertionError', '', '', -1))",
    "wire-says-passed": KNOWS + "raw(lambda n: b'\\x82\\xa4type\\xa6passed\\xa6points\\x23', None)",
    "wire-replies-twice": KNOWS
    + """
honest = student_process.encode
def twice(message):
    if isinstance(message, Returned):
        for value in (0.0, 1.0, True):
            frame_of('channel').f_locals['channel'].send(wire.encode(Returned(message.nonce, value)))
    return honest(message)
student_process.encode = twice
""",
    "wire-replays-nonces": KNOWS
    + """
old = []
def answer(self, question):
    old.append(question.nonce)
    return Returned(old[0], 1.0)
object_server.ObjectServer.answer = answer
""",
    "wire-guesses-nonces": KNOWS
    + """
class Eager(Channel):
    def receive(self, *a, **k):
        for guess in range(200):
            self.send(wire.encode(Returned(bytes([guess]) * 16, 1.0)))
        return super().receive(*a, **k)
student_process.Channel = Eager
""",
    "wire-speaks-early": KNOWS
    + """
nonce = frame_of('nonce').f_locals['nonce']
for value in (True, 1.0, 35):
    post(Returned(nonce, value))
for _ in range(3):
    post(Finished(nonce, False))
for number in range(1, 60):
    post(ForkEnded(number, 0))
post(b'garbage')
os.write(100, b'agw1 and more garbage')
""",
    "wire-closes": "import os, socket\nsocket.socket(fileno=os.dup(100)).shutdown(socket.SHUT_RDWR)",
    "wire-bomb-nesting": KNOWS
    + """
raw(lambda n: packed(n, b'\\x82\\xa4type\\xa4list\\xa5items\\x91' * 200_000 + b'\\xc0'))
""",
    "wire-bomb-list": KNOWS
    + """
size = 30 * 2**20
raw(lambda n: packed(n, b'\\x82\\xa4type\\xa4list\\xa5items\\xdd' + struct.pack('>I', size) + bytes(size)))
""",
    "wire-bomb-length": KNOWS
    + """
raw(lambda n: packed(n, b'\\x82\\xa4type\\xa4list\\xa5items\\xdd\\xff\\xff\\xff\\xff'))
""",
    "wire-bomb-text": KNOWS + "reply(lambda n: Returned(n, 'x' * (30 * 2**20)), 'ReLU')",
    "wire-bomb-shape": KNOWS + "reply(lambda n: Returned(n, Tensor('float32', [2**31] * 12, b'')), 'ReLU')",
    "wire-bomb-zero-shape": KNOWS + "reply(lambda n: Returned(n, Tensor('float32', [0] + [2**31] * 11, b'')), 'ReLU')",
    "wire-bomb-short-tensor": KNOWS + "reply(lambda n: Returned(n, Tensor('float64', [10, 10], b'x' * 8)), 'ReLU')",
    "wire-bomb-keys": KNOWS
    + """
pairs = [(Large(str(k * (2**61 - 1) << 70)), None) for k in range(5000)]
reply(lambda n: Returned(n, Dict(pairs)), 'ReLU')
""",
    "wire-bomb-same-keys": KNOWS + "reply(lambda n: Returned(n, Dict([('W1', 1.0)] * 5000 + [(Dict([]), 0)])), 'ReLU')",
    "wire-half-a-message": KNOWS
    + """
class Half(Channel):
    def send(self, *a, **k):
        self.sock.send(channels._HEADER.pack(b'agw1', 1, 0, 60 * 2**20) + b'x' * 1000)
reply_as_ever = student_process._answer
def answer(sock, *a):
    if not os.path.exists('once'):
        open('once', 'w').close()
        student_process.Channel = Half
    reply_as_ever(sock, *a)
student_process._answer = answer
""",
    "wire-flood": KNOWS
    + """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
line = socket.socket(fileno=os.dup(100))
line.setblocking(True)
while True:
    post(ForkEnded(10**9 + getattr(post, 'count', 0), 0), line)
""",
    "wire-flood-of-nothing-shown": KNOWS
    + """
nonce = frame_of('nonce').f_locals['nonce']
line = socket.socket(fileno=os.dup(100))
line.setblocking(True)
for _ in range(30_000):
    post(Shown(nonce, 'text', ''), line)
""",
    # ---- exceptions
    "exceptions-that-lie": """
class NotImplementedError(Exception):
    def __str__(self): return 10_000_000 * 'x'
class Exploding(Exception):
    def __str__(self): raise SystemExit(35)
class Odd(Exception):
    def __str__(self): return 35
Odd.__name__ = '<script>' * 100
class ReLU:
    def forward(self, x): raise Exploding
class Sigmoid:
    def forward(self, x): raise NotImplementedError
class Linear:
    def __init__(self, *a): raise Odd
def mse_loss(*a): raise BaseException('passed')
def bce_loss(*a): raise SystemExit(0)
""",
    # ---- looking for secrets: prints what it finds
    "memory-by-gc-and-frames": """
import gc, sys
wanted = ['def test_' + 'linear_forward', 'return dy * self.y * ' + '(1 - self.y)']
planted = 'a text that is ' + 'planted'
frame, found = sys._getframe(), []
things = gc.get_objects()
while frame:
    things += list(frame.f_locals.values()) + list(frame.f_globals.values())
    frame = frame.f_back
for module in list(sys.modules.values()):
    things += list(vars(module).values()) if hasattr(module, '__dict__') else []
for thing in things:
    if type(thing) is str:
        found += [text for text in (*wanted, planted) if text in thing and thing not in wanted]
print('searched' if planted in found else 'did not search', [text for text in found if text != planted])
print([name for name in sys.modules if name.startswith(('test_', 'reference_', 'hw1'))])
secret = ('autograder.course.master', 'autograder.examination', 'autograder.results', 'autograder.grading')
print([name for name in sys.modules if name.startswith(secret)])
""",
    "memory-by-proc": """
# what is looked for, without its last letter: so the search does not find itself
wanted = {b'def test_linear_forwar': b'd', b'return dy * self.y * (1 - self.y': b')', b'a text that is plante': b'd'}
share = globals().get('share', -1) + 1  # this cell is there more than once, and each takes its share
if share == 0:  # neither what is planted nor the shares may move in between
    planted = b''.join([b'a text that is ', b'planted'])
    lines = open('/proc/self/maps').readlines()
with open('/proc/self/mem', 'rb', 0) as memory:
    for line in lines[share::SHARES]:
        span, access = line.split()[:2]
        low, high = (int(number, 16) for number in span.split('-'))
        if access.startswith('rw') and high - low < 2**28:
            memory.seek(low)
            try:
                data = memory.read(high - low)
            except OSError:
                continue
            for text, last in wanted.items():
                at = data.find(text)
                while at >= 0 and data[at + len(text) : at + len(text) + 1] != last:
                    at = data.find(text, at + 1)
                if at >= 0:
                    print(text.decode() + last.decode())
            del data
""",
    "hidden-tests-on-disk": """
import glob, os, subprocess, sys
libraries = ('proc', 'sys', 'dev', 'lib', 'share', 'include', '.venv')  # they have a test_mlp.py of their own
for place in ('/', os.getcwd(), '/proc/1/cwd', '/proc/1/root', *(path for path in sys.path if '/lib/' not in path)):
    for folder, inner, files in os.walk(place):
        inner[:] = [name for name in inner if name not in libraries]
        for name in files:
            if name in ('.course-secret', 'gradebook.db', 'course.toml', 'test_mlp.py', 'homework.toml'):
                print('found', folder, name)
try:
    os.stat(HIDDEN), print('found by stat')
except OSError:
    pass
try:
    import ctypes
    if ctypes.CDLL(None).inotify_add_watch(ctypes.CDLL(None).inotify_init(), HIDDEN.encode(), 0xFFF) >= 0:
        print('found by watching')
except OSError:
    pass
""",
    "result-file": """
import json, os
for name in ('hw1.json', '../hw1.json', '/tmp/hw1.json', RESULTS + '/hw1.json', HIDDEN):
    try:
        os.makedirs(os.path.dirname(name) or '.', exist_ok=True)
        open(name, 'w').write(json.dumps({'score': 35, 'max_score': 35}))
    except OSError:
        pass
""",
    "hidden-inputs-printed": """
import sys
class ReLU:
    def forward(self, x):
        print('the hidden', 'input is', x)
        display(x)
        sys.__stdout__.write(f'the hidden input is {x}')
        get_ipython().emit('stdout', f'the hidden input is {x}', b'')
        return x
    def backward(self, dy): return self.forward(dy)
Sigmoid = ReLU
""",
}

# The letters of a class, the name of a cell, and a line can hold numbers. Each begins in a way that is found.
ATTACKS["hidden-inputs-told-by-names"] = """
def letters(x):
    return 'Told' + ''.join(chr(97 + int(abs(float(v)) * 1000) % 26) for v in x.flatten()[:30])
class ReLU:
    def forward(self, x):
        raise type(letters(x), (Exception,), {})()
    def backward(self, dy): return self.forward(dy)
class Sigmoid:
    def forward(self, x):
        lines = chr(10) * (7000 + int(abs(float(x.flatten()[0])) * 1000))
        exec(compile(lines + 'raise ValueError', f'<cell {letters(x)}>', 'exec'))
    def backward(self, dy): return self.forward(dy)
"""

_SHARES = 10
"""cells that a search is spread over, since one may run only so long"""

HARMLESS_ENDS = {"attempt", "unchecked", "names", "timeout", "crash", "exit", "memory", "disk", "output", "protocol"}

FORGED: dict[str, str] = {
    "train-step-of-empty-lists": KNOWS + "reply(lambda n: Returned(n, List([List([]), List([]), Dict([]), Dict([])])))",
    "memory-of-empty-dictionaries": KNOWS + "reply(lambda n: Returned(n, List([Dict([]), Dict([]), Dict([])])))",
    "constructor-always-refuses": "class MLP:\n    def __init__(self, *a): raise ValueError('no')",
}


def _hand_in(hall: Hall, attack: str) -> None:
    code = {**ATTACKS, **FORGED}[attack]
    paths = f"HIDDEN = {str(hall.homework.hidden('mlp'))!r}\nRESULTS = {str(hall.course.root)!r}\n"
    book = hall.desk.untouched()
    for _ in range(_SHARES if "SHARES" in code else 1):
        hall.desk.with_cell((paths if "HIDDEN" in code else "") + code.replace("SHARES", str(_SHARES)), book)
    hall.begin(attack, book)


@pytest.fixture(scope="module")
def attacked(impatient_hall: Hall, request: pytest.FixtureRequest) -> Iterator[Hall]:
    """The hall, with every attack that is to be looked at handed in; the course's files are the same afterwards."""
    hall = impatient_hall
    before = hall.state()
    for name in wanted(request, "attack"):
        _hand_in(hall, name)
    for name in wanted(request, "cheat"):
        hall.begin(f"cheat-{name}", _cheating(hall, CHEATS[name]))
    for name in wanted(request, "honest"):
        hall.begin(f"honest-{name}", _cheating(hall, HONEST[name]))
    yield hall
    assert hall.state() == before, "a submission changed a file of the course"


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_on_an_empty_homework_earns_nothing(attacked: Hall, attack: str) -> None:
    result = attacked.result(attack)
    assert result.score == 0, points(result)
    assert {incident.kind for incident in result.incidents} <= HARMLESS_ENDS
    assert not [secret for secret in attacked.secrets() if secret in shown(result) and "HIDDEN" not in ATTACKS[attack]]


@pytest.mark.parametrize("attack", FORGED)
def test_a_forged_answer_that_agrees_with_itself_earns_nothing(attacked: Hall, attack: str) -> None:
    assert attacked.result(attack).score == 0


def _printed(hall: Hall, attack: str) -> str:
    _hand_in(hall, attack)
    return "".join(output.text for output in hall.result(attack).outputs if output.cell.startswith("own-"))


def test_a_hidden_input_is_not_among_the_outputs(attacked: Hall) -> None:
    assert "the hidden input is" not in _printed(attacked, "hidden-inputs-printed")


def test_a_hidden_input_is_not_in_the_name_or_the_place_of_an_exception(attacked: Hall) -> None:
    _hand_in(attacked, "hidden-inputs-told-by-names")
    result = attacked.result("hidden-inputs-told-by-names")
    told = " ".join(test.message for name in ("relu", "sigmoid") for test in cell(result, name).tests)
    assert "raised an exception (cell" in told and "ValueError" in told
    assert "Told" not in told and not re.search(r"line [0-9]{4}", told)


def test_a_search_of_all_objects_finds_no_secret(attacked: Hall) -> None:
    assert _printed(attacked, "memory-by-gc-and-frames") == "searched []\n[]\n[]\n"


def test_a_search_of_the_whole_memory_finds_what_is_planted_and_no_secret(attacked: Hall) -> None:
    assert set(_printed(attacked, "memory-by-proc").split("\n")) == {"", "a text that is planted"}


def test_a_search_of_the_disk_finds_nothing_of_the_course(attacked: Hall) -> None:
    assert _printed(attacked, "hidden-tests-on-disk") == ""


# ---- tools that are shut


def _sigmoid(backward: str, before: str = "", after: str = "") -> tuple[str, str, str]:
    """A Sigmoid with this body of backward; a cell of the student's own above it, and one at the end."""
    body = "\n".join("        " + line for line in backward.splitlines())
    code = "class Sigmoid:\n    def forward(self, x):\n        self.x = x\n        return 1 / (1 + torch.exp(-x))\n\n"
    return f"{code}    def backward(self, dy):\n{body}\n", before, after


_RECORDED = "x = self.x.clone().requires_grad_()\nwith torch.enable_grad():\n    y = 1 / (1 + torch.exp(-x))\n"
_BY_HAND = "s = 1 / (1 + torch.exp(-self.x))\n"

# The tools are shut also while an answer is packed, between two questions, and in the process that forks.
_SLOPE = """
def slope(x, dy):
    with torch.enable_grad():
        x = x.clone().requires_grad_()
        getattr((dy / (1 + torch.exp(-x))).sum(), 'back' + 'ward')()
    return x.grad
"""
_LATE = """
class Late(torch.Tensor):
    def detach(self):
        return slope(*self.asked) if hasattr(self, 'asked') else super().detach()
"""
_LATE_LIST = """
class LateList(list):
    def __iter__(self):
        return iter(slope(*self.asked).tolist())
"""
_HELPED = """
import os, signal, time

def help(*asked):
    try:
        torch.save(slope(*torch.load('question')), 'made')
        os.rename('made', 'answer')
    except BaseException as error:
        os.rename('question', 'refused')

signal.signal(signal.SIGUSR1, help)

def helped(x, dy):
    for name in ('answer', 'refused'):
        if os.path.exists(name):
            os.remove(name)
    torch.save((x, dy), 'question')
    os.kill(os.getppid(), signal.SIGUSR1)
    while not os.path.exists('answer') and not os.path.exists('refused'):
        time.sleep(0.01)
    return torch.load('answer') if os.path.exists('answer') else slope(x, dy)
"""

CHEATS = {
    "autograd": _sigmoid(_RECORDED + "return torch.autograd.grad(y, x, dy)[0]"),
    "autograd-by-alias": _sigmoid(_RECORDED + "return quietly(y, x, dy)[0]", "quietly = torch.autograd.grad"),
    "autograd-by-built-name": _sigmoid(_RECORDED + "return getattr(torch, 'auto' + 'grad').grad(y, x, dy)[0]"),
    "autograd-by-partial": _sigmoid(
        _RECORDED + "return diff(y, x, dy)[0]", "import functools\ndiff = functools.partial(torch.autograd.grad)"
    ),
    "autograd-by-exec": _sigmoid(
        _RECORDED + "names = dict(globals(), y=y, x=x, dy=dy)\n"
        "exec('g = torch.auto' + 'grad.grad(y, x, dy)[0]', names)\nreturn names['g']"
    ),
    "autograd-by-helper": _sigmoid(
        "return my_slope(self.x, dy)",
        "from torch.autograd import grad as g\ndef my_slope(x, dy):\n    x = x.clone().requires_grad_()\n"
        "    with torch.enable_grad():\n        y = 1 / (1 + torch.exp(-x))\n    return g(y, x, dy)[0]",
    ),
    "tensor-backward": _sigmoid(_RECORDED + "y.backward(dy)\nreturn x.grad"),
    "torch-func": _sigmoid("return torch.func.vjp(lambda x: 1 / (1 + torch.exp(-x)), self.x)[1](dy)[0]"),
    "forward-mode": _sigmoid(
        "f = getattr(torch, 'fu' + 'nc')\nreturn f.jvp(lambda x: 1 / (1 + torch.exp(-x)), (self.x,), (dy,))[1]"
    ),
    "engine": _sigmoid(
        _RECORDED + "engine = getattr(torch, 'auto' + 'grad').variable.Variable._execution_engine\n"
        "return engine.run_backward((y,), (dy,), False, False, (x,), allow_unreachable=True, accumulate_grad=False)[0]"
    ),
    "tensor-computed-when-packed": _sigmoid(
        "late = torch.zeros(dy.shape).as_subclass(Late)\nlate.asked = self.x, dy\nreturn late", _SLOPE + _LATE
    ),
    "list-computed-when-packed": _sigmoid(
        "late = LateList([0])\nlate.asked = self.x, dy\nreturn late", _SLOPE + _LATE_LIST
    ),
    "forked-by-the-notebook": _sigmoid("return helped(self.x, dy)", _SLOPE + _HELPED),
    "patched-later": _sigmoid(
        "return dy",
        after="def cheat(self, dy):\n    x = self.x.clone().requires_grad_()\n    with torch.enable_grad():\n"
        "        y = 1 / (1 + torch.exp(-x))\n    return torch.autograd.grad(y, x, dy)[0]\nSigmoid.backward = cheat",
    ),
    "nn": _sigmoid(_BY_HAND + "return nn.functional.hardtanh(dy * s * (1 - s), -1e9, 1e9)"),
    "nn-by-built-name": _sigmoid(
        _BY_HAND + "return getattr(torch, 'n' + 'n').functional.hardtanh(dy * s * (1 - s), -1e9, 1e9)"
    ),
    "nn-by-module": _sigmoid(
        _BY_HAND + "return globals()['ke' + 'ep'](dy * s * (1 - s))", "keep = nn.Hardtanh(-1e9, 1e9)"
    ),
}

HONEST = {
    "words": _sigmoid(
        '"""No autograd, no torch.nn: nn.Module and loss.backward() would do this for us."""\n'
        "# torch.autograd.grad(y, x, dy) gives the same\n" + _BY_HAND + "return dy * s * (1 - s)"
    ),
    "own-backward": _sigmoid(
        "return self.inner.backward(dy=dy, s=1 / (1 + torch.exp(-self.x)))",
        "class Inner:\n    def backward(self, dy, s): return dy * s * (1 - s)",
        "Sigmoid.inner = Inner()",
    ),
    "leaves": _sigmoid(
        _BY_HAND + "leaf = torch.zeros_like(dy, requires_grad=True)\nreturn (leaf + dy) * s * (1 - s)",
        after="leaf = torch.ones(3, requires_grad=True)\nSigmoid().forward(leaf).sum().backward()\nprint(leaf.grad)",
    ),
}


def _cheating(hall: Hall, parts: tuple[str, str, str]) -> dict[str, Any]:
    sigmoid, before, after = parts
    book = hall.rewritten("activations", lambda source: source[: source.index("class Sigmoid")] + sigmoid)
    if after:
        hall.desk.with_cell(after, book)
    if before:
        place = next(at for at, cell in enumerate(book["cells"]) if cell["id"] == "activations")
        hall.desk.with_cell(before, book, place)
    return book


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cell_that_uses_a_shut_tool_earns_nothing_and_says_why(attacked: Hall, cheat: str) -> None:
    sigmoid = cell(attacked.result(f"cheat-{cheat}"), "sigmoid")
    assert (sigmoid.earned, "is not allowed in this exercise" in sigmoid.note) == (0, True)


@pytest.mark.parametrize("honest", HONEST)
def test_an_honest_solution_is_not_accused(attacked: Hall, honest: str) -> None:
    assert lost_points(attacked.result(f"honest-{honest}")) == {}


# ---- trusted processes that die


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


def _zygote(examiner: int) -> int:
    return next(child for child in _children(examiner) if b"zygote.main" in _command(child))


def _fork_of_the_examiner(examiner: int) -> int:
    return next(child for child in _children(examiner) if child != _zygote(examiner))


def _supervisor(examiner: int) -> int:
    return _children(_zygote(examiner))[0]


VICTIMS: dict[str, Callable[[int], int]] = {
    "the examiner's fork": _fork_of_the_examiner,
    "the supervisor": _supervisor,
    "the zygote": _zygote,
    "the examiner": lambda examiner: examiner,
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_the_death_of_a_trusted_process_costs_no_points_and_is_mended(hall: Hall, victim: str) -> None:
    slow = hall.desk.with_cell("import time\ntime.sleep(2)")
    hall.begin(f"while {victim} dies", slow)
    os.kill(_when_at_work(VICTIMS[victim], hall.examiner), signal.SIGKILL)
    try:
        score = hall.result(f"while {victim} dies").score
    except Lost:
        score = None
    assert score in (None, 34), "a loss of ours has become a student's"
    assert hall.grade(f"after {victim} died", slow).score == 34


def _when_at_work(victim: Callable[[int], int], examiner: GradingServer) -> int:
    """The victim's number, while cells are running."""
    main = examiner._process.pid
    for _ in range(1000):
        with suppress(StopIteration, IndexError, OSError):
            fork, supervisor = _fork_of_the_examiner(main), _supervisor(main)
            if fork and _children(supervisor):
                time.sleep(0.5)
                return victim(main)
        time.sleep(0.01)
    raise AssertionError("no submission is being graded")


def test_an_attempt_waits_for_a_person(hall: Hall):
    result = hall.grade("an attempt", hall.desk.with_cell("import ctypes"))
    assert {cell.earned for cell in result.cells if cell.points} == {None}
    [incident] = [one for one in result.incidents if one.kind == "attempt"]
    assert "ctypes in line 1" in incident.note
