import numpy as np
import scipy.sparse

from cascade.training.foodex2.own.linear import fit_choices, fit_many


def test_choices_follow_the_feature_that_tells_and_stay_near_the_start_where_there_are_none():
    rng = np.random.default_rng(0)
    features, right = [], []
    for _ in range(200):
        own = rng.normal(size=(5, 3))
        features.append(own)
        right.append(int((own[:, 0] + 0.3 * rng.normal(size=5)).argmax()))
    weights = fit_choices(features, right, [0, 0, 2], ridge=0.1)
    assert weights[0] > 2 * abs(weights[1])
    assert abs(weights[2]) < 1
    hits = [(own @ weights).argmax() == at for own, at in zip(features, right, strict=True)]
    assert np.mean(hits) > 0.8
    assert fit_choices([], [], [0, 0, 2]).tolist() == [0, 0, 2]
    bound = fit_choices(features, right, [0, 0, 0], signs=[-1, 1, 0], ridge=0.1)
    assert bound[0] == 0


def test_choices_minimise_the_loss_that_is_written_down():
    rng = np.random.default_rng(1)
    features = [rng.normal(size=(4, 2)) for _ in range(20)]
    right = rng.integers(4, size=20).tolist()

    def loss(weights):
        value = 0.5 * ((weights - 1) ** 2).sum()
        for own, at in zip(features, right, strict=True):
            scores = own @ weights
            value += np.log(np.exp(scores).sum()) - scores[at]
        return value

    found = fit_choices(features, right, [1, 1]).astype(float)
    for step in ((0.02, 0), (-0.02, 0), (0, 0.02), (0, -0.02)):
        assert loss(found) < loss(found + np.array(step))


def test_labels_with_few_rows_borrow_the_common_weights_and_words_tell_the_rest():
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(300, 3, 2))
    words = scipy.sparse.csr_matrix((rng.random((300, 4)) > 0.7).astype(float))
    labels = dense[:, :, 0] > 0.5
    labels[:, 2] = words.toarray()[:, 1] > 0  # a habit that only the words tell
    weights, sparse, bias = fit_many(dense, words, labels, [1, 0])
    logits = np.einsum("ncf,fc->nc", dense, weights) + words @ sparse + bias
    assert ((logits > 0) == labels).mean() > 0.95
    assert np.argmax(sparse[:, 2]) == 1
    alone, _, _ = fit_many(dense[:2], words[:2], labels[:2], [1, 0])
    assert (alone[0] > 0.5).all()  # two rows change little
