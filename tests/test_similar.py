"""Similarity, proven on classes of honest answers and disguised copies, made by machine from the known answers."""

import ast
import builtins
import copy
import dataclasses
import functools
import itertools
import json
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import dump, small_course
from typer.testing import CliRunner

from autograder.cli import app
from autograder.cli import similar as command
from autograder.course.course import open_course
from autograder.course.mistakes import mistakes
from autograder.course.parsing import read_master
from autograder.course.roster import open_roster
from autograder.insight import alike_class, fingerprints
from autograder.insight.alike_class import teams_of
from autograder.insight.alike_page import index_html
from autograder.insight.fingerprints import of_text
from autograder.insight.known_answers import alternatives_of, known_prints
from autograder.insight.own_work import Imprint, OwnWork, Reader, answers_of
from autograder.insight.scale import scales_of
from autograder.insight.similarity import Findings, Pair, similar
from autograder.proving.example_class import SubmissionWriter
from autograder.submission.folder import contents

COURSE = open_course(Path(__file__).parents[1])
_MARK = re.compile(r"^\s*### (BEGIN|END) .*\n?", re.MULTILINE)
_WORDS = (
    "acc",
    "base",
    "buf",
    "cur",
    "elem",
    "grid",
    "idx",
    "item",
    "left",
    "mid",
    "node",
    "out",
    "part",
    "row",
    "unit",
)


class Bank:
    """The known answers of a homework: right ones, and wrong ones made of the master's."""

    def __init__(self, homework):
        self.ways, self.wrong, self.homework = {}, {}, homework
        for spec in homework.notebooks:
            book = read_master(homework, spec.name)
            known = [{cell.id: cell.source for cell in book.cells}, *alternatives_of(homework, book).values()]
            for cell in book.cells:
                if cell.solution and cell.kind == "code":
                    key = spec.name, cell.grade_id
                    self.ways[key] = [_MARK.sub("", one[cell.id]) for one in known if cell.id in one]
                    edits = [one for one in mistakes(homework, spec.name) if one.cell == cell.grade_id]
                    self.wrong[key] = [_MARK.sub("", one.edit(cell.source)) for one in edits]

    def honest(self, chance):
        """One student's answers: any way for each exercise, a tenth of them with a mistake, written in one style."""
        style = Style(chance)
        return {
            key: style.written(chance.choice(self.wrong[key] if self.wrong[key] and chance.random() < 0.1 else ways))
            for key, ways in self.ways.items()
        }


class Style:
    """How one honest student writes: what is done always, often or never."""

    def __init__(self, chance):
        self.chance = chance
        self.often = {habit: chance.choice((0, 0.3, 0.8)) for habit in ("step", "call", "power", "method", "flip")}
        self.helpful, self.verbose = chance.choice((0, 0.4)), chance.random()

    def written(self, source):
        tree = ast.parse(source)
        tree = Habits(self.chance, self.often).visit(tree)
        if self.chance.random() < self.helpful:
            extract(tree, self.chance)
        shuffle(tree, self.chance)
        rename(tree, self.chance)
        return commented(ast.unparse(ast.fix_missing_locations(tree)), self.chance, self.verbose)


def disguised(answers, chance):
    """The same answers after everything that makes a copy look like another text, and nothing that makes it another."""
    copied = {}
    for key, source in answers.items():
        tree = ast.parse(source)
        for edit in (Augmented, Whiles, Unrolled, Hints, Useless):
            tree = edit(chance, 0.7).visit(tree)
        shuffle(tree, chance)
        chance.shuffle(tree.body) if all(isinstance(one, ast.FunctionDef) for one in tree.body) else None
        rename(tree, chance)
        copied[key] = commented(ast.unparse(ast.fix_missing_locations(tree)), chance, 0.8)
        if chance.random() < 0.5:
            copied[key] = re.sub(r"(?<=[\s(\[,=])'([^'\"\\\n]*)'(?=[\s)\],:])", r'"\1"', copied[key])
    return copied


class Habits(ast.NodeTransformer):
    """What a person does often or never, each with its own chance."""

    def __init__(self, chance, often):
        self.chance, self.often, self.fresh = chance, often, itertools.count()

    def does(self, habit):
        return self.chance.random() < self.often[habit]

    def named(self, value):
        return ast.Assign([ast.Name(f"step_{next(self.fresh)}", ast.Store())], value)

    def visit_Return(self, node):
        """The result, and parts of a long one, get a name first."""
        self.generic_visit(node)
        value, lines = node.value, []
        if value is None or isinstance(value, ast.Name | ast.Constant) or not self.does("step"):
            return node
        if isinstance(value, ast.BinOp) and self.does("step"):
            for side in ("left", "right"):
                part = getattr(value, side)
                if isinstance(part, ast.BinOp | ast.Call):
                    lines.append(self.named(part))
                    setattr(value, side, ast.Name(lines[-1].targets[0].id, ast.Load()))
        lines.append(self.named(value))
        return [*lines, ast.Return(ast.Name(lines[-1].targets[0].id, ast.Load()))]

    def visit_Assign(self, node):
        """A long argument gets a name first."""
        self.generic_visit(node)
        call = node.value
        if not (isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.BinOp | ast.Call)):
            return node
        if not self.does("step"):
            return node
        first = self.named(call.args[0])
        call.args[0] = ast.Name(first.targets[0].id, ast.Load())
        return [first, node]

    def visit_BinOp(self, node):
        """a @ b as torch.matmul(a, b), a**2 as a * a."""
        self.generic_visit(node)
        if isinstance(node.op, ast.MatMult) and self.does("call"):
            return ast.Call(ast.parse("torch.matmul", mode="eval").body, [node.left, node.right], [])
        square = isinstance(node.op, ast.Pow) and isinstance(node.left, ast.Name) and ast.unparse(node.right) == "2"
        return ast.BinOp(node.left, ast.Mult(), node.left) if square and self.does("power") else node

    def visit_Call(self, node):
        """x.sum(…) as torch.sum(x, …)."""
        self.generic_visit(node)
        named = isinstance(node.func, ast.Attribute) and node.func.attr in ("sum", "mean", "exp", "log", "max", "clone")
        if not named or ast.unparse(node.func.value) == "torch" or not self.does("method"):
            return node
        function = ast.Attribute(ast.Name("torch", ast.Load()), node.func.attr, ast.Load())
        return ast.Call(function, [node.func.value, *node.args], node.keywords)

    def visit_If(self, node):
        """if a: … else: … as if not a: …"""
        self.generic_visit(node)
        if node.orelse and self.does("flip"):
            return ast.If(ast.UnaryOp(ast.Not(), node.test), node.orelse, node.body)
        return node


