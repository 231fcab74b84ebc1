"""Hidden tests of hw3/theory: formulas against autograd, brute force or their defining property; choices as sets."""

import inspect
import itertools
import math

import torch
from torch.autograd.functional import jacobian
from torch.nn import functional

from autograder import Harness, close, earns, shape_told

HARNESS = Harness(__file__)

USES = {  # functions of earlier exercises that a later one may call; it is lent their answers, and never its own
    "free_energy": ("gibbs",),
    "nll": ("gibbs", "free_energy"),
    "nll_gradient": ("gibbs",),
    "nll_weight_gradient": ("gibbs", "nll_gradient"),
}
SHIFTS = "gibbs", "nll_gradient"  # their answers depend on β times differences of energies alone


class Asked:
    """A function of the student's. Its answers are tensors in float64, and it must leave alone what it is given."""

    def __init__(self, student, reference, name, parts=0):
        self.tools, self.function = HARNESS.beside(student), getattr(student, name)
        self.name, self.parts, self.reference = name, parts, reference
        self.arguments = self.arguments_of(name)

    def __call__(self, *given):
        answer, changed = self.tools.asked(self.function, list(given), self.parts, self.lent(given))
        self.check_unchanged(changed)
        form = f"a tuple of {self.parts}" if self.parts else "numbers"
        assert not isinstance(answer, str), f"{self.name} should return {form}, but it returns {answer}"
        for part in answer if self.parts else ():
            assert not isinstance(part, str), f"{self.name}: a part of the tuple should be numbers, but it is {part}"
        return answer

    def first(self, questions):
        """Ask several questions before an answer is judged: one answer may be too little to tell what is wrong."""
        for given in questions:
            self.tools.asked(self.function, list(given), self.parts, self.lent(given))

    def arguments_of(self, name):
        return list(inspect.signature(getattr(self.reference, name)).parameters)

    def lent(self, given):
        """Right answers of earlier functions to the energies of this question, with what they were asked."""
        named, found = dict(zip(self.arguments, given, strict=True)), []
        for name in USES.get(self.name, ()):
            arguments = self.arguments_of(name)
            values = [named[argument] for argument in arguments]
            found.append((name, arguments, values, getattr(self.reference, name)(*values), name in SHIFTS))
        return found

    def number(self, *given):
        value = self(*given)
        assert value.numel() == 1, f"{self.name} should return a single number"
        return float(value)

    def check_unchanged(self, changed):
        """The student's code has left all arguments as they were."""
        which = " and ".join(self.arguments[number] for number in changed)
        assert not changed, f"{self.name} changes the tensor {which} that it is given; it should leave it as it is"


def same(actual, expected, name, scale=1.0, **sizes):
    """As close, with an absolute tolerance that follows the largest entry; `scale` is that of what it is made from."""
    largest = max(1.0, scale, *expected[expected.isfinite()].abs().flatten().tolist())
    close(actual, expected, name, atol=1e-6 * largest, sizes=sizes)


def check_form(answer, shape, name):
    """Shape and finiteness, before a property of the entries is looked at."""
    found = tuple(answer.shape)
    assert found == tuple(shape), f"{name}: the shape is {shape_told(found, shape)}; it should be {tuple(shape)}"
    assert not answer.isnan().any(), f"{name}: there are entries that are not a number (nan)"
    assert answer.isfinite().all(), f"{name}: there are infinite entries"


def value(student, name, form):
    """A value of the student's in one form, whatever its own is: `form` is an expression of builtins b and the name."""
    return student.run(f"(lambda b: {form.replace('NAME', name)})(__import__('builtins'))")


SET = """{letter: True for letter in b.sorted({b.str(letter).strip().upper() for letter in NAME})}
    if b.hasattr(NAME, '__iter__') else None"""
WORDS = """{b.str(letter).strip().upper(): b.str(word).strip().lower() for letter, word in NAME.items()}
    if b.hasattr(NAME, 'items') else None"""
ROW = "[b.float(v) for v in NAME] if b.hasattr(NAME, '__iter__') else None"
NUMBERS = "[b.str(b.round(b.float(v), 4)) if b.hasattr(v, '__float__') else '' for v in (NAME,)]"


def check_choice(student, name, right):
    """The student's set of letters is `right`; the message does not say which letter is wrong."""
    chosen = value(student, name, SET)
    assert chosen is not None, f"{name} should be a set of letters"
    wrong, missing = len(set(chosen) - right), len(right - set(chosen))
    should = "1 of the letters that you chose is" if wrong == 1 else f"{wrong} of the letters that you chose are"
    assert not wrong, f"{name}: {should} not right"
    assert not missing, f"{name}: all that you chose is right, and {missing} more can be found"


def words(student, name):
    """The student's dictionary from letters to words, as it was meant."""
    chosen = value(student, name, WORDS)
    assert chosen is not None, f"{name} should be a dictionary from letters to words"
    return chosen


def right_words(chosen, right):
    return sum(chosen.get(letter) == word for letter, word in right.items())


def sizes(draw):
    """Numbers of examples and of answers: more of the one, more of the other, only one of each."""
    yield draw.size(5, 8), draw.size(2, 4)
    yield draw.size(2, 3), draw.size(5, 9)
    yield 1, draw.size(3, 6)
    yield draw.size(2, 4), 1


