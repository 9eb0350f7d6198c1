import numpy as np

from cascade.labelling.bootstrap import EACH, Unlabelled, bootstrap, surest


def right(rows, corrections, leaves):
    z = rows.branches.logits(corrections, rows.known, rows.vectors)
    return (z.argmax(axis=1) == leaves).mean()


def test_a_file_teaches_what_its_names_do_not_say(clouds):
    rows, leaves = clouds
    before = (rows.known.argmax(axis=1) == leaves).mean()
    found = bootstrap(rows)
    assert found.corrections is not None
    assert found.gain > 2 * found.error
    assert right(rows, found.corrections, leaves) > before + 0.1


def test_nothing_is_kept_where_views_do_not_agree(clouds):
    rows, _ = clouds
    rng = np.random.default_rng(0)
    noise = rng.normal(size=rows.vectors.shape).astype(np.float32)
    found = bootstrap(Unlabelled(rows.branches, rows.known, noise, rows.meaning))
    assert found.corrections is None


def test_few_rows_and_rows_without_words_teach_nothing(clouds):
    rows, _ = clouds
    assert bootstrap(rows.part(np.arange(30))).corrections is None
    wordless = Unlabelled(rows.branches, rows.known, rows.view(words=False), rows.meaning)
    assert bootstrap(wordless).corrections is None


def test_the_surest_few_of_each_class_teach(clouds):
    rows, _ = clouds
    which, leaves = surest(rows.known)
    assert np.bincount(leaves).max() <= EACH
    p = np.exp(rows.known).max(axis=1)
    assert p[which].min() >= np.quantile(p, 0.3)
    assert (leaves == rows.known[which].argmax(axis=1)).all()


def test_the_same_rows_teach_the_same(clouds):
    rows, _ = clouds
    one, other = bootstrap(rows), bootstrap(rows)
    assert (one.corrections.weights == other.corrections.weights).all()