class _Edit(ast.NodeTransformer):
    def __init__(self, chance, often):
        self.chance, self.often = chance, often

    def hit(self):
        return self.chance.random() < self.often


class Augmented(_Edit):
    """a += b as a = a + b, and back."""

    def visit_AugAssign(self, node):
        if isinstance(node.target, ast.Name) and self.hit():
            return ast.Assign([node.target], ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value))
        return node

    def visit_Assign(self, node):
        [target, value] = [node.targets[0], node.value]
        same = isinstance(target, ast.Name) and isinstance(value, ast.BinOp) and ast.unparse(value.left) == target.id
        return ast.AugAssign(target, value.op, value.right) if same and self.hit() else node


class Whiles(_Edit):
    """for i in range(n) as a while loop."""

    def visit_For(self, node):
        self.generic_visit(node)
        over = node.iter
        plain = isinstance(over, ast.Call) and ast.unparse(over.func) == "range" and len(over.args) == 1
        if not (plain and isinstance(node.target, ast.Name)) or node.orelse or not self.hit():
            return node
        if any(isinstance(one, ast.Continue) for one in ast.walk(node)):
            return node
        name = node.target.id
        start, more = ast.parse(f"{name} = 0\n{name} += 1").body
        return [
            start,
            ast.While(ast.parse(f"{name} < {ast.unparse(over.args[0])}", mode="eval").body, [*node.body, more], []),
        ]


class Unrolled(_Edit):
    """x = [… for …] as a loop that appends."""

    def visit_Assign(self, node):
        value = node.value
        if (
            not isinstance(value, ast.ListComp)
            or len(value.generators) > 1
            or not isinstance(node.targets[0], ast.Name)
        ):
            return node
        if value.generators[0].ifs or not self.hit():
            return node
        [name, each] = [node.targets[0].id, value.generators[0]]
        start, more = ast.parse(f"{name} = []\n{name}.append({ast.unparse(value.elt)})").body
        return [start, ast.For(each.target, each.iter, [more], [])]


class Hints(_Edit):
    """Type hints and docstrings."""

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        if self.hit():
            for one in node.args.args:
                one.annotation = ast.parse(
                    self.chance.choice(("torch.Tensor", "int", "float | None")), mode="eval"
                ).body
        if self.hit() and not ast.get_docstring(node):
            node.body.insert(0, ast.Expr(ast.Constant(f"Works out {self.chance.choice(_WORDS)}.")))
        return node


class Useless(_Edit):
    """Lines that do nothing."""

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        for line in ("pass", "unused = None", "_ = 0", "assert True"):
            if self.chance.random() < 0.3:
                node.body.insert(self.chance.randrange(len(node.body)), ast.parse(line).body[0])
        return node