def table(draw, B, n, scale=1.0, centre=0.0):
    """Energies (B, n) in float64 around `centre`, every other row around its negative, and right answers (B,)."""
    signs = torch.tensor([1.0, -1.0], dtype=torch.double).repeat(B)[:B, None]
    return scale * draw.normal(B, n, dtype=torch.double) + centre * signs, draw.integers(0, n - 1, B)


def ordinary(draw):
    """Tables of moderate energies with a coldness: F, y, β and a name."""
    for beta, (B, n) in zip(
        (1.5 + draw.size(0, 9) / 10, 0.5 + draw.size(1, 9) / 20, 1.0, 0.7), sizes(draw), strict=True
    ):
        yield *table(draw, B, n), beta, f"{B} × {n} energies and β = {beta:g}"


def extreme(draw):
    """Tables on which exponentials overflow or vanish: F, y, β and a name."""
    B, n = draw.size(5, 8), draw.size(3, 4)
    yield *table(draw, B, n, scale=3, centre=2000), 1.0, "rows of energies around 2000 and −2000"
    yield *table(draw, B, n, scale=1500), 0.8, "energies of one row that lie thousands apart"
    yield *table(draw, B, n), 1000.0, "β = 1000"
    yield *table(draw, B, n), 0.001, "β = 0.001"


def likelihood(F, y, beta):
    """The loss of 2.2 (B,), by the library."""
    return functional.cross_entropy(-beta * F, y, reduction="none") / beta


def energy_network(draw, answers):
    """A small network, as a function from its weights (P,) to the energies (answers,), and random weights."""
    features = draw.normal(answers, 4, dtype=torch.double)

    def energies(w):
        return 2 * torch.tanh(features @ w[:20].reshape(4, 5)) @ w[20:]

    return energies, draw.normal(25, dtype=torch.double)


# ---------------------------------------------------------------------------------------------- landscapes


@earns("circle")
def test_circle_energy(student, reference, draw):
    """For every x both right answers have the same energy and every other y a higher one; the energy is continuous."""
    ask = Asked(student, reference, "circle_energy")
    for x in (2 * draw.uniform(6) - 1).double() * 0.95:
        root = torch.sqrt(1 - x**2)
        grid = torch.linspace(-2, 2, 201, dtype=torch.double)
        beside = torch.tensor([0.98, 1.02], dtype=torch.double) * root
        rings = torch.sqrt(torch.arange(1.5, 4.6, 0.5, dtype=torch.double) - x**2)  # where an energy may repeat itself
        apart = grid[((grid - root).abs() > 0.02) & ((grid + root).abs() > 0.02)]
        y = torch.cat([apart, beside, -beside])
        for others, near, least_part in (
            (y, True, 0.0),
            (torch.cat([rings, -rings]), True, 1e-13),  # else rounding lifts an energy that repeats itself
            (torch.tensor([-20.0, -5.0, 3.5, 7.0, 20.0], dtype=torch.double), False, 0.0),
        ):
            points = torch.cat([torch.stack([root, -root]), others])
            form, order, agree, finite, changed = ask.tools.standing(
                ask.function, x.expand(len(points)), points, least_part
            )
            ask.check_unchanged(changed)
            assert not form, (
                f"circle_energy should return one energy for each of {len(points)} pairs; it returns {form}"
            )
            assert finite or not near, "circle_energy has values that are not finite"
            higher = all(least == 1 for least, _ in filter(None, order))
            assert higher, "for some x a wrong answer has an energy as low as a right one"
            assert agree, "for some x the two right answers have different energies"
    beside = ask.tools.jumps(ask.function, [(0.6, 0.8, 0.6, 0.0), (0.6, 0.8, 0.6, 2.0)])
    assert "start" not in beside, "beside a right answer the energy jumps; it should be continuous"
    along_x = [(-0.95, y, 0.95, y) for y in (0.0, 1.5, draw.uniform(1, low=-2, high=2).item())]
    along_y = [(x, -2.0, x, 2.0) for x in (0.6, draw.uniform(1, low=-0.95, high=0.95).item())]
    across = [(-0.95, first, 0.95, last) for first, last in draw.uniform(4, 2, low=-2, high=2).tolist()]
    jumps = ask.tools.jumps(ask.function, along_x + along_y + across)
    assert not any([*beside, *jumps]), "between two pairs with |x| < 1 the energy jumps; it should be continuous there"


@earns("circle")
def test_true_of_energies(student):
    """The set holds exactly the true statements about energies, densities and least squares."""
    check_choice(student, "true_of_energies", {"A", "C", "E"})


@earns("gibbs-density")
def test_gibbs_density(student, reference, draw):
    """The density on a grid is proportional to exp(−βF) and has the area 1, for small and for large energies."""
    ask = Asked(student, reference, "gibbs_density")
    for energies, centre, scale, beta, dy in (
        ("energies around 0", 0.0, 1.0, 2.5, 0.01),
        ("energies around 0", 0.0, 1.0, 0.4, 0.25),
        ("energies around 3000", 3000.0, 1.0, 0.7, 0.5),
        ("energies around −3000", -3000.0, 1.0, 0.7, 2.0),
        ("energies that lie thousands apart", 0.0, 2000.0, 0.7, 0.2),
    ):
        F = scale * draw.normal(draw.size(5, 9), dtype=torch.double) + centre
        ask.first([(F, dy, beta), (2 * F, dy, beta)])
        name = f"the density for {energies}, β = {beta} and dy = {dy}"
        answer = ask(F, dy, beta)
        check_form(answer, F.shape, name)
        area = float(answer.sum()) * dy
        size = "larger" if area > 1 else "smaller"
        assert math.isclose(area, 1, rel_tol=1e-3), f"{name}: p.sum() · dy should be 1; yours is {size}"
        same(answer, torch.softmax(-beta * F, dim=0) / dy, name, float(F.abs().max()))


