"""Classifiers in several threads, copied, pickled, and in forked and spawned processes."""

import copy
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import cascade
from cascade import forks
from cascade.errors import UsageError

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("loaded")]

TREE = cascade.Taxonomy.from_paths(["Clothing > Hats", "Garden > Rakes", "Garden > Seeds"])
TEXTS = ["straw hat", "garden rake", "tomato seeds"]
PATHS = ["Clothing > Hats", "Garden > Rakes", "Garden > Seeds"]


@pytest.fixture
def clf():
    return cascade.load("few", taxonomy=TREE, method="retrieval", descent={"beam": 2})


def paths(classifier):
    return [answer.path for answer in classifier.classify_many(TEXTS)]


@pytest.mark.parametrize(
    "copied", [lambda c: pickle.loads(pickle.dumps(c)), copy.copy, copy.deepcopy]
)
def test_a_copy_answers_as_its_original(clf, copied):
    again = copied(clf)
    assert again is not clf
    assert again.config == clf.config
    assert [*again.classify_many(TEXTS)] == [*clf.classify_many(TEXTS)]


def test_a_pickle_holds_paths_and_no_weights(clf, tmp_path, monkeypatch):
    paths(clf)
    assert len(pickle.dumps(clf)) < 20_000
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    named = cascade.load("few", taxonomy=TREE, method="retrieval", pictures={"root": "pictures"})
    sent = pickle.dumps(named)
    monkeypatch.chdir("/")
    assert pickle.loads(sent).config.pictures.root == str(tmp_path / "pictures")


def test_many_threads_share_a_classifier(clf):
    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(lambda _: paths(clf), range(24))] == [PATHS] * 24


FORKED = """
import multiprocessing, sys, threading
import cascade

def one(text):
    return clf.classify(text).path

if __name__ == "__main__":
    tree = cascade.Taxonomy.from_paths(["Clothing > Hats", "Garden > Rakes", "Garden > Seeds"])
    clf = cascade.load("few", taxonomy=tree, method="retrieval")
    texts = ["straw hat", "garden rake", "tomato seeds"] * 8
    here = [p.path for p in clf.classify_many(texts)]
    ends = threading.Event()
    def busy():
        while not ends.is_set():
            list(clf.classify_many(texts))
    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map_async(one, texts).get(120) == here
    ends.set()
    for thread in threads:
        thread.join()
    print(here[:3])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_processes_answer_whatever_threads_their_parent_has(tmp_path):
    script = tmp_path / "forked.py"
    script.write_text(FORKED)
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert (done.stdout, done.stderr) == (f"{PATHS}\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_what_holds_connections_makes_them_anew_in_a_child():
    class Holder:
        made = 1

        def renew(self):
            self.made += 1

    holder, gone = Holder(), Holder()
    forks.renew_in_child(holder, Holder.renew)
    forks.renew_in_child(gone, Holder.renew)
    del gone
    child = os.fork()
    if not child:
        os._exit(holder.made)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert holder.made == 1


def test_a_gpu_of_a_parent_is_refused_in_one_sentence(clf, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    with pytest.raises(UsageError, match=r'multiprocessing\.get_context\("spawn"\)'):
        clf.classify("straw hat")
