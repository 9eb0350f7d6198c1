import itertools
import math

import numpy as np
import pytest

from cascade.confidence.betting import Bets, critical_at, log_gamma, log_mean
from cascade.confidence.references import Groups, fit_reference, frequent
from cascade.confidence.shift import ALARM, LEAST, STREAM, Reference, Shift, Watch, cells
from cascade.errors import ConfigError
from cascade.evaluation.metrics.calibration import Bin, ece_by_chance

CLASSES = [f"C{n}" for n in range(12)]
TREE = np.array([-1] * 50 + [0] * 5 + [50] * 5, np.int32)  # parents
SHARES = np.array([0.2, 0.15, 0.12, 0.1, 0.1, 0.08, 0.07, 0.06, 0.04, 0.03, 0.03, 0.02])


def rows(rng, n, shares=SHARES, length=40, unknown=0.2):
    """Values of rows by stream, with their kinds."""
    code = rng.choice(CLASSES, n, p=shares / shares.sum())
    return {
        "answer": ("classes", code.tolist()),
        "confidence": ("surer", rng.beta(8, 2, n).tolist()),
        "text name": ("text", rng.poisson(length, n).tolist()),
        "words": ("unknown", rng.beta(20 * unknown, 20 * (1 - unknown), n).tolist()),
    }


def made(rng, n=1000):
    classes = {"answer": frequent(rows(rng, 5000)["answer"][1])}
    return fit_reference(rows(rng, n), Groups.single(n), classes, str.lower)


@pytest.fixture(scope="module")
def reference():
    return made(np.random.default_rng(0))


def counted(reference, found):
    return reference.count({name: values for name, (_, values) in found.items()})


def probability(counts, prior):
    """Of one sequence with these counts, of a Polya urn that begins with `prior`."""
    start = math.lgamma(sum(prior)) - math.lgamma(sum(prior) + sum(counts))
    return start + sum(
        math.lgamma(a + n) - math.lgamma(a) for a, n in zip(prior, counts, strict=True)
    )


@pytest.mark.parametrize("kind", [Bets.on_classes, Bets.on_ranges])
def test_bets_gain_nothing_on_average_where_nothing_moved(kind):
    bets = kind(np.array([0.2, 0.5, 0.3]), 10.0)
    total = 0.0
    for counts in itertools.product(range(7), repeat=3):
        if sum(counts) == 6:
            ways = math.factorial(6) / math.prod(map(math.factorial, counts))
            law = math.exp(probability(counts, 10 * bets.share))
            total += ways * law * math.exp(bets.log_gain(np.array(counts)))
    assert total == pytest.approx(1)


def test_the_logarithm_of_the_gamma_function_is_that_of_the_standard_library():
    x = np.array([1e-3, 0.1, 1, 2.5, 7.9, 8.1, 1e3, 1e7])
    np.testing.assert_allclose(log_gamma(x), [math.lgamma(v) for v in x], rtol=1e-11, atol=1e-11)


def test_many_counts_gain_what_each_gains_alone():
    bets = Bets.on_classes(SHARES, 300.0)
    counts = np.random.default_rng(0).multinomial(50, SHARES, size=1000)
    np.testing.assert_allclose(
        bets.log_gain(counts)[:20], [float(bets.log_gain(c)) for c in counts[:20]]
    )


def test_a_mean_of_logarithms_is_that_of_their_powers():
    values = np.array([1.0, 2.0, -700.0])
    assert log_mean(values) == pytest.approx(math.log((math.e + math.e**2) / 3))
    assert log_mean(np.array([0.0, 1.0]), np.array([3.0, 1.0])) == pytest.approx(
        math.log((3 + math.e) / 4)
    )


def test_critical_values_are_exceeded_as_often_as_said():
    bets = Bets.on_ranges(np.full(8, 1 / 8), 500.0)
    critical = bets.critical(0.05)
    rng = np.random.default_rng(9)
    for n in (32, 700):
        shares = rng.dirichlet(500 * bets.share, 2000)
        gains = bets.log_gain(rng.multinomial(n, shares))
        assert (gains > critical_at(critical, n)).mean() < 0.075


def test_unmoved_files_raise_no_alarm_and_moved_ones_do(reference):
    rng = np.random.default_rng(1)
    moved = SHARES * np.where(np.arange(12) % 2, 3, 1)
    false = right = 0
    for _ in range(60):
        false += reference.judged(counted(reference, rows(rng, 400))).alarm
        right += reference.judged(counted(reference, rows(rng, 400, moved))).alarm
    assert false <= 3
    assert right >= 57


def test_an_alarm_says_what_moved_with_figures(reference):
    rng = np.random.default_rng(2)
    found = rows(rng, 500, np.where(np.arange(12) == 8, 0.6, SHARES))
    found["text name"] = ("text", [0] * 300 + [40] * 200)
    shift = reference.judged(counted(reference, found))
    told = {moved.stream: moved for moved in reversed(shift.moved)}
    assert shift.alarm
    assert shift.rows == 500
    assert told["answer"].what == "c8"
    assert told["answer"].before == pytest.approx(0.04, abs=0.02)
    assert told["answer"].now == pytest.approx(found["answer"][1].count("C8") / 500)
    assert str(told["text name"]) == "name is empty: 60.0% of these rows, 0.0% of those before"
    assert not {"confidence", "words"} & told.keys()


@pytest.mark.parametrize(("unknown", "alarm"), [(0.35, True), (0.1, False)])
def test_only_what_may_break_a_promise_raises_an_alarm(reference, unknown, alarm):
    found = rows(np.random.default_rng(3), 500, unknown=unknown)
    shift = reference.judged(counted(reference, found))
    assert [moved.stream for moved in shift.moved] == ["words"] * alarm
    if alarm:
        assert shift.moved[0].what.startswith("many new words (")