@earns("gibbs-density")
def test_gibbs_variance(student, reference, draw):
    """The variance agrees with an integral over the density, of a wide and a narrow one, too."""
    ask = Asked(student, reference, "gibbs_variance")
    pairs = [(draw.size(2, 30) / 10, draw.size(2, 30) / 10) for _ in range(3)]
    pairs += [(draw.size(2, 9) / 100, 0.1), (draw.size(20, 90), 50.0)]
    ask.first(pairs)
    for a, beta in pairs:
        y = torch.linspace(-12, 12, 20001, dtype=torch.double) / math.sqrt(a * beta)
        weights = torch.softmax(-beta * a / 2 * y**2, dim=0)
        right = float((weights * y**2).sum())
        assert math.isclose(ask.number(a, beta), right, rel_tol=1e-3), (
            f"the variance is not right for a = {a}, β = {beta}"
        )


@earns("role")
def test_role(student):
    """Energy and loss are told apart in all six cases."""
    right = {"A": "loss", "B": "energy", "C": "energy", "D": "loss", "E": "energy", "F": "loss"}
    correct = right_words(words(student, "role"), right)
    assert correct == 6, f"role: {correct} of 6 are right"


@earns("collapse")
def test_collapsing(student):
    """The set holds exactly the energies that can become zero everywhere."""
    check_choice(student, "collapsing", {"B", "C", "F"})


WAYS = ("AD", "CEF", "BG")
"""the machines that use the same way: architecture, contrast, regulariser"""


def rightly_grouped(student):
    """How many machines are grouped as they should be, whatever words the student gave to the groups."""
    groups = HARNESS.beside(student).groups(student.run("lambda: way"), "ABCDEFG")
    assert groups is not None, "way should be a dictionary from letters to words"
    right = {machine: number for number, machines in enumerate(WAYS) for machine in machines}
    names = [*range(max(groups) + 1), None, None, None]  # a way may have no word of its own
    matches = itertools.permutations(names, len(WAYS))
    return max(sum(own == match[right[m]] for m, own in zip("ABCDEFG", groups, strict=True)) for match in matches)


@earns("collapse")
def test_most_ways(student):
    """At least five of the seven machines are grouped by the way that keeps energies up."""
    correct = rightly_grouped(student)
    assert correct >= 5, f"way: {correct} of 7 machines are in the right group"


@earns("collapse")
def test_all_ways(student):
    """All seven machines are grouped by the way that keeps energies up."""
    correct = rightly_grouped(student)
    assert correct == 7, f"way: {correct} of 7 machines are in the right group"


@earns("negatives")
def test_my_loss_pulls_and_pushes(student, reference, draw):
    """If F⁺ falls or F⁻ rises, the loss never grows; for 0 ≤ F⁻ < F⁺ ≤ 1 it becomes smaller."""
    ask = Asked(student, reference, "my_loss")

    def movement(before, after):
        form, moves, changed = ask.tools.movement(ask.function, before, after)
        ask.check_unchanged(changed)
        assert form != "values that are not finite", "my_loss has values that are not finite"
        assert not form, f"my_loss should return one value for each of {len(before[0])} pairs; it returns {form}"
        return moves

    for pairs, high in ((50, 40), (50, 5), (1, 5)):
        F_pos, F_neg = draw.uniform(pairs, low=0.1, high=5).double(), draw.uniform(pairs, high=high).double()
        assert movement([F_pos, F_neg], [F_pos - 0.05, F_neg])[1] <= 0, "for some energies the loss grows if F⁺ falls"
        assert movement([F_pos, F_neg], [F_pos, F_neg + 0.05])[1] <= 0, "for some energies the loss grows if F⁻ rises"
    F_neg = draw.uniform(60, high=0.95).double()
    F_neg[:20] = 0
    F_pos = F_neg + 0.05 + (0.95 - F_neg) * draw.uniform(60).double()  # between F⁻ and 1
    F_pos[10:30] = 1  # first with F⁻ = 0, then with any
    F_neg[30:35], F_pos[30:35] = 0.97, 1  # the corner where both are high
    F_pos[35:40] = F_neg[35:40] + 0.03  # hardly above F⁻
    when = "with 0 ≤ F⁻ < F⁺ ≤ 1 the loss should become smaller if"
    for room in 0.9 * (F_pos - F_neg), 0.02:  # a small step stays on the plateau of a loss that ends too early
        assert movement([F_pos, F_neg], [F_pos - room, F_neg])[1] < 0, f"{when} F⁺ falls"
        assert movement([F_pos, F_neg], [F_pos, F_neg + room])[1] < 0, f"{when} F⁻ rises"


@earns("negatives")
def test_my_loss_is_bounded(student, reference, draw):
    """The loss is bounded from below as F⁻ goes to infinity."""
    ask = Asked(student, reference, "my_loss")
    changes = ask.tools.far_out(ask.function, draw.uniform(5).double())
    assert min(changes) >= 0, "the loss is not bounded from below as F⁻ goes to infinity"
    assert max(changes) == 0, "for very high F⁻ the loss grows if F⁻ rises"