def rename(tree, chance):
    """Other names for all local variables and parameters of functions."""
    methods = (one for node in tree.body for one in (node.body if isinstance(node, ast.ClassDef) else [node]))
    taken = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name)} | set(dir(builtins))
    for function in (one for one in methods if isinstance(one, ast.FunctionDef)):
        inner = list(ast.walk(function))
        names = {one.id for one in inner if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
        names |= {one.arg for one in inner if isinstance(one, ast.arg)} - {"self"}
        new = {name: next(one for one in _made_up(chance) if one not in taken) for name in sorted(names)}
        for one in inner:
            if isinstance(one, ast.Name):
                one.id = new.get(one.id, one.id)
            elif isinstance(one, ast.arg):
                one.arg = new.get(one.arg, one.arg)
            elif isinstance(one, ast.Nonlocal | ast.Global):
                one.names = [new.get(name, name) for name in one.names]


def _made_up(chance):
    while True:
        yield "_".join(chance.sample(_WORDS, 2)) + str(chance.randrange(100))


def shuffle(tree, chance):
    """Swap neighbouring statements that do not depend on each other."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        for at in range(len(body) - 1):
            one, other = body[at : at + 2]
            if (
                isinstance(one, ast.Assign)
                and isinstance(other, ast.Assign)
                and _apart(one, other)
                and chance.random() < 0.5
            ):
                body[at : at + 2] = [other, one]


def _apart(one, other):
    def used(node):
        return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}

    stored = [{ast.unparse(target).split(".")[0].split("[")[0] for target in node.targets} for node in (one, other)]
    return not (stored[0] & used(other) or stored[1] & used(one))


def extract(tree, chance):
    """Move the body of one function into a helper above it."""
    functions = [one for one in tree.body if isinstance(one, ast.FunctionDef) and not one.decorator_list]
    if functions:
        one = chance.choice(functions)
        name = next(_made_up(chance))
        helper = ast.parse(f"def {name}(): pass").body[0]
        helper.args, helper.body = copy.deepcopy(one.args), one.body
        arguments = [ast.Name(each.arg, ast.Load()) for each in one.args.args]
        one.body = [ast.Return(ast.Call(ast.Name(name, ast.Load()), arguments, []))]
        tree.body.insert(tree.body.index(one), helper)


def commented(source, chance, often):
    """With comments above some lines."""
    lines = []
    inside = False
    for line in source.split("\n"):
        if not inside and line.strip() and chance.random() < 0.3 * often:
            lines.append(f"{line[: len(line) - len(line.lstrip())]}# {' '.join(chance.sample(_WORDS, 3))}")
        lines.append(line)
        inside ^= line.count('"""') % 2 == 1
    return "\n".join(lines)


def a_class(bank, seed, honest=300, copies=50, share=1.0):
    """Answers by student, and the pairs of copies: each copies `share` of the exercises of somebody honest."""
    chance = random.Random(seed)
    students = {f"honest-{number:03d}": bank.honest(chance) for number in range(honest)}
    pairs = {}
    for number, original in enumerate(chance.sample(sorted(students), copies)):
        copied = chance.sample(sorted(bank.ways), round(share * len(bank.ways)))
        own = bank.honest(chance)
        taken = disguised({key: students[original][key] for key in copied}, chance)
        students[f"copy-{number:03d}"] = {**own, **taken}
        pairs[f"copy-{number:03d}"] = original
    return students, {frozenset(pair) for pair in pairs.items()}


# ---- the proof


@functools.cache
def bank(homework):
    return Bank(COURSE.homework(homework))


@functools.cache
def reader(homework):
    chosen = COURSE.homework(homework)
    return Reader(COURSE, chosen, [spec.name for spec in chosen.notebooks])


@functools.cache
def known(homework):
    return known_prints(COURSE.homework(homework), reader(homework))


def common(homework):
    return known(homework).common


def found_in(students, homework, teams=()):
    """What is found in a class, as the command finds it."""
    return similar(imprints(students, homework), common(homework), dict(teams), known=known(homework).all)


def work_of(student, answers, homework, moved=None):
    """A student's own work: answers by notebook and cell, in cells of any order with `moved`."""
    found = {}
    for book in reader(homework).notebooks:
        parts = [("code", cell, source) for (of, cell), source in answers.items() if of == book]
        if moved:
            moved.shuffle(parts)
        found |= answers_of(parts, reader(homework).released[book], reader(homework).given[book])
    return OwnWork(student, found)


def imprints(students, homework, seed=0):
    chance = random.Random(seed)
    return [
        Imprint.of(work_of(name, answers, homework, chance if name.startswith("copy") else None))
        for name, answers in students.items()
    ]


def pairs_of(found):
    return {frozenset((pair.one, pair.other)) for pair in found.pairs}


@functools.cache
def small_class():
    """Forty honest students of hw3, and five copies."""
    students, copies = a_class(bank("hw3"), 7, honest=40, copies=5)
    return imprints(students, "hw3"), copies


@pytest.mark.slow(seconds=45)
def test_disguised_copies_are_found_and_no_two_honest_students():
    students, copies = a_class(bank("hw1"), 1)
    found = pairs_of(similar(imprints(students, "hw1"), common("hw1"), {}))
    assert len(found & copies) >= 0.95 * len(copies)
    assert not found - copies


@pytest.mark.slow(seconds=6)
def test_a_small_class_is_enough_to_find_copies():
    works, copies = small_class()
    assert pairs_of(similar(works, common("hw3"), {})) == copies


@pytest.mark.slow(seconds=5)
def test_members_of_a_team_are_no_pair():
    works, copies = small_class()
    team = sorted(copies, key=sorted)[0]
    teams = {student: ["team 1"] for student in team}
    assert pairs_of(similar(works, common("hw3"), teams)) == copies - {team}


@pytest.mark.slow(seconds=5)
def test_teams_that_hand_in_the_same_hide_no_copy():
    works, copies = small_class()
    alone = [work for work in works if not any(work.student in pair for pair in copies)]
    teams, mates = {}, []
    for number, work in enumerate(alone[:16]):
        mates += [dataclasses.replace(work, student=f"mate-{number:02d}-{at}") for at in range(4)]
        teams |= {one.student: [f"team {number}"] for one in (work, *mates[-4:])}
    found = pairs_of(similar([*works, *mates], common("hw3"), teams))
    assert copies <= found and all(name.startswith("copy") for pair in found - copies for name in pair)
    assert not copies <= pairs_of(similar([*works, *mates], common("hw3"), {}))


@pytest.mark.slow(seconds=5)
def test_a_group_so_large_that_it_hides_itself_is_hinted_at():
    works, _ = small_class()
    assert not similar(works, common("hw3"), {}).crowded
    original = works[0]
    ring = [dataclasses.replace(original, student=f"ring-{number}") for number in range(12)]
    found = similar([*works, *ring], common("hw3"), {}, threshold=100)
    assert "--threshold 100" in found.crowded and found.crowded in index_html("Title", found, {}).replace("&#39;", "'")
    members = {original.student, *(one.student for one in ring)}
    assert sum({pair.one, pair.other} <= members for pair in found.pairs[:70]) >= 60


def test_a_score_does_not_depend_on_the_order_of_the_class():
    works, _ = small_class()
    assert similar(works, common("hw3"), {}) == similar(works[::-1], common("hw3"), {})


def test_likeness_is_symmetric():
    works, _ = small_class()
    scale = max(scales_of(works, common("hw3")), key=lambda one: len(one.weights))
    one, other = (side.astype("int64") for side in np.triu_indices(len(works), 1))
    assert np.array_equal(scale.likeness(one, other), scale.likeness(other, one), equal_nan=True)


def test_a_way_that_half_of_the_class_takes_makes_no_pair():
    chance = random.Random(3)
    ways = [bank("hw3").honest(chance) for _ in range(2)]
    works = imprints({f"s{number}": ways[number % 2] for number in range(30)}, "hw3")
    assert similar(works, common("hw3"), {}).pairs == ()


@pytest.mark.slow(seconds=8)
@pytest.mark.parametrize("homework", COURSE.homeworks)
def test_names_comments_hints_and_docstrings_change_no_fingerprint(homework):
    chance = random.Random(homework)
    for answers in (bank(homework).honest(chance) for _ in range(3)):
        changed = {}
        for key, source in answers.items():
            tree = Hints(chance, 1).visit(ast.parse(source))
            rename(tree, chance)
            changed[key] = commented(ast.unparse(ast.fix_missing_locations(tree)), chance, 1)
        before, after = (
            Imprint.of(work_of("student", each, homework, each is changed and chance)) for each in (answers, changed)
        )
        assert before == after


@pytest.mark.parametrize("homework", COURSE.homeworks)
def test_the_release_and_what_known_answers_share_say_nothing(homework):
    for name, release in reader(homework).released.items():
        parts = [(cell.kind, cell.grade_id, cell.source) for cell in release.cells if cell.solution]
        for exercise, answer in answers_of(parts, release, reader(homework).given[name]).items():
            assert {mark for mark, _, _ in answer.prints} <= set(common(homework)[exercise])


def test_a_class_that_hands_in_one_and_the_same_has_no_pairs():
    """What all have says nothing of two."""
    students, _ = a_class(bank("hw3"), 7, honest=1, copies=0)
    [answers] = students.values()
    works = imprints({f"student-{number}": answers for number in range(30)}, "hw3")
    assert similar(works, common("hw3"), {}).pairs == ()


def numbered(students, exercises, same):
    """A class of honest answers made of numbers, in which the first `same` students have the same."""
    chance = np.random.default_rng(0)
    copied = chance.integers(1 << 40, 1 << 41, (exercises, 40))
    works = []
    for at in range(students):
        own = np.hstack((chance.integers(0, 60, (exercises, 20)), chance.integers(1 << 42, 1 << 43, (exercises, 20))))
        marks = {
            ("book", f"e{number}"): np.unique(row).astype(np.int64).tobytes()
            for number, row in enumerate(copied if at < same else own)
        }
        works.append(Imprint(f"s{at:03d}", marks))
    return works


@pytest.mark.parametrize(
    ("students", "exercises", "same"), [(5, 3, 2), (10, 1, 2), (10, 3, 2), (100, 1, 2), (300, 1, 2), (20, 11, 4)]
)
def test_where_no_pair_can_be_shown_that_is_said_and_the_same_long_answers_are_named(students, exercises, same):
    found = similar(numbered(students, exercises, same), {}, {})
    assert not found.pairs and "no pairs are listed" in found.weak
    [group] = found.same
    assert group.students == tuple(f"s{at:03d}" for at in range(same))
    assert group.exercises == (("book", "" if exercises > 1 else "e0"),)
    page = index_html("Title", found, {}).replace("&#39;", "'")
    assert "No pair" not in page and found.weak in page and group.says in page
    team = {student: ["team 1"] for student in group.students}
    assert not similar(numbered(students, exercises, same), {}, team).same


def test_where_a_pair_can_be_shown_nothing_of_that_is_said():
    found = similar(numbered(100, 3, 0), {}, {})
    assert not found.pairs and not found.weak and not found.same
    assert "<p>No pair. 100 submissions were compared.</p>" in index_html("Title", found, {})
    assert similar(numbered(100, 3, 2), {}, {}).pairs


# ---- what is the same where no pair is shown


def master_of(homework):
    return {key: ways[0] for key, ways in bank(homework).ways.items()}


def near_master(homework, chance):
    """The master's answers with two mistakes."""
    answers = master_of(homework)
    wrong = [key for key in sorted(answers) if bank(homework).wrong[key]]
    return answers | {key: chance.choice(bank(homework).wrong[key]) for key in chance.sample(wrong, 2)}


def renamed(answers, chance):
    trees = {key: ast.parse(source) for key, source in answers.items()}
    for tree in trees.values():
        rename(tree, chance)
    return {key: ast.unparse(tree) for key, tree in trees.items()}


def named(prefix, number, answers):
    return {f"{prefix}{at:02}": answers() for at in range(number)}


def said_of(found):
    """All that is said of a class without pairs; the page and the command say it."""
    page, told = index_html("Title", found, {}).replace("&#39;", "'"), command._told(found)
    said = [*(one.says for one in found.same), found.hidden]
    assert all(one in page and one in told for one in said)
    return " ".join(said)


@pytest.mark.slow(seconds=3)
@pytest.mark.parametrize("others", ["honest", "near the master"])
def test_a_large_group_with_one_text_is_named_and_so_is_who_changed_its_names(others):
    chance = random.Random(5)
    original = bank("hw1").honest(chance)
    write = bank("hw1").honest if others == "honest" else functools.partial(near_master, "hw1")
    class_ = named("other", 21, lambda: write(chance)) | named("ring", 15, lambda: original)
    found = found_in(class_ | {"ring15": renamed(original, chance)}, "hw1")
    assert not found.pairs
    [group] = [one for one in found.same if "ring00" in one.students]
    assert group.students == tuple(f"ring{at:02}" for at in range(16)) and group.letter == 15
    notebooks = ", ".join(sorted(spec.name for spec in COURSE.homework("hw1").notebooks))
    assert f"16 students have the same answers to {notebooks}, 15 of them to the letter: ring00, " in said_of(found)
    assert "can hide itself" in found.hidden


@pytest.mark.slow(seconds=2)
def test_a_class_most_of_which_hands_in_the_masters_code_is_told_so():
    chance = random.Random(6)
    students = named("copy", 25, lambda: master_of("hw1")) | named("own", 4, lambda: bank("hw1").honest(chance))
    found = found_in(students, "hw1")
    assert not found.pairs and "25 students have the same answers to mlp, theory, to the letter" in said_of(found)
    everybody = found_in(named("copy", 30, lambda: master_of("hw1")), "hw1")
    assert "30 students have the same answers" in said_of(everybody)


@pytest.mark.slow(seconds=3)
def test_a_large_group_of_disguised_copies_is_named():
    chance = random.Random(9)
    original = bank("hw1").honest(chance)
    ring = named("ring", 16, lambda: disguised(original, chance))
    found = found_in(ring | named("own", 21, lambda: bank("hw1").honest(chance)), "hw1")
    [group] = found.same
    assert not found.pairs and "students have nearly the same answers everywhere: ring0" in said_of(found)
    assert len(group.students) >= 14 and all(who.startswith("ring") for who in group.students)


@pytest.mark.slow(seconds=4)
@pytest.mark.parametrize("cell", ["", "value-code"], ids=["notebook", "exercise"])
def test_a_large_group_with_one_notebook_or_one_long_answer_is_named(cell):
    chance = random.Random(8)
    taken = {key: source for key, source in bank("hw1").honest(chance).items() if key[0] == "mlp" and cell in key[1]}
    ring = named("ring", 16, lambda: bank("hw1").honest(chance) | taken)
    found = found_in(ring | named("own", 21, lambda: bank("hw1").honest(chance)), "hw1")
    [group] = found.same
    assert not found.pairs and len(group.students) == group.letter == 16
    assert group.exercises == (("mlp", cell),)


@pytest.mark.slow(seconds=12)
@pytest.mark.parametrize("homework", COURSE.homeworks)
@pytest.mark.parametrize("size", [20, 150])
def test_nothing_is_the_same_in_an_honest_class(homework, size):
    students, _ = a_class(bank(homework), size, honest=size, copies=0)
    found = found_in(students, homework)
    assert not found.pairs and not found.same and not found.hidden and not found.crowded


@pytest.mark.slow(seconds=7)
def test_a_team_and_those_who_are_connected_by_pairs_are_not_named_again():
    chance = random.Random(9)
    class_ = named("own", 40, lambda: bank("hw1").honest(chance))
    original = class_["own00"]
    team = class_ | named("ring", 15, lambda: original)
    assert found_in(team, "hw1").same
    assert not found_in(team, "hw1", {who: ["team 1"] for who in ("own00", *named("ring", 15, str))}).same
    found = found_in(class_ | named("ring", 2, lambda: original), "hw1")
    assert found.groups == (("own00", "ring00", "ring01"),) and not found.same


def test_the_same_text_is_one_whatever_blanks_end_its_lines():
    for book, cell in (("mlp", "value-code"), ("mlp", "mlp")):
        own = master_of("hw1")[book, cell]
        one, other = (
            Imprint.of(work_of("who", {(book, cell): text}, "hw1"))
            for text in (own, own.replace("\n", "  \n") + "\n\n")
        )
        assert one.texts == other.texts != Imprint.of(work_of("who", {(book, cell): f"{own}\n# mine"}, "hw1")).texts


def test_one_pair_is_one():
    pair = Pair("ana", "ben", 20.0, 1e-9, ())
    assert "\n1 pair among 40 submissions." in command._told(Findings((pair,), 40, 0.1, 1.0, 9))


def test_a_class_that_is_too_small_has_no_pairs():
    works, _ = small_class()
    assert similar(works[:5], common("hw3"), {}).pairs == ()
    assert similar([], common("hw3"), {}).students == 0


@pytest.mark.parametrize(
    "source",
    [
        "def f(:\n    return 1",
        "x = " + "(" * 3000,
        "a\x00b",
        "x = [" + "1, " * 60_000 + "]",
        "-" * 50_000 + "1",
        "%magic\nx = 1",
    ],
    ids=["syntax", "nested", "null", "huge", "deep", "magic"],
)
def test_any_code_has_fingerprints_and_few(source):
    [name] = [book for book in reader("hw1").notebooks if book == "mlp"]
    found = answers_of([("code", "linear", source)], reader("hw1").released[name], reader("hw1").given[name])
    assert all(len(answer.prints) <= 4000 for answer in found.values())


def marks_of(kind, source):
    exercise = {"code": "linear", "markdown": "why"}[kind]
    if kind == "markdown":
        return {mark for mark, _, _ in of_text(source)}
    [book] = [book for book in reader("hw1").notebooks if book == "mlp"]
    found = answers_of([(kind, exercise, source)], reader("hw1").released[book], reader("hw1").given[book])
    return {mark for one in found.values() for mark, _, _ in one.prints}


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        (
            "markdown",
            "Here the layer computes {0} ReLU(z), so its derivative is {0} where z is above 0, and 0 elsewhere.",
        ),
        ("code", "def scaled_relu(u):\n    return torch.where(u > 0, {0} * u, 0 * u) + {0}.0\n"),
    ],
    ids=["text", "code"],
)
def test_a_parameters_number_is_the_same_for_everybody(kind, source):
    chosen = COURSE.homework("hw1")
    marks = []
    for scale in (5, 7):
        own = Reader(COURSE, chosen.personal((("scale", scale),) if scale != 5 else ()), ["theory"], {"theory": {}})
        parts = [(kind, "", source.format(scale))]
        [answer] = answers_of(parts, own.released["theory"], own.given["theory"]).values()
        marks.append({mark for mark, _, _ in answer.prints})
    assert marks[0] == marks[1] and len(marks[0]) > 2


