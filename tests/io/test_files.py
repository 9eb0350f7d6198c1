import os
import resource

import numpy as np
import pytest

from cascade.errors import ConfigError, OutputError
from cascade.io.files import (
    AT_ONCE,
    cache_folder,
    read_json,
    read_tensors,
    readable_by_others,
    write_json,
    write_tensors,
    write_text,
)


def test_arrays_that_find_no_space_are_an_error_of_ours_and_leave_nothing(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"heads\.safetensors cannot be written: File too la"):
            write_tensors(tmp_path / "heads.safetensors", {}, {"a": np.zeros(5000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    write_tensors(tmp_path / "heads.safetensors", {"x": 1}, {"a": np.zeros(3)})
    assert read_tensors(tmp_path / "heads.safetensors")[0]["x"] == 1


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        write_tensors(tmp_path / "file" / "heads.safetensors", {}, {"a": np.zeros(3)})


@pytest.mark.parametrize("name", ["CASCADE_CACHE", "XDG_CACHE_HOME"])
def test_a_cache_folder_of_nobody_is_told_with_its_cure(monkeypatch, name):
    monkeypatch.delenv("CASCADE_CACHE", raising=False)
    monkeypatch.setenv(name, "~no-such-user/cache")
    with pytest.raises(ConfigError, match="set CASCADE_CACHE to a folder"):
        cache_folder()


def test_a_key_that_stands_twice_is_found_among_many_in_time_in_proportion(tmp_path):
    file = tmp_path / "pack.json"
    file.write_text("{" + "".join(f'"{n}": 0, ' for n in range(100_000)) + '"99999": 1}')
    with pytest.raises(ConfigError, match="'99999' stands twice"):
        read_json(file)


def test_a_cache_folder_whose_name_is_too_long_is_told_with_its_cure(monkeypatch, tmp_path):
    monkeypatch.setenv("CASCADE_CACHE", str(tmp_path / ("c" * 300)))
    with pytest.raises(ConfigError, match="set CASCADE_CACHE to another folder"):
        cache_folder()


def test_names_that_are_no_text_are_written_with_their_bytes(tmp_path):
    write_json(tmp_path / "a.json", {"command": "eval lab\udcff.csv", "of": ["\ud800"]})
    assert read_json(tmp_path / "a.json") == {"command": "eval lab\\xff.csv", "of": ["\\ud800"]}
    write_text(tmp_path / "a.md", "lab\udcff.csv")
    assert (tmp_path / "a.md").read_text("utf-8") == "lab\ufffd.csv"


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "metrics.json")
    with pytest.raises(ConfigError, match="is no file"):
        read_json(tmp_path / "metrics.json")


def test_files_that_a_library_made_private_are_read_by_others_as_all_else(tmp_path):
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(2)}, tmp_path / "x.safetensors")
    (tmp_path / "x.safetensors").chmod(0o600)  # as newer safetensors does itself
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "y.bin").touch(mode=0o600)
    (tmp_path / "pack.json").write_text("{}")
    (tmp_path / "pack.json").chmod(0o640)
    readable_by_others(tmp_path, tmp_path / "pack.json")
    modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.rglob("*") if p.is_file()}
    assert set(modes.values()) == {0o640}


TYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]


def test_arrays_are_read_as_they_were_written(tmp_path):
    arrays = {name: np.arange(3 + at).astype(name) for at, name in enumerate(TYPES)}
    arrays |= {"of rows": np.ones((2, 3), "f2"), "none": np.zeros((0, 4), "i4")}
    write_tensors(tmp_path / "arrays", {"x": [1]}, arrays)
    about, found = read_tensors(tmp_path / "arrays")
    assert about == {"format": 1, "x": [1]}
    (tmp_path / "arrays").write_bytes(b"")  # nobody who has read it looks at it again
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert (found[name] == array).all()


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
@pytest.mark.parametrize("wrong", [np.nan, -np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_wherever_it_stands(tmp_path, kind, wrong):
    file = tmp_path / "arrays"
    for at in (0, 1, -1):
        numbers = np.full((5, AT_ONCE // 2), -np.finfo(kind).max, kind)
        write_tensors(file, {}, {"weights": numbers})
        read_tensors(file)
        numbers[at, at] = wrong
        write_tensors(file, {}, {"weights": numbers})
        with pytest.raises(ConfigError, match="'weights' holds what is no number"):
            read_tensors(file)


def test_a_file_that_was_cut_is_refused(tmp_path):
    file = tmp_path / "arrays"
    write_tensors(file, {}, {"weights": np.ones(1000, "f2")})
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ConfigError, match="cannot be read as safetensors"):
        read_tensors(file)
