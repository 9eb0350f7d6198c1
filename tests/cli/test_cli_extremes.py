"""Each number in a config at its least and at its most: an answer, or an error of ours."""

import pytest
from annotated_types import Ge, Gt, Le, Lt

from cascade.config import CascadeConfig, Section


def numbers(section=CascadeConfig, at=""):
    """Dotted names of the fields that are numbers, with their least and most values."""
    for name, info in section.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from numbers(kind, f"{at}{name}.")
            continue
        step = 1 if "int" in str(kind) else 1e-9
        for bound in info.metadata:
            if isinstance(bound, Ge | Le):
                yield f"{at}{name}", bound.ge if isinstance(bound, Ge) else bound.le
            elif isinstance(bound, Gt | Lt):
                value = bound.gt + step if isinstance(bound, Gt) else bound.lt - step
                yield f"{at}{name}", value


FIELDS = sorted(set(numbers()))


def test_each_number_has_a_least_and_a_most():
    names = [name for name, _ in FIELDS]
    assert len(names) > 60
    assert {name for name in names if names.count(name) != 2} == set()


@pytest.mark.parametrize(("field", "value"), FIELDS)
def test_an_extreme_value_is_used_or_refused(retrieve, folder, field, value):
    done = retrieve("items.csv", "--text", "name", "-o", "out.csv", "--set", f"{field}={value}")
    assert done.status in (0, 2, 3)
    assert "Traceback" not in done.err
    if done.status == 2:
        assert done.err.startswith("error: ")
    else:
        assert len((folder / "out.csv").read_text("utf-8").splitlines()) == 6