@earns("infer")
def test_infer(student, reference, draw):
    """The answer of each row has the lowest energy of that row."""
    ask = Asked(student, reference, "infer")
    tables = [table(draw, B, n, scale=3)[0] for B, n in sizes(draw)]
    tables.append(torch.tensor([[4.0, 2.0, 2.0, 5.0], [1.0, 3.0, 3.0, 3.0]]))  # of equally low ones, any will do
    ask.first([(F,) for F in tables])
    for F in tables:
        B, n = F.shape
        name = f"the answers for {B} × {n} energies"
        check_answers(ask(F), B, n, name)
        found = F.gather(1, ask(F).long()[:, None])[:, 0]
        better = int((F.min(dim=1).values < found).sum())
        assert not better, f"{name}: in {better} of {B} rows another answer has a lower energy"


def check_answers(answer, B, n, name):
    """Whole numbers from 0 to n − 1, one for each of B examples."""
    check_form(answer, (B,), name)
    assert ((answer >= 0) & (answer < n) & (answer == answer.round())).all(), f"{name} should be from 0 to {n - 1}"


@earns("infer")
def test_infer_latent(student, reference, draw):
    """The pair of answer and latent has the lowest energy among all pairs; of several such pairs, any will do."""
    ask = Asked(student, reference, "infer_latent", parts=2)
    sizes = (12, draw.size(4, 6), draw.size(2, 3)), (9, 2, 4), (1, 3, 5), (8, 3, 1), (8, 1, 4)
    tables = [(draw.normal(*size, dtype=torch.double), "energies") for size in sizes]
    # Two pairs are equally low; the answer of one and the latent of the other make a worse pair
    crossed = torch.tensor([[[3.0, 1.0], [1.0, 4.0]], [[5.0, 2.0], [2.0, 6.0]]], dtype=torch.double)
    ask.first([(E,) for E, _ in tables])
    for E, energies in [*tables, (crossed, "energies, some of them equal")]:
        (B, n, k), (y, z) = E.shape, ask(E)
        case = f"for a table of {B} × {n} × {k} {energies}"
        check_answers(y, B, n, f"the answers {case}")
        check_answers(z, B, k, f"the latents {case}")
        found = E[torch.arange(B), y.long(), z.long()]
        better = int((E.flatten(1).min(dim=1).values < found).sum())
        assert not better, f"{case}, in {better} of {B} examples another pair has a lower energy"


# ---------------------------------------------------------------------------------------------- likelihood


def check_probabilities(ask, F, beta, case):
    name = f"the table of probabilities for {case}"
    answer = ask(F, beta)
    check_form(answer, F.shape, name)
    assert (answer >= 0).all(), f"{name}: there are negative probabilities"
    ones = torch.ones(1, dtype=torch.double)
    if not torch.allclose(answer.sum(dim=1), ones, atol=1e-3):
        columns = "; your columns do" if torch.allclose(answer.sum(dim=0), ones, atol=1e-3) else ""
        raise AssertionError(f"{name}: each row should add up to 1{columns}")
    same(answer, torch.softmax(-beta * F, dim=1), name, float(F.abs().max()), β=beta)


@earns("gibbs")
def test_gibbs(student, reference, draw):
    """The probabilities are proportional to exp(−βF), for any β, and each row sums to 1."""
    ask = Asked(student, reference, "gibbs")
    for F, _, beta, case in ordinary(draw):
        check_probabilities(ask, F, beta, case)


@earns("gibbs")
def test_gibbs_far_out(student, reference, draw):
    """Large energies and extreme β do not break the probabilities."""
    ask = Asked(student, reference, "gibbs")
    cases = list(extreme(draw))
    ask.first((F, beta) for F, _, beta, _ in cases)
    for F, _, beta, case in cases:
        check_probabilities(ask, F, beta, case)


@earns("gibbs", weight=2)
def test_gibbs_limits(student):
    """The hot and the cold limit of the probabilities of (3, 1, 1, 6) are right."""
    F = torch.tensor([3.0, 1.0, 1.0, 6.0], dtype=torch.double)
    for name, beta, limit in (("p_hot", 1e-9, "β → 0"), ("p_cold", 1e9, "β → ∞")):
        answer = value(student, name, ROW)
        assert answer is not None and len(answer) == 4, f"{name} should be a list of four numbers"
        right = torch.softmax(-beta * F, dim=0)
        close_enough = torch.allclose(torch.tensor(answer, dtype=torch.double), right, atol=1e-3)
        assert close_enough, f"{name} is not the limit for {limit}"


def check_free_energy(ask, F, beta, case):
    name = f"the free energy for {case}"
    answer = ask(F, beta)
    check_form(answer, F.shape[:1], name)
    scale = float(F.abs().max())
    above = answer > F.min(dim=1).values + 1e-5 * max(1, scale)
    assert not above.any(), f"{name}: it lies above the lowest energy, and it should be at or below it"
    same(answer, -torch.logsumexp(-beta * F, dim=1) / beta, name, scale, β=beta, n=F.shape[1])


def check_nll(ask, F, y, beta, case):
    name = f"the loss for {case}"
    answer = ask(F, y, beta)
    check_form(answer, y.shape, name)
    scale = float(F.abs().max())
    negative = (answer < -1e-5 * max(1, scale)).any()
    assert not negative, f"{name}: it is negative somewhere, but a probability is at most 1"
    same(answer, likelihood(F, y, beta), name, scale, β=beta, n=F.shape[1])


