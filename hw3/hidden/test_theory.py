"""Hidden tests of hw3/theory: formulas against autograd, brute force or their defining property; choices as sets."""

import math

import torch
from torch.autograd.functional import jacobian
from torch.nn import functional

from autograder import close, earns


def same(actual, expected, name):
    """As close, with an absolute tolerance that follows the largest entry."""
    close(actual, expected, name, atol=1e-6 * max(1.0, float(expected.abs().max())))


def number(value, name):
    """A student's number, whether it is a number, a tensor of one entry or numpy's."""
    value = torch.as_tensor(value).double()
    assert value.numel() == 1, f"{name} should be a single number"
    return float(value.reshape(()))


def check_choice(student, name, right):
    """The student's set of letters is `right`; the message does not say which letter is wrong."""
    chosen = {str(letter).strip().upper() for letter in student.run(f"sorted({name})")}
    wrong, missing = len(chosen - right), len(right - chosen)
    assert not wrong, f"{name}: {wrong} of the letters that you chose should not be there"
    assert not missing, f"{name}: all that you chose is right, and {missing} more can be found"


def words(student, name):
    """The student's dictionary from letters to words, as it was meant."""
    return {str(key).strip().upper(): str(word).strip().lower() for key, word in student.run(f"dict({name})").items()}


def right_words(chosen, right):
    return sum(chosen.get(letter) == word for letter, word in right.items())


def table(draw, scale=1.0, centre=0.0):
    """Energies (B, n) in float64 around `centre`, every other row around its negative, and right answers (B,)."""
    B, n = draw.size(5, 8), draw.size(2, 4)
    signs = torch.tensor([1.0, -1.0], dtype=torch.double).repeat(B)[:B, None]
    return scale * draw.normal(B, n, dtype=torch.double) + centre * signs, draw.integers(0, n - 1, B)


def ordinary(draw):
    """Tables of moderate energies with a coldness: F, y, β and a name."""
    for beta in (1.0, 0.5 + draw.size(1, 9) / 20, 1.5 + draw.size(0, 9) / 10):
        yield *table(draw), beta, f"β = {beta:g}"


def extreme(draw):
    """Tables on which exponentials overflow or vanish: F, y, β and a name."""
    yield *table(draw, scale=3, centre=2000), 1.0, "energies of ±2000"
    yield *table(draw), 1000.0, "β = 1000"
    yield *table(draw), 0.001, "β = 0.001"


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
def test_circle_energy(student, draw):
    """For every x both right answers have the same energy, and all that is wrong has a higher one."""
    function = student.circle_energy
    y = torch.linspace(-2, 2, 401, dtype=torch.double)
    for x in (2 * draw.uniform(6) - 1).double() * 0.95:
        root = torch.sqrt(1 - x**2)
        right = torch.as_tensor(function(torch.stack([x, x]), torch.stack([root, -root]))).double()
        all_of_them = torch.as_tensor(function(x.expand(401), y)).double()
        assert right.shape == (2,) and all_of_them.shape == (401,), "circle_energy should return one energy a pair"
        assert all_of_them.isfinite().all(), "circle_energy has values that are not finite"
        wrong = all_of_them[torch.minimum((y - root).abs(), (y + root).abs()) > 0.05]
        assert wrong.min() > right.max(), "for some x a wrong answer has an energy as low as a right one"
        apart = (right[0] - right[1]).abs()
        assert apart <= 1e-3 * (wrong.min() - right.min()), "for some x the two right answers have different energies"


@earns("circle")
def test_true_of_energies(student):
    """The true statements about energies, densities and least squares are found."""
    check_choice(student, "true_of_energies", {"A", "C", "E"})


@earns("gibbs-density")
def test_gibbs_density(student, draw):
    """The density on a grid is proportional to exp(−βF) and has the area 1, for small and for large energies."""
    function = student.gibbs_density
    for centre, beta, dy in ((0.0, 1.0, 0.25), (0.0, 2.5, 0.01), (3000.0, 0.7, 0.5), (-3000.0, 0.7, 2.0)):
        F = draw.normal(draw.size(5, 9), dtype=torch.double) + centre
        right = torch.softmax(-beta * F, dim=0) / dy
        same(function(F, dy, beta), right, f"the density for energies around {centre:g}, β = {beta}, dy = {dy}")