def test_taking_away_is_adding_what_is_negative():
    sums = ("a - b * c", "a + -(b * c)", "-(b * c) + a")
    found = [marks_of("code", f"def linear(a, b, c):\n    return torch.exp({one})\n") for one in sums]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("torch.matmul(a, b) + c", "a @ b + c"),
        ("torch.sub(torch.mul(a, b), torch.div(c, a))", "a * b - c / a"),
        ("torch.pow(torch.add(c, a), b)", "(a + c) ** b"),
        ("torch.sum(a * b, dim=1)", "(a * b).sum(dim=1)"),
    ],
)
def test_a_torch_function_is_the_same_as_its_operator_or_method(one, other):
    found = [
        marks_of("code", f"def linear(a, b, c):\n    return torch.exp(torch.exp({each}) - c * a)\n")
        for each in (one, other)
    ]
    assert found[0] == found[1] and len(found[0]) > 2


STEP = """\
{imports}
def linear(z, y):
    shifted = {e}(z - {m}(z, 1))
    return {s}(shifted, 1) / {m}(y), {t}.relu(shifted)
"""


@pytest.mark.parametrize(
    "written",
    [
        {"imports": "import torch as xp", "e": "xp.exp", "m": "xp.amax", "s": "xp.sum", "t": "xp.nn.functional"},
        {"imports": "xp = torch\nf = xp.nn.functional", "e": "xp.exp", "m": "xp.amax", "s": "xp.sum", "t": "f"},
        {"imports": "import torch.nn.functional as f", "e": "torch.exp", "m": "torch.amax", "s": "torch.sum", "t": "f"},
        {
            "imports": "from torch import exp, amax as most, sum as total\nfrom torch.nn import functional",
            "e": "exp", "m": "most", "s": "total", "t": "functional",
        },
    ],
    ids=["as", "assigned", "parts", "from"],
)  # fmt: skip
def test_however_a_module_is_imported_its_functions_are_the_same(written):
    """The release imports torch, and the original imports nothing."""
    original = {"imports": "", "e": "torch.exp", "m": "torch.amax", "s": "torch.sum", "t": "torch.nn.functional"}
    assert len(marks_of("code", STEP.format(**original))) > 5
    assert marks_of("code", STEP.format(**original)) == marks_of("code", STEP.format(**written))


