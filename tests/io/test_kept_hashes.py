import hashlib
import os

import pytest

from cascade.errors import ConfigError
from cascade.io import kept_hashes
from cascade.io.kept_hashes import LARGE, kept_sha256
from cascade.pipeline.pack import seal, verify


@pytest.fixture
def hashed(tmp_path, monkeypatch):
    """A large file that is old enough, and the files that were read to be hashed."""
    read = []
    real = kept_hashes.sha256_of
    monkeypatch.setattr(kept_hashes, "sha256_of", lambda path: read.append(path) or real(path))
    monkeypatch.setattr(kept_hashes, "SETTLED", -1)
    monkeypatch.setenv("CASCADE_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "heads"
    file.write_bytes(b"a" * LARGE)
    return file, read


def digest(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_large_file_is_hashed_once_however_it_is_named(hashed, monkeypatch):
    file, read = hashed
    monkeypatch.chdir(file.parent)
    assert kept_sha256(file) == kept_sha256(type(file)("heads")) == digest(file)
    assert read == [file]


def test_a_change_is_seen_where_size_and_time_were_put_back(hashed):
    file, read = hashed
    before = file.stat()
    kept_sha256(file)
    with file.open("r+b") as open_file:
        open_file.write(b"b")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert kept_sha256(file) == digest(file)
    other = file.with_name("other")
    other.write_bytes(b"c" * LARGE)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)
    assert kept_sha256(file) == digest(file)
    assert len(read) == 3


def test_the_hash_of_a_file_that_was_just_written_is_not_kept(hashed, monkeypatch):
    file, read = hashed
    monkeypatch.setattr(kept_hashes, "SETTLED", 60)
    assert kept_sha256(file) == kept_sha256(file)
    assert len(read) == 2


@pytest.mark.parametrize("kept", ["", "nonsense", "1:2:3:4 " + "0" * 64 + "\n", "\xff\0"])
def test_what_is_kept_and_is_no_hash_of_the_file_does_not_count(hashed, kept):
    file, read = hashed
    kept_sha256(file)
    [place] = (file.parent / "cache" / "hashes").iterdir()
    place.write_bytes(kept.encode("latin-1"))
    assert kept_sha256(file) == digest(file)
    assert len(read) == 2


def test_no_cache_keeps_no_hash(hashed, monkeypatch):
    file, read = hashed
    (file.parent / "cache").write_text("a file")
    assert kept_sha256(file) == kept_sha256(file) == digest(file)
    monkeypatch.setenv("CASCADE_CACHE", "~no-such-user/cache")
    assert kept_sha256(file) == digest(file)
    assert len(read) == 3


def test_a_pack_that_is_whole_is_not_refused_for_a_hash_that_was_kept_wrongly(hashed):
    file, _ = hashed
    pack = file.parent / "pack"
    pack.mkdir()
    (pack / "heads").write_bytes(b"a" * LARGE)
    (pack / "cascade.yaml").write_text("method: ttc\n")
    seal(pack)
    verify(pack, every_byte=False)
    for place in (file.parent / "cache" / "hashes").iterdir():
        place.write_text(f"{place.read_text()[:-65]}{'0' * 64}\n")
    verify(pack, every_byte=False)
    (pack / "heads").write_bytes(b"b" * LARGE)
    with pytest.raises(ConfigError, match="was changed since the pack was sealed"):
        verify(pack, every_byte=False)
