"""What hw4/theory tells about attention, layer norm and costs, measured."""
# ruff: noqa: N803, N806 (the symbols of the maths)

import itertools
import math

import torch
from claim import solved
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode


def normal(seed, *shapes):
    """Standard normal float64 tensors of these shapes."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.double) for shape in shapes]


def attend(Q, K, V, beta):
    """H and A, by definition."""
    A = torch.softmax(beta * K.T @ Q, dim=0)
    return V @ A, A


def test_convenient_beta():
    """A product of random columns has the variance d; with β = 1 and large d, softargmax saturates and its slopes are
    nearly 0, and with β = 1/√d they do not depend on d."""
    for d in (4, 64, 1024):
        variance, slopes = [], {1.0: [], d**-0.5: []}
        for seed in range(40):
            Q, K = normal(seed, (d, 50), (d, 10))
            variance.append(float((K.T @ Q).var()))
            for beta, found in slopes.items():
                A = attend(Q, K, K, beta)[1]
                found.append(float((A * (1 - A)).mean()))
        plain, convenient = (sum(found) / 40 for found in slopes.values())
        print(f"d = {d:4}: variance / d {sum(variance) / 40 / d:.3f}; mean slope {plain:.4f}, at 1/√d {convenient:.4f}")
        assert 0.9 < sum(variance) / 40 / d < 1.1
        assert 0.07 < convenient < 0.085
        assert plain < 0.012 or d < 1000


def test_plain_mean():
    """The plain mean of m independent values of variance 1 has entries of variance 1/m."""
    for m in (4, 64, 1024):
        found = [float(normal(seed, (200, m))[0].mean(1).square().mean()) * m for seed in range(40)]
        print(f"m = {m:4}: m times the variance {sum(found) / 40:.3f}")
        assert 0.93 < sum(found) / 40 < 1.07


def test_noise_stays_below_the_bounds():
    """All moves of h lie below the bounds, and for long noise they level off below the diameter of the values."""
    names = solved("hw4/theory", until="nudges")
    for where, bound in (("a key", names["key_noise_bound"]), ("the query", names["query_noise_bound"])):
        highest, long = 0.0, []
        for seed in range(20):
            q, K, V, ways = (part.float() for part in normal(seed, (3, 1), (3, 6), (2, 6), (3, 60)))
            ways, diameter = functional.normalize(ways, dim=0), float(torch.cdist(V.T, V.T).max())
            for r in (0.01, 0.1, 1.0, 5.0, 20.0):
                keys = range(6) if where == "a key" else [None]
                far = max(max(names["distances_moved"](q, K, V, 1.0, r * ways, j)) for j in keys)
                highest = max(highest, far / bound(q, K, V, 1.0, r))
                if r == 20.0:
                    long.append(far / diameter)
        print(f"{where}: at most {highest:.2f} of the bound; at length 20 {min(long):.2f} to {max(long):.2f} of D_V")
        assert highest < 1.001
        assert max(long) < 1.0


def test_queries_grow_like_the_square():
    """On a circle of n places the shortest query that leaves a neighbour one part in a thousand grows like n²."""
    found = {}
    for n in (20, 50, 100, 200):
        gaps = 1 - torch.cos(2 * math.pi / n * torch.arange(1, n, dtype=torch.double))
        low, high = 1.0, 1e8
        for _ in range(80):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if float(torch.exp(-middle * gaps).sum()) > 1e-3 else (low, middle)
        found[n] = high / n**2
    print("length times β, over n²:", {n: round(share, 4) for n, share in found.items()})
    assert max(found.values()) / min(found.values()) < 1.02


def test_one_head_computes_exclusive_or():
    """One head with a constant token computes exclusive or; with fixed weights, and on an isolated column, attention is
    linear, so there it cannot."""
    head = [torch.as_tensor(part).double() for part in solved("hw4/theory", until="columns")["xor_head"]()]
    bits = torch.tensor([[0.0, 0, 1, 1], [0, 1, 0, 1]]).double()
    wanted, found = torch.tensor([0.0, 1, 1, 0]).double(), []
    for x, y in bits.T.tolist():
        X = torch.tensor([[x, 0], [y, 0], [1, 0], [0, 1]]).double()
        found.append(attend(head[0] @ X, head[1] @ X, head[2] @ X, len(head[0]) ** -0.5)[0][0, 0])
    # the best that is linear in the bits, with a constant
    design = torch.cat([bits, torch.ones(1, 4).double()]).T
    best = design @ torch.linalg.lstsq(design, wanted[:, None]).solution
    error = float((best[:, 0] - wanted).abs().max())
    print(f"head: {[round(float(value), 6) for value in found]}; the best linear function is off by {error:.2f}")
    assert float((torch.stack(found) - wanted).abs().max()) < 1e-4
    assert error > 0.49
    worst = 0.0
    for seed in range(20):
        W_Q, W_K, W_V, x, y, C, D = normal(seed, (3, 4), (3, 4), (2, 4), (4, 1), (4, 1), (4, 5), (4, 5))
        alone = [attend(W_Q @ part, W_K @ part, W_V @ part, 0.7)[0] for part in (x, y, x + 2 * y)]
        A = attend(W_Q @ C, W_K @ C, W_V @ C, 0.7)[1]
        fixed = [W_V @ part @ A for part in (C, D, C + 2 * D)]
        worst = max(worst, *(float((last - a - 2 * b).abs().max()) for a, b, last in (alone, fixed)))
    print(f"isolated column, fixed weights: {worst:.1e} from linear in 20 seeds")
    assert worst < 1e-9


def test_layer_norm_and_spread():
    """The Jacobian of layer norm goes with 1/σ, the spread of the entries; the length of x does not matter."""
    jacobian = solved("hw4/theory", until="norm")["layer_norm_jacobian"]
    same, smaller = [], []
    for seed in range(40):
        x = normal(seed, (8, 1))[0].float()
        size = [float(torch.linalg.matrix_norm(jacobian(part), 2)) for part in (x, x + 100, 10 * x)]
        same.append(size[1] / size[0])
        smaller.append(size[0] / size[2])
    print(f"x + 100: {min(same):.4f} to {max(same):.4f} times; x / 10: {min(smaller):.3f} to {max(smaller):.3f} times")
    assert 0.999 < min(same) <= max(same) < 1.001
    assert 9.9 < min(smaller) <= max(smaller) < 10.1


def test_share_of_scores_and_means():
    """Scores and means take 4 % of a block of ViT-B/16 at 224 pixels, pass a half between 768 and 1,536 pixels, at
    n = 6e columns, and reach 89 % at 3,072; counted by PyTorch while it multiplies."""
    count = solved("hw4/theory", until="patches")["block_counts"]
    shares = {}
    for side in (224, 768, 1536, 3072):
        n = (side // 16) ** 2 + 1
        with torch.device("meta"), FlopCounterMode(display=False) as maps:
            torch.empty(n, 768) @ torch.empty(768, n)
            torch.empty(768, n) @ torch.empty(n, n)
        with torch.device("meta"), FlopCounterMode(display=False) as rest:
            for rows, columns in [(768, 768)] * 4 + [(3072, 768), (768, 3072)]:
                torch.empty(rows, columns) @ torch.empty(columns, n)
        ours, counted = count(768, 12, 3072, n)[1], (maps.get_total_flops() + rest.get_total_flops()) // 2
        shares[side] = maps.get_total_flops() / 2 / counted
        assert ours == counted
    print("share:", {side: round(share, 3) for side, share in shares.items()})
    assert 0.035 < shares[224] < 0.045
    assert shares[768] < 0.5 < shares[1536]
    assert 0.885 < shares[3072] < 0.895
    e, n = 768, 6 * 768
    assert 2 * n * n * e * 2 == count(e, 12, 4 * e, n)[1]


def test_receptive_fields():
    """A stack of 3×3 convolutions gains two pixels a layer; with a stride of 2 in every second layer a unit sees 224
    pixels after twelve layers, and not after eleven."""
    width = solved("hw4/theory", until="patches")["receptive_field"]
    plain = [width([(3, 1)] * depth) for depth in range(1, 13)]
    strided = [width(([(3, 1), (3, 2)] * 6)[:depth]) for depth in range(1, 13)]
    print("plain", plain, "strided", strided)
    assert [b - a for a, b in itertools.pairwise(plain)] == [2] * 11
    assert strided[10] < 224 <= strided[11]


def test_lookup_on_abracadabra():
    """A new letter looks equally at all places up to its own; the second a looks at b, the fifth at b, c, d and b."""
    names = solved("hw4/theory", until="lookup")
    X, alphabet = names["letters_with_left"]("abracadabra")
    A = names["head_map"](X, names["lookup_projections"](len(alphabet)), torch.ones(11, 11).triu().bool())
    looked = {i: [(j, round(float(A[j, i]), 2)) for j in range(11) if A[j, i] > 0.01] for i in (0, 1, 2, 4, 6, 3, 10)}
    print(looked)
    for i in (0, 1, 2, 4, 6):
        assert looked[i] == [(j, round(1 / (i + 1), 2)) for j in range(i + 1)]
    assert looked[3] == [(1, 1.0)]
    assert looked[10] == [(j, 0.25) for j in (1, 4, 6, 8)]


def test_shuffled_patches():
    """Without position embeddings a transformer's output at the class token does not notice that patches are shuffled;
    with learned ones it does."""
    same, moved = [], []
    for seed in range(20):
        torch.manual_seed(seed)
        layer = torch.nn.TransformerEncoderLayer(16, 4, 32, dropout=0.0, batch_first=True, norm_first=True)
        X, places = torch.randn(1, 17, 16), torch.randn(1, 17, 16)
        order = torch.cat([torch.zeros(1).long(), 1 + torch.randperm(16)])
        with torch.no_grad():
            same.append(float((layer(X)[:, 0] - layer(X[:, order])[:, 0]).abs().max()))
            moved.append(float((layer(X + places)[:, 0] - layer(X[:, order] + places)[:, 0]).abs().max()))
    print(f"without places at most {max(same):.1e}, with them at least {min(moved):.2f}")
    assert max(same) < 1e-5
    assert min(moved) > 1e-2


def test_price_of_heads():
    """Eight heads of 8 cost what one head of 64 costs, eight heads of 64 eight times as much; from 256 to 4,096 columns
    the cost grows more than a hundredfold."""
    count = solved("hw4/theory", until="roads")["multi_head_counts"]
    for heads, d in ((1, 64), (8, 8), (8, 64)):
        print(
            heads,
            d,
            [count(64, heads, d, n)[1] for n in (16, 256, 4096)],
            count(64, heads, d, 4096)[1] / count(64, heads, d, 256)[1],
        )
    for n in (16, 256, 4096):
        assert count(64, 1, 64, n)[1] == count(64, 8, 8, n)[1] == count(64, 8, 64, n)[1] / 8
    assert count(64, 8, 8, 4096)[1] > 100 * count(64, 8, 8, 256)[1]
