"""A disk that is full, a folder that cannot be written: nothing is lost of before."""

import os

import pytest

import inception_edu as ie
from inception_edu.files import atomic_write
from inception_edu.training import checkpoint


def write(path, text):
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def full(*args, **options):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("run.pt", lambda path: checkpoint.save_checkpoint({"a": 1}, path)),
        ("x.svg", lambda path: ie.diagram(ie.create_model("mini_v2")).save(path)),
        ("x.png", lambda path: ie.diagram(ie.create_model("mini_v2")).save(path)),
    ],
)
def test_a_full_disk_leaves_the_old_file_whole(tmp_path, monkeypatch, name, save):
    path = tmp_path / name
    save(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)  # as late as can be
    with pytest.raises(OSError, match="No space left"):
        save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_stays_a_link_and_a_private_file_private(tmp_path):
    path, link = tmp_path / "run.json", tmp_path / "mine.json"
    write(path, "old")
    path.chmod(0o600)
    link.symlink_to(path)
    write(link, "new")
    assert link.is_symlink() and path.read_text(encoding="utf-8") == "new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_read_only_is_not_replaced(tmp_path, monkeypatch):
    """Root may write anywhere, so the refusal is played."""
    path = tmp_path / "run.json"
    write(path, "old")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(PermissionError, match=r"run\.json is read-only"):
        write(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["run.json"]