def test_a_file_that_is_sorted_is_like_one_that_is_not(reference):
    rng = np.random.default_rng(4)
    found = rows(rng, 640)
    order = np.argsort(found["answer"][1], kind="stable")
    ordered = {k: (kind, [own[at] for at in order]) for k, (kind, own) in found.items()}
    watch = Watch(reference)
    for start in range(0, 640, 128):
        part = {name: own[start : start + 128] for name, (_, own) in ordered.items()}
        watch.add(reference.count(part))
    assert watch.since is not None  # the first rows are others than most
    assert not watch.shift.alarm  # all together are not
    assert watch.shift.moved == ()


def test_a_stream_may_be_looked_at_at_any_time(reference):
    rng = np.random.default_rng(5)
    moved = SHARES * np.where(np.arange(12) % 2, 4, 1)
    false = []
    for number in range(40):
        watch = Watch(reference)
        for _ in range(20):
            watch.add(counted(reference, rows(rng, 100)))
        false.append(watch.since is not None)
        if number < 3:
            watch = Watch(reference)
            for _ in range(10):
                watch.add(counted(reference, rows(rng, 100, moved)))
            assert watch.since is not None
            assert watch.since <= 1000
    assert sum(false) <= 2
    assert STREAM <= ALARM


def test_few_rows_say_nothing(reference):
    found = {"answer": ["C11"] * (LEAST - 1)}
    assert reference.judged(reference.count(found)) == Shift(LEAST - 1, alarm=False)
    assert reference.judged(reference.count({})) == Shift(0, alarm=False)


def test_counts_survive_a_journal(reference):
    counts = counted(reference, rows(np.random.default_rng(6), 200))
    watch = Watch(reference)
    watch.add_cells(cells(counts[:]))
    watch.add_cells({"999999": 3, "-1": 2, "x": 1, "0": -5})
    np.testing.assert_array_equal(watch.counts, counts)


def test_a_reference_is_read_as_it_was_written(reference, tmp_path):
    path = tmp_path / "shift.safetensors"
    reference.save(path)
    again = Reference.load(path)
    counts = counted(reference, rows(np.random.default_rng(7), 500))
    assert again.judged(counts) == reference.judged(counts)
    assert again.log_gain(counts) == reference.log_gain(counts)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ConfigError, match="safetensors"):
        Reference.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"share": np.array([0.5, 0.6, *[0.0] * 6])},
        {"rows": -1},
        {"rows": 1e300},
        {"kind": "odd"},
        {"edges": np.array([2.0, 1.0])},
        {"limits": np.zeros(2)},
        {"names": (3,)},
        {"classes": ("a", "b")},
    ],
)
def test_a_reference_that_does_not_fit_together_is_refused(reference, tmp_path, change):
    stream = next(s for s in reference.streams if s.kind == "surer")
    bad = object.__new__(type(stream))
    for name in type(stream).__dataclass_fields__:
        object.__setattr__(bad, name, change.get(name, getattr(stream, name)))
    Reference((bad,), 10).save(tmp_path / "bad")
    with pytest.raises(ConfigError, match="fit"):
        Reference.load(tmp_path / "bad")


def test_held_out_rows_stand_for_all_rows_of_their_label():
    rng = np.random.default_rng(8)
    everything = rng.choice(12, 4000, p=SHARES).astype(np.int32)
    # Every label is held out as often as any other.
    held = np.concatenate([np.flatnonzero(everything == label)[:30] for label in range(12)])
    groups = Groups.of_labels(everything[held], everything, TREE)
    shares = np.bincount(everything[held], groups.weight)
    np.testing.assert_allclose(shares, np.bincount(everything) / 4000)
    # Answers that follow the labels tell as much as all rows, others as much as the held-out ones.
    assert groups.rows(everything[held].astype(np.int64), 12) > 3500
    assert groups.rows(rng.integers(0, 2, len(held)), 2) < 500


@pytest.mark.parametrize("held", [[0], [0, 1, 2], [0, 0, 0, 5], list(range(50)) * 2])
def test_groups_of_rare_labels_are_whole(held):
    everything = np.array([*range(60), *held, *[0] * 40], np.int32)
    groups = Groups.of_labels(np.array(held, np.int32), everything, TREE)
    assert groups.weight.sum() == pytest.approx(1)
    assert (groups.sizes > 0).all()
    assert groups.rows(np.zeros(len(held), np.int64), 2) >= 1


def test_rare_labels_are_grouped_with_those_beside_them():
    # Below node 0 are 2, 3 and 4, below node 1 are 5 and 6.
    tree = np.array([-1, -1, 0, 0, 0, 1, 1], np.int32)
    everything = np.array([2] * 40 + [3] * 10 + [4] * 10 + [5] * 20 + [6] * 20, np.int32)
    held = np.array([2] * 8 + [3] * 2 + [4] * 2 + [5] * 2 + [6] * 1, np.int32)
    groups = Groups.of_labels(held, everything, tree)
    assert len(groups.share) == 3
    np.testing.assert_allclose(sorted(groups.share), [0.2, 0.4, 0.4])
    assert groups.of[8] == groups.of[10]
    assert groups.of[12] == groups.of[14]


def test_true_confidences_have_the_calibration_error_of_chance():
    rng = np.random.default_rng(11)
    errors = []
    for _ in range(400):
        right = rng.random(100) < 0.8
        errors.append(abs(right.mean() - 0.8))
    by_chance = ece_by_chance([Bin(0.8, 0.9, 0.8, 0.0, 100)])
    assert by_chance == pytest.approx(np.mean(errors), rel=0.1)
    assert ece_by_chance([]) == 0