@earns("nll", weight=2)
def test_free_energy(student, reference, draw):
    """The free energy is −1/β times the logarithm of the sum of exp(−βF)."""
    ask = Asked(student, reference, "free_energy")
    for F, _, beta, case in ordinary(draw):
        check_free_energy(ask, F, beta, case)


@earns("nll", weight=2)
def test_nll(student, reference, draw):
    """The loss is −1/β times the logarithm of the right answer's probability."""
    ask = Asked(student, reference, "nll")
    for F, y, beta, case in ordinary(draw):
        check_nll(ask, F, y, beta, case)


@earns("nll")
def test_free_energy_far_out(student, reference, draw):
    """Large energies and extreme β do not break the free energy."""
    ask = Asked(student, reference, "free_energy")
    cases = list(extreme(draw))
    ask.first((F, beta) for F, _, beta, _ in cases)
    for F, _, beta, case in cases:
        check_free_energy(ask, F, beta, case)


@earns("nll")
def test_nll_far_out(student, reference, draw):
    """Large energies and extreme β do not break the loss."""
    ask = Asked(student, reference, "nll")
    for F, y, beta, case in extreme(draw):
        check_nll(ask, F, y, beta, case)


@earns("nll", weight=2)
def test_nll_limits(student):
    """The hot and the cold limit of the loss are right."""
    hot, cold = value(student, "nll_hot, nll_cold", NUMBERS)
    assert hot and cold, f"{'nll_cold' if hot else 'nll_hot'} should be a number"
    F, y = torch.tensor([[3.0, 1.0, 1.0, 6.0]], dtype=torch.double), torch.tensor([0])
    assert float(hot) == math.inf, "nll_hot is not the limit for β → 0"
    right = float(likelihood(F, y, 1e9))
    assert math.isclose(float(cold), right, abs_tol=1e-3), "nll_cold is not the limit for β → ∞"


def energy_gradient(F, y, beta):
    """∂ℓ/∂F by autograd, each row for its own example."""
    leaf = F.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(likelihood(leaf, y, beta).sum(), leaf)
    return gradient


def check_gradient(ask, F, y, beta, case):
    name = f"∂ℓ/∂F for {case}"
    answer = ask(F, y, beta)
    check_form(answer, F.shape, name)
    same(answer, energy_gradient(F, y, beta), name, float(F.abs().max()), β=beta, B=F.shape[0], n=F.shape[1])


@earns("nll-gradient")
def test_nll_gradient(student, reference, draw):
    """∂ℓ/∂F agrees with autograd, for any β."""
    ask = Asked(student, reference, "nll_gradient")
    for F, y, beta, case in ordinary(draw):
        check_gradient(ask, F, y, beta, case)


@earns("nll-gradient")
def test_nll_gradient_far_out(student, reference, draw):
    """∂ℓ/∂F agrees with autograd for large energies and extreme β."""
    ask = Asked(student, reference, "nll_gradient")
    for F, y, beta, case in extreme(draw):
        check_gradient(ask, F, y, beta, case)


@earns("nll-gradient")
def test_nll_weight_gradient(student, reference, draw):
    """∂ℓ/∂w agrees with autograd through a small energy network."""
    ask = Asked(student, reference, "nll_weight_gradient")
    for n, beta in ((draw.size(4, 7), 2.5), (draw.size(4, 7), 0.4), (2, 1.0)):
        energies, w = energy_network(draw, n)
        y = draw.integers(0, n - 1, 1)
        right = jacobian(lambda w, f=energies, y=y, beta=beta: likelihood(f(w)[None], y, beta), w)  # (1, P)
        answer = ask(energies(w)[None], jacobian(energies, w), y, beta)
        same(answer, right, f"∂ℓ/∂w for {n} answers, {len(w)} weights and β = {beta}", β=beta, n=n)
    for n, P in ((3, 3), (4, 1), (1, 4)):
        F, J, y = (
            draw.normal(1, n, dtype=torch.double),
            draw.normal(n, P, dtype=torch.double),
            draw.integers(0, n - 1, 1),
        )
        same(ask(F, J, y, 0.6), energy_gradient(F, y, 0.6) @ J, f"∂ℓ/∂w for answers and weights in numbers {n} and {P}")


@earns("sampling")
def test_sampled_gradient(student, reference, draw):
    """The estimate is the right answer's row minus the mean of the drawn rows, for one drawn answer as for many."""
    ask = Asked(student, reference, "sampled_gradient")
    for S, P in ((draw.size(7, 9), draw.size(3, 6)), (4, 4), (draw.size(5, 9), 1), (1, draw.size(3, 6))):
        right, drawn = draw.normal(1, P, dtype=torch.double), draw.normal(S, P, dtype=torch.double)
        expected = right - sum(drawn[s : s + 1] for s in range(S)) / S
        same(ask(right, drawn), expected, f"the estimate of {P} slopes from {S} drawn answers", S=S, P=P)
    right, drawn = draw.normal(1, 3, dtype=torch.double), draw.normal(4, 3, dtype=torch.double)
    drawn[1:3] = right  # the machine may draw the right answer, too
    same(
        ask(right, drawn), (right - drawn[:1] / 2 - drawn[3:] / 2) / 2, "the estimate where half of the draws are right"
    )


