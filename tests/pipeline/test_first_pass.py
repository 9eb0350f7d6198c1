import csv
import pickle

import pytest

import cascade
from cascade.config import CascadeConfig, Columns
from cascade.errors import OutputError, UsageError
from cascade.io import open_output, open_table
from cascade.io.tables.opening import TableFile
from cascade.items import Item
from cascade.pipeline.doors import hastening
from cascade.pipeline.runs import adapting
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.pipeline.runs.table import classify_table
from cascade.retrieval.student.pieces import PieceVectors
from cascade.scoring.first_pass import learning
from cascade.scoring.first_pass.deciding import NAME
from cascade.taxonomy import Taxonomy

pytestmark = pytest.mark.weights
TREE = Taxonomy.from_paths(
    ["Tools > Hammers", "Tools > Saws", "Food > Milk", "Food > Cheese", "Music > Drums"]
)
KINDS = ("claw hammer", "hand saw", "whole milk", "gouda cheese", "snare drum", "cheddar cheese")
MANY = [f"{kind} no {i}" for i in range(15) for kind in KINDS]


@pytest.fixture(autouse=True)
def _few_are_enough(monkeypatch):
    for module in (hastening, learning, adapting):
        monkeypatch.setattr(module, "LEAST", 20)
    monkeypatch.setattr(hastening, "PART", 2)
    monkeypatch.setattr(PieceVectors, "open", classmethod(lambda *given: None))


@pytest.fixture
def clf(loaded):
    return cascade.load(TREE, method="retrieval")


@pytest.fixture
def taught(clf):
    assert clf.learn_first_pass(MANY, loss=0.1).applies
    return clf


def test_rows_like_those_that_were_learnt_are_answered_as_the_encoder_does(clf):
    before = [p.code for p in clf.classify_many(MANY)]
    learnt = clf.learn_first_pass(MANY, loss=0.1)
    found = list(clf.classify_many(MANY))
    assert learnt is clf.first_pass
    assert learnt.items == len(MANY) // 2
    by_first = [p.source == NAME for p in found]
    assert sum(by_first) > len(MANY) / 2
    same = [p.code == code for p, code, first in zip(found, before, by_first, strict=True) if first]
    assert sum(same) >= 0.95 * sum(by_first)


def test_the_encoder_sees_what_it_is_not_sure_about(taught):
    alone = [p.source for p in taught.classify_many(["gouda cheese", "an oboe", "?!", ""])]
    assert alone == [NAME, "retrieval", "retrieval", ""]
    taught.first_pass = None
    assert taught.classify("gouda cheese").source == "retrieval"


def test_without_an_allowed_loss_it_is_sure_of_less(clf):
    shares = [clf.learn_first_pass(MANY, loss=loss).share for loss in (0.0, 0.02, 1.0)]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_few_items_teach_nothing(clf):
    learnt = clf.learn_first_pass(MANY[:38])
    assert (learnt.items, learnt.applies) == (19, False)
    assert clf.classify("gouda cheese").source == "retrieval"
    assert clf.learn_first_pass([None, ""]).items == 0


def test_of_many_items_a_part_is_learnt_of_more_than_of_few(clf, monkeypatch):
    monkeypatch.setattr(hastening, "TAUGHT", 20)
    monkeypatch.setattr(hastening, "LARGE_PART", 3)
    monkeypatch.setattr(hastening, "MOST_TAUGHT", 25)
    learnt = [clf.learn_first_pass(MANY[:n]).items for n in (30, 45, 66, 90)]
    assert learnt == [15, 20, 22, 25]


def test_an_answer_shows_what_it_was_chosen_from(taught):
    taught = taught.variant(beam=3)
    found = taught.classify("gouda cheese")
    assert (found.source, found.path) == (NAME, "Food > Cheese")
    top, leaf = found.levels
    assert (top.name, leaf.name) == ("Food", "Cheese")
    assert top.confidence >= leaf.confidence == found.confidence
    assert list(found.path_confidences) == [top.confidence, leaf.confidence]
    assert {c.name for c in top.candidates} == {"Tools", "Food", "Music"}
    for level in found.levels:
        assert sum(c.probability for c in level.candidates) == pytest.approx(1, abs=1e-5)
        assert max(level.candidates, key=lambda c: c.probability).name == level.name
        assert level.candidates[0].scores.keys() == {NAME}
    assert len(found.alternatives) == 2
    assert "Food > Cheese" not in [other.path for other in found.alternatives]
    assert found.confidence >= found.alternatives[0].confidence
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_ranking_begins_with_the_answer(taught):
    found = taught.variant(ranking=3).classify("gouda cheese")
    assert found.source == NAME
    assert (len(found.ranking), found.ranking[0]) == (3, found.code)


def test_a_copy_keeps_what_was_learnt(taught):
    copy = pickle.loads(pickle.dumps(taught))
    asked = MANY[:12]
    one, other = ([p.to_dict() for p in each.classify_many(asked)] for each in (taught, copy))
    assert one == other
    assert copy.first_pass.items == taught.first_pass.items


