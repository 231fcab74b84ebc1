"""What attempts are known by: names that no honest answer needs, and what honest answers need beside them."""

import ast
import re

# For every notebook: ways into the grader's own code, into the frames of its functions, and around the confinement.
MODULES = {
    *("autograder", "ctypes", "cffi", "_ctypes", "mmap", "marshal", "sys.modules"),
    *("gc.get_objects", "gc.get_referrers", "gc.get_referents"),
    *("pickle.Unpickler", "_pickle", "pkgutil.resolve_name", "pydoc.locate"),
    *("copyreg", "dill", "cloudpickle"),
    *("os.fork", "os.forkpty", "os.posix_spawn", "posix", "pty"),
    *("inspect.stack", "inspect.currentframe", "inspect.trace", "inspect.getargvalues", "inspect.getmembers"),
    *("inspect.getouterframes", "inspect.getinnerframes", "logging.currentframe"),
    *("_thread", "threading", "multiprocessing", "concurrent"),  # what a test counts, it counts in one thread
}
NAMES = {
    *("_getframe", "_current_frames", "f_back", "f_locals", "f_globals", "f_builtins", "tb_frame", "gi_frame"),
    *("cr_frame", "ag_frame", "settrace", "setprofile", "addaudithook", "set_custom_exc", "input_transformers_post"),
    *("input_transformers_cleanup", "ast_transformers", "run_cell", "run_code", "__subclasses__", "co_consts"),
    *("get_objects", "get_referrers", "get_referents", "__code__", "__globals__", "__closure__", "cell_contents"),
    *("codeobj", "co_code", "__reduce__", "__reduce_ex__", "__dir__"),
    *("walk_stack", "walk_tb", "extract_stack", "transform_ast", "get_type_hints", "evaluate_forward_ref"),
    *("get_function_globals", "get_function_code", "get_function_closure", "load_backend_module"),
    *("safe_execfile", "safe_execfile_ipy", "safe_run_module", "run_ast_nodes", "run_cell_async", "runcode"),
}
GIVEN = {"__array_interface__", "__array_struct__", "load_ipython_extension"}
"""names of methods and functions by which a library is led to memory or to the shell"""
OWN = {"run_cell", "run_code", "cell_contents"}
"""of these, names that a class of the student's may have, where nothing leads to the objects that are meant"""
METHODS = {"discover", "sys"}
"""of the names below, those that a class of the student's may have"""
COMPILING = ("re.", "regex.")
"""where a function `compile` comes from that compiles no code"""
LEADING = {"get_ipython", "InteractiveShell", "__closure__"}
TEXTS = re.compile(r"\bautograder\b|/proc/(?:self|[0-9])|\bctypes\b")