@earns("sampling")
def test_langevin_step(student, reference, draw):
    """A step goes down the slope, and its kicks keep many walkers in Gibbs' distribution."""
    ask = Asked(student, reference, "langevin_step")
    for beta, eta, shape in ((4.0, 0.05, (4, 2)), (0.3, 0.002, (3,)), (1.0, 0.01, (1, 5))):
        y, slope, noise = (draw.normal(*shape, dtype=torch.double) for _ in range(3))
        still = ask(y, slope, beta, eta, torch.zeros_like(y))
        same(still, y - eta * slope, f"without noise, a step with β = {beta} and η = {eta}")
        kick = ask(y, slope, beta, eta, noise) - still
        same(kick, math.sqrt(2 * eta / beta) * noise, f"what noise adds to a step with β = {beta} and η = {eta}")
    # far out on a steep slope, and with kicks that are rare
    y = torch.tensor([-1.5, 4.0, -30.0, 1000.0, 0.5, -700.0]) * (1 + draw.uniform(6))
    slope = torch.tensor([3.0, 900.0, -6000.0, 0.5, -2000.0, 40.0]) * (1 + draw.uniform(6))
    noise = torch.tensor([-4.5, 3.5, 1.0, 4.5, -3.5, 0.5])
    y, slope, noise = y.double(), slope.double(), noise.double()
    far = "far out and on steep slopes"
    still = ask(y, slope, 0.5, 0.03, torch.zeros_like(y))
    same(still, y - 0.03 * slope, f"without noise, a step {far}")
    kick = ask(y, slope, 0.5, 0.03, noise) - still
    same(kick, math.sqrt(2 * 0.03 / 0.5) * noise, f"what rare, strong noise adds to a step {far}", 2000.0)


@earns("ends")
def test_best_energies(student, reference, draw):
    """With the best energies the machine's probabilities are the frequencies, and the lowest energy is 0."""
    ask = Asked(student, reference, "best_energies")
    for beta in (2.5, 0.3, 1.0):
        q = torch.softmax(draw.normal(draw.size(3, 6), dtype=torch.double), dim=0)
        check_best_energies(ask(q, beta), q, beta, f"the row of best energies for β = {beta}")
    shares = ([0.75, 0.0, 0.25], [0.0, 0.0, 1.0], [0.25, 0.25, 0.25, 0.25], [1.0])
    for q in shares:
        ask.tools.infinite(ask.function, [torch.tensor(q, dtype=torch.double), 1.7])
    for q in shares:
        frequencies, name = torch.tensor(q, dtype=torch.double), f"the row of best energies for the frequencies {q}"
        infinite = ask.tools.infinite(ask.function, [frequencies, 1.7])
        never = infinite.shape == frequencies.shape and (infinite[frequencies == 0] == 1).all()
        assert never, f"{name}: an answer that never comes should have an infinite energy"
        check_best_energies(ask(frequencies, 1.7), frequencies, 1.7, name)


def check_best_energies(answer, q, beta, name):
    energies = -torch.log(q) / beta
    assert answer.shape == q.shape, f"{name}: the shape is {tuple(answer.shape)}; it should be {tuple(q.shape)}"
    assert not answer.isnan().any(), f"{name}: there are entries that are not a number (nan)"
    lowest = float(answer.min())
    place = "above" if lowest > 0 else "below"
    assert abs(lowest) < 1e-4, f"{name}: the lowest energy should be 0; yours is {place} it"
    same(answer, energies - energies.min(), name, β=beta)


@earns("ends")
def test_gap_for_push(student, reference, draw):
    """At the gap that is returned, the push on the right answer is what was asked for."""
    ask = Asked(student, reference, "gap_for_push")
    ordinary = (draw.size(3, 9), 3.0, 0.2), (draw.size(3, 9), 0.4, 0.01)
    cases = (*ordinary, (1000, 1.7, 1e-6), (2, 1.0, 0.5), (3, 0.8, 0.95))  # the last gap is negative
    ask.first(cases)
    for n, beta, g in cases:
        F = torch.full((1, n), ask.number(n, beta, g), dtype=torch.double)
        F[0, 0] = 0
        push = -float(energy_gradient(F, torch.tensor([0]), beta)[0, 1:].sum())  # the wrong answers share it
        right, size = math.isclose(push, g, rel_tol=1e-3), "larger" if push > g else "smaller"
        assert right, f"at your gap for n = {n} and β = {beta} the push should be {g}; it is {size}"


@earns("ends")
def test_bounded(student):
    """The set holds exactly the changes that keep the gap bounded."""
    check_choice(student, "bounded", {"A", "D", "F", "G"})


# ---------------------------------------------------------------------------------------------- contrast


def check_pair_loss(ask, right, draw, *margin):
    """Value and derivatives by the energies, for many pairs and for one."""
    for pairs in (12, 1):
        F = [3 * draw.normal(pairs, dtype=torch.double) for _ in "+-"]
        if margin and pairs > 5:  # gaps within the margin, on either side of 0, and next to the margin
            m = margin[0]
            F[1][:5] = F[0][:5] + torch.tensor([m / 2, -m / 2, m - 0.1, m + 0.1, 0.1])
        leaves = [part.clone().requires_grad_() for part in F]
        value = right(*leaves)
        slopes = torch.autograd.grad(value.sum(), leaves)
        case = f"{pairs} pairs" if pairs > 1 else "1 pair"
        case += f" and m = {margin[0]}" if margin else ""
        for name, actual, expected in zip(("ℓ", "∂ℓ/∂F⁺", "∂ℓ/∂F⁻"), ask(*F, *margin), (value, *slopes), strict=True):
            same(actual, expected, f"{name} for {case}", B=pairs)