def test_a_students_own_name_is_no_module_of_the_release():
    one, other = (
        f"{name} = 3\n{name} = 4\ndef linear(x):\n    return {name} * x + {name} - x\n" for name in ("torch", "d")
    )
    assert marks_of("code", one) == marks_of("code", other)


@pytest.mark.slow(seconds=4)
@pytest.mark.parametrize(
    "padding",
    [
        "table = [" + ",".join(str(n * 7919 % 99991) for n in range(9000)) + "]\n",
        "\n".join(f"print({n} + {n * 31 % 977})" for n in range(9000)) + "\n",
        "".join(f"def f{n}(x):\n    return x * {n} - {n * n}\n" for n in range(3000)),
    ],
    ids=["list", "statements", "functions"],
)
def test_code_that_stands_above_a_copy_does_not_hide_it(padding):
    own = bank("hw1").honest(random.Random(1))["mlp", "linear"]
    assert marks_of("code", own) and marks_of("code", own) <= marks_of("code", padding + own)


def test_text_that_stands_above_a_copy_does_not_hide_it():
    own = "The gradient of a sum is the sum of the gradients, because both are linear maps.\n" * 3
    for padding in ("\n".join(f"word{n} other{n * n}" for n in range(20_000)) + "\n\n", "w " * 60_000 + "\n\n"):
        assert marks_of("markdown", own) <= marks_of("markdown", padding + own)