@earns("gibbs-density")
def test_gibbs_variance(student, draw):
    """The variance agrees with an integral over the density."""
    function = student.gibbs_variance
    y = torch.linspace(-30, 30, 20001, dtype=torch.double)
    for _ in range(3):
        a, beta = draw.size(2, 30) / 10, draw.size(2, 30) / 10
        weights = torch.softmax(-beta * a / 2 * y**2, dim=0)
        actual = number(function(a, beta), "the variance")
        right = float((weights * y**2).sum())
        assert math.isclose(actual, right, rel_tol=1e-3), f"the variance is not right for a = {a}, β = {beta}"


@earns("role")
def test_role(student):
    """Energy and loss are told apart in all six cases."""
    right = {"A": "loss", "B": "energy", "C": "energy", "D": "loss", "E": "energy", "F": "loss"}
    correct = right_words(words(student, "role"), right)
    assert correct == 6, f"role: {correct} of 6 are right"


@earns("collapse")
def test_collapsing(student):
    """Those machines are named, and only those, that can be zero everywhere."""
    check_choice(student, "collapsing", {"B", "C", "F"})


WAYS = {
    "A": "architecture",
    "B": "regulariser",
    "C": "contrast",
    "D": "architecture",
    "E": "contrast",
    "F": "contrast",
    "G": "regulariser",
}


@earns("collapse")
def test_most_ways(student):
    """For at least five of the seven machines the way of shaping the energy is right."""
    correct = right_words(words(student, "way"), WAYS)
    assert correct >= 5, f"way: {correct} of 7 are right"


@earns("collapse")
def test_all_ways(student):
    """For each of the seven machines the way of shaping the energy is right."""
    correct = right_words(words(student, "way"), WAYS)
    assert correct == 7, f"way: {correct} of 7 are right"


@earns("negatives")
def test_my_loss_pulls_and_pushes(student, draw):
    """The loss never grows, and while wrong is below right it falls, when F⁺ falls or F⁻ rises."""
    loss = losses_of(student)
    F_pos, F_neg = (draw.uniform(50, low=0.1, high=5).double() for _ in "+-")
    value = loss(F_pos, F_neg)
    assert (loss(F_pos - 0.05, F_neg) <= value + 1e-9).all(), "for some energies the loss grows when F⁺ falls"
    assert (loss(F_pos, F_neg + 0.05) <= value + 1e-9).all(), "for some energies the loss grows when F⁻ rises"
    F_neg = draw.uniform(50, high=0.9).double()
    F_pos = F_neg + 0.01 + (0.98 - F_neg) * draw.uniform(50).double()  # between F⁻ and 1
    value, room = loss(F_pos, F_neg), 0.9 * (F_pos - F_neg)
    assert (loss(F_pos - room, F_neg) < value).all(), "wrong below right: the loss should fall when F⁺ falls"
    assert (loss(F_pos, F_neg + room) < value).all(), "wrong below right: the loss should fall when F⁻ rises"


@earns("negatives")
def test_my_loss_is_bounded(student, draw):
    """Wrong answers of ever higher energy are not rewarded without end."""
    loss = losses_of(student)
    F_pos = draw.uniform(5).double()
    high, higher = (loss(F_pos, torch.full_like(F_pos, level)) for level in (100.0, 1e6))
    assert (high - higher < 1).all(), "the loss falls further and further as F⁻ goes to infinity"


def losses_of(student):
    """The student's own loss, its values checked for their form."""
    function = student.my_loss

    def loss(F_pos, F_neg):
        value = torch.as_tensor(function(F_pos, F_neg)).double()
        assert value.shape == F_pos.shape, "my_loss should return one value for each pair of energies"
        assert value.isfinite().all(), "my_loss has values that are not finite"
        return value

    return loss


@earns("infer")
def test_infer(student, draw):
    """The best answer of each row is the one of lowest energy."""
    function = student.infer
    for _ in range(3):
        F, _ = table(draw, scale=3)
        right = torch.tensor([min(range(F.shape[1]), key=row.__getitem__) for row in F.tolist()])
        close(function(F), right, "the best answers")