def test_what_is_known_of_the_file_goes_into_it(clf):
    clf.adapt(MANY)
    learnt = clf.learn_first_pass(MANY, loss=0.1)
    assert learnt.prior is not None
    assert learnt.prior.shape == (len(TREE.leaves),)


def test_items_with_pictures_are_passed_over(clf):
    items = [Item({"text": text}, image=b"x") for text in MANY]
    assert clf.learn_first_pass(items).items == 0


def test_methods_that_it_cannot_stand_in_for_refuse_before_models_are_loaded(monkeypatch):
    from cascade.scoring.components import Components

    monkeypatch.setattr(Components, "scorer", None)
    with pytest.raises(UsageError, match=r"--first-pass .* the method nli"):
        cascade.load(TREE, method="nli", retrieval={"first_pass": True})


class TestRuns:
    @pytest.fixture
    def hasty(self, loaded):
        settings = {"first_pass": True, "first_pass_loss": 0.1}
        return cascade.load(TREE, method="retrieval", retrieval=settings)

    @pytest.fixture
    def many(self, tmp_path):
        (tmp_path / "many.csv").write_text("\n".join(["title", *MANY, "an oboe", ""]))
        return tmp_path / "many.csv"

    @pytest.fixture(autouse=True)
    def _in_several_chunks(self, monkeypatch):
        monkeypatch.setattr(CascadeConfig, "batch", 25)

    def run(self, clf, many, out, *, again=True, stop=None, resume=False):
        seen = []

        def progress(rows):
            seen.append(len(rows))
            if len(seen) == stop:
                raise KeyboardInterrupt

        columns, form = Columns(text=["title"]), AnswerForm(top=1, explain=True)
        with (
            open_table(many) as table,
            open_output(many.with_name(out), table, form.columns, resume=resume) as output,
        ):
            file = TableFile(str(many)) if again else None
            return classify_table(clf, table, output, columns, form, again=file, progress=progress)

    def test_what_answered_stands_beside_each_row(self, hasty, many):
        counts = self.run(hasty, many, "out.csv")
        learnt = hasty.first_pass
        assert counts.first_pass["from"] == learnt.items == 45
        assert counts.first_pass["sure"] == round(learnt.share * 45)
        with many.with_name("out.csv").open() as file:
            sources = [row["cascade_source"] for row in csv.DictReader(file)]
        assert sources.count(NAME) == counts.source[NAME] > 45
        assert sources[-1] == "retrieval"

    def test_a_resumed_run_has_learnt_once_and_ends_in_the_same_bytes(
        self, hasty, many, monkeypatch
    ):
        self.run(hasty, many, "whole.csv")
        with pytest.raises(KeyboardInterrupt):
            self.run(hasty, many, "cut.csv", stop=2)
        hasty.first_pass = None
        monkeypatch.setattr(hasty, "learn_first_pass_read", None)
        counts = self.run(hasty, many, "cut.csv", resume=True)
        assert counts.first_pass["from"] == 45
        whole, cut = (many.with_name(name).read_bytes() for name in ("whole.csv", "cut.csv"))
        assert whole == cut

    def test_it_goes_with_adapting(self, loaded, many, monkeypatch):
        settings = {"first_pass": True, "first_pass_loss": 0.1, "adapt": True}
        both = cascade.load(TREE, method="retrieval", retrieval=settings)
        counts = self.run(both, many, "whole.csv")
        assert counts.first_pass["from"] == 45
        assert counts.adapted["from"] == len(MANY) + 1
        with pytest.raises(KeyboardInterrupt):
            self.run(both, many, "cut.csv", stop=2)
        both.first_pass = both.adaptation = None
        monkeypatch.setattr(both, "learn_first_pass_read", None)
        monkeypatch.setattr(both, "adapt_read", None)
        assert self.run(both, many, "cut.csv", resume=True).adapted == counts.adapted
        whole, cut = (many.with_name(name).read_bytes() for name in ("whole.csv", "cut.csv"))
        assert whole == cut

    def test_a_damaged_journal_is_refused(self, hasty, many, monkeypatch):
        with pytest.raises(KeyboardInterrupt):
            self.run(hasty, many, "cut.csv", stop=2)
        journal = many.with_name("cut.csv.parts") / "journal.jsonl"
        text = journal.read_text()
        assert '"student": "' in text
        journal.write_text(text.replace('"student": "', '"student": "AAAA'))
        with pytest.raises(OutputError, match="holds no first pass"):
            self.run(hasty, many, "cut.csv", resume=True)

    def test_few_rows_are_answered_by_the_encoder(self, hasty, many):
        many.write_text("\n".join(["title", *MANY[:10], ""]))
        counts = self.run(hasty, many, "out.csv")
        assert counts.first_pass == {"too_few": 5}
        assert counts.source == {"retrieval": 10}

    def test_rows_that_are_read_once_are_refused(self, hasty, many):
        with pytest.raises(UsageError, match=r"retrieval\.first_pass goes with runs over files"):
            self.run(hasty, many, "out.csv", again=False)