def test_a_pasted_picture_is_no_text():
    picture = f"![plot](data:image/png;base64,{'Ab0+/' * 9000}==)"
    assert marks_of("markdown", f"one two three four five\n{picture}") == marks_of(
        "markdown", "one two three four five\n![plot]()"
    )


def test_of_too_many_fingerprints_a_copy_keeps_the_same():
    few = [(hash_, 1, 1) for hash_ in range(100)]
    many = [(hash_, 2, 2) for hash_ in range(-5, 10**5)]
    kept = {mark for mark, _, _ in fingerprints._smallest(many + few)}
    assert len(kept) == fingerprints._MOST and kept >= set(range(100))


# ---- habits, helpers and detours


class Ending(ast.NodeTransformer):
    """A line before each return, the same in all functions."""

    def __init__(self, line):
        self.line = line

    def visit_Return(self, node):
        if node.value is None:
            return node
        name = ast.Name("result", ast.Store())
        return [ast.Assign([name], node.value), *ast.parse(self.line).body, ast.parse("return result").body[0]]


class Getattr(ast.NodeTransformer):
    """x.sum() as getattr(x, 'sum')()."""

    def visit_Call(self, node):
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute):
            named = ast.Constant(node.func.attr)
            node.func = ast.Call(ast.Name("getattr", ast.Load()), [node.func.value, named], [])
        return node


def edited(edit, source):
    return ast.unparse(ast.fix_missing_locations(edit.visit(ast.parse(source))))


def in_core(source):
    """The body of each function moved into a helper above it; the first is called `core` in every cell."""
    tree = ast.parse(source)
    cores = itertools.count()
    body = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.decorator_list and not node.args.vararg:
            name = f"core{next(cores) or ''}"
            body.append(ast.FunctionDef(name, copy.deepcopy(node.args), node.body, []))
            given = [ast.Name(one.arg, ast.Load()) for one in (*node.args.args, *node.args.kwonlyargs)]
            node.body = [ast.Return(ast.Call(ast.Name(name, ast.Load()), given, []))]
        body.append(node)
    return ast.unparse(ast.fix_missing_locations(ast.Module(body, [])))


def in_tools(source):
    """All functions as static methods of a `class Tools`, which is written anew in every cell."""
    tree = ast.parse(source)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if not functions:
        return source
    for one in functions:
        one.decorator_list = [ast.Name("staticmethod", ast.Load())]
    names = [ast.parse(f"{one.name} = Tools.{one.name}").body[0] for one in functions]
    others = [node for node in tree.body if node not in functions]
    body = [ast.ClassDef("Tools", [], [], functions, []), *names, *others]
    return ast.unparse(ast.fix_missing_locations(ast.Module(body, [])))


FINITE = functools.partial(edited, Ending("assert torch.isfinite(torch.as_tensor(result)).all()"))
PRINTED = functools.partial(edited, Ending("print('shape', getattr(result, 'shape', None))"))


@functools.cache
def honest_class(homework):
    """Sixty honest students: what they wrote, and what is compared of it."""
    chance = random.Random(9)
    students = {f"honest-{number:03d}": bank(homework).honest(chance) for number in range(60)}
    return students, imprints(students, homework)


def found_with(students, homework):
    """The pairs of the honest class and these students, who write in the same way."""
    return pairs_of(similar([*honest_class(homework)[1], *imprints(students, homework)], common(homework), {}))