@earns("infer")
def test_infer_latent(student, draw):
    """The best pair of answer and latent is that of lowest energy among all pairs."""
    function = student.infer_latent
    for n, k in ((2, 3), (draw.size(4, 6), draw.size(2, 3)), (3, 1)):
        E = draw.normal(12, n, k, dtype=torch.double)
        every = [(y, z) for y in range(n) for z in range(k)]
        right = torch.tensor([min(every, key=lambda pair, e=e: float(e[pair])) for e in E])  # (12, 2)
        answer = function(E)
        assert isinstance(answer, tuple | list) and len(answer) == 2, "infer_latent should return a tuple of two"
        close(answer[0], right[:, 0], f"the answers of the best pairs for {n} answers, {k} latents")
        close(answer[1], right[:, 1], f"the latents of the best pairs for {n} answers, {k} latents")


# ---------------------------------------------------------------------------------------------- likelihood


@earns("gibbs")
def test_gibbs(student, draw):
    """The probabilities are proportional to exp(−βF), for any β, and each row sums to 1."""
    function = student.gibbs
    for F, _, beta, case in ordinary(draw):
        same(function(F, beta), torch.softmax(-beta * F, dim=1), f"the table of probabilities with {case}")


@earns("gibbs")
def test_gibbs_far_out(student, draw):
    """Large energies and extreme β do not break the probabilities."""
    function = student.gibbs
    for F, _, beta, case in extreme(draw):
        same(function(F, beta), torch.softmax(-beta * F, dim=1), f"the table of probabilities with {case}")


@earns("gibbs", weight=2)
def test_gibbs_limits(student):
    """The hot and the cold limit of the probabilities of (3, 1, 1, 6) are right."""
    F = torch.tensor([3.0, 1.0, 1.0, 6.0], dtype=torch.double)
    for name, beta in (("p_hot", 1e-9), ("p_cold", 1e9)):
        answer = torch.as_tensor(getattr(student, name)).double().flatten()
        assert answer.shape == (4,), f"{name} should be four numbers"
        assert torch.allclose(answer, torch.softmax(-beta * F, dim=0), atol=1e-3), f"{name} is not the limit"


@earns("nll")
def test_free_energy(student, draw):
    """The free energy is −1/β times the logarithm of the sum of exp(−βF)."""
    function = student.free_energy
    for F, _, beta, case in ordinary(draw):
        same(function(F, beta), -torch.logsumexp(-beta * F, dim=1) / beta, f"the free energy with {case}")


@earns("nll")
def test_nll(student, draw):
    """The loss is −1/β times the logarithm of the right answer's probability."""
    function = student.nll
    for F, y, beta, case in ordinary(draw):
        same(function(F, y, beta), likelihood(F, y, beta), f"the loss with {case}")


@earns("nll")
def test_nll_far_out(student, draw):
    """Large energies and extreme β break neither the free energy nor the loss."""
    free_energy, nll = student.free_energy, student.nll
    for F, y, beta, case in extreme(draw):
        same(free_energy(F, beta), -torch.logsumexp(-beta * F, dim=1) / beta, f"the free energy with {case}")
        same(nll(F, y, beta), likelihood(F, y, beta), f"the loss with {case}")


@earns("nll")
def test_nll_limits(student):
    """The hot and the cold limit of the loss are right."""
    hot, cold = student.run("torch.tensor([float(nll_hot), float(nll_cold)])").tolist()
    F, y = torch.tensor([[3.0, 1.0, 1.0, 6.0]], dtype=torch.double), torch.tensor([0])
    assert hot == math.inf, "nll_hot: try ever smaller β, and watch the loss"
    assert math.isclose(cold, float(likelihood(F, y, 1e9)), abs_tol=1e-3), "nll_cold is not the limit"


def energy_gradient(F, y, beta):
    """∂ℓ/∂F by autograd, each row for its own example."""
    leaf = F.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(likelihood(leaf, y, beta).sum(), leaf)
    return gradient


@earns("nll-gradient")
def test_nll_gradient(student, draw):
    """∂ℓ/∂F agrees with autograd, for any β."""
    function = student.nll_gradient
    for F, y, beta, case in ordinary(draw):
        same(function(F, y, beta), energy_gradient(F, y, beta), f"∂ℓ/∂F with {case}")


@earns("nll-gradient")
def test_nll_gradient_far_out(student, draw):
    """∂ℓ/∂F agrees with autograd for large energies and extreme β."""
    function = student.nll_gradient
    for F, y, beta, case in extreme(draw):
        same(function(F, y, beta), energy_gradient(F, y, beta), f"∂ℓ/∂F with {case}")