def margins(draw):
    return draw.size(11, 25) / 10, draw.size(3, 9) / 10


@earns("corners")
def test_simple_loss(student, reference, draw):
    """The simple loss and its derivatives agree with autograd."""
    ask = Asked(student, reference, "simple_loss", parts=3)
    for m in margins(draw):
        check_pair_loss(ask, lambda a, b, m=m: functional.relu(a) + functional.relu(m - b), draw, m)


@earns("corners")
def test_hinge_loss(student, reference, draw):
    """The hinge loss and its derivatives agree with autograd."""
    ask = Asked(student, reference, "hinge_loss", parts=3)
    for m in margins(draw):
        check_pair_loss(ask, lambda a, b, m=m: functional.relu(m + a - b), draw, m)


@earns("smooth")
def test_log_loss(student, reference, draw):
    """The log loss and its derivatives agree with autograd, for small differences as for large ones."""
    ask = Asked(student, reference, "log_loss", parts=3)
    check_pair_loss(ask, lambda a, b: functional.softplus(a - b), draw)
    a = torch.tensor([2003.0, 800.0, 100.0, 25.0, 0.0, -25.0, -100.0, -800.0, -2003.0], dtype=torch.double)
    right = functional.softplus(a), torch.sigmoid(a), -torch.sigmoid(a)
    for name, actual, expected in zip(
        ("ℓ", "∂ℓ/∂F⁺", "∂ℓ/∂F⁻"), ask(a - 3, torch.full_like(a, -3.0)), right, strict=True
    ):
        check_form(actual, expected.shape, f"{name} for differences between −2003 and 2003")
        same(actual, expected, f"{name} for differences between −2003 and 2003")


@earns("smooth")
def test_square_square_loss(student, reference, draw):
    """The square–square loss and its derivatives agree with autograd."""
    ask = Asked(student, reference, "square_square_loss", parts=3)
    for m in margins(draw):
        check_pair_loss(ask, lambda a, b, m=m: functional.relu(a) ** 2 + functional.relu(m - b) ** 2, draw, m)


def rows_of_a_table(draw, B, n, m, centre=0.0, step=1.0):
    """Energies (B, n) and right answers (B,). The gap between the right answer and the lowest wrong one is chosen.

    From row to row it is within the margin, beyond it, well below zero, zero, and a little below zero. The other wrong
    answers follow in steps of at least a fifth of `step`. Energies are around `centre`, in every other row around its
    negative.
    """
    F, y = torch.zeros(B, n, dtype=torch.double), draw.integers(0, n - 1, B)
    gaps = (0.8 * m, 1.25 * m, -2 * m - step, 0.0, -0.3 * m)
    for b in range(B):
        gap = gaps[b % len(gaps)]
        right = (-1) ** b * centre + step * draw.normal(1, dtype=torch.double)
        higher = (0.2 + draw.uniform(n - 2).double()).cumsum(0) * step
        wrong = (right + gap + torch.cat([torch.zeros(1, dtype=torch.double), higher]))[draw.uniform(n - 1).argsort()]
        F[b] = torch.cat([wrong[: y[b]], right, wrong[y[b] :]])
    return F, y


@earns("margins")
def test_table_hinge_gradient(student, reference, draw):
    """The gradient touches the right answer and the most offending wrong one, and these only within the margin."""
    ask = Asked(student, reference, "table_hinge_gradient")
    cases = []
    for B, n, m, centre, step in (
        (12, draw.size(5, 7), 1.5, 0.0, 1.0),
        (12, 4, 0.5, 0.0, 1.0),
        (9, 2, 1.0, 3000.0, 1.0),
        (1, 3, 0.8, -3000.0, 1.0),
        (6, 3, 40_000.0, 0.0, 20_000.0),
    ):
        cases.append((*rows_of_a_table(draw, B, n, m, centre, step), m))
    for row, m in ([1.0, 1.5], 1.0), ([0.0, 5.0, 5.0], 0.8):  # no energy is above that of the wrong answers
        F, first = torch.tensor([row]).double() + draw.uniform(1), torch.zeros(1, dtype=torch.long)
        cases += [(F, first, m), (F.flip(1), first + len(row) - 1, m)]
    for F, y, m in cases:
        B, n = F.shape
        name = f"∂ℓ/∂F for {B} × {n} energies and m = {m:g}"
        answer = ask(F, y, m)
        check_form(answer, F.shape, name)
        pushed = int((answer != 0).sum(dim=1).max())
        assert pushed <= 2, f"{name}: in a row {pushed} energies are moved; this loss looks at two"
        leaf = F.clone().requires_grad_()
        loss = 0.0
        for row, right in zip(leaf, y.tolist(), strict=True):
            loss = loss + functional.relu(m + row[right] - min(row[i] for i in range(n) if i != right))
        (expected,) = torch.autograd.grad(loss, leaf)
        same(answer, expected, name, B=B, n=n)


@earns("margins")
def test_true_of_log(student):
    """The set holds exactly the true statements about the log loss."""
    check_choice(student, "true_of_log", {"A", "D", "E"})