@pytest.mark.slow(seconds=9)
@pytest.mark.parametrize("homework", ["hw1", "hw3"])
@pytest.mark.parametrize("habit", [FINITE, PRINTED, in_core, in_tools], ids=["finite", "printed", "core", "tools"])
def test_two_honest_students_of_one_habit_are_no_pair(homework, habit):
    chance = random.Random(1000)
    for _ in range(3):
        two = {
            f"style-{number}": {key: habit(source) for key, source in bank(homework).honest(chance).items()}
            for number in range(2)
        }
        assert not found_with(two, homework)


@pytest.mark.slow(seconds=9)
@pytest.mark.parametrize("homework", ["hw1", "hw3"])
@pytest.mark.parametrize(
    "disguise",
    [
        FINITE,
        in_core,
        in_tools,
        "exec({!r})".format,
        "def fresh():\n    pass\nexec({!r}, globals())".format,
        functools.partial(edited, Getattr()),
    ],
    ids=["finite", "core", "tools", "exec", "exec-too", "getattr"],
)
def test_a_copy_with_a_habit_in_helpers_or_by_detours_is_found(homework, disguise):
    students, _ = honest_class(homework)
    for original in random.Random(4).sample(sorted(students), 3):
        copied = {key: disguise(source) for key, source in students[original].items()}
        assert found_with({"copy": copied}, homework) == {frozenset(("copy", original))}


def habitual(student, habit, exercises=11):
    """A student whose own work says what no other's does, and the same habit in some exercises."""
    chance = np.random.default_rng(sum(map(ord, student)))
    return Imprint(
        student,
        {
            ("book", f"e{number}"): np.unique(
                [*chance.integers(1 << 40, 1 << 41, 12), *(habit if number < exercises else ())]
            ).tobytes()
            for number in range(11)
        },
    )


def test_what_only_one_student_repeats_is_no_habit_of_the_pair():
    """Copied lines that one pastes into other cells as well are evidence all the same."""
    works = [habitual("original", range(8), 1), habitual("copier", range(8)), habitual("ox", ()), habitual("ay", ())]
    scale = next(iter(scales_of(works, {})))
    one, other = np.array([0]), np.array([1])
    assert scale.exercise == ("book", "e0")
    assert set(scale.marks[scale.shared(one, other).nonzero()[1]]) == set(range(8))
    assert not scale.shared(one, np.array([2])).nnz


def test_a_habit_of_both_is_left_out_of_their_likeness_alone():
    works = [habitual("ann", range(8)), habitual("ben", range(8)), habitual("cyd", range(8), 2)]
    works += [habitual(f"other{number}", ()) for number in range(7)]
    for scale in list(scales_of(works, {}))[:2]:
        both, with_a_third = scale.likeness(np.array([0, 0]), np.array([1, 2]))
        assert both == 0 < with_a_third


LOOPED = (
    "def linear(x, w):\n    total = x.sum(1) * w + torch.exp(x @ w)\n    for row in w:\n        total = total - row\n"
)


@pytest.mark.parametrize(
    "detour",
    [
        f"exec({LOOPED!r})",
        f"exec({f'exec({LOOPED!r})'!r})",
        LOOPED.replace("x.sum(1)", "getattr(x, 'sum')(1)"),
        LOOPED.replace("torch.exp", "getattr(torch, 'exp')"),
        LOOPED.replace("x @ w", "eval('x @ w')"),
        LOOPED.replace("total = total - row", "exec('total = total - row')"),
    ],
    ids=["cell", "twice", "method", "module", "expression", "line"],
)
def test_a_constant_string_that_is_run_or_names_something_is_read_as_code(detour):
    assert len(marks_of("code", LOOPED)) > 5
    assert marks_of("code", detour) == marks_of("code", LOOPED)


@pytest.mark.parametrize(
    "source",
    ["exec('def (')", "exec('')", "exec()", "eval('x = 1')", "exec(code)", "getattr(x, 'a', 0)", "exec('\\0')"],
)
def test_a_detour_that_cannot_be_read_hides_nothing_beside_it(source):
    assert marks_of("code", f"{source}\n{LOOPED}") >= marks_of("code", LOOPED)


def test_each_of_several_helpers_of_one_name_belongs_to_the_exercise_that_uses_it():
    """Below its user in the first cell, above it in the second, and in a cell of its own before the third."""
    release, course = reader("hw1").released["mlp"], reader("hw1").given["mlp"]
    named = {cell.grade_id: sorted(cell.names)[0] for cell in release.cells if cell.solution and cell.names}
    (one, first), (two, second), (three, third), *_ = named.items()
    core, use = "def core(x):\n    return x + {}\n".format, "def {}(x):\n    return core(x)\n".format
    parts = [
        ("code", one, use(first) + core("'one'")),
        ("code", two, core("'two'") + use(second)),
        ("code", "", core("'three'")),
        ("code", three, use(third)),
    ]
    found = answers_of(parts, release, course)
    for exercise, text in ((one, "'one'"), (two, "'two'"), (three, "'three'")):
        assert found["mlp", exercise].source.count("def core") == 1 and text in found["mlp", exercise].source


# ---- files and pages


@pytest.fixture(scope="module")
def hand_ins(tmp_path_factory):
    """Twelve students of hw1/mlp, one of them called by markup, a copy, an untouched notebook and damaged files."""
    root = tmp_path_factory.mktemp("class") / "course"
    course = small_course(root)
    students, copies = a_class(bank("hw1"), 6, honest=14, copies=1)
    [copied] = copies
    [original] = copied - {"copy-000"}
    students["<b>eve & co"] = students.pop("copy-000")
    desk = SubmissionWriter(course.homework("hw1"), "mlp")
    for student, answers in students.items():
        book = desk.untouched()
        for cell in book["cells"]:
            label = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
            cell["source"] = answers.get(("mlp", label), cell["source"])
            if label == "linear" and student in ("<b>eve & co", original):
                cell["source"] += "\nTAG = '</code><script>alert(1)</script>' + str(len('abc')) + '\x1b[31m'\n"
        _hand_in(root, student, dump(book))
    _hand_in(root, "untouched", dump(desk.untouched()))
    _hand_in(root, "untouched-too", dump(desk.untouched()))
    _hand_in(root, "damaged", b"\x00\x01 no notebook")
    return course, original