@earns("nll-gradient")
def test_nll_weight_gradient(student, draw):
    """∂ℓ/∂w agrees with autograd through a small energy network."""
    function = student.nll_weight_gradient
    for n, beta in ((2, 1.0), (draw.size(4, 7), 0.4), (draw.size(4, 7), 2.5)):
        energies, w = energy_network(draw, n)
        y = draw.integers(0, n - 1, 1)
        right = jacobian(lambda w, f=energies, y=y, beta=beta: likelihood(f(w)[None], y, beta), w)  # (1, P)
        answer = function(energies(w)[None], jacobian(energies, w), y, beta)
        same(answer, right, f"∂ℓ/∂w for {n} answers, β = {beta}")


@earns("sampling")
def test_sampled_gradient(student, draw):
    """The estimate is the right answer's row minus the mean of the drawn rows, for one drawn answer as for many."""
    function = student.sampled_gradient
    P = draw.size(3, 6)
    for S in (1, draw.size(5, 9)):
        right, drawn = draw.normal(1, P, dtype=torch.double), draw.normal(S, P, dtype=torch.double)
        expected = right - sum(drawn[s : s + 1] for s in range(S)) / S
        same(function(right, drawn), expected, f"the estimate from {S} drawn answers")


@earns("sampling")
def test_langevin_step(student, draw):
    """A step goes down the slope, and its kicks keep the crowd in Gibbs' distribution."""
    function = student.langevin_step
    for beta, eta in ((1.0, 0.01), (0.3, 0.002), (4.0, 0.05)):
        y, slope, noise = (draw.normal(4, 2, dtype=torch.double) for _ in range(3))
        still = torch.zeros_like(y)
        same(function(y, slope, beta, eta, still), y - eta * slope, "without noise, a step")
        kick = function(still, still, beta, eta, noise)
        same(kick, math.sqrt(2 * eta / beta) * noise, f"on level ground, with β = {beta} and η = {eta}, a kick")


@earns("ends")
def test_best_energies(student, draw):
    """With the best energies the machine's probabilities are the frequencies, and the lowest energy is 0."""
    function = student.best_energies
    for beta in (1.0, 0.3, 2.5):
        q = torch.softmax(draw.normal(draw.size(3, 6), dtype=torch.double), dim=0)
        energies = -torch.log(q) / beta
        same(function(q, beta), energies - energies.min(), f"the best energies for β = {beta}")
    answer = torch.as_tensor(function(torch.tensor([0.75, 0.0, 0.25], dtype=torch.double), 1.0)).double()
    assert answer.shape == (3,) and answer[1] == math.inf, "a frequency of 0 deserves an infinite energy"


@earns("ends")
def test_gap_for_push(student, draw):
    """At the gap that is returned, the push on the right answer is what was asked for."""
    function = student.gap_for_push
    for beta, g in ((1.0, 0.5), (0.4, 0.01), (3.0, 0.2), (1.7, 1e-6)):
        n = draw.size(2, 9)
        F = torch.full((1, n), number(function(n, beta, g), "the gap"), dtype=torch.double)
        F[0, 0] = 0
        push = -float(energy_gradient(F, torch.tensor([0]), beta)[0, 1:].sum())  # the wrong answers share it
        assert math.isclose(push, g, rel_tol=1e-3), f"at your gap for n = {n}, β = {beta} the push is not {g}"


@earns("ends")
def test_bounded(student):
    """Those changes are named, and only those, that keep the gap bounded."""
    check_choice(student, "bounded", {"A", "D", "F", "G"})


# ---------------------------------------------------------------------------------------------- contrast


def check_pair_loss(function, right, draw, *margin):
    """Value, derivatives by the energies and derivative by the weights of a network that makes them."""
    pairs = 12
    energies, w = energy_network(draw, 2 * pairs)
    F, J = energies(w), jacobian(energies, w)
    leaves = [part.clone().requires_grad_() for part in F.split(pairs)]
    value = right(*leaves)
    slopes = torch.autograd.grad(value.sum(), leaves)
    answer = function(*F.split(pairs), *margin)
    assert isinstance(answer, tuple | list) and len(answer) == 3, "a tuple of ℓ, ∂ℓ/∂F⁺, ∂ℓ/∂F⁻ should come back"
    for name, actual, expected in zip(("ℓ", "∂ℓ/∂F⁺", "∂ℓ/∂F⁻"), answer, (value, *slopes), strict=True):
        same(actual, expected, name)
    by_weights = torch.cat([torch.as_tensor(slope).double() for slope in answer[1:]]) @ J
    same(by_weights, jacobian(lambda w: right(*energies(w).split(pairs)).sum(), w), "∂ℓ/∂w of the whole batch")


