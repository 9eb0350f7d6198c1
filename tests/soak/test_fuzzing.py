"""Every reader, with changed files: the seconds of what `make soak` does for minutes."""

import logging
import warnings

import pytest
from fuzz.guard import attempt
from fuzz.targets import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SLOW = ("packs",)
CHANGES = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4)


@pytest.fixture(autouse=True)
def _quiet():
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def readers(*, slow):
    return pytest.mark.parametrize("name", [n for n in TARGETS if (n in SLOW) == slow])


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in SLOW])
def test_files_to_begin_from_are_read(name, tmp_path):
    for seed in TARGETS[name].seeds():
        outcome = attempt(TARGETS[name], seed, [], tmp_path)
        assert (outcome.refusal, outcome.fault) == (None, None), seed


@readers(slow=False)
def test_changed_files_are_read_or_refused_by_an_error_of_ours(name, tmp_path):
    fuzz(name, tmp_path, 15)


@readers(slow=True)
def test_changed_packs_are_read_or_refused_by_an_error_of_ours(name, tmp_path):
    fuzz(name, tmp_path, 25)


def fuzz(name, folder, examples):
    target = TARGETS[name]

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(target.seeds())), CHANGES)
    def one(seed, changes):
        assert attempt(target, seed, changes, folder).fault is None

    one()


def test_the_same_changes_make_the_same_file(tmp_path):
    for target in TARGETS.values():
        if target.name not in SLOW:
            seed = next(iter(target.seeds()))
            made = {target.make(seed, [7, 8, 9], tmp_path).read_bytes() for _ in range(2)}
            assert len(made) == 1, target.name


def test_what_is_not_an_error_of_ours_is_a_fault(tmp_path):
    from fuzz.targets import Target

    def read(path):
        raise KeyError("no error of ours")

    broken = Target("broken", lambda: {"x": b"abc"}, read)
    assert "KeyError" in attempt(broken, "x", [1], tmp_path).fault