def _hand_in(root, student, data):
    folder = root / "submitted" / student / "hw1"
    folder.mkdir(parents=True)
    (folder / "mlp.ipynb").write_bytes(data)


def _run(course, *arguments):
    return CliRunner().invoke(app, ["similar", "hw1", "--course", str(course.root), *arguments])


def test_the_command_names_the_pair_and_writes_its_page(hand_ins):
    course, original = hand_ins
    done = _run(course)
    assert done.exit_code == 0, done.output
    pages = sorted(course.root.glob("results/hw1.similar*.html"))
    assert [page.name for page in pages] == ["hw1.similar-001.html", "hw1.similar.html"]
    assert all(page.stat().st_mode & 0o777 == 0o600 for page in pages)
    text = pages[0].read_text(encoding="utf-8")
    assert original in text and "&lt;b&gt;eve &amp; co" in text
    assert "<b>eve" not in text and "<script" not in text and "\x1b" not in text
    assert "alert(1)" in text
    body = text.partition("<body>")[2]
    assert "This is a reason to look, not a verdict." in body.partition("</strong>")[0]
    assert 'class="unseen">alike:' in text
    assert "damaged: not compared" in done.output
    assert done.output.count("not compared") == 1, "a notebook that nobody handed in is no damage"


def test_an_untouched_notebook_matches_nobody_and_json_names_each_pair(hand_ins):
    course, original = hand_ins
    done = _run(course, "--json", "--threshold", "0.5")
    pairs = [json.loads(line) for line in done.stdout.splitlines()]
    assert {original, "<b>eve & co"} in [set(pair["students"]) for pair in pairs]
    assert not any("untouched" in student for pair in pairs for student in pair["students"])


def test_pages_of_an_earlier_run_go(hand_ins):
    course, _ = hand_ins
    (course.root / "results").mkdir(exist_ok=True)
    old = course.root / "results" / "hw1.similar-777.html"
    old.write_text("old")
    kept = course.root / "results" / "hw1.similar-notes.html"
    kept.write_text("a teacher's own")
    assert _run(course).exit_code == 0
    assert not old.exists() and kept.exists()


def test_without_submissions_the_command_says_what_to_do(hand_ins, tmp_path):
    done = _run(hand_ins[0], "--submitted", str(tmp_path / "nowhere"))
    assert done.exit_code == 2 and "no such folder" in done.output


def test_what_is_not_compared_is_told_once_of_everybody(tmp_path):
    """Of who handed in nothing for a notebook, whatever else is there, and of who has three that cannot be read."""
    released = {spec.name: COURSE.homework("hw1").release(spec.name) for spec in COURSE.homework("hw1").notebooks}
    for student, books in {"ann": ("theory", "mlp", "sgd"), "gil": ("theory", "mlp"), "kim": ("theory", "mlp")}.items():
        folder = tmp_path / student / "hw1"
        folder.mkdir(parents=True)
        for book in books:
            shutil.copy(released[book], folder)
    (tmp_path / "kim" / "hw1" / "notes.txt").write_text("what I learnt")
    for student in ("bad", "worse"):
        (tmp_path / student / "hw1").mkdir(parents=True)
    for book in released:
        (tmp_path / "bad" / "hw1" / f"{book}.ipynb").write_bytes(b"\x00\x01")
    (tmp_path / "worse" / "hw1" / "essay.txt").write_text("what I think")
    told = alike_class.of_class(COURSE, COURSE.homework("hw1"), tmp_path, tmp_path / "out").damage
    assert told["gil"] == ("Nothing was handed in for sgd.",) and told.keys() == {"gil", "kim", "bad", "worse"}
    [kim] = told["kim"]
    assert kim.startswith("Nothing was found for sgd. Other files that were submitted: ") and "notes.txt" in kim
    [bad] = told["bad"]
    assert bad.startswith("Each of the files ‘theory.ipynb’, ‘mlp.ipynb’, ‘sgd.ipynb’ is neither")
    [worse] = told["worse"]
    assert worse.startswith("Nothing was found for theory, mlp, sgd. Other files") and worse.count("essay.txt") == 1


def test_members_of_a_group_in_the_roster_are_one_team(tmp_path):
    (tmp_path / "roster.csv").write_text("id,group\nana,Team 1\nbo,team-1\ncy,Team 2\n")
    roster = open_roster(tmp_path)
    teams = {name: teams_of(name, roster) for name in ("ana", "bo", "cy", "Team 1", "nobody")}
    assert teams["ana"] & teams["bo"] & teams["Team 1"] and not teams["ana"] & teams["cy"]
    assert not teams["nobody"]


def test_the_two_folders_of_one_student_are_no_pair(tmp_path):
    (tmp_path / "roster.csv").write_text("id,group,pseudonym\nanna,,kt4xr7\nben,,cc3dd4\n")
    roster = open_roster(tmp_path)
    teams = {name: teams_of(name, roster) for name in ("Anna", "kt4xr7", "ben", "cc3dd4")}
    assert teams["Anna"] == teams["kt4xr7"] != teams["ben"] == teams["cc3dd4"]
    assert not teams["Anna"] & teams["ben"]


def test_groups_whose_numbers_are_parted_differently_are_two_teams(tmp_path):
    (tmp_path / "roster.csv").write_text("id,group\nana,1-12\nbo,11-2\ncy,1_12\n")
    roster = open_roster(tmp_path)
    teams = {name: teams_of(name, roster) for name in ("ana", "bo", "cy", "1 12")}
    assert teams["ana"] & teams["cy"] & teams["1 12"] and not teams["ana"] & teams["bo"]


def test_reading_without_repairs_finds_the_same_work(hand_ins):
    course, original = hand_ins
    plainly = Reader(course, course.homework("hw1"), ["mlp"])
    folder = course.root / "submitted" / original
    _, parts = plainly._repaired(original, folder)
    assert plainly._plainly(contents(folder, "hw1")) == parts