# Where a tool is forbidden: ways to it below or beside the functions that are blocked.
TOOL_MODULES = {
    *("builtins.eval", "builtins.exec", "builtins.compile", "builtins.__import__", "builtins.breakpoint"),
    *("signal.signal", "importlib.import_module", "importlib.util", "importlib.machinery"),
    *("asyncio", "code", "torch._higher_order_ops"),
    *("torch.ops", "torch._C", "torch._VF", "torch.overrides", "torch.utils._python_dispatch", "torch.library"),
    *("torch.jit", "torch.fx", "torch.compile", "torch.export", "torch.utils.checkpoint"),
    *("codeop", "zipimport", "string.Formatter", "operator.methodcaller"),
    *("torch.ao", "torch.quantization", "torch.nn.quantizable", "torch.nn.quantized", "torch.nn.qat"),
    *("torch.onnx", "torch.hub", "torch.package", "typing.get_type_hints", "typing.ForwardRef"),
    *("numpy.testing.runstring", "numpy.testing.measure", "logging.config", "logging.handlers"),
    *("importlib.metadata.EntryPoint", "importlib.metadata.entry_points", "pkg_resources", "numpy.ctypeslib"),
    *("site", "shelve", "joblib", "imp", "pydoc.importfile", "jinja2", "unittest.loader"),
    *("torch._refs", "torch._prims", "torch._decomp", "torch._dynamo", "torch._inductor", "torch.utils.cpp_extension"),
}
USED = {
    *("multiprocessing.cpu_count", "torch.multiprocessing.set_sharing_strategy"),
    *("importlib.util.find_spec", "torch.optim.lr_scheduler._LRScheduler", "torch.nn.modules.loss._Loss"),
    *("torch.nn.modules.batchnorm._BatchNorm", "torch.nn.modules.conv._ConvNd"),
}
"""what honest answers use of such modules"""
SETTINGS = {"benchmark", "deterministic", "enabled", "allow_tf32", "fp32_precision"}
"""what is set in torch.backends"""
BY_USE = {"multiprocessing", "importlib.util"}
"""modules whose import alone is none, but any other use of them"""
OTHERS = re.compile(
    r"(?:weakref|gc|threading|builtins|functools|itertools|operator|contextlib|types|copy|math|random|time|inspect|os)\.",
)
"""modules in which no answer replaces anything: the grader measures with them"""
SHOWING = {"__repr__", "__str__", "__format__"}
"""what is replaced to see tensors in another form"""
PLACES = {"google", "google.colab", "ipykernel"}
"""modules that tell where a notebook runs"""
NAMING = {"warnings.filterwarnings", "warnings.simplefilter", "logging.getLogger"}
"""functions that only name whose messages are meant"""
TEXT_RUNNERS = {
    *("timeit.timeit", "timeit.repeat", "timeit.Timer", "torch.utils.benchmark.Timer"),
    *("cProfile.run", "cProfile.runctx", "profile.run"),
}
CODE_ARGUMENTS = {"stmt", "setup", "statement"}
"""what they call their texts"""
TENSORS = {"torch.Tensor", "torch.nn.Parameter", "torch.nn.parameter.Parameter", "torch.FloatTensor"}
"""classes from which no answer makes one of its own: its methods could say anything about it"""
GETTERS = {"operator.attrgetter": None, "operator.methodcaller": 1}
"""what looks up the names that it is given, in so many arguments; nobody needs it but to call it with constants"""
SAYING = {"label", "title", "xlabel", "ylabel", "set_title", "set_xlabel", "set_ylabel", "suptitle", "text", "annotate"}
"""functions and arguments of matplotlib whose texts are only shown"""
DOORS = {"autograd", "func", "functorch", "nn", "attention", "modules"}
"""names that lead to a tool, where they are no attributes in the source: in patterns and texts"""
TOOL_NAMES = {
    *("_C", "_VF", "__torch_function__", "__torch_dispatch__", "DisableTorchFunction", "DisableTorchFunctionSubclass"),
    *("TorchFunctionMode", "TorchDispatchMode", "__builtins__", "__import__"),
    *("__self__", "__loader__", "__spec__", "load_module", "__match_args__"),
    *("loadTestsFromName", "loadTestsFromNames", "discover", "importorskip", "MonkeyPatch"),
    *("ForwardRef", "PYTHONBREAKPOINT", "needs_local_scope", "import_item", "unsafe_eval", "exec_module"),
    *("_decomp", "_refs", "_inductor", "_functorch", "_jit_differentiate", "decompositions", "quantizable"),
    *("getmembers_static", "getclosurevars", "getmodule", "get_original", "UnsafeLoader", "unsafe_load"),
    *("shifted_window_attention", "fuse_attention"),
    *("sys", "start_new_thread", "import_module", "aten", "__getattribute__", "load_library", "breakpointhook"),
}
WRITTEN = {"_decomp", "_refs", "_inductor", "_functorch", "decompositions", "quantizable", "autograd", "onnx"}
"""parts of PyTorch in which a tool is written in Python; no saved data is made of them"""
TOOL_CALLS = {"exec", "eval", "compile", "__import__", "breakpoint"}
SHELL_CALLS = {"ex", "ev"}
"""methods of the shell that run a text"""
LOOKUPS = {"getattr", "setattr", "hasattr", "delattr"}
READING = {"getattr", "hasattr", "vars", "__dict__"}
"""of these and of dictionaries of names, the ways that change nothing"""
LISTING = "dir"
"""the function that lists the names which an object has"""
CLOSED = ("gc", "sys", "torch.autograd", "autograder")
"""modules whose names no answer looks up by a text"""
PICTURES = ("matplotlib.", "math")
"""libraries in which no name leads to a tool"""
PATH = re.compile(r"\w+(?:[.:]\w+)+")
FILES = {"/proc/self/statm", "/proc/self/status"}
"""files that tell how much memory is used"""
CODE = (ast.Import, ast.ImportFrom, ast.Assign, ast.AugAssign, ast.FunctionDef, ast.ClassDef)
"""statements by which a text is known to be code"""
MOST_CODE = 50_000
"""characters of a text that are read as code"""
IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+\S+[ \t]+)?import[ \t]+\w", re.MULTILINE)
WRITING = {"write_text", "write_bytes", "tofile", "savetxt", "rename", "copyfile", "copy2", "move", "urlretrieve"}
EVENTS = {
    *("code.__new__", "function.__new__", "sys.settrace", "sys._current_frames", "sys._getframe"),
    *("os.fork", "os.forkpty", "os.posix_spawn"),
    *("gc.get_objects", "gc.get_referrers", "gc.get_referents"),
    *("ctypes.dlopen", "ctypes.dlsym", "ctypes.cdata", "ctypes.call_function"),
}
"""audit events of Python's that no answer causes by itself, but libraries do"""
COMPILED, TREE = "a compiled module", "compile of a syntax tree"
"""what is done in place of running a text"""
LOADED = (".py", ".pyc", ".so", ".zip", ".egg", ".pth")
"""ends of files that can be imported"""
WORD = re.compile(r"[A-Za-z_]\w*")
PRIVATE = re.compile(r"\b_[A-Za-z]\w*")
INNER = re.compile(r"\btorch\._[A-Za-z]\w*")
PUT_TOGETHER = {"join", "replace", "decode", "translate", "fromhex", "to_bytes", "b64decode", "unhexlify", "tobytes"}
"""methods that make a name of what does not look like one"""
RUNNERS = {"exec", "eval", "compile"}
GRADIENTS = {"grad", "backward"}
"""attributes that `static` looks for, in cells alone: no text is run for them"""
"""Python's own functions that run a text"""
WATCHED_NAMES = NAMES | TOOL_NAMES
"""all names that are listed"""