def margins(draw):
    return draw.size(3, 9) / 10, draw.size(11, 25) / 10


@earns("corners")
def test_simple_loss(student, draw):
    """The simple loss and its derivatives agree with autograd, through a small energy network as well."""
    function = student.simple_loss
    for m in margins(draw):
        check_pair_loss(function, lambda a, b, m=m: functional.relu(a) + functional.relu(m - b), draw, m)


@earns("corners")
def test_hinge_loss(student, draw):
    """The hinge loss and its derivatives agree with autograd, through a small energy network as well."""
    function = student.hinge_loss
    for m in margins(draw):
        check_pair_loss(function, lambda a, b, m=m: functional.relu(m + a - b), draw, m)


@earns("smooth")
def test_log_loss(student, draw):
    """The log loss and its derivatives agree with autograd, through a network and for large differences."""
    function = student.log_loss
    check_pair_loss(function, lambda a, b: functional.softplus(a - b), draw)
    loss, d_pos, d_neg = function(*torch.tensor([[2000.0, -5.0, 0.0], [-3.0, 2000.0, 0.0]], dtype=torch.double))
    for name, actual, expected in (
        ("ℓ", loss, [2003.0, 0.0, math.log(2)]),
        ("∂ℓ/∂F⁺", d_pos, [1.0, 0.0, 0.5]),
        ("∂ℓ/∂F⁻", d_neg, [-1.0, 0.0, -0.5]),
    ):
        same(actual, torch.tensor(expected, dtype=torch.double), f"for differences of ±2000 and 0, {name}")


@earns("smooth")
def test_square_square_loss(student, draw):
    """The square–square loss and its derivatives agree with autograd, through a small energy network as well."""
    function = student.square_square_loss
    for m in margins(draw):
        check_pair_loss(function, lambda a, b, m=m: functional.relu(a) ** 2 + functional.relu(m - b) ** 2, draw, m)


@earns("margins")
def test_table_hinge_gradient(student, draw):
    """The gradient touches the right answer and the most offending wrong one, and these only within the margin."""
    function = student.table_hinge_gradient
    for n, m in ((2, 1.0), (4, 0.5), (draw.size(5, 7), 1.5)):
        F, y = 1.5 * draw.normal(12, n, dtype=torch.double), draw.integers(0, n - 1, 12)
        F[:3, 0], y[:3] = -4 * m - 4, 0  # right by more than the margin
        leaf = F.clone().requires_grad_()
        loss = 0.0
        for row, right in zip(leaf, y.tolist(), strict=True):
            loss = loss + functional.relu(m + row[right] - min(row[i] for i in range(n) if i != right))
        (expected,) = torch.autograd.grad(loss, leaf)
        same(function(F, y, m), expected, f"∂ℓ/∂F for {n} answers and m = {m}")


@earns("margins")
def test_true_of_log(student):
    """The true statements about the log loss are found."""
    check_choice(student, "true_of_log", {"A", "D", "E"})


def check_rest(function, draw, power, name):
    """The student's energy is where a mean over a fine grid is least."""
    for eps in (0.05, draw.size(15, 45) / 100, draw.size(55, 85) / 100, 0.95):
        m = draw.size(5, 30) / 10
        e = torch.linspace(-m, 2 * m, 6001, dtype=torch.double)
        mean = (1 - eps) * functional.relu(e) ** power + eps * functional.relu(m - e) ** power
        answer = number(function(eps, m), name)
        assert abs(answer - float(e[mean.argmin()])) < 2e-3 * m, f"{name} is not right for ε = {eps}, m = {m}"


@earns("doubt")
def test_simple_rest(student, draw):
    """The energy at which the simple loss rests agrees with a search."""
    check_rest(student.simple_rest, draw, 1, "the simple loss's energy of rest")


@earns("doubt")
def test_square_square_rest(student, draw):
    """The energy at which square–square rests agrees with a search."""
    check_rest(student.square_square_rest, draw, 2, "square–square's energy of rest")