def check_rest(ask, draw, power, name):
    """The student's energy is where a mean over a fine grid is least."""
    cases = (
        (0.05, draw.size(5, 30) / 10),
        (draw.size(15, 35) / 100, draw.size(5, 30) / 10),
        (draw.size(40, 48) / 100, draw.size(25, 35) / 10),
        (draw.size(52, 60) / 100, draw.size(3, 6) / 10),
        (draw.size(65, 85) / 100, draw.size(5, 30) / 10),
        (0.95, 40.0),
    )
    ask.first(cases)
    for eps, m in cases:
        e = torch.linspace(-m, 2 * m, 6001, dtype=torch.double)
        mean = (1 - eps) * functional.relu(e) ** power + eps * functional.relu(m - e) ** power
        answer = ask.number(eps, m)
        least = float(e[mean.argmin()])
        far = f"{name} for ε = {eps} and m = {m} is too {'large' if answer > least else 'small'}"
        assert abs(answer - least) < 2e-3 * m, far


@earns("doubt")
def test_simple_rest(student, reference, draw):
    """The energy at which the simple loss rests agrees with a search."""
    check_rest(Asked(student, reference, "simple_rest"), draw, 1, "the energy at which the simple loss rests")


@earns("doubt")
def test_square_square_rest(student, reference, draw):
    """The energy at which square–square rests agrees with a search."""
    check_rest(Asked(student, reference, "square_square_rest"), draw, 2, "the energy at which square–square rests")


@earns("level-prediction")
def test_level_prediction(student):
    """The prediction is one of the three letters. Each of them earns the point."""
    found = HARNESS.beside(student).letter(student.run("lambda: level_prediction"))
    assert found in ("A", "B", "C"), 'level_prediction should be exactly one of the letters "A", "B" and "C"'


# ---------------------------------------------------------------------------------------------- noise


def noisy(draw):
    """Points, noise levels (B,) and noise: more points than features, as many, a single point, one feature; far out."""
    for B, d in (draw.size(5, 8), 2), (3, 3), (1, draw.size(2, 4)), (draw.size(3, 6), 1):
        points, noise = draw.normal(B, d, dtype=torch.double), draw.normal(B, d, dtype=torch.double)
        yield points, (0.1 + 3 * draw.uniform(B)).double(), noise, f"{B} × {d} numbers"
    points, noise = 100 * draw.normal(6, 2, dtype=torch.double), draw.normal(6, 2, dtype=torch.double)
    yield points, torch.tensor([0.01, 0.02, 0.5, 1.0, 20.0, 50.0], dtype=torch.double), noise, "levels from 0.01 to 50"


@earns("score")
def test_add_noise(student, reference, draw):
    """Each point gets noise of its own level."""
    ask = Asked(student, reference, "add_noise")
    cases = list(noisy(draw))
    ask.first([(y, sigma, noise) for y, sigma, noise, _ in cases])
    for y, sigma, noise, case in cases:
        right = torch.stack([y[b] + float(sigma[b]) * noise[b] for b in range(len(y))])
        same(ask(y, sigma, noise), right, f"the table of noisy points for {case}", B=len(y))


def distance_from_the_slope(s, y, sigma, noise):
    """The loss (B,) by its definition: the target is the slope of the logarithm of a normal density, by autograd."""
    found = (y + sigma[:, None] * noise).requires_grad_()
    density = torch.distributions.Normal(y, sigma[:, None])
    (target,) = torch.autograd.grad(density.log_prob(found).sum(), found)
    return sigma**2 * ((s - target) ** 2).sum(dim=1)


@earns("score")
def test_denoising_loss(student, reference, draw):
    """The loss is the weighted squared distance from the slope of log p, and its gradient agrees with autograd."""
    ask = Asked(student, reference, "denoising_loss", parts=2)
    cases = [
        (y, sigma, noise, draw.normal(*y.shape, dtype=torch.double), case) for y, sigma, noise, case in noisy(draw)
    ]
    ask.first([(s, sigma, noise) for _, sigma, noise, s, _ in cases])
    for y, sigma, noise, s, case in cases:
        leaf, (B, d) = s.clone().requires_grad_(), s.shape
        loss = distance_from_the_slope(leaf, y, sigma, noise)
        (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        for name, actual, expected in zip(("ℓ", "∂ℓ/∂s"), ask(s, sigma, noise), (loss, gradient), strict=True):
            same(actual, expected.detach(), f"{name} for {case}", B=B, d=d)


@earns("score")
def test_sampling_step(student, reference, draw):
    """A step goes towards the guess of the clean point, and fresh noise brings it to the next level."""
    ask = Asked(student, reference, "sampling_step")
    cases = []
    for sigma, next_sigma, shape in (
        (1 + draw.uniform(1).item(), 0.3 + 0.5 * draw.uniform(1).item(), (draw.size(4, 6), 2)),
        (0.5, 0.45, (1, 3)),
        (30.0, 2.0, (3, 3)),
        (0.02, 0.0, (5, 1)),
    ):
        y, s, noise = (draw.normal(*shape, dtype=torch.double) for _ in range(3))
        cases.append((y, s, sigma, next_sigma, noise))
    ask.first(cases)
    for y, s, sigma, next_sigma, noise in cases:
        case = f"a step from σ = {sigma:.2f} to {next_sigma:.2f}"
        still = ask(y, s, sigma, next_sigma, torch.zeros_like(y))
        share, scale = (next_sigma / sigma) ** 2, sigma**2 * float(s.abs().max())
        same(still, share * y + (1 - share) * (y + sigma**2 * s), f"without noise, {case}", scale)
        kick = ask(y, s, sigma, next_sigma, noise) - still
        fresh = math.sqrt(next_sigma**2 - share**2 * sigma**2)
        same(kick, fresh * noise, f"what noise adds to {case}", scale)
